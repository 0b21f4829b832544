// Runs kernels on the CPU, for tests: block after block, the threads of a block as fibers that take turns at barriers.
// It proves arithmetic, indices and barriers; it says nothing about speed, and nothing about memory ordering between blocks.
#pragma once
#include <math.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static // one block runs at a time
#define __restrict__
#define __launch_bounds__(...)
#include <algorithm>
using std::max;
using std::min;

struct Index {
    unsigned x, y, z;
};
extern Index threadIdx, blockIdx, blockDim, gridDim;
extern "C" alignas(16) char emulated_shared_memory[];
#define SHARED_MEMORY(type, name) type *name = reinterpret_cast<type *>(emulated_shared_memory)

void __syncthreads();
void __syncwarp();
/// Gives `bytes` of every lane to the lane `source` says, between barriers of the warp.
void exchange(const void *mine, void *theirs, unsigned bytes, unsigned source);

template <typename T> T __shfl_xor_sync(unsigned, T value, int distance) {
    T theirs;
    exchange(&value, &theirs, sizeof value, (threadIdx.x % 32) ^ distance);
    return theirs;
}
template <typename T> T __shfl_sync(unsigned, T value, int source) {
    T theirs;
    exchange(&value, &theirs, sizeof value, source);
    return theirs;
}
/// What a lane holds of the operands of mma.m16n8k16: a[4], b[2] of all 32 lanes, in the order of lanes.
void exchange_fragments(const unsigned *a, const unsigned *b, unsigned (*all_a)[4], unsigned (*all_b)[2]);
/// The address that each lane names.
void exchange_addresses(const void *mine, const void **all);
/// Copies of 16 bytes, zeros where `from` is null, that happen only when they are waited for: whoever forgets to wait is found out.
void emulate_copy(void *to, const void *from);
void emulate_commit();
/// Until no more than `left` groups are under way.
void emulate_wait(unsigned left);
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
