// Cross-entropy over V classes in one pass of its own over the logits: they become softmax - one-hot where they stand, in the type in
// which the matrix product left them. A block takes one row; every sum is in float, and over rows in double.
#include "device.cuh"

/// Largest value so far, where it stands first, and the sum of exponentials relative to it.
struct Running {
    float largest, sum;
    u32 at;
};

__device__ __forceinline__ Running merge(Running a, Running b) {
    Running first = (a.largest > b.largest || (a.largest == b.largest && a.at < b.at)) ? a : b;
    // Two empty sides would give infinity minus infinity.
    float left = a.sum > 0.0f ? a.sum * expf(a.largest - first.largest) : 0.0f;
    float right = b.sum > 0.0f ? b.sum * expf(b.largest - first.largest) : 0.0f;
    return {first.largest, left + right, first.at};
}

/// logits [n, V] in and softmax - one-hot out; losses [n]; hits [n]: 1 where the label is the first of the largest.
template <typename T>
__device__ void cross_entropy(T *logits, const float *bias, const u32 *labels, float *losses, float *hits, u32 classes) {
    __shared__ Running of_warps[32];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    T *row = logits + static_cast<u64>(blockIdx.x) * classes;
    u32 label = labels[blockIdx.x];
    Running running = {-INFINITY, 0.0f, 0xFFFFFFFFu};
    for (u32 i = threadIdx.x; i < classes; i += blockDim.x) {
        float value = load(row + i) + bias[i];
        // One exponential an element, unless it is the largest so far.
        if (value > running.largest) {
            running = {value, running.sum * expf(running.largest - value) + 1.0f, i};
        } else {
            running.sum += expf(value - running.largest);
        }
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        Running other = {__shfl_xor_sync(ALL_LANES, running.largest, distance),
                         __shfl_xor_sync(ALL_LANES, running.sum, distance),
                         __shfl_xor_sync(ALL_LANES, running.at, distance)};
        running = merge(running, other);
    }
    if (lane == 0) of_warps[warp] = running;
    float chosen = load(row + label) + bias[label]; // before any thread overwrites it
    __syncthreads();
    running = of_warps[0];
    for (u32 other = 1; other < blockDim.x / WARP; ++other) running = merge(running, of_warps[other]);
    float inverse = 1.0f / running.sum;
    for (u32 i = threadIdx.x; i < classes; i += blockDim.x) {
        float probability = expf(load(row + i) + bias[i] - running.largest) * inverse;
        store(row + i, probability - (i == label ? 1.0f : 0.0f));
    }
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = logf(running.sum) - (chosen - running.largest);
        hits[blockIdx.x] = running.at == label ? 1.0f : 0.0f;
    }
}

/// values [n] times a factor that lies on the device: the gradient of the loss.
template <typename T> __device__ void scale(T *values, const float *factor, u64 n) {
    float by = *factor;
    for (u64 i = blockIdx.x * static_cast<u64>(blockDim.x) + threadIdx.x; i < n; i += static_cast<u64>(gridDim.x) * blockDim.x) {
        store(values + i, by * load(values + i));
    }
}

#define LOSS(T, NAME)                                                                                                    \
    KERNEL cross_entropy_##NAME(T *logits, const float *bias, const u32 *labels, float *losses, float *hits, u32 classes) { \
        cross_entropy(logits, bias, labels, losses, hits, classes);                                                      \
    }                                                                                                                    \
    KERNEL scale_##NAME(T *values, const float *factor, u64 n) { scale(values, factor, n); }
LOSS(float, f32)
LOSS(bf16, bf16)
LOSS(f16, f16)

/// The sum of losses and that of hits, in a fixed order. One block.
KERNEL sum_losses(const float *losses, const float *hits, float *sum, float *correct, u32 rows) {
    __shared__ double parts[2][1024];
    double sums[2] = {0.0, 0.0};
    for (u32 i = threadIdx.x; i < rows; i += blockDim.x) {
        sums[0] += losses[i];
        sums[1] += hits[i];
    }
    parts[0][threadIdx.x] = sums[0];
    parts[1][threadIdx.x] = sums[1];
    __syncthreads();
    if (threadIdx.x < 2) {
        double total = 0.0;
        for (u32 i = 0; i < blockDim.x; ++i) total += parts[threadIdx.x][i];
        *(threadIdx.x == 0 ? sum : correct) = static_cast<float>(total);
    }
}
