#include "table.h"

#include "linear_blob.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t element_bytes(apus_format format) {
    switch (format) {
    case APUS_FORMAT_FP32: return 4;
    case APUS_FORMAT_BF16: return 2;
    case APUS_FORMAT_INT8: return 1;
    }
    return 0;
}

/// Bytes of the rows rounded up to 64; 0 on overflow.
static size_t value_bytes(apus_format format, int64_t rows, int64_t width) {
    size_t count, bytes;
    if (rows < 1 || width < 1 || element_bytes(format) == 0) return 0;
    if (__builtin_mul_overflow((size_t)rows, (size_t)width, &count)) return 0;
    if (__builtin_mul_overflow(count, element_bytes(format), &bytes) || bytes > SIZE_MAX / 4) return 0;
    return (bytes + 63) / 64 * 64;
}

/// Blocks of a row.
static int64_t blocks(int64_t width) { return (width - 1) / APUS_TABLE_BLOCK + 1; }

size_t apus_table_bytes(apus_format format, int64_t rows, int64_t width) {
    size_t values = value_bytes(format, rows, width);
    if (values == 0) return 0;
    if (format != APUS_FORMAT_INT8) return APUS_TABLE_HEADER_BYTES + values;
    size_t scales;
    if (__builtin_mul_overflow((size_t)rows, (size_t)blocks(width), &scales) || scales > SIZE_MAX / 16) return 0;
    return APUS_TABLE_HEADER_BYTES + values + (scales * sizeof(float) + 63) / 64 * 64;
}

apus_result apus_table_begin(apus_format format, int64_t rows, int64_t width, void *table) {
    size_t bytes = apus_table_bytes(format, rows, width);
    if (bytes == 0 || (uintptr_t)table % 64 != 0) return APUS_BAD_ARGUMENT;
    memset(table, 0, bytes);
    apus_table_header header = {APUS_TABLE_MAGIC, APUS_TABLE_VERSION, (uint32_t)format, rows, width, bytes};
    memcpy(table, &header, sizeof header);
    return APUS_OK;
}

int apus_table_read(const void *table, apus_table_view *view) {
    if (table == NULL || (uintptr_t)table % 64 != 0) return 0;
    apus_table_header header;
    memcpy(&header, table, sizeof header);
    if (header.magic != APUS_TABLE_MAGIC || header.version != APUS_TABLE_VERSION || header.format > APUS_FORMAT_INT8) return 0;
    apus_format format = (apus_format)header.format;
    size_t bytes = apus_table_bytes(format, header.rows, header.width);
    if (bytes == 0 || header.bytes != bytes) return 0;
    const char *values = (const char *)table + APUS_TABLE_HEADER_BYTES;
    view->format = format;
    view->rows = header.rows;
    view->width = header.width;
    view->values = values;
    view->blocks = blocks(header.width);
    view->scales =
        format == APUS_FORMAT_INT8 ? (const float *)(const void *)(values + value_bytes(format, header.rows, header.width)) : NULL;
    return 1;
}

apus_result apus_table_check(const void *table, size_t bytes, int64_t *rows, int64_t *width) {
    apus_table_view view;
    if (bytes < APUS_TABLE_HEADER_BYTES || !apus_table_read(table, &view)) return APUS_BAD_BLOB;
    if (bytes < apus_table_bytes(view.format, view.rows, view.width)) return APUS_BAD_BLOB;
    if (rows) *rows = view.rows;
    if (width) *width = view.width;
    return APUS_OK;
}

/// Rounds to the nearest bf16, ties to even; a NaN stays one.
static uint16_t bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

apus_result apus_table_pack_rows(void *table, int64_t first_row, int64_t rows, const float *values) {
    apus_table_view view;
    if (!apus_table_read(table, &view)) return APUS_BAD_BLOB;
    if (first_row < 0 || rows < 0 || first_row > view.rows || rows > view.rows - first_row) return APUS_BAD_ARGUMENT;
    for (int64_t i = 0; i < rows * view.width; i++)
        if (!(fabsf(values[i]) <= FLT_MAX)) return APUS_BAD_ARGUMENT;
    char *to = (char *)table + APUS_TABLE_HEADER_BYTES;
    int64_t width = view.width, at = first_row * width;
    switch (view.format) {
    case APUS_FORMAT_FP32: memcpy((float *)(void *)to + at, values, (size_t)(rows * width) * sizeof(float)); break;
    case APUS_FORMAT_BF16:
        for (int64_t i = 0; i < rows * width; i++) ((uint16_t *)(void *)to)[at + i] = bf16(values[i]);
        break;
    case APUS_FORMAT_INT8: {
        float *scales = (float *)(void *)(to + value_bytes(view.format, view.rows, width));
        int8_t *integers = (int8_t *)to;
        for (int64_t row = first_row; row < first_row + rows; row++, values += width)
            for (int64_t first = 0; first < width; first += APUS_TABLE_BLOCK) {
                int64_t count = width - first < APUS_TABLE_BLOCK ? width - first : APUS_TABLE_BLOCK;
                float scale = apus_best_scale(values + first, count);
                scales[row * view.blocks + first / APUS_TABLE_BLOCK] = scale;
                for (int64_t i = 0; i < count; i++) integers[row * width + first + i] = apus_quantised(values[first + i], scale);
            }
        break;
    }
    }
    return APUS_OK;
}
