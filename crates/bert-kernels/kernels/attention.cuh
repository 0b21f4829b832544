// What the kernels of attention share: where operands lie, and how the work is cut.
#pragma once
#include "device.cuh"

/// Rows of operands on the token axis. Two layouts: queries, keys and values side by side in [T, 3H], or queries of selected rows
/// [n, H] beside keys and values [T, 2H]. Gradients have the layout of what they belong to.
struct Layout {
    u32 query_stride, memory_stride; // elements from row to row
    u32 keys, values;                // first columns in the memory
    u32 heads, size;                 // N, D
    u32 asking, rows;                // n: rows of queries; T: rows of the token axis, which number the rows of the dropout mask
    u32 groups;                      // of 128 keys in the longest sequence: a row of drawn masks is 16 bytes for each
    float scale;                     // 1 / sqrt(D)
};

/// A block's share: some of the queries, or of the keys, of one sequence. The grid's second index is the head.
struct Tile {
    u32 span, length;    // rows of the keys
    u32 asking, queries; // rows of the queries
    u32 first;           // of the queries or keys that are the block's
};

/// The row of the dropout mask that decides on the keys of a query. `positions` is null where all rows ask.
__device__ __forceinline__ u32 mask_row(const Layout &layout, const u32 *positions, u32 head, u32 query) {
    return head * layout.rows + (positions ? positions[query] : query);
}
