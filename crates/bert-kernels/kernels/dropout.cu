// y = x * mask, x [T, H]; the backward pass is the same kernel on dy. A team of warps a row.
#include "device.cuh"

template <typename T>
__device__ void apply_dropout(const T *x, T *y, u32 rows, u32 width, const Dropout &dropout) {
    Team team = team_of(width);
    u32 row = blockIdx.x * team.count + team.index, column = 8 * team.octet;
    u32 kept = kept_octet(dropout, row, team.octet);
    if (row >= rows || column >= width) return;
    u64 start = static_cast<u64>(row) * width;
    bool fit = octets_fit(width, x, y);
    float values[8];
    load_octet(x + start, column, width, fit, values);
    drop(values, kept, dropout.scale);
    store_octet(y + start, column, width, fit, values);
}

#define DROPOUT(T, NAME)                                                                         \
    KERNEL dropout_##NAME(const T *x, T *y, u32 rows, u32 width, Dropout dropout) {              \
        apply_dropout(x, y, rows, width, dropout);                                               \
    }
DROPOUT(float, f32)
DROPOUT(bf16, bf16)
DROPOUT(f16, f16)
