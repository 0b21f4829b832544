// Tensor cores: products of tiles m16n8k16 in bf16 or f16 (E) with sums in float (sm_80 and later), and how tiles come to them. In all of it a lane
// is g = lane / 4 and t = lane % 4:
//
//   A [16, 16]  a[i]: row g + 8 (i % 2), columns 2t + 8 (i / 2) and the next
//   B [16, 8]   b[i]: rows 2t + 8 i and the next, column g
//   C [16, 8]   c[i]: row g + 8 (i / 2), column 2t + i % 2
//
// so the sums of two neighbouring tiles, rounded, are the operand A of the next product as they stand.
#pragma once
#include "device.cuh"

/// 2^x.
__device__ __forceinline__ float power_of_two(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

/// Over the four lanes that share rows of C, the same in each.
__device__ __forceinline__ float quad_sum(float value) {
    value += __shfl_xor_sync(ALL_LANES, value, 1);
    return value + __shfl_xor_sync(ALL_LANES, value, 2);
}
__device__ __forceinline__ float quad_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 1));
    return fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 2));
}

#ifdef __CUDACC__
/// c += a b
template <typename E> __device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    if (SAME<E, bf16>) {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
}

/// Four tiles [8, 8] from shared memory; lane i names row i % 8 of tile i / 8. TURNED: their transposes.
template <bool TURNED, typename E> __device__ __forceinline__ void load_tiles(u32 (&tiles)[4], const E *row) {
    u32 address = static_cast<u32>(__cvta_generic_to_shared(row));
    if (TURNED) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                     : "r"(address)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                     : "r"(address)
                     : "memory");
    }
}

/// 16 bytes to shared memory, or zeros where they are not `wanted`, while the thread goes on.
template <typename E> __device__ __forceinline__ void copy_async(E *to, const E *from, bool wanted) {
    u32 address = static_cast<u32>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(wanted ? 16 : 0) : "memory");
}
/// Ends a group of copies.
__device__ __forceinline__ void copies_issued() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until all of this thread's groups but the last have arrived.
__device__ __forceinline__ void await_all_but_last() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }
#else
template <typename E> void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    u32 all_a[32][4], all_b[32][2], b[2] = {b0, b1};
    exchange_fragments(a, b, all_a, all_b);
    auto number = [](u32 pair, u32 half) { return half ? second_of<E>(pair) : first_of<E>(pair); };
    u32 lane = threadIdx.x % 32;
    for (u32 i = 0; i < 4; ++i) {
        u32 row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
        for (u32 k = 0; k < 16; ++k) {
            u32 t = k % 8 / 2;
            c[i] += number(all_a[row % 8 * 4 + t][row / 8 + 2 * (k / 8)], k % 2) * number(all_b[column * 4 + t][k / 8], k % 2);
        }
    }
}
template <bool TURNED, typename E> void load_tiles(u32 (&tiles)[4], const E *row) {
    const E *rows[32];
    exchange_addresses(row, reinterpret_cast<const void **>(rows));
    u32 lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (u32 i = 0; i < 4; ++i) {
        u32 low = TURNED ? rows[8 * i + 2 * t][g].bits : rows[8 * i + g][2 * t].bits;
        u32 high = TURNED ? rows[8 * i + 2 * t + 1][g].bits : rows[8 * i + g][2 * t + 1].bits;
        tiles[i] = low | high << 16;
    }
}
template <typename E> void copy_async(E *to, const E *from, bool wanted) { emulate_copy(to, wanted ? from : nullptr); }
inline void copies_issued() { emulate_commit(); }
inline void await_all_but_last() { emulate_wait(1); }
#endif

/// The operands B of two neighbouring tiles of C: [16 k, 16 n], from rows of n in shared memory.
template <typename E> __device__ __forceinline__ void load_by_rows(u32 (&b)[4], const E *tile, u32 stride, u32 lane) {
    load_tiles<false>(b, tile + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8);
}
/// The same from rows of k.
template <typename E> __device__ __forceinline__ void load_by_columns(u32 (&b)[4], const E *tile, u32 stride, u32 lane) {
    load_tiles<true>(b, tile + (lane / 8 % 2 * 8 + lane % 8) * stride + lane / 16 * 8);
}
