// y = x * mask, x [T, H]; the backward pass is the same kernel on dy. One warp a row.
#include "device.cuh"

template <typename T>
__device__ void apply_dropout(const T *x, T *y, u32 rows, u32 width, const Dropout &dropout) {
    u32 row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return;
    u64 start = static_cast<u64>(row) * width;
    for_columns(threadIdx.x % WARP, width, dropout, row, [&](u32 column, float mask) {
        store(y + start + column, load(x + start + column) * mask);
    });
}

#define DROPOUT(T, NAME)                                                                         \
    KERNEL dropout_##NAME(const T *x, T *y, u32 rows, u32 width, Dropout dropout) {              \
        apply_dropout(x, y, rows, width, dropout);                                               \
    }
DROPOUT(float, f32)
DROPOUT(bf16, bf16)
DROPOUT(f16, f16)
