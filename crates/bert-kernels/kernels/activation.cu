// y = f(x), x [T, H], and its backward.
#include "strip.cuh"

/// As `Activation` in Rust.
enum : u32 { GELU = 0, GELU_TANH = 1, RELU = 2 };

/// Value and slope.
struct Point {
    float value, slope;
};

__device__ __forceinline__ Point activate(float x, u32 kind) {
    if (kind == GELU) {
        float cumulative = 0.5f * (1.0f + erff(x * 0.70710678118654752f));
        return {x * cumulative, cumulative + x * 0.39894228040143268f * expf(-0.5f * x * x)};
    }
    if (kind == GELU_TANH) {
        constexpr float SCALE = 0.79788456080286536f, CUBIC = 0.044715f;
        float t = tanhf(SCALE * (x + CUBIC * x * x * x));
        float slope = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * SCALE * (1.0f + 3.0f * CUBIC * x * x);
        return {0.5f * x * (1.0f + t), slope};
    }
    return {fmaxf(x, 0.0f), x > 0.0f ? 1.0f : 0.0f};
}

/// Neighbouring threads take neighbouring octets; the grid strides over all of them.
template <typename T> __device__ void activation_forward(const T *x, T *y, u64 elements, u32 kind) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x * 8;
    bool aligned = octets_fit(0, x, y);
    for (u64 i = (static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x) * 8; i < elements; i += stride) {
        u32 left = static_cast<u32>(min(elements - i, static_cast<u64>(8)));
        bool fit = aligned && left == 8;
        float values[8];
        load_octet(x + i, 0, left, fit, values);
#pragma unroll
        for (u32 j = 0; j < 8; ++j) values[j] = activate(values[j], kind).value;
        store_octet(y + i, 0, left, fit, values);
    }
}

/// dx = dy f'(x). Where y is not null it gets f(x), for a caller that did not keep it. partial [blocks of rows, H]: the sums of dx
/// over the rows of a block, the gradient of the bias with which x was made.
template <typename T>
__device__ void activation_backward(const T *x, const T *dy, T *dx, T *y, float *partial, u32 rows, u32 width, u32 block_rows,
                                    u32 kind) {
    bool fit = octets_fit(width, x, dy, dx, y);
    sum_strip(partial, rows, width, block_rows, [&](u32 row, u32 column, float(&slopes)[8]) {
        u64 start = static_cast<u64>(row) * width;
        float values[8];
        load_octet(x + start, column, width, fit, values);
        load_octet(dy + start, column, width, fit, slopes);
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            Point point = activate(values[j], kind);
            slopes[j] *= point.slope;
            values[j] = point.value;
        }
        store_octet(dx + start, column, width, fit, slopes);
        if (y) store_octet(y + start, column, width, fit, values);
    });
}

#define ACTIVATION(T, NAME)                                                                                                 \
    KERNEL activation_forward_##NAME(const T *x, T *y, u64 elements, u32 kind) { activation_forward(x, y, elements, kind); } \
    KERNEL activation_backward_##NAME(const T *x, const T *dy, T *dx, T *y, float *partial, u32 rows, u32 width,            \
                                      u32 block_rows, u32 kind) {                                                           \
        activation_backward(x, dy, dx, y, partial, rows, width, block_rows, kind);                                          \
    }
ACTIVATION(float, f32)
ACTIVATION(bf16, bf16)
ACTIVATION(f16, f16)
