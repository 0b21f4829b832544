// LayerNorm(dropout(x) + residual), x and residual [T, H], and its backward. A row belongs to one warp, which keeps it in shared
// memory; a lane reads there only what it wrote itself. Statistics and parameters are float whatever the rows are stored in.
#include "device.cuh"

__device__ __forceinline__ Dropout no_dropout() { return Dropout{0, 1.0f, 0, 0, 0, 0}; }

/// Also writes the normalised rows and 1 / deviation, for the backward pass. `residual` may be null.
/// Shared memory: a row of floats a warp.
template <typename T>
__device__ void norm_forward(const T *x, const T *residual, const float *weight, const float *bias, T *y, T *normed,
                             float *inverse, u32 rows, u32 width, float epsilon, const Dropout &dropout) {
    SHARED_MEMORY(float, memory);
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    u32 row = blockIdx.x * (blockDim.x / WARP) + warp;
    if (row >= rows) return;
    float *z = memory + warp * width;
    u64 start = static_cast<u64>(row) * width;
    float sum = 0.0f;
    for_columns(lane, width, dropout, row, [&](u32 column, float mask) {
        float value = load(x + start + column) * mask;
        if (residual) value += load(residual + start + column);
        z[column] = value;
        sum += value;
    });
    float mean = warp_sum(sum) / width;
    float squares = 0.0f;
    for_columns(lane, width, no_dropout(), row, [&](u32 column, float) {
        float centred = z[column] - mean;
        squares += centred * centred;
    });
    float factor = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
    for_columns(lane, width, no_dropout(), row, [&](u32 column, float) {
        float value = (z[column] - mean) * factor;
        store(normed + start + column, value);
        store(y + start + column, value * weight[column] + bias[column]);
    });
    if (lane == 0) inverse[row] = factor;
}

/// dz of the sum, and d_dropped = dz * mask where something is dropped. A block takes `block_rows` rows and leaves its sums for gain
/// and bias in partial [blocks, 2, H]; `add_partials` adds them in the order of the blocks, so that every run gives the same bits.
/// Shared memory: three rows of floats a warp.
template <typename T>
__device__ void norm_backward(const T *dy, const T *normed, const float *inverse, const float *weight, T *dz, T *d_dropped,
                              float *partial, u32 rows, u32 width, u32 block_rows, const Dropout &dropout) {
    SHARED_MEMORY(float, memory);
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    float *d = memory + warp * 3 * width, *d_weight = d + width, *d_bias = d_weight + width;
    for_columns(lane, width, no_dropout(), 0, [&](u32 column, float) { d_weight[column] = d_bias[column] = 0.0f; });
    u32 end = min(rows, (blockIdx.x + 1) * block_rows);
    for (u32 row = blockIdx.x * block_rows + warp; row < end; row += warps) {
        u64 start = static_cast<u64>(row) * width;
        float sum = 0.0f, slope = 0.0f;
        for_columns(lane, width, no_dropout(), row, [&](u32 column, float) {
            float upstream = load(dy + start + column), value = load(normed + start + column);
            d_weight[column] += upstream * value;
            d_bias[column] += upstream;
            float scaled = upstream * weight[column];
            d[column] = scaled;
            sum += scaled;
            slope += scaled * value;
        });
        float mean = warp_sum(sum) / width, factor = inverse[row];
        slope = warp_sum(slope) / width;
        for_columns(lane, width, dropout, row, [&](u32 column, float mask) {
            float value = (d[column] - mean - load(normed + start + column) * slope) * factor;
            store(dz + start + column, value);
            if (dropout.threshold) store(d_dropped + start + column, value * mask);
        });
    }
    __syncthreads();
    float *out = partial + static_cast<u64>(blockIdx.x) * 2 * width;
    for (u32 i = threadIdx.x; i < 2 * width; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 other = 0; other < warps; ++other) sum += memory[other * 3 * width + width + i];
        out[i] = sum;
    }
}

#define NORM(T, NAME)                                                                                                        \
    KERNEL norm_forward_##NAME(const T *x, const T *residual, const float *weight, const float *bias, T *y, T *normed,       \
                               float *inverse, u32 rows, u32 width, float epsilon, Dropout dropout) {                        \
        norm_forward(x, residual, weight, bias, y, normed, inverse, rows, width, epsilon, dropout);                          \
    }                                                                                                                        \
    KERNEL norm_backward_##NAME(const T *dy, const T *normed, const float *inverse, const float *weight, T *dz,              \
                                T *d_dropped, float *partial, u32 rows, u32 width, u32 block_rows, Dropout dropout) {        \
        norm_backward(dy, normed, inverse, weight, dz, d_dropped, partial, rows, width, block_rows, dropout);                \
    }
NORM(float, f32)
NORM(bf16, bf16)
NORM(f16, f16)
