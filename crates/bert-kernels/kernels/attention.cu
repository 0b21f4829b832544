// Attention within each sequence of a batch, the plain form: any head size up to 128, a warp for a query or a key, arithmetic in float.
// No matrix of scores: a running softmax in the forward pass (Milakov & Gimelshein, 2018), and in the backward pass scores again from
// the saved logarithm of each row's sum (Dao et al., 2022). Gradients of queries and of keys come from two kernels, so that nothing
// is added by atomics; that computes the scores twice.
#include "attention.cuh"

constexpr u32 TILE = 32;       // keys or queries in shared memory at once: one for each lane
constexpr u32 MOST = 128 / 32; // columns of a head that a lane has

/// Copies `count` rows of `size` columns into shared memory [TILE, size + 1], the rest as zeros.
template <typename T>
__device__ __forceinline__ void fetch(const T *rows, u32 stride, u32 count, u32 size, float *out) {
    for (u32 i = threadIdx.x; i < TILE * size; i += blockDim.x) {
        u32 row = i / size, column = i % size;
        out[row * (size + 1) + column] = row < count ? load(rows + static_cast<u64>(row) * stride + column) : 0.0f;
    }
}

__device__ __forceinline__ float dot(const float *a, const float *b, u32 size) {
    float sum = 0.0f;
    for (u32 i = 0; i < size; ++i) sum += a[i] * b[i];
    return sum;
}

/// The mask's bits for lane's keys in four tiles, from the first of which on they are drawn.
__device__ __forceinline__ float mask_of(const Dropout &dropout, u32 row, u32 base, u32 lane, u32 &kept) {
    if (!dropout.threshold) return 1.0f;
    if (base % MASK_GROUP == 0) kept = kept_columns(dropout, row, base / MASK_GROUP, lane % MASK_LANES);
    u32 j = base % MASK_GROUP / MASK_LANES + lane / MASK_LANES;
    return (kept >> j & 1) ? dropout.scale : 0.0f;
}

/// context [n, H]; log_sums [N, n]. Shared memory: 2 TILE (D + 1) + warps D floats.
template <typename T>
__device__ void forward(const T *queries, const T *memory, const Tile *tiles, const u32 *positions, T *context, float *log_sums,
                        const Layout &at, const Dropout &dropout) {
    SHARED_MEMORY(float, shared);
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, size = at.size;
    float *keys = shared, *values = keys + TILE * (size + 1), *q = values + TILE * (size + 1) + warp * size;
    u32 query = tile.asking + tile.first + warp;
    bool active = tile.first + warp < tile.queries;
    u32 row = active ? mask_row(at, positions, head, query) : 0, kept = 0;
    for (u32 i = lane; i < size && active; i += WARP) {
        q[i] = load(queries + static_cast<u64>(query) * at.query_stride + head * size + i) * at.scale;
    }
    float largest = -INFINITY, sum = 0.0f, out[MOST] = {};
    const T *head_memory = memory + static_cast<u64>(tile.span) * at.memory_stride + head * size;
    for (u32 base = 0; base < tile.length; base += TILE) {
        u32 count = min(TILE, tile.length - base);
        const T *rows = head_memory + static_cast<u64>(base) * at.memory_stride;
        __syncthreads();
        fetch(rows + at.keys, at.memory_stride, count, size, keys);
        fetch(rows + at.values, at.memory_stride, count, size, values);
        __syncthreads();
        if (!active) continue;
        float score = lane < count ? dot(q, keys + lane * (size + 1), size) : -INFINITY;
        float now = fmaxf(largest, warp_max(score));
        float shrink = expf(largest - now), weight = expf(score - now);
        largest = now;
        sum = sum * shrink + warp_sum(weight);
        weight *= mask_of(dropout, row, base, lane, kept);
        for (u32 i = 0; i < MOST; ++i) out[i] *= shrink;
        for (u32 j = 0; j < count; ++j) {
            float of_key = __shfl_sync(ALL_LANES, weight, j);
            for (u32 i = 0; i < MOST; ++i) {
                u32 column = lane + WARP * i;
                if (column < size) out[i] += of_key * values[j * (size + 1) + column];
            }
        }
    }
    if (!active) return;
    float inverse = 1.0f / sum;
    for (u32 i = 0; i < MOST; ++i) {
        u32 column = lane + WARP * i;
        if (column < size) store(context + (static_cast<u64>(query) * at.heads + head) * size + column, out[i] * inverse);
    }
    if (lane == 0) log_sums[head * at.asking + query] = largest + logf(sum);
}

/// Gradient of the queries, in their layout; deltas [N, n]: the product of dy and context in each row.
/// Shared memory: 2 TILE (D + 1) + 2 warps D floats.
template <typename T>
__device__ void backward_queries(const T *queries, const T *memory, const Tile *tiles, const u32 *positions, const T *context,
                                 const float *log_sums, const T *dy, T *d_queries, float *deltas, const Layout &at,
                                 const Dropout &dropout) {
    SHARED_MEMORY(float, shared);
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, size = at.size;
    float *keys = shared, *values = keys + TILE * (size + 1);
    float *q = values + TILE * (size + 1) + 2 * warp * size, *d = q + size;
    u32 query = tile.asking + tile.first + warp;
    bool active = tile.first + warp < tile.queries;
    u32 row = active ? mask_row(at, positions, head, query) : 0, kept = 0;
    u64 from = static_cast<u64>(query) * at.query_stride + head * size, to = (static_cast<u64>(query) * at.heads + head) * size;
    float delta = 0.0f, log_sum = active ? log_sums[head * at.asking + query] : 0.0f;
    for (u32 i = lane; i < size && active; i += WARP) {
        q[i] = load(queries + from + i) * at.scale;
        d[i] = load(dy + to + i);
        delta += d[i] * load(context + to + i);
    }
    delta = warp_sum(delta);
    if (active && lane == 0) deltas[head * at.asking + query] = delta;
    float out[MOST] = {};
    const T *head_memory = memory + static_cast<u64>(tile.span) * at.memory_stride + head * size;
    for (u32 base = 0; base < tile.length; base += TILE) {
        u32 count = min(TILE, tile.length - base);
        const T *rows = head_memory + static_cast<u64>(base) * at.memory_stride;
        __syncthreads();
        fetch(rows + at.keys, at.memory_stride, count, size, keys);
        fetch(rows + at.values, at.memory_stride, count, size, values);
        __syncthreads();
        if (!active) continue;
        float mask = mask_of(dropout, row, base, lane, kept), slope = 0.0f;
        if (lane < count) {
            float weight = expf(dot(q, keys + lane * (size + 1), size) - log_sum);
            slope = weight * (dot(d, values + lane * (size + 1), size) * mask - delta) * at.scale;
        }
        for (u32 j = 0; j < count; ++j) {
            float of_key = __shfl_sync(ALL_LANES, slope, j);
            for (u32 i = 0; i < MOST; ++i) {
                u32 column = lane + WARP * i;
                if (column < size) out[i] += of_key * keys[j * (size + 1) + column];
            }
        }
    }
    for (u32 i = 0; i < MOST && active; ++i) {
        u32 column = lane + WARP * i;
        if (column < size) store(d_queries + from + column, out[i]);
    }
}

/// Gradients of keys and values, in the layout of the memory. Shared memory as for the queries.
template <typename T>
__device__ void backward_memory(const T *queries, const T *memory, const Tile *tiles, const u32 *positions,
                                const float *log_sums, const float *deltas, const T *dy, T *d_memory, const Layout &at,
                                const Dropout &dropout) {
    SHARED_MEMORY(float, shared);
    Tile tile = tiles[blockIdx.x];
    u32 head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, size = at.size;
    float *q = shared, *d = q + TILE * (size + 1), *k = d + TILE * (size + 1) + 2 * warp * size, *v = k + size;
    u32 key = tile.first + warp;
    bool active = key < tile.length;
    u64 from = static_cast<u64>(tile.span + key) * at.memory_stride + head * size;
    for (u32 i = lane; i < size && active; i += WARP) {
        k[i] = load(memory + from + at.keys + i) * at.scale;
        v[i] = load(memory + from + at.values + i);
    }
    float dk[MOST] = {}, dv[MOST] = {};
    for (u32 base = 0; base < tile.queries; base += TILE) {
        u32 count = min(TILE, tile.queries - base), first = tile.asking + base;
        __syncthreads();
        fetch(queries + static_cast<u64>(first) * at.query_stride + head * size, at.query_stride, count, size, q);
        fetch(dy + (static_cast<u64>(first) * at.heads + head) * size, at.heads * size, count, size, d);
        __syncthreads();
        if (!active) continue;
        float weight = 0.0f, slope = 0.0f;
        if (lane < count) {
            u32 query = first + lane, statistic = head * at.asking + query;
            float mask = 1.0f;
            if (dropout.threshold) {
                u32 kept = kept_columns(dropout, mask_row(at, positions, head, query), key / MASK_GROUP, key % MASK_LANES);
                mask = (kept >> (key % MASK_GROUP / MASK_LANES) & 1) ? dropout.scale : 0.0f;
            }
            weight = expf(dot(k, q + lane * (size + 1), size) - log_sums[statistic]);
            slope = weight * (dot(v, d + lane * (size + 1), size) * mask - deltas[statistic]) * at.scale;
            weight *= mask;
        }
        for (u32 j = 0; j < count; ++j) {
            float of_key = __shfl_sync(ALL_LANES, slope, j), of_value = __shfl_sync(ALL_LANES, weight, j);
            for (u32 i = 0; i < MOST; ++i) {
                u32 column = lane + WARP * i;
                if (column >= size) continue;
                dk[i] += of_key * q[j * (size + 1) + column];
                dv[i] += of_value * d[j * (size + 1) + column];
            }
        }
    }
    for (u32 i = 0; i < MOST && active; ++i) {
        u32 column = lane + WARP * i;
        if (column >= size) continue;
        store(d_memory + from + at.keys + column, dk[i]);
        store(d_memory + from + at.values + column, dv[i]);
    }
}

#define ATTENTION(T, NAME)                                                                                                  \
    KERNEL attention_forward_##NAME(const T *queries, const T *memory, const Tile *tiles, const u32 *positions, T *context, \
                                    float *log_sums, Layout layout, Dropout dropout) {                                      \
        forward(queries, memory, tiles, positions, context, log_sums, layout, dropout);                                     \
    }                                                                                                                       \
    KERNEL attention_backward_queries_##NAME(const T *queries, const T *memory, const Tile *tiles, const u32 *positions,    \
                                             const T *context, const float *log_sums, const T *dy, T *d_queries,            \
                                             float *deltas, Layout layout, Dropout dropout) {                               \
        backward_queries(queries, memory, tiles, positions, context, log_sums, dy, d_queries, deltas, layout, dropout);     \
    }                                                                                                                       \
    KERNEL attention_backward_memory_##NAME(const T *queries, const T *memory, const Tile *tiles, const u32 *positions,     \
                                            const float *log_sums, const float *deltas, const T *dy, T *d_memory,           \
                                            Layout layout, Dropout dropout) {                                               \
        backward_memory(queries, memory, tiles, positions, log_sums, deltas, dy, d_memory, layout, dropout);                \
    }
ATTENTION(float, f32)
ATTENTION(bf16, bf16)
ATTENTION(f16, f16)
