// LayerNorm(dropout(x) + residual), x and residual [T, H], and its backward. A row belongs to a team of warps, eight columns to a thread,
// which keeps them in registers. Statistics and parameters are float whatever the rows are stored in.
#include "device.cuh"

/// Also writes the normalised rows and 1 / deviation, for the backward pass. `residual` may be null. The grid strides over the rows.
template <typename T>
__device__ void norm_forward(const T *x, const T *residual, const float *weight, const float *bias, T *y, T *normed,
                             float *inverse, u32 rows, u32 width, float epsilon, const Dropout &dropout) {
    __shared__ float slots[2][32][2];
    Team team = team_of(width);
    u32 column = 8 * team.octet;
    bool fit = octets_fit(width, x, residual, y, normed, weight, bias);
    float gain[8] = {}, shift[8] = {};
    if (column < width) {
        load_octet(weight, column, width, fit, gain);
        load_octet(bias, column, width, fit, shift);
    }
    for (u32 base = blockIdx.x * team.count; base < rows; base += gridDim.x * team.count) {
        u32 row = base + team.index;
        bool there = row < rows && column < width;
        u64 start = static_cast<u64>(row) * width;
        float z[8] = {}, other[8] = {};
        if (there) load_octet(x + start, column, width, fit, z);
        if (there && residual) load_octet(residual + start, column, width, fit, other);
        if (dropout.threshold) drop(z, kept_octet(dropout, row, team.octet), dropout.scale);
        float sums[2] = {0.0f, 0.0f};
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            z[j] += other[j];
            sums[0] += z[j];
        }
        team_sums(team, sums, slots[0]);
        float mean = sums[0] / width;
        sums[0] = 0.0f;
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            z[j] -= mean;
            if (column + j < width) sums[0] += z[j] * z[j];
        }
        team_sums(team, sums, slots[1]);
        float factor = 1.0f / sqrtf(sums[0] / width + epsilon);
        if (!there) continue;
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            z[j] *= factor;
            other[j] = z[j] * gain[j] + shift[j];
        }
        store_octet(normed + start, column, width, fit, z);
        store_octet(y + start, column, width, fit, other);
        if (team.octet == 0) inverse[row] = factor;
    }
}

/// dz of the sum, and d_dropped = dz * mask where something is dropped. A block takes `block_rows` rows and leaves in partial
/// [blocks, 3, H] its sums for gain, bias, and the columns of the gradient of x: that of the bias with which x was made. They are added
/// in the order of teams and blocks (`add_partials`), so that every run gives the same bits.
/// Shared memory, where a block has several teams: three rows of floats.
template <typename T>
__device__ void norm_backward(const T *dy, const T *normed, const float *inverse, const float *weight, T *dz, T *d_dropped,
                              float *partial, u32 rows, u32 width, u32 block_rows, const Dropout &dropout) {
    SHARED_MEMORY(float, memory);
    __shared__ float slots[2][32][2];
    Team team = team_of(width);
    u32 column = 8 * team.octet, end = min(rows, (blockIdx.x + 1) * block_rows), turn = 0;
    bool fit = octets_fit(width, dy, normed, dz, d_dropped, weight);
    float gain[8] = {}, totals[3][8] = {};
    if (column < width) load_octet(weight, column, width, fit, gain);
    for (u32 base = blockIdx.x * block_rows; base < end; base += team.count, turn ^= 1) {
        u32 row = base + team.index;
        bool there = row < end && column < width;
        u64 start = static_cast<u64>(row) * width;
        float d[8] = {}, value[8] = {};
        if (there) {
            load_octet(dy + start, column, width, fit, d);
            load_octet(normed + start, column, width, fit, value);
        }
        float factor = there ? inverse[row] : 0.0f;
        u32 kept = dropout.threshold ? kept_octet(dropout, row, team.octet) : 0;
        float sums[2] = {0.0f, 0.0f};
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            totals[0][j] += d[j] * value[j];
            totals[1][j] += d[j];
            d[j] *= gain[j];
            sums[0] += d[j];
            sums[1] += d[j] * value[j];
        }
        team_sums(team, sums, slots[turn]);
        float mean = sums[0] / width, slope = sums[1] / width;
        if (!there) continue;
#pragma unroll
        for (u32 j = 0; j < 8; ++j) d[j] = (d[j] - mean - value[j] * slope) * factor;
        store_octet(dz + start, column, width, fit, d);
        if (dropout.threshold) {
            drop(d, kept, dropout.scale);
            store_octet(d_dropped + start, column, width, fit, d);
        }
#pragma unroll
        for (u32 j = 0; j < 8; ++j) totals[2][j] += d[j];
    }
    float *out = partial + static_cast<u64>(blockIdx.x) * 3 * width;
    for (u32 next = 0; next < team.count; ++next) {
        bool last = next + 1 == team.count;
        for (u32 j = 0; j < 8 && team.index == next && column + j < width; ++j) {
            for (u32 i = 0; i < 3; ++i) {
                u32 at = i * width + column + j;
                float sum = next > 0 ? memory[at] + totals[i][j] : totals[i][j];
                (last ? out : memory)[at] = sum;
            }
        }
        __syncthreads();
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
