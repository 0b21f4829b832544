// What stands beside the matrix products of a linear map: the bias, its gradient, and conversions.
#include "device.cuh"

/// x [T, H] += bias, in place.
template <typename T> __device__ void add_bias(T *x, const float *bias, u64 elements, u32 width) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        store(x + i, load(x + i) + bias[i % width]);
    }
}

/// partial [blocks, H]: sums of the columns of x [T, H] over `block_rows` rows each. A thread sums one column.
template <typename T>
__device__ void column_sums(const T *x, float *partial, u32 rows, u32 width, u32 block_rows) {
    u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    u32 end = min(rows, (blockIdx.y + 1) * block_rows);
    float sum = 0.0f;
    for (u32 row = blockIdx.y * block_rows; row < end; ++row) sum += load(x + static_cast<u64>(row) * width + column);
    partial[static_cast<u64>(blockIdx.y) * width + column] = sum;
}

#define LINEAR(T, NAME)                                                                                     \
    KERNEL add_bias_##NAME(T *x, const float *bias, u64 elements, u32 width) {                              \
        add_bias(x, bias, elements, width);                                                                 \
    }                                                                                                       \
    KERNEL column_sums_##NAME(const T *x, float *partial, u32 rows, u32 width, u32 block_rows) {            \
        column_sums(x, partial, rows, width, block_rows);                                                   \
    }
LINEAR(float, f32)
LINEAR(bf16, bf16)
LINEAR(f16, f16)

/// target[i] += scale * (sum over the blocks, in their order, of partial[block * stride + offset + i]).
KERNEL add_partials(const float *partial, float *target, u32 count, u32 blocks, u32 stride, u32 offset, float scale) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float sum = 0.0f;
    for (u32 block = 0; block < blocks; ++block) sum += partial[static_cast<u64>(block) * stride + offset + i];
    target[i] += scale * sum;
}
