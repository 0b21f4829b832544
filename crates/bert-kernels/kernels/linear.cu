// What stands beside the matrix products of a linear map: the bias where cublasLt does not add it, its gradient, and sums of parts.
#include "strip.cuh"

/// x [T, H] += bias, in place.
template <typename T> __device__ void add_bias(T *x, const T *bias, u64 elements, u32 width) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        store(x + i, load(x + i) + load(bias + i % width));
    }
}

/// partial [blocks of rows, H]: sums of the columns of x [T, H].
template <typename T> __device__ void column_sums(const T *x, float *partial, u32 rows, u32 width, u32 block_rows) {
    bool fit = octets_fit(width, x);
    sum_strip(partial, rows, width, block_rows, [&](u32 row, u32 column, float(&values)[8]) {
        load_octet(x + static_cast<u64>(row) * width, column, width, fit, values);
    });
}

/// target += scale * source.
template <typename T> __device__ void add_scaled(float *target, const T *source, u64 elements, float scale) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        target[i] += scale * load(source + i);
    }
}

#define LINEAR(T, NAME)                                                                                     \
    KERNEL add_bias_##NAME(T *x, const T *bias, u64 elements, u32 width) {                                  \
        add_bias(x, bias, elements, width);                                                                 \
    }                                                                                                       \
    KERNEL column_sums_##NAME(const T *x, float *partial, u32 rows, u32 width, u32 block_rows) {            \
        column_sums(x, partial, rows, width, block_rows);                                                   \
    }                                                                                                       \
    KERNEL add_scaled_##NAME(float *target, const T *source, u64 elements, float scale) {                   \
        add_scaled(target, source, elements, scale);                                                        \
    }
LINEAR(float, f32)
LINEAR(bf16, bf16)
LINEAR(f16, f16)

/// partial [blocks, parts, H]: first, second and third [H] += scale * (sum over the blocks) of their part, the grid's second index, unless
/// they are null. A warp adds every
/// sixteenth block for 32 columns, and the first adds the warps up: always in the same order.
KERNEL add_partials(const float *partial, float *first, float *second, float *third, u32 width, u32 blocks, float scale) {
    __shared__ float sums[16][WARP];
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, column = blockIdx.x * WARP + lane;
    float *target = blockIdx.y == 0 ? first : blockIdx.y == 1 ? second : third;
    float sum = 0.0f;
    for (u32 block = warp; block < blocks && column < width; block += 16) {
        sum += partial[(static_cast<u64>(block) * gridDim.y + blockIdx.y) * width + column];
    }
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= width || !target) return;
    sum = 0.0f;
    for (u32 i = 0; i < 16; ++i) sum += sums[i][lane];
    target[column] += scale * sum;
}
