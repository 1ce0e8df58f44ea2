#include "attention.h"

#include <math.h>

/// Columns that are summed at a time: they stay in registers over the rows of a sequence.
#define COLUMNS 16

enum { MEAN = 0, FIRST = 1, LAST = 2, MAXIMUM = 3, MEAN_SQRT_LENGTH = 4, WEIGHTED_MEAN = 5 };

/// Sums `width` columns, at most COLUMNS, over the rows, each times `first + row * step`; `factor` scales the sum.
static inline __attribute__((always_inline)) void sum_columns(const float *x, int64_t h, int64_t rows, int64_t width, float first,
                                                              float step, float factor, float *y) {
    float sums[COLUMNS] = {0};
    float weight = first;
    for (int64_t row = 0; row < rows; row++, x += h, weight += step)
        for (int64_t i = 0; i < width; i++) sums[i] += x[i] * weight;
    for (int64_t i = 0; i < width; i++) y[i] = sums[i] * factor;
}

static void sum(const float *x, int64_t h, int64_t rows, float first, float step, float factor, float *y) {
    int64_t column = 0;
    for (; h - column >= COLUMNS; column += COLUMNS) sum_columns(x + column, h, rows, COLUMNS, first, step, factor, y + column);
    if (column < h) sum_columns(x + column, h, rows, h - column, first, step, factor, y + column);
}

static void maximum(const float *x, int64_t h, int64_t rows, float *y) {
    for (int64_t i = 0; i < h; i++) y[i] = x[i];
    for (int64_t row = 1; row < rows; row++)
        for (int64_t i = 0; i < h; i++) y[i] = x[row * h + i] > y[i] ? x[row * h + i] : y[i];
}

static void copy(const float *x, int64_t h, float *y) {
    for (int64_t i = 0; i < h; i++) y[i] = x[i];
}

apus_result apus_pool(int mode, const float *x, int64_t h, const int32_t *starts, int64_t count, float *y) {
    int64_t longest;
    if (mode < MEAN || mode > WEIGHTED_MEAN || h < 1 || !apus_starts_are_valid(starts, count, &longest)) return APUS_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if (starts[i + 1] == starts[i]) return APUS_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++, y += h) {
        const float *rows = x + starts[i] * h;
        int64_t length = (int64_t)starts[i + 1] - starts[i];
        float n = (float)length;
        switch (mode) {
        case MEAN: sum(rows, h, length, 1, 0, 1 / n, y); break;
        case FIRST: copy(rows, h, y); break;
        case LAST: copy(rows + (length - 1) * h, h, y); break;
        case MAXIMUM: maximum(rows, h, length, y); break;
        case MEAN_SQRT_LENGTH: sum(rows, h, length, 1, 0, 1 / sqrtf(n), y); break;
        default: sum(rows, h, length, 1, 1, 2 / (n * (n + 1)), y); break;
        }
    }
    return APUS_OK;
}
