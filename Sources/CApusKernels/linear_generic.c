// Linear layers in plain C: for CPUs without any of the other files' instructions, and the yardstick for those.

#include "linear_internal.h"

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#include "simd_math.h"
#include "linear_lanes.h"

static void tile_fp32(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride) {
        float *out = sums + r * APUS_PANEL;
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

static void tile_bf16(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride) {
        float *out = sums + r * APUS_PANEL;
        const uint16_t *x = (const uint16_t *)rows, *w = (const uint16_t *)panel;
        memset(out, 0, APUS_PANEL * sizeof(float));
        for (int64_t g = 0; g < groups; g++, w += 2 * APUS_PANEL) {
            float first = widened(x[2 * g]), second = widened(x[2 * g + 1]);
            for (int c = 0; c < APUS_PANEL; c++) out[c] += first * widened(w[2 * c]) + second * widened(w[2 * c + 1]);
        }
    }
}

static void tile_int8(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    const float *channel_scales = (const float *)(panel + 256 * groups);
    const int64_t blocks = apus_row_blocks(groups);
    for (int64_t r = 0; r < count; r++, rows += stride) {
        float *out = sums + r * APUS_PANEL;
        const float *row_scales = (const float *)(rows + 4 * groups);
        const int32_t *starts = (const int32_t *)(row_scales + apus_row_scales(blocks));
        memset(out, 0, APUS_PANEL * sizeof(float));
        for (int64_t block = 0; block < blocks; block++) {
            int32_t sum[APUS_PANEL];
            for (int c = 0; c < APUS_PANEL; c++) sum[c] = starts[block];
            for (int64_t g = block * (APUS_BLOCK / 4); g < (block + 1) * (APUS_BLOCK / 4); g++)
                for (int c = 0; c < APUS_PANEL; c++)
                    for (int i = 0; i < 4; i++) sum[c] += panel[256 * g + 4 * c + i] * (int8_t)rows[4 * g + i];
            const float *scales = channel_scales + APUS_PANEL * block;
            for (int c = 0; c < APUS_PANEL; c++) out[c] += (float)sum[c] * (scales[c] * row_scales[block * APUS_BLOCK / APUS_MIX]);
        }
    }
}

apus_linear_kernel apus_linear_generic(apus_format format) {
    switch (format) {
    case APUS_FORMAT_FP32: return (apus_linear_kernel){tile_fp32, finish_floats_x4, NULL};
    case APUS_FORMAT_BF16: return (apus_linear_kernel){tile_bf16, finish_floats_x4, pack_bf16_x4};
    case APUS_FORMAT_INT8: return (apus_linear_kernel){tile_int8, finish_floats_x4, pack_int8_x4};
    }
    return (apus_linear_kernel){0};
}
