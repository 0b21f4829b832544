// The norm of all gradients, AdamW and LAMB, each over all parameters in one launch: a block takes one piece of one parameter, found
// through two tables. Every sum has a fixed order.
#include "device.cuh"

/// A parameter: master weights, gradient and moments in float, and where training computes in bf16 or f16, the copy it computes with
/// (or null).
struct Slot {
    float *value, *grad, *m, *v;
    void *copy;
    u32 decays, copy_is_f16; // 0 or 1
};

/// Sets element i to a new value.
__device__ __forceinline__ void update(const Slot &slot, u64 i, float value) {
    slot.value[i] = value;
    if (!slot.copy) return;
    if (slot.copy_is_f16) {
        store(static_cast<f16 *>(slot.copy) + i, value);
    } else {
        store(static_cast<bf16 *>(slot.copy) + i, value);
    }
}

/// Elements `start .. start + count` of a parameter.
struct Piece {
    u64 start;
    u32 slot, count;
};

/// The sum over the threads of a block, in every thread, in double and in a fixed order.
__device__ double block_sum(double value) {
    __shared__ double parts[1024];
    parts[threadIdx.x] = value;
    __syncthreads();
    for (u32 half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    double sum = parts[0];
    __syncthreads();
    return sum;
}

/// sums [pieces]: of squares of the gradient. Threads a power of two.
KERNEL squares(const Slot *slots, const Piece *pieces, double *sums) {
    Piece piece = pieces[blockIdx.x];
    const float *grad = slots[piece.slot].grad + piece.start;
    double sum = 0.0;
    // Float sums of a few elements, then double: an element costs one multiplication-addition in float.
    for (u32 i = threadIdx.x; i < piece.count; i += 16 * blockDim.x) {
        float part = 0.0f;
        for (u32 j = 0; j < 16; ++j) {
            u32 at = i + j * blockDim.x;
            if (at < piece.count) part += grad[at] * grad[at];
        }
        sum += part;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/// total = sum of n doubles. One block.
KERNEL sum_doubles(const double *sums, double *total, u32 n) {
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < n; i += blockDim.x) sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}

/// What one step needs: the fields of `AdamWStep` in Rust, already in float.
struct Rates {
    float lr, beta1, rest1, beta2, rest2, epsilon, decay, correction1, correction2, scale;
};

KERNEL adamw(const Slot *slots, const Piece *pieces, Rates rates) {
    Piece piece = pieces[blockIdx.x];
    Slot slot = slots[piece.slot];
    float keep = 1.0f - rates.lr * (slot.decays ? rates.decay : 0.0f);
    float rate = rates.lr * rates.correction1;
    for (u64 i = piece.start + threadIdx.x; i < piece.start + piece.count; i += blockDim.x) {
        float g = slot.grad[i] * rates.scale;
        float m = rates.beta1 * slot.m[i] + rates.rest1 * g;
        float v = rates.beta2 * slot.v[i] + rates.rest2 * g * g;
        float value = keep * slot.value[i] - rate * m / (sqrtf(v * rates.correction2) + rates.epsilon);
        slot.m[i] = m;
        slot.v[i] = v;
        update(slot, i, value);
    }
}

/// LAMB (You et al., 2020), first half: moments, and the update u = m' / (sqrt(v') + epsilon) + decay value in place of the gradient.
/// sums [pieces, 2]: squares of value and of u.
KERNEL lamb_update(const Slot *slots, const Piece *pieces, double *sums, Rates rates) {
    Piece piece = pieces[blockIdx.x];
    Slot slot = slots[piece.slot];
    float decay = slot.decays ? rates.decay : 0.0f;
    double of_value = 0.0, of_update = 0.0;
    for (u64 i = piece.start + threadIdx.x; i < piece.start + piece.count; i += blockDim.x) {
        float g = slot.grad[i] * rates.scale;
        float m = rates.beta1 * slot.m[i] + rates.rest1 * g;
        float v = rates.beta2 * slot.v[i] + rates.rest2 * g * g;
        float value = slot.value[i];
        float u = m * rates.correction1 / (sqrtf(v * rates.correction2) + rates.epsilon) + decay * value;
        slot.m[i] = m;
        slot.v[i] = v;
        slot.grad[i] = u;
        of_value += static_cast<double>(value * value);
        of_update += static_cast<double>(u * u);
    }
    of_value = block_sum(of_value);
    of_update = block_sum(of_update);
    if (threadIdx.x == 0) {
        sums[2 * blockIdx.x] = of_value;
        sums[2 * blockIdx.x + 1] = of_update;
    }
}

/// Second half: value -= lr ratio u, where the ratio is |value| / |u| for parameters that decay, and 1 for the others or where a norm
/// is 0. firsts [slots + 1]: the first piece of every parameter; its pieces follow each other.
KERNEL lamb_apply(const Slot *slots, const Piece *pieces, const u32 *firsts, const double *sums, Rates rates) {
    Piece piece = pieces[blockIdx.x];
    Slot slot = slots[piece.slot];
    double of_value = 0.0, of_update = 0.0;
    for (u32 i = firsts[piece.slot] + threadIdx.x; i < firsts[piece.slot + 1]; i += blockDim.x) {
        of_value += sums[2 * i];
        of_update += sums[2 * i + 1];
    }
    of_value = block_sum(of_value);
    of_update = block_sum(of_update);
    float ratio = slot.decays && of_value > 0.0 && of_update > 0.0 ? static_cast<float>(sqrt(of_value / of_update)) : 1.0f;
    for (u64 i = piece.start + threadIdx.x; i < piece.start + piece.count; i += blockDim.x) {
        float value = slot.value[i] - rates.lr * ratio * slot.grad[i];
        update(slot, i, value);
    }
}
