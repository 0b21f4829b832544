// Rows of embedding tables: their sum, and the gradient of a table by rows that were sorted by id, so that nothing needs atomics and
// every run adds in the same order.
#include "device.cuh"

/// y [T, H] = sum over up to four tables of table[ids[t]]. ids [tables, T]; tables that are not there are null and come last.
template <typename T>
__device__ void embedding_forward(const float *const *tables, const u32 *ids, T *y, u32 rows, u32 width) {
    u64 elements = static_cast<u64>(rows) * width, stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        u32 row = static_cast<u32>(i / width), column = static_cast<u32>(i % width);
        float sum = 0.0f;
        for (u32 t = 0; t < 4 && tables[t]; ++t) {
            sum += tables[t][static_cast<u64>(ids[t * rows + row]) * width + column];
        }
        store(y + i, sum);
    }
}

/// Rows `start..end` of the sorted order, all of one id. `target` is the id, or with `whole` 0 a row of the partial sums.
struct Chunk {
    u32 start, end, target, whole;
};

/// A block adds the rows of one chunk: to the gradient where the chunk is all of its id, otherwise into a partial sum.
template <typename T>
__device__ void embedding_backward(const Chunk *chunks, const u32 *order, const T *dy, float *grad, float *partial,
                                   u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0.0f;
    for (u32 i = chunk.start; i < chunk.end; ++i) sum += load(dy + static_cast<u64>(order[i]) * width + column);
    u64 target = static_cast<u64>(chunk.target) * width + column;
    if (chunk.whole) {
        grad[target] += sum;
    } else {
        partial[target] = sum;
    }
}

/// Adds the partial sums `start..end` of an id to its row of the gradient.
KERNEL embedding_combine(const Chunk *chunks, const float *partial, float *grad, u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0.0f;
    for (u32 i = chunk.start; i < chunk.end; ++i) sum += partial[static_cast<u64>(i) * width + column];
    grad[static_cast<u64>(chunk.target) * width + column] += sum;
}

/// y [n, H] = x[rows].
template <typename T> __device__ void gather(const T *x, const u32 *rows, T *y, u32 count, u32 width) {
    u64 elements = static_cast<u64>(count) * width, stride = static_cast<u64>(gridDim.x) * blockDim.x;
    for (u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += stride) {
        y[i] = x[static_cast<u64>(rows[i / width]) * width + i % width];
    }
}

/// x[order of the chunk's target] += sum of the rows of the chunk; as embedding_backward for a target in the rows' own type.
template <typename T>
__device__ void scatter_add(const Chunk *chunks, const u32 *order, const T *source, T *x, u32 width) {
    Chunk chunk = chunks[blockIdx.x];
    u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width) return;
    u64 target = static_cast<u64>(chunk.target) * width + column;
    float sum = load(x + target);
    for (u32 i = chunk.start; i < chunk.end; ++i) sum += load(source + static_cast<u64>(order[i]) * width + column);
    store(x + target, sum);
}

#define EMBEDDING(T, NAME)                                                                                                 \
    KERNEL embedding_forward_##NAME(const float *const *tables, const u32 *ids, T *y, u32 rows, u32 width) {               \
        embedding_forward(tables, ids, y, rows, width);                                                                    \
    }                                                                                                                      \
    KERNEL embedding_backward_##NAME(const Chunk *chunks, const u32 *order, const T *dy, float *grad, float *partial,      \
                                     u32 width) {                                                                          \
        embedding_backward(chunks, order, dy, grad, partial, width);                                                       \
    }                                                                                                                      \
    KERNEL gather_##NAME(const T *x, const u32 *rows, T *y, u32 count, u32 width) { gather(x, rows, y, count, width); }    \
    KERNEL scatter_add_##NAME(const Chunk *chunks, const u32 *order, const T *source, T *x, u32 width) {                   \
        scatter_add(chunks, order, source, x, width);                                                                      \
    }
EMBEDDING(float, f32)
EMBEDDING(bf16, bf16)
EMBEDDING(f16, f16)
