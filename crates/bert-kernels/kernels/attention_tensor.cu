// Attention within each sequence of a batch on the tensor cores, in bf16 or f16 (E) with sums in float: the same results as attention.cu's,
// which says how neither pass needs a matrix of scores. Heads of a multiple of 16 up to 128 columns run in the next of 32, 64, 96 and
// 128, the columns beyond as zeros. A warp has 16 queries, or in the last kernel 16 keys; every sum has a fixed order.
//
// What is not built, and where it would enter. An additive bias: between `scores_of` and the maximum in the forward pass and at both
// `power_of_two` of the backward passes, its gradient from `slope`. Rotary: on q and k where `load_head` and `fetch` bring them, turned
// back in `store_head`. A local window: in the bounds of the three loops over `base`, and beside `tile.length` where keys beyond the end
// become -INFINITY.
#include "attention.cuh"
#include "mma.cuh"

namespace tensor {

constexpr float LOG2_E = 1.4426950408889634f;
/// What keeps eight rows at the same column of shared memory in different banks.
constexpr u32 GAP = 8;
/// Keys in shared memory at once in the forward pass; keys, or queries, in the two backward passes, which have two tiles of them.
constexpr u32 KEYS = 64, STEP = 32;

/// The operand A of D / 16 products: 16 rows of a head, zeros beyond `count` rows and `size` columns.
template <typename E, u32 D>
__device__ __forceinline__ void load_head(u32 (&a)[D / 16][4], const E *rows, u32 stride, u32 count, u32 size, u32 lane) {
#pragma unroll
    for (u32 k = 0; k < D / 16; ++k) {
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            u32 row = lane / 4 + 8 * (i % 2), column = 16 * k + lane % 4 * 2 + 8 * (i / 2);
            bool there = row < count && 16 * k < size;
            a[k][i] = there ? *reinterpret_cast<const u32 *>(rows + static_cast<u64>(row) * stride + column) : 0;
        }
    }
}

/// Sums of a warp, times a factor for each of a lane's two rows, to 16 rows of a head.
template <typename E, u32 D>
__device__ __forceinline__ void store_head(E *rows, const float (&sums)[D / 8][4], float upper, float lower, u32 stride, u32 count,
                                           u32 size, u32 lane) {
#pragma unroll
    for (u32 n = 0; n < D / 8; ++n) {
        u32 row = lane / 4, column = 8 * n + lane % 4 * 2;
        if (8 * n >= size) continue;
        E *to = rows + static_cast<u64>(row) * stride + column;
        if (row < count) *reinterpret_cast<u32 *>(to) = pack<E>(sums[n][0] * upper, sums[n][1] * upper);
        to += 8 * static_cast<u64>(stride);
        if (row + 8 < count) *reinterpret_cast<u32 *>(to) = pack<E>(sums[n][2] * lower, sums[n][3] * lower);
    }
}

/// Begins to copy ROWS rows of a head to shared memory, those from `count` on as zeros.
template <typename E, u32 D, u32 ROWS> __device__ __forceinline__ void fetch(E *to, const E *rows, u32 stride, u32 count, u32 size) {
    for (u32 i = threadIdx.x; i < ROWS * D / 8; i += blockDim.x) {
        u32 row = i / (D / 8), column = i % (D / 8) * 8;
        bool there = row < count && column < size;
        copy_async(to + row * (D + GAP) + column, there ? rows + static_cast<u64>(row) * stride + column : rows, there);
    }
}

/// c += A B for 16 rows against 16 others in shared memory, over the columns of the head.
template <typename E, u32 D> __device__ __forceinline__ void scores_of(float (&c)[2][4], const u32 (&a)[D / 16][4], const E *rows, u32 lane) {
#pragma unroll
    for (u32 k = 0; k < D / 16; ++k) {
        u32 b[4];
        load_by_rows(b, rows + 16 * k, D + GAP, lane);
        mma<E>(c[0], a[k], b[0], b[1]);
        mma<E>(c[1], a[k], b[2], b[3]);
    }
}

/// sums += A B for weights of 16 rows in shared memory.
template <typename E, u32 D> __device__ __forceinline__ void add_rows(float (&sums)[D / 8][4], const u32 (&weights)[4], const E *rows, u32 lane) {
#pragma unroll
    for (u32 n = 0; n < D / 8; n += 2) {
        u32 b[4];
        load_by_columns(b, rows + 8 * n, D + GAP, lane);
        mma<E>(sums[n], weights, b[0], b[1]);
        mma<E>(sums[n + 1], weights, b[2], b[3]);
    }
}

/// What stays of 128 keys for a lane's two queries: the eight calls of Philox decide just what the lane has of C.
struct Kept {
    u32 rows[2];
};

__device__ __forceinline__ Kept draw(const Dropout &dropout, const u32 (&rows)[2], u32 group, u32 lane) {
    Kept kept = {{0, 0}};
    for (u32 r = 0; r < 2; ++r) {
        for (u32 i = 0; i < 4; ++i) {
            kept.rows[r] |= kept_columns(dropout, rows[r], group, lane % 4 * 2 + i % 2 + i / 2 * 8) << (8 * i);
        }
    }
    return kept;
}

/// The mask for c[i] of tile `n` of eight keys, counted from a multiple of 128.
__device__ __forceinline__ float mask_at(const Dropout &dropout, const Kept &kept, u32 n, u32 i) {
    if (!dropout.threshold) return 1.0f;
    return (kept.rows[i / 2] >> (8 * (n % 2 * 2 + i % 2) + n / 2) & 1) ? dropout.scale : 0.0f;
}

/// A warp's queries: how many of its 16, the first, and for a lane's two the rows of the mask.
struct Queries {
    u32 count, first, mask_rows[2];
};

__device__ __forceinline__ Queries queries_of(const Layout &at, const Tile &tile, const u32 *positions) {
    u32 begin = tile.first + threadIdx.x / WARP * 16, row = threadIdx.x % WARP / 4;
    Queries queries = {begin < tile.queries ? min(16u, tile.queries - begin) : 0, tile.asking + begin, {0, 0}};
    for (u32 r = 0; r < 2; ++r) {
        if (row + 8 * r < queries.count) queries.mask_rows[r] = mask_row(at, positions, blockIdx.y, queries.first + row + 8 * r);
    }
    return queries;
}

/// context [n, H]; log_sums [N, n]. Shared memory: 2 KEYS rows.
template <typename E, u32 D>
__device__ __forceinline__ void forward(const E *queries, const E *memory, const Tile *tiles, const u32 *positions, E *context,
                                        float *log_sums, const Layout &at, const Dropout &dropout) {
    SHARED_MEMORY(E, shared);
    E *keys = shared, *values = keys + KEYS * (D + GAP);
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, size = at.size, column = head * size;
    Queries own = queries_of(at, tile, positions);
    bool active = own.count > 0;
    u32 q[D / 16][4];
    load_head<E, D>(q, queries + static_cast<u64>(own.first) * at.query_stride + column, at.query_stride, own.count, size, lane);
    const E *rows = memory + static_cast<u64>(tile.span) * at.memory_stride + column;
    auto fetch_tile = [&](E *to, u32 base, u32 part) {
        if (base < tile.length) {
            const E *from = rows + static_cast<u64>(base) * at.memory_stride + part;
            fetch<E, D, KEYS>(to, from, at.memory_stride, tile.length - base, size);
        }
        copies_issued();
    };
    float out[D / 8][4] = {}, largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f}, scale = at.scale * LOG2_E;
    Kept kept = {{0, 0}};
    fetch_tile(keys, 0, at.keys);
    fetch_tile(values, 0, at.values);
    // One tile of keys and one of values: while one is used the other arrives.
    for (u32 base = 0; base < tile.length; base += KEYS) {
        float scores[KEYS / 16][2][4] = {};
        await_all_but_last();
        __syncthreads();
        if (active) {
#pragma unroll
            for (u32 k = 0; k < KEYS / 16; ++k) scores_of<E, D>(scores[k], q, keys + 16 * k * (D + GAP), lane);
        }
        __syncthreads();
        fetch_tile(keys, base + KEYS, at.keys);
        if (dropout.threshold && base % MASK_GROUP == 0) kept = draw(dropout, own.mask_rows, base / MASK_GROUP, lane);
        u32 weights[KEYS / 16][4];
        float now[2] = {largest[0], largest[1]};
#pragma unroll
        for (u32 n = 0; n < KEYS / 8; ++n) {
            for (u32 i = 0; i < 4; ++i) {
                float &score = scores[n / 2][n % 2][i];
                if (base + 8 * n + lane % 4 * 2 + i % 2 >= tile.length) score = -INFINITY;
                now[i / 2] = fmaxf(now[i / 2], score);
            }
        }
        for (u32 r = 0; r < 2; ++r) {
            now[r] = quad_max(now[r]);
            float shrink = power_of_two((largest[r] - now[r]) * scale);
            largest[r] = now[r];
            sum[r] *= shrink;
            for (u32 n = 0; n < D / 8; ++n) {
                out[n][2 * r] *= shrink;
                out[n][2 * r + 1] *= shrink;
            }
        }
#pragma unroll
        for (u32 n = 0; n < KEYS / 8; ++n) {
            float weight[4];
            for (u32 i = 0; i < 4; ++i) {
                weight[i] = power_of_two((scores[n / 2][n % 2][i] - largest[i / 2]) * scale);
                sum[i / 2] += weight[i];
                weight[i] *= mask_at(dropout, kept, base % MASK_GROUP / 8 + n, i);
            }
            weights[n / 2][n % 2 * 2] = pack<E>(weight[0], weight[1]);
            weights[n / 2][n % 2 * 2 + 1] = pack<E>(weight[2], weight[3]);
        }
        await_all_but_last();
        __syncthreads();
        if (active) {
#pragma unroll
            for (u32 k = 0; k < KEYS / 16; ++k) add_rows<E, D>(out, weights[k], values + 16 * k * (D + GAP), lane);
        }
        __syncthreads();
        fetch_tile(values, base + KEYS, at.values);
    }
    for (u32 r = 0; r < 2; ++r) {
        sum[r] = quad_sum(sum[r]);
        u32 row = lane / 4 + 8 * r;
        if (lane % 4 == 0 && row < own.count) log_sums[head * at.asking + own.first + row] = largest[r] * at.scale + logf(sum[r]);
    }
    E *to = context + static_cast<u64>(own.first) * at.heads * size + column;
    store_head<E, D>(to, out, 1.0f / sum[0], 1.0f / sum[1], at.heads * size, own.count, size, lane);
}

/// Keeps what was drawn for 128 keys for the next kernel, to which a draw would cost as much as its products: in drawn [N, n, groups, 16]
/// a byte decides on 8 keys that lie 16 apart.
__device__ __forceinline__ void keep_drawn(u8 *drawn, const Kept &kept, const Layout &at, const Queries &own, u32 group, u32 lane) {
    for (u32 r = 0; r < 2; ++r) {
        u32 row = lane / 4 + 8 * r;
        if (row >= own.count) continue;
        u8 *of_group = drawn + ((static_cast<u64>(blockIdx.y) * at.asking + own.first + row) * at.groups + group) * MASK_LANES;
        *reinterpret_cast<u16 *>(of_group + lane % 4 * 2) = static_cast<u16>(kept.rows[r]);
        *reinterpret_cast<u16 *>(of_group + lane % 4 * 2 + 8) = static_cast<u16>(kept.rows[r] >> 16);
    }
}

/// Gradient of the queries, in their layout; deltas [N, n]: the product of dy and context in each row. Shared memory: 4 STEP rows.
template <typename E, u32 D>
__device__ __forceinline__ void backward_queries(const E *queries, const E *memory, const Tile *tiles, const u32 *positions,
                                                 const E *context, const float *log_sums, const E *dy, E *d_queries,
                                                 float *deltas, u8 *drawn, const Layout &at, const Dropout &dropout) {
    SHARED_MEMORY(E, shared);
    constexpr u32 ROWS = STEP * (D + GAP);
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, size = at.size, column = head * size, width = at.heads * size;
    Queries own = queries_of(at, tile, positions);
    u64 from = static_cast<u64>(own.first) * at.query_stride + column, to = static_cast<u64>(own.first) * width + column;
    const E *rows = memory + static_cast<u64>(tile.span) * at.memory_stride + column;
    auto fetch_tile = [&](u32 base) {
        if (base < tile.length) {
            const E *of_base = rows + static_cast<u64>(base) * at.memory_stride;
            E *half = shared + base / STEP % 2 * 2 * ROWS;
            fetch<E, D, STEP>(half, of_base + at.keys, at.memory_stride, tile.length - base, size);
            fetch<E, D, STEP>(half + ROWS, of_base + at.values, at.memory_stride, tile.length - base, size);
        }
        copies_issued();
    };
    fetch_tile(0);
    u32 q[D / 16][4], d[D / 16][4];
    load_head<E, D>(q, queries + from, at.query_stride, own.count, size, lane);
    load_head<E, D>(d, context + to, width, own.count, size, lane); // dy takes its place below
    float delta[2] = {0.0f, 0.0f}, log_sum[2] = {0.0f, 0.0f}, scale = at.scale * LOG2_E;
    {
        u32 y[D / 16][4];
        for (u32 k = 0; k < D / 16; ++k) {
            for (u32 i = 0; i < 4; ++i) y[k][i] = d[k][i];
        }
        load_head<E, D>(d, dy + to, width, own.count, size, lane);
        for (u32 k = 0; k < D / 16; ++k) {
            for (u32 i = 0; i < 4; ++i) {
                delta[i % 2] += first_of<E>(y[k][i]) * first_of<E>(d[k][i]) + second_of<E>(y[k][i]) * second_of<E>(d[k][i]);
            }
        }
    }
    for (u32 r = 0; r < 2; ++r) {
        delta[r] = quad_sum(delta[r]);
        u32 row = lane / 4 + 8 * r, statistic = head * at.asking + own.first + row;
        if (row >= own.count) continue;
        log_sum[r] = log_sums[statistic] * LOG2_E;
        if (lane % 4 == 0) deltas[statistic] = delta[r];
    }
    float out[D / 8][4] = {};
    Kept kept = {{0, 0}};
    for (u32 base = 0; base < tile.length; base += STEP) {
        fetch_tile(base + STEP);
        await_all_but_last();
        __syncthreads();
        const E *keys = shared + base / STEP % 2 * 2 * ROWS, *values = keys + ROWS;
        if (dropout.threshold && base % MASK_GROUP == 0) {
            kept = draw(dropout, own.mask_rows, base / MASK_GROUP, lane);
            keep_drawn(drawn, kept, at, own, base / MASK_GROUP, lane);
        }
#pragma unroll
        for (u32 k = 0; k < STEP / 16 && own.count > 0; ++k) {
            float scores[2][4] = {}, products[2][4] = {};
            scores_of<E, D>(scores, q, keys + 16 * k * (D + GAP), lane);
            scores_of<E, D>(products, d, values + 16 * k * (D + GAP), lane);
            u32 slopes[4];
            for (u32 n = 0; n < 2; ++n) {
                float slope[4];
                for (u32 i = 0; i < 4; ++i) {
                    bool there = base + 16 * k + 8 * n + lane % 4 * 2 + i % 2 < tile.length;
                    float weight = there ? power_of_two(scores[n][i] * scale - log_sum[i / 2]) : 0.0f;
                    float mask = mask_at(dropout, kept, base % MASK_GROUP / 8 + 2 * k + n, i);
                    slope[i] = weight * (products[n][i] * mask - delta[i / 2]);
                }
                slopes[2 * n] = pack<E>(slope[0], slope[1]);
                slopes[2 * n + 1] = pack<E>(slope[2], slope[3]);
            }
            add_rows<E, D>(out, slopes, keys + 16 * k * (D + GAP), lane);
        }
        __syncthreads();
    }
    store_head<E, D>(d_queries + from, out, at.scale, at.scale, at.query_stride, own.count, size, lane);
}

/// Gradients of keys and values, in the layout of the memory, with the mask that the kernel before has drawn. A block has 128 keys and
/// eight warps. Shared memory: 4 STEP rows, and for two tiles of queries two floats and 16 bytes of mask each.
template <typename E, u32 D>
__device__ __forceinline__ void backward_memory(const E *queries, const E *memory, const Tile *tiles, const u8 *drawn,
                                                const float *log_sums, const float *deltas, const E *dy, E *d_memory,
                                                const Layout &at, const Dropout &dropout) {
    SHARED_MEMORY(E, shared);
    constexpr u32 ROWS = STEP * (D + GAP);
    float *statistics = reinterpret_cast<float *>(shared + 4 * ROWS); // [2, 2, STEP]
    u8 *masks = reinterpret_cast<u8 *>(statistics + 4 * STEP);        // [2, STEP, MASK_LANES]
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, size = at.size, column = head * size;
    u32 width = at.heads * size, key = tile.first + 16 * warp, count = key < tile.length ? min(16u, tile.length - key) : 0;
    u64 from = static_cast<u64>(tile.span + key) * at.memory_stride + column;
    auto fetch_tile = [&](u32 base) {
        if (base < tile.queries) {
            u32 first = tile.asking + base, there = tile.queries - base, half = base / STEP % 2;
            E *to = shared + half * 2 * ROWS;
            fetch<E, D, STEP>(to, queries + static_cast<u64>(first) * at.query_stride + column, at.query_stride, there, size);
            fetch<E, D, STEP>(to + ROWS, dy + static_cast<u64>(first) * width + column, width, there, size);
            if (threadIdx.x < STEP) {
                u32 statistic = head * at.asking + first + threadIdx.x;
                float *of_tile = statistics + half * 2 * STEP + threadIdx.x;
                of_tile[0] = threadIdx.x < there ? log_sums[statistic] * LOG2_E : 0.0f;
                of_tile[STEP] = threadIdx.x < there ? deltas[statistic] : 0.0f;
            }
            // In a byte a bit for each warp.
            if (dropout.threshold && threadIdx.x < STEP) {
                u64 row = static_cast<u64>(head) * at.asking + first + min(threadIdx.x, there - 1);
                const u8 *of_group = drawn + (row * at.groups + tile.first / MASK_GROUP) * MASK_LANES;
                copy_async(masks + (half * STEP + threadIdx.x) * MASK_LANES, of_group, threadIdx.x < there);
            }
        }
        copies_issued();
    };
    fetch_tile(0);
    u32 k[D / 16][4], v[D / 16][4];
    load_head<E, D>(k, memory + from + at.keys, at.memory_stride, count, size, lane);
    load_head<E, D>(v, memory + from + at.values, at.memory_stride, count, size, lane);
    float dk[D / 8][4] = {}, dv[D / 8][4] = {}, scale = at.scale * LOG2_E;
    for (u32 base = 0; base < tile.queries; base += STEP) {
        fetch_tile(base + STEP);
        await_all_but_last();
        __syncthreads();
        u32 half = base / STEP % 2;
        const E *q = shared + half * 2 * ROWS, *d = q + ROWS;
#pragma unroll(D > 96 ? 1 : 2)
        for (u32 part = 0; part < STEP / 16 && count > 0; ++part) {
            float scores[2][4] = {}, products[2][4] = {};
            scores_of<E, D>(scores, k, q + 16 * part * (D + GAP), lane);
            scores_of<E, D>(products, v, d + 16 * part * (D + GAP), lane);
            u32 weights[4], slopes[4];
            for (u32 n = 0; n < 2; ++n) {
                float weight[4], slope[4];
                for (u32 i = 0; i < 4; ++i) {
                    // Beyond the last query q and dy are zeros: whatever stands here adds nothing.
                    u32 query = 16 * part + 8 * n + lane % 4 * 2 + i % 2;
                    float log_sum = statistics[half * 2 * STEP + query], delta = statistics[half * 2 * STEP + STEP + query];
                    float mask = 1.0f;
                    if (dropout.threshold) {
                        u32 kept = masks[(half * STEP + query) * MASK_LANES + lane / 4 + 8 * (i / 2)];
                        mask = (kept >> warp & 1) ? dropout.scale : 0.0f;
                    }
                    weight[i] = power_of_two(scores[n][i] * scale - log_sum);
                    slope[i] = weight[i] * (products[n][i] * mask - delta);
                    weight[i] *= mask;
                }
                weights[2 * n] = pack<E>(weight[0], weight[1]);
                weights[2 * n + 1] = pack<E>(weight[2], weight[3]);
                slopes[2 * n] = pack<E>(slope[0], slope[1]);
                slopes[2 * n + 1] = pack<E>(slope[2], slope[3]);
            }
            add_rows<E, D>(dv, weights, d + 16 * part * (D + GAP), lane);
            add_rows<E, D>(dk, slopes, q + 16 * part * (D + GAP), lane);
        }
        __syncthreads();
    }
    store_head<E, D>(d_memory + from + at.keys, dk, at.scale, at.scale, at.memory_stride, count, size, lane);
    store_head<E, D>(d_memory + from + at.values, dv, 1.0f, 1.0f, at.memory_stride, count, size, lane);
}

} // namespace tensor

#define ATTENTION_TENSOR(E, D)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128)                                                                           \
        attention_tensor_forward_##D##_##E(const E *queries, const E *memory, const Tile *tiles, const u32 *positions,          \
                                           E *context, float *log_sums, Layout layout, Dropout dropout) {                       \
        tensor::forward<E, D>(queries, memory, tiles, positions, context, log_sums, layout, dropout);                           \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(128, D > 64 ? 2 : 4)                                                           \
        attention_tensor_backward_queries_##D##_##E(const E *queries, const E *memory, const Tile *tiles, const u32 *positions, \
                                                    const E *context, const float *log_sums, const E *dy, E *d_queries,         \
                                                    float *deltas, u8 *drawn, Layout layout, Dropout dropout) {                 \
        tensor::backward_queries<E, D>(queries, memory, tiles, positions, context, log_sums, dy, d_queries, deltas, drawn,      \
                                       layout, dropout);                                                                        \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(256)                                                                           \
        attention_tensor_backward_memory_##D##_##E(const E *queries, const E *memory, const Tile *tiles, const u8 *drawn,       \
                                                   const float *log_sums, const float *deltas, const E *dy, E *d_memory,        \
                                                   Layout layout, Dropout dropout) {                                            \
        tensor::backward_memory<E, D>(queries, memory, tiles, drawn, log_sums, deltas, dy, d_memory, layout, dropout);          \
    }
#define ATTENTION_TENSOR_HEADS(E)                                                                                               \
    ATTENTION_TENSOR(E, 32) ATTENTION_TENSOR(E, 64) ATTENTION_TENSOR(E, 96) ATTENTION_TENSOR(E, 128)
ATTENTION_TENSOR_HEADS(bf16)
ATTENTION_TENSOR_HEADS(f16)
