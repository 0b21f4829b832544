// Sums over the columns of a matrix [T, H], for kernels that pass over it anyway. A block of eight warps has a strip of 256 columns
// (its first index) and `block_rows` rows (its second); a warp takes every eighth row, a thread eight neighbouring columns.
#pragma once
#include "device.cuh"

constexpr u32 STRIP = 8 * WARP, STRIP_WARPS = 8;

/// partial [blocks of rows, H]: for each column the sum of what `row_of` makes of the block's rows, always added in the same order.
template <typename RowOf>
__device__ __forceinline__ void sum_strip(float *partial, u32 rows, u32 width, u32 block_rows, RowOf row_of) {
    __shared__ float parts[STRIP_WARPS][STRIP];
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, column = blockIdx.x * STRIP + 8 * lane;
    u32 end = min(rows, (blockIdx.y + 1) * block_rows);
    float sums[8] = {};
    for (u32 row = blockIdx.y * block_rows + warp; row < end && column < width; row += STRIP_WARPS) {
        float values[8];
        row_of(row, column, values);
#pragma unroll
        for (u32 j = 0; j < 8; ++j) sums[j] += values[j];
    }
    // Column 8 lane + j at place 32 j + lane: neighbouring lanes in neighbouring banks.
#pragma unroll
    for (u32 j = 0; j < 8; ++j) parts[warp][WARP * j + lane] = sums[j];
    __syncthreads();
    column = blockIdx.x * STRIP + threadIdx.x;
    if (column >= width) return;
    float sum = 0.0f;
    for (u32 i = 0; i < STRIP_WARPS; ++i) sum += parts[i][threadIdx.x % 8 * WARP + threadIdx.x / 8];
    partial[static_cast<u64>(blockIdx.y) * width + column] = sum;
}
