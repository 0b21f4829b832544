// What all kernels share: number types, reductions, Philox. Without headers of the toolkit, so that the same text compiles with nvcc
// and, for tests, with any C++ compiler (host/emulation.h).
//
// Letters in shapes as in lib.rs: T rows, H hidden size, N heads, D head size, V classes.
#pragma once
#ifndef __CUDACC__
#include "host/emulation.h"
#else
#define SHARED_MEMORY(type, name)                \
    extern __shared__ __align__(16) char name##_bytes[]; \
    type *name = reinterpret_cast<type *>(name##_bytes)
#endif
#define KERNEL extern "C" __global__ void

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;
typedef unsigned char u8;

constexpr u32 WARP = 32;
constexpr u32 ALL_LANES = 0xFFFFFFFFu;

// ---- numbers: storage in float, bf16 or f16, arithmetic in float ----

struct bf16 {
    u16 bits;
};

struct f16 {
    u16 bits;
};

__device__ __forceinline__ float bits_to_float(u32 bits) {
#ifdef __CUDACC__
    return __uint_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

// Both round to nearest, ties to even.

__device__ __forceinline__ u16 float_to_bf16_bits(float value) {
#ifdef __CUDACC__
    u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#else
    u32 bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FFF; // not a number stays one
    return static_cast<u16>((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
#endif
}

/// Beyond 65,504, by rounding, lies infinity: the scaler of losses looks for it.
__device__ __forceinline__ u16 float_to_f16_bits(float value) {
#ifdef __CUDACC__
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#else
    return host_float_to_f16_bits(value);
#endif
}

__device__ __forceinline__ float f16_bits_to_float(u16 bits) {
#ifdef __CUDACC__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#else
    return host_f16_bits_to_float(bits);
#endif
}

__device__ __forceinline__ float widen(float value) { return value; }
__device__ __forceinline__ float widen(bf16 value) { return bits_to_float(static_cast<u32>(value.bits) << 16); }
__device__ __forceinline__ float widen(f16 value) { return f16_bits_to_float(value.bits); }
template <typename T> __device__ __forceinline__ T narrow(float value);
template <> __device__ __forceinline__ float narrow<float>(float value) { return value; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float value) { return {float_to_bf16_bits(value)}; }
template <> __device__ __forceinline__ f16 narrow<f16>(float value) { return {float_to_f16_bits(value)}; }

template <typename T> __device__ __forceinline__ float load(const T *p) { return widen(*p); }
template <typename T> __device__ __forceinline__ void store(T *p, float value) { *p = narrow<T>(value); }

// ---- sums over the lanes of a warp, the same in every lane ----

__device__ __forceinline__ float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, distance));
    }
    return value;
}

// ---- Philox4x32-10 (Salmon et al., 2011), as in philox.rs ----

struct Words {
    u32 word[4];
};

__device__ __forceinline__ Words philox(u32 k0, u32 k1, u32 c0, u32 c1, u32 c2, u32 c3) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        u64 a = static_cast<u64>(c0) * 0xD2511F53u;
        u64 b = static_cast<u64>(c2) * 0xCD9E8D57u;
        c0 = static_cast<u32>(b >> 32) ^ c1 ^ k0;
        c1 = static_cast<u32>(b);
        c2 = static_cast<u32>(a >> 32) ^ c3 ^ k1;
        c3 = static_cast<u32>(a);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Words{{c0, c1, c2, c3}};
}

/// One place where elements are dropped in one pass; the same fields as `Dropout` in Rust. Threshold 0: nothing is dropped.
struct Dropout {
    u32 threshold;
    float scale;
    u32 key0, key1, site, pass;
};

/// Columns that share a group of counters, and those that one call decides: lane, lane + 16, .., lane + 112 of a group.
constexpr u32 MASK_GROUP = 128;
constexpr u32 MASK_LANES = 16;

/// Bit j: whether column `128 group + lane + 16 j` of the row stays.
__device__ __forceinline__ u32 kept_columns(const Dropout &dropout, u32 row, u32 group, u32 lane) {
    Words words = philox(dropout.key0, dropout.key1, group * MASK_LANES + lane, row, dropout.site, dropout.pass);
    u32 kept = 0;
#pragma unroll
    for (u32 w = 0; w < 4; ++w) {
        kept |= ((words.word[w] & 0xFFFFu) >= dropout.threshold ? 1u : 0u) << (2 * w);
        kept |= ((words.word[w] >> 16) >= dropout.threshold ? 1u : 0u) << (2 * w + 1);
    }
    return kept;
}

/// How a warp walks over a row of `width` columns: 256 at a time, each lane on the eight that one call of Philox decides.
/// Sixteen neighbouring lanes touch neighbouring columns, which fills whole sectors of memory.
template <typename Body>
__device__ __forceinline__ void for_columns(u32 lane, u32 width, const Dropout &dropout, u32 row, Body body) {
    for (u32 group = lane / MASK_LANES; group * MASK_GROUP < width; group += 2) {
        u32 kept = dropout.threshold ? kept_columns(dropout, row, group, lane % MASK_LANES) : 0xFFu;
        float scale = dropout.threshold ? dropout.scale : 1.0f;
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            u32 column = group * MASK_GROUP + lane % MASK_LANES + MASK_LANES * j;
            if (column < width) body(column, (kept >> j & 1) ? scale : 0.0f);
        }
    }
}
