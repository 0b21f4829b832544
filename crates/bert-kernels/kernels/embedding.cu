// Rows of embedding tables: their sum, and the gradient of a table by rows that were sorted by id, so that nothing needs atomics and
// every run adds in the same order.
#include "device.cuh"

/// A thread's octet of a row of `width` columns: the grid strides over all of them.
template <typename Body> __device__ __forceinline__ void for_octets(u32 rows, u32 width, Body body) {
    u32 octets = (width + 7) / 8;
    u64 all = static_cast<u64>(rows) * octets, stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += stride) {
        body(static_cast<u32>(i / octets), static_cast<u32>(i % octets) * 8);
    }
}

/// y [T, H] = sum over up to four tables of table[ids[t]]. ids [tables, T]; tables that are not there are null and come last.
template <typename T>
__device__ void embedding_forward(const float *const *tables, const u32 *ids, T *y, u32 rows, u32 width) {
    bool fit = octets_fit(width, tables[0], tables[1], tables[2], tables[3], y);
    for_octets(rows, width, [&](u32 row, u32 column) {
        float sum[8] = {};
        for (u32 t = 0; t < 4 && tables[t]; ++t) {
            float values[8];
            load_octet(tables[t] + static_cast<u64>(ids[t * rows + row]) * width, column, width, fit, values);
#pragma unroll
            for (u32 j = 0; j < 8; ++j) sum[j] += values[j];
        }
        store_octet(y + static_cast<u64>(row) * width, column, width, fit, sum);
    });
}

/// Rows `start..end` of the sorted order, all of one id. `target` is the id, or with `whole` 0 a row of the partial sums.
struct Chunk {
    u32 start, end, target, whole;
};

/// sums += rows `chunk` of x, an octet of each.
template <typename T>
__device__ __forceinline__ void add_rows(float (&sums)[8], const Chunk &chunk, const u32 *order, const T *x, u32 column, u32 width,
                                         bool fit) {
    for (u32 i = chunk.start; i < chunk.end; ++i) {
        float values[8];
        load_octet(x + static_cast<u64>(order[i]) * width, column, width, fit, values);
#pragma unroll
        for (u32 j = 0; j < 8; ++j) sums[j] += values[j];
    }
}

/// A block adds the rows of one chunk: to the gradient where the chunk is all of its id, otherwise into a partial sum.
template <typename T>
__device__ void embedding_backward(const Chunk *chunks, const u32 *order, const T *dy, float *grad, float *partial,
                                   u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (column >= width) return;
    bool fit = octets_fit(width, dy, grad, partial);
    float *target = (chunk.whole ? grad : partial) + static_cast<u64>(chunk.target) * width;
    float sums[8] = {};
    if (chunk.whole) load_octet(target, column, width, fit, sums);
    add_rows(sums, chunk, order, dy, column, width, fit);
    store_octet(target, column, width, fit, sums);
}

/// Adds the partial sums `start..end` of an id to its row of the gradient.
KERNEL embedding_combine(const Chunk *chunks, const float *partial, float *grad, u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0.0f;
    for (u32 i = chunk.start; i < chunk.end; ++i) sum += partial[static_cast<u64>(i) * width + column];
    grad[static_cast<u64>(chunk.target) * width + column] += sum;
}

/// y [n, H] = x[rows].
template <typename T> __device__ void gather(const T *x, const u32 *rows, T *y, u32 count, u32 width) {
    bool fit = octets_fit(width, x, y);
    for_octets(count, width, [&](u32 row, u32 column) {
        float values[8]; // which hold every number of T, so that nothing is rounded
        load_octet(x + static_cast<u64>(rows[row]) * width, column, width, fit, values);
        store_octet(y + static_cast<u64>(row) * width, column, width, fit, values);
    });
}

/// x[order of the chunk's target] += sum of the rows of the chunk; as embedding_backward for a target in the rows' own type.
template <typename T>
__device__ void scatter_add(const Chunk *chunks, const u32 *order, const T *source, T *x, u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (column >= width) return;
    bool fit = octets_fit(width, source, x);
    T *target = x + static_cast<u64>(chunk.target) * width;
    float sums[8];
    load_octet(target, column, width, fit, sums);
    add_rows(sums, chunk, order, source, column, width, fit);
    store_octet(target, column, width, fit, sums);
}

#define EMBEDDING(T, NAME)                                                                                                 \
    KERNEL embedding_forward_##NAME(const float *const *tables, const u32 *ids, T *y, u32 rows, u32 width) {               \
        embedding_forward(tables, ids, y, rows, width);                                                                    \
    }                                                                                                                      \
    KERNEL embedding_backward_##NAME(const Chunk *chunks, const u32 *order, const T *dy, float *grad, float *partial,      \
                                     u32 width) {                                                                          \
        embedding_backward(chunks, order, dy, grad, partial, width);                                                       \
    }                                                                                                                      \
    KERNEL gather_##NAME(const T *x, const u32 *rows, T *y, u32 count, u32 width) { gather(x, rows, y, count, width); }    \
    KERNEL scatter_add_##NAME(const Chunk *chunks, const u32 *order, const T *source, T *x, u32 width) {                   \
        scatter_add(chunks, order, source, x, width);                                                                      \
    }
EMBEDDING(float, f32)
EMBEDDING(bf16, bf16)
EMBEDDING(f16, f16)
