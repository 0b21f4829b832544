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

__device__ __forceinline__ u32 float_to_bits(float value) {
#ifdef __CUDACC__
    return __float_as_uint(value);
#else
    u32 bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
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

template <typename A, typename B> constexpr bool SAME = false;
template <typename A> constexpr bool SAME<A, A> = true;

/// Two numbers of E (bf16 or f16) in one register, the first in the lower half.
template <typename E> __device__ __forceinline__ u32 pack(float first, float second) {
#ifdef __CUDACC__
    u32 both;
    if (SAME<E, bf16>) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    }
    return both;
#else
    return narrow<E>(first).bits | static_cast<u32>(narrow<E>(second).bits) << 16;
#endif
}
template <typename E> __device__ __forceinline__ float first_of(u32 both) { return widen(E{static_cast<u16>(both)}); }
template <typename E> __device__ __forceinline__ float second_of(u32 both) { return widen(E{static_cast<u16>(both >> 16)}); }

// ---- octets: eight neighbouring elements, read and written 16 bytes at a time ----

struct alignas(16) Sixteen {
    u32 word[4];
};

/// Whether octets of rows of this width begin at multiples of 16 bytes in all of these.
template <typename... P> __device__ __forceinline__ bool octets_fit(u32 width, const P *...rows) {
    return width % 8 == 0 && (... && (reinterpret_cast<u64>(rows) % 16 == 0));
}

/// Elements `column` to `column + 7` of a row, zeros from `width` on. `fit`: as octets_fit says.
template <typename T> __device__ __forceinline__ void load_octet(const T *row, u32 column, u32 width, bool fit, float (&out)[8]) {
    if (!fit) {
#pragma unroll
        for (u32 j = 0; j < 8; ++j) out[j] = column + j < width ? load(row + column + j) : 0.0f;
        return;
    }
    const Sixteen *from = reinterpret_cast<const Sixteen *>(row + column);
    if constexpr (SAME<T, float>) {
        Sixteen first = from[0], second = from[1];
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            out[j] = bits_to_float(first.word[j]);
            out[j + 4] = bits_to_float(second.word[j]);
        }
    } else {
        Sixteen all = *from;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            out[2 * j] = first_of<T>(all.word[j]);
            out[2 * j + 1] = second_of<T>(all.word[j]);
        }
    }
}

template <typename T>
__device__ __forceinline__ void store_octet(T *row, u32 column, u32 width, bool fit, const float (&values)[8]) {
    if (!fit) {
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            if (column + j < width) store(row + column + j, values[j]);
        }
        return;
    }
    Sixteen *to = reinterpret_cast<Sixteen *>(row + column);
    if constexpr (SAME<T, float>) {
        Sixteen first, second;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            first.word[j] = float_to_bits(values[j]);
            second.word[j] = float_to_bits(values[j + 4]);
        }
        to[0] = first;
        to[1] = second;
    } else {
        Sixteen all;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) all.word[j] = pack<T>(values[2 * j], values[2 * j + 1]);
        *to = all;
    }
}

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

/// Bit j: whether column `8 octet + j` of the row stays. The lanes of a warp, which all have to ask, have 32 octets in a row, the first
/// a multiple of 32: the 16 calls of Philox that decide on the octets of a group are theirs, and they hand each other the results.
__device__ __forceinline__ u32 kept_octet(const Dropout &dropout, u32 row, u32 octet) {
    u32 lane = octet % WARP, mine = 0;
    u32 kept = kept_columns(dropout, row, octet / MASK_LANES, lane % MASK_LANES);
#pragma unroll
    for (u32 j = 0; j < 8; ++j) {
        u32 columns = __ballot_sync(ALL_LANES, kept >> j & 1); // 16 j .. 16 j + 15 of either group
        if (lane % MASK_LANES / 2 == j) mine = columns;
    }
    return mine >> (lane / MASK_LANES * 16 + lane % 2 * 8) & 0xFFu;
}

/// Eight elements times their mask.
__device__ __forceinline__ void drop(float (&values)[8], u32 kept, float scale) {
#pragma unroll
    for (u32 j = 0; j < 8; ++j) values[j] = (kept >> j & 1) ? values[j] * scale : 0.0f;
}

// ---- teams: how kernels of norms and dropout share rows out ----

/// The warps of a block that have a row together: each thread eight neighbouring columns. A block has as many teams as fit.
struct Team {
    u32 warps, count, index, octet;
};

__device__ __forceinline__ Team team_of(u32 width) {
    u32 warps = (width + 8 * WARP - 1) / (8 * WARP), threads = warps * WARP;
    return {warps, blockDim.x / threads, threadIdx.x / threads, threadIdx.x % threads};
}

/// A pair of sums over a team, the same in each of its threads. `slots` [32, 2] in shared memory, others than those of the last call:
/// all threads of the block meet here once.
__device__ __forceinline__ void team_sums(const Team &team, float (&sums)[2], float (*slots)[2]) {
    for (u32 i = 0; i < 2; ++i) sums[i] = warp_sum(sums[i]);
    if (threadIdx.x % WARP == 0) {
        for (u32 i = 0; i < 2; ++i) slots[threadIdx.x / WARP][i] = sums[i];
    }
    __syncthreads();
    for (u32 i = 0; i < 2; ++i) {
        sums[i] = 0.0f;
        for (u32 warp = 0; warp < team.warps; ++warp) sums[i] += slots[team.index * team.warps + warp][i];
    }
}
