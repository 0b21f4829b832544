// y = f(x + bias), x [T, H], bias [H] or null, and its backward. The sum is not kept: the backward pass adds the bias again.
#include "device.cuh"

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

/// Neighbouring threads take neighbouring elements; the grid strides over all of them.
template <typename T>
__device__ void activation_forward(const T *x, const float *bias, T *y, u64 elements, u32 width, u32 kind) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        float value = load(x + i) + (bias ? bias[i % width] : 0.0f);
        store(y + i, activate(value, kind).value);
    }
}

/// dx = dy f'(x + bias). Where y is not null it gets f(x + bias), for a caller that did not keep it. dx may be dy.
template <typename T>
__device__ void activation_backward(const T *x, const float *bias, const T *dy, T *dx, T *y, u64 elements, u32 width,
                                    u32 kind) {
    u64 stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        Point point = activate(load(x + i) + (bias ? bias[i % width] : 0.0f), kind);
        store(dx + i, load(dy + i) * point.slope);
        if (y) store(y + i, point.value);
    }
}

#define ACTIVATION(T, NAME)                                                                                                 \
    KERNEL activation_forward_##NAME(const T *x, const float *bias, T *y, u64 elements, u32 width, u32 kind) {              \
        activation_forward(x, bias, y, elements, width, kind);                                                              \
    }                                                                                                                       \
    KERNEL activation_backward_##NAME(const T *x, const float *bias, const T *dy, T *dx, T *y, u64 elements, u32 width,     \
                                      u32 kind) {                                                                           \
        activation_backward(x, bias, dy, dx, y, elements, width, kind);                                                     \
    }
ACTIVATION(float, f32)
ACTIVATION(bf16, bf16)
ACTIVATION(f16, f16)
