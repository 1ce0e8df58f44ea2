// Linear layers in two steps, for operators that keep blocks of rows in the L2 cache: rows are packed once (converted, quantised), then
// multiplied by one blob or several of the same format and k.

#ifndef APUS_LINEAR_INTERNAL_H
#define APUS_LINEAR_INTERNAL_H

#include "CApusKernels.h"

#pragma clang assume_nonnull begin

enum {
    /// Output channels of a panel, whatever the CPU: a panel is `[groups][64][group]` values, group = 1 (fp32), 2 (bf16), 4 (int8)
    /// neighbouring input channels, so that 16, 8 or 4 channels of one group fill a register for the dot-product instructions.
    APUS_PANEL = 64,
    /// Rows that a kernel multiplies at once: 6 × 64 sums fill 24 of AVX-512's 32 registers.
    APUS_TILE_ROWS = 6,
    /// Neighbouring input channels that int8 mixes with each other before it quantises, and the weights likewise, by sums and differences:
    /// T·Tᵀ = 128, so (Tx)·(Tw)/128 = x·w. A channel that stands out then takes the 8 bits of its row from the others no more, and what
    /// rounding loses falls to a third (as QuaRot does it, Ashkboos et al. 2024, arXiv:2404.00456, here in blocks and where the rows are
    /// packed). T is the transform of Walsh and Hadamard with some signs turned, so that what all channels have in common is spread as well: of
    /// a constant group no value is longer than √2 times the mean. The rest of k after whole groups is not mixed.
    APUS_MIX = 128,
    /// Neighbouring input channels of an output channel that share a scale in int8: what rounding loses grows with the square of the largest of
    /// the values that share one. Activations share one in a group: of what int8 loses, weights lose two thirds, and a scale for each block
    /// of activations would take as much time again as those of weights, a tenth of the products'.
    APUS_BLOCK = 32,
    /// What an int8 weight of 0 is stored as: the instructions multiply unsigned by signed bytes, and of the two only the sum over a row is known
    /// when it is needed.
    APUS_WEIGHT_ZERO = 128
};

/// Groups and blocks of a row of k / 4 quadruples in int8.
static inline int64_t apus_row_blocks(int64_t groups) { return groups * 4 / APUS_BLOCK; }
static inline int64_t apus_row_scales(int64_t blocks) { return (blocks * APUS_BLOCK - 1) / APUS_MIX + 1; }

/// Rows as a kernel reads them: `stride` bytes apart. In int8 a row is its integers, then for each group the scale (fp32), then for each block
/// what its sums begin with (s32): -APUS_WEIGHT_ZERO times the sum of its integers.
typedef struct {
    const uint8_t *_Nullable data;
    size_t stride;
} apus_rows;

/// One tile of sums and what turns it into results.
typedef struct {
    /// `[rows][64]`.
    const float *sums;
    int64_t rows, columns;
    /// The panel's `[64]`.
    const float *bias;
    apus_activation activation;
    float *y;
    int64_t ldy;
} apus_finish;

typedef struct {
    /// sums[count][64] = rows · panel, `groups` groups deep, count 1...6. While it reads, it may fetch the memory behind the panel.
    void (*tile)(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums);
    /// Activation of sums plus bias.
    void (*finish)(const apus_finish *);
    /// Converts `m` rows of `k` floats, `ldx` apart, to rows of `stride` bytes, zero beyond k. NULL: rows are read where they are.
    void (*_Nullable pack)(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride);
} apus_linear_kernel;

/// A blob, opened: what its header says and the kernel for it here.
typedef struct {
    apus_format format;
    int64_t n, k, groups;
    size_t panel_bytes, stride;
    const uint8_t *panels;
    apus_linear_kernel kernel;
} apus_linear_view;

apus_result apus_linear_open(const void *packed, apus_linear_view *view);

/// Bytes for `m` packed rows, a multiple of 64; 0 when they overflow. (fp32 rows stay where they are: 64.)
size_t apus_rows_bytes(const apus_linear_view *view, int64_t m);

/// Packs `m` rows of `view->k` floats, `ldx` apart, in `memory` (64-byte aligned, `apus_rows_bytes`). In fp32 `rows` refers to `x`.
void apus_rows_pack(const apus_linear_view *view, const float *x, int64_t ldx, int64_t m, void *memory, apus_rows *rows);

/// y `[m, n]`, rows `ldy` floats apart.
void apus_linear_rows(const apus_linear_view *view, const apus_rows *rows, int64_t m, const float *_Nullable bias,
                      apus_activation activation, float *y, int64_t ldy);

/// Rows per block so that packed rows and one panel stay in the L2 cache; a multiple of the tile's rows.
int64_t apus_linear_block_rows(const apus_linear_view *view);

/// Kernels by format; a NULL `tile` where the compiler or the features have none.
apus_linear_kernel apus_linear_generic(apus_format format);
apus_linear_kernel apus_linear_avx2(apus_format format, uint32_t features);
apus_linear_kernel apus_linear_avx512(apus_format format, uint32_t features);
apus_linear_kernel apus_linear_neon(apus_format format, uint32_t features);

#pragma clang assume_nonnull end

#endif
