// Linear layers: the choice of kernels and the loops around them.

#include "linear_blob.h"

#include <string.h>

static apus_linear_kernel kernel_for(apus_format format) {
    uint32_t features = apus_cpu_features();
    apus_linear_kernel kernel = apus_linear_avx512(format, features);
    if (!kernel.tile) kernel = apus_linear_avx2(format, features);
    if (!kernel.tile) kernel = apus_linear_neon(format, features);
    return kernel.tile ? kernel : apus_linear_generic(format);
}

apus_result apus_linear_open(const void *packed, apus_linear_view *view) {
    apus_linear_sizes sizes;
    const apus_linear_header *header = apus_linear_header_of(packed, SIZE_MAX, &sizes);
    if (!header) return APUS_BAD_BLOB;
    const uint8_t *blob = packed;
    size_t stride = (size_t)(sizes.groups * sizes.group * sizes.element);
    if (header->format == APUS_FORMAT_INT8) {
        int64_t blocks = apus_row_blocks(sizes.groups);
        stride += (size_t)apus_row_scales(blocks) * sizeof(float) + (size_t)blocks * sizeof(int32_t);
    }
    stride = (stride + 63) & ~(size_t)63;
    // Rows at a distance of a power of two would share the sets of the L1 cache.
    if (stride % 1024 == 0) stride += 64;
    *view = (apus_linear_view){
        .format = (apus_format)header->format,
        .n = header->n,
        .k = header->k,
        .groups = sizes.groups,
        .panel_bytes = sizes.panel_bytes,
        .stride = stride,
        .panels = blob + sizeof(apus_linear_header),
        .kernel = kernel_for((apus_format)header->format)};
    return APUS_OK;
}

size_t apus_rows_bytes(const apus_linear_view *view, int64_t m) {
    size_t bytes;
    if (m < 1 || m > INT64_MAX / 128) return 0;
    if (!view->kernel.pack) return 64;
    if (__builtin_mul_overflow((size_t)m, view->stride, &bytes)) return 0;
    return bytes;
}

void apus_rows_pack(const apus_linear_view *view, const float *x, int64_t ldx, int64_t m, void *memory, apus_rows *rows) {
    if (!view->kernel.pack) {
        *rows = (apus_rows){.data = (const uint8_t *)x, .stride = (size_t)ldx * sizeof(float)};
        return;
    }
    view->kernel.pack(x, ldx, m, view->k, memory, view->stride);
    *rows = (apus_rows){.data = memory, .stride = view->stride};
}

void apus_linear_rows(const apus_linear_view *view, const apus_rows *rows, int64_t m, const float *bias, apus_activation activation,
                      float *y, int64_t ldy) {
    _Alignas(64) float sums[APUS_TILE_ROWS * APUS_PANEL];
    _Alignas(64) float panel_bias[APUS_PANEL];
    int64_t tiles = (m + APUS_TILE_ROWS - 1) / APUS_TILE_ROWS;
    for (int64_t column = 0; column < view->n; column += APUS_PANEL) {
        const uint8_t *panel = view->panels + (size_t)(column / APUS_PANEL) * view->panel_bytes;
        int64_t columns = view->n - column < APUS_PANEL ? view->n - column : APUS_PANEL;
        memset(panel_bias, 0, sizeof panel_bias);
        if (bias) memcpy(panel_bias, bias + column, (size_t)columns * sizeof(float));
        apus_finish finish = {.sums = sums,
                              .columns = columns,
                              .bias = panel_bias,
                              .activation = activation,
                              .ldy = ldy};
        // Tiles of nearly equal height: a last tile of one row would cost as much as one of three.
        for (int64_t tile = 0, row = 0; tile < tiles; tile++, row += finish.rows) {
            finish.rows = (m - row) / (tiles - tile);
            view->kernel.tile(rows->data + (size_t)row * rows->stride, rows->stride, finish.rows, panel, view->groups, sums);
            finish.y = y + row * ldy + column;
            view->kernel.finish(&finish);
        }
    }
}

int64_t apus_linear_block_rows(const apus_linear_view *view) {
    // fp32 rows cost four times the memory and give the kernel four times the time to fetch them.
    const size_t block_bytes = (size_t)(view->format == APUS_FORMAT_FP32 ? 1024 : 256) * 1024;
    int64_t tiles = (int64_t)(block_bytes / view->stride) / APUS_TILE_ROWS;
    tiles = tiles < 2 ? 2 : tiles > 64 ? 64 : tiles;
    return tiles * APUS_TILE_ROWS;
}

size_t apus_linear_scratch(const void *packed, int64_t m) {
    apus_linear_view view;
    if (m < 1 || apus_linear_open(packed, &view) != APUS_OK) return 0;
    int64_t block = apus_linear_block_rows(&view);
    return apus_rows_bytes(&view, m < block ? m : block);
}

apus_result apus_linear(const void *packed, const float *bias, apus_activation activation, const float *x, int64_t m, float *y,
                        void *scratch) {
    apus_linear_view view;
    if (apus_linear_open(packed, &view) != APUS_OK) return APUS_BAD_BLOB;
    if (activation < APUS_ACT_NONE || activation > APUS_ACT_SIGMOID || m < 0) return APUS_BAD_ARGUMENT;
    if (m == 0) return APUS_OK;
    if (!x || !y || !scratch || ((uintptr_t)scratch & 63)) return APUS_BAD_ARGUMENT;
    int64_t block = apus_linear_block_rows(&view);
    for (int64_t row = 0; row < m; row += block) {
        int64_t count = m - row < block ? m - row : block;
        apus_rows rows;
        apus_rows_pack(&view, x + row * view.k, view.k, count, scratch, &rows);
        apus_linear_rows(&view, &rows, count, bias, activation, y + row * view.n, view.n);
    }
    return APUS_OK;
}
