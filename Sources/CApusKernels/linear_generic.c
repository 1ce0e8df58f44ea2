// Linear layers in plain C: for CPUs without any of the other files' instructions, and the yardstick for those.

#include "linear_internal.h"

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#include "simd_math.h"
#include "linear_lanes.h"

static void tile_fp32(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, void *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride) {
        float *out = (float *)sums + r * APUS_PANEL;
        const float *x = (const float *)rows, *w = (const float *)panel;
        memset(out, 0, APUS_PANEL * sizeof(float));
        for (int64_t g = 0; g < groups; g++, w += APUS_PANEL)
            for (int c = 0; c < APUS_PANEL; c++) out[c] += x[g] * w[c];
    }
}

static float widened(uint16_t bits) {
    union {
        uint32_t bits;
        float value;
    } wide = {(uint32_t)bits << 16};
    return wide.value;
}

static void tile_bf16(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, void *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride) {
        float *out = (float *)sums + r * APUS_PANEL;
        const uint16_t *x = (const uint16_t *)rows, *w = (const uint16_t *)panel;
        memset(out, 0, APUS_PANEL * sizeof(float));
        for (int64_t g = 0; g < groups; g++, w += 2 * APUS_PANEL) {
            float first = widened(x[2 * g]), second = widened(x[2 * g + 1]);
            for (int c = 0; c < APUS_PANEL; c++) out[c] += first * widened(w[2 * c]) + second * widened(w[2 * c + 1]);
        }
    }
}

static void tile_int8(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, void *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride) {
        int32_t *out = (int32_t *)sums + r * APUS_PANEL;
        const int8_t *w = (const int8_t *)panel;
        memset(out, 0, APUS_PANEL * sizeof(int32_t));
        for (int64_t g = 0; g < groups; g++, w += 4 * APUS_PANEL)
            for (int c = 0; c < APUS_PANEL; c++)
                for (int i = 0; i < 4; i++) out[c] += rows[4 * g + i] * w[4 * c + i];
    }
}

apus_linear_kernel apus_linear_generic(apus_format format) {
    switch (format) {
    case APUS_FORMAT_FP32: return (apus_linear_kernel){tile_fp32, finish_floats_x4, NULL};
    case APUS_FORMAT_BF16: return (apus_linear_kernel){tile_bf16, finish_floats_x4, pack_bf16_x4};
    case APUS_FORMAT_INT8: return (apus_linear_kernel){tile_int8, finish_int8_x4, pack_int8_x4};
    }
    return (apus_linear_kernel){0};
}
