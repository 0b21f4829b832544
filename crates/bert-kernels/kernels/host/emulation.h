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
unsigned __ballot_sync(unsigned, unsigned predicate);
/// What a lane holds of the operands of mma.m16n8k16: a[4], b[2] of all 32 lanes, in the order of lanes.
void exchange_fragments(const unsigned *a, const unsigned *b, unsigned (*all_a)[4], unsigned (*all_b)[2]);
/// The address that each lane names.
void exchange_addresses(const void *mine, const void **all);
/// Copies of 16 bytes, zeros where `from` is null, that happen only when they are waited for: whoever forgets to wait is found out.
void emulate_copy(void *to, const void *from);
void emulate_commit();
/// Until no more than `left` groups are under way.
void emulate_wait(unsigned left);
/// What a device has an instruction for: a float as the bits of the nearest f16, ties to even, and back.
inline unsigned short host_float_to_f16_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned short sign = bits >> 16 & 0x8000;
    if (value != value) return sign | 0x7FFF;
    // Multiples of the distance between neighbours at this size: those below 2^-14 are as far apart as just above it.
    int exponent = 0;
    float size = fabsf(value);
    if (size >= 65520.0f) return sign | 0x7C00;
    frexpf(size, &exponent);
    if (size < ldexpf(1.0f, -14)) return sign | static_cast<unsigned short>(nearbyintf(ldexpf(size, 24)));
    // 1,024 to 2,048 steps; the last one carries into the exponent as it should.
    unsigned steps = static_cast<unsigned>(nearbyintf(ldexpf(size, 11 - exponent)));
    return sign | static_cast<unsigned short>(((exponent + 13) << 10) + steps);
}
inline float host_f16_bits_to_float(unsigned short bits) {
    int exponent = bits >> 10 & 31;
    float fraction = bits & 1023;
    float size = exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                 : exponent == 0 ? ldexpf(fraction, -24)
                                 : ldexpf(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
