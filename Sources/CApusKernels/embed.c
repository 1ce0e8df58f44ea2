#include "norm.h"
#include "table.h"

#include <string.h>

/// Rows that are summed and then normalised while they are in the first-level cache.
#define ROWS 8

#define ROWS_TEMPLATE "embed_lanes.h"
#include "every_width.h"

typedef void (*adder)(const apus_table_view *, int64_t, int, float *);

static adder adder_for_features(void) {
#if defined(__x86_64__)
    uint32_t features = apus_cpu_features();
    if (features & APUS_CPU_AVX512) return add_row_x16;
    if (features & APUS_CPU_AVX2) return add_row_x8;
#endif
    return add_row_x4;
}

/// Asks for a row that is needed soon: words come from anywhere in a table of many megabytes.
static void prefetch(const apus_table_view *table, int64_t row) {
    int64_t bytes = table->width * (table->format == APUS_FORMAT_FP32 ? 4 : table->format == APUS_FORMAT_BF16 ? 2 : 1);
    const char *at = (const char *)table->values + row * bytes;
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

static int ids_are_within(const int32_t *ids, int64_t t, int64_t rows) {
    int32_t lowest = 0, highest = 0;
    for (int64_t i = 0; i < t; i++) {
        lowest = ids[i] < lowest ? ids[i] : lowest;
        highest = ids[i] > highest ? ids[i] : highest;
    }
    return lowest >= 0 && highest < rows;
}

apus_result apus_embed(const void *words, const void *positions, const void *types, const float *gamma, const float *beta, float epsilon,
                       const int32_t *ids, const int32_t *position_ids, const int32_t *type_ids, int64_t t, float *y) {
    apus_table_view word, position, type;
    if (!apus_table_read(words, &word) || !apus_table_read(positions, &position)) return APUS_BAD_BLOB;
    if (types && !apus_table_read(types, &type)) return APUS_BAD_BLOB;
    int64_t width = word.width;
    if (t < 0 || position.width != width || !types != !type_ids || (types && type.width != width)) return APUS_BAD_ARGUMENT;
    if (!ids_are_within(ids, t, word.rows) || !ids_are_within(position_ids, t, position.rows)) return APUS_BAD_ARGUMENT;
    if (type_ids && !ids_are_within(type_ids, t, type.rows)) return APUS_BAD_ARGUMENT;
    adder add_row = adder_for_features();
    for (int64_t first = 0; first < t; first += ROWS) {
        int64_t rows = t - first < ROWS ? t - first : ROWS;
        for (int64_t i = first + rows; i < t && i < first + rows + ROWS; i++) prefetch(&word, ids[i]);
        for (int64_t i = first; i < first + rows; i++) {
            add_row(&word, ids[i], 0, y + i * width);
            add_row(&position, position_ids[i], 1, y + i * width);
            if (type_ids) add_row(&type, type_ids[i], 1, y + i * width);
        }
        apus_norm_rows(y + first * width, NULL, gamma, beta, epsilon, rows, width, y + first * width);
    }
    return APUS_OK;
}
