// Linear layers with NEON of ARMv8.0: tiles of up to 6 rows by 64 channels, 16 channels at a time.

#include "linear_internal.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#include "simd_math.h"
#include "linear_lanes.h"

static void tile_fp32(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    for (int64_t r = 0; r < count; r++, rows += stride)
        for (int part = 0; part < APUS_PANEL; part += 32) {
            const float *x = (const float *)rows, *w = (const float *)panel + part;
            float32x4_t sum[8];
            for (int c = 0; c < 8; c++) sum[c] = vdupq_n_f32(0);
            for (int64_t g = 0; g < groups; g++, w += APUS_PANEL)
                for (int c = 0; c < 8; c++) sum[c] = vfmaq_n_f32(sum[c], vld1q_f32(w + 4 * c), x[g]);
            for (int c = 0; c < 8; c++) vst1q_f32(sums + r * APUS_PANEL + part + 4 * c, sum[c]);
        }
}

static void tile_bf16(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    const uint32x4_t high = vdupq_n_u32(0xffff0000);
    for (int64_t r = 0; r < count; r++, rows += stride)
        for (int part = 0; part < APUS_PANEL; part += 32) {
            const uint32_t *x = (const uint32_t *)rows, *w = (const uint32_t *)panel + part;
            float32x4_t sum[8];
            for (int c = 0; c < 8; c++) sum[c] = vdupq_n_f32(0);
            for (int64_t g = 0; g < groups; g++, w += APUS_PANEL) {
                float32x4_t first = vreinterpretq_f32_u32(vdupq_n_u32(x[g] << 16));
                float32x4_t second = vreinterpretq_f32_u32(vdupq_n_u32(x[g] & 0xffff0000));
                for (int c = 0; c < 8; c++) {
                    uint32x4_t pair = vld1q_u32(w + 4 * c);
                    sum[c] = vfmaq_f32(sum[c], first, vreinterpretq_f32_u32(vshlq_n_u32(pair, 16)));
                    sum[c] = vfmaq_f32(sum[c], second, vreinterpretq_f32_u32(vandq_u32(pair, high)));
                }
            }
            for (int c = 0; c < 8; c++) vst1q_f32(sums + r * APUS_PANEL + part + 4 * c, sum[c]);
        }
}

/// Products in 16 × 16 → 32 bits: nothing saturates. Widened weights are signed again, so that sums begin with 0.
static void tile_int8(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {
    const float *channel_scales = (const float *)(panel + 256 * groups);
    const int64_t blocks = apus_row_blocks(groups);
    const int16x8_t zero = vdupq_n_s16(APUS_WEIGHT_ZERO);
    for (int64_t r = 0; r < count; r++, rows += stride) {
        const float *row_scales = (const float *)(rows + 4 * groups);
        for (int part = 0; part < APUS_PANEL; part += 16) {
            float32x4_t total[4];
            for (int c = 0; c < 4; c++) total[c] = vdupq_n_f32(0);
            for (int64_t block = 0; block < blocks; block++) {
                int32x4_t sum[8];
                for (int c = 0; c < 8; c++) sum[c] = vdupq_n_s32(0);
                for (int64_t g = block * (APUS_BLOCK / 4); g < (block + 1) * (APUS_BLOCK / 4); g++) {
                    uint32_t four = ((const uint32_t *)rows)[g];
                    int16x8_t x = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
                    const uint8_t *w = panel + (g * APUS_PANEL + part) * 4;
                    for (int c = 0; c < 8; c++) {
                        int16x8_t wide = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(w + 8 * c))), zero);
                        int32x4_t low = vmull_s16(vget_low_s16(wide), vget_low_s16(x));
                        int32x4_t high = vmull_s16(vget_high_s16(wide), vget_high_s16(x));
                        sum[c] = vaddq_s32(sum[c], vpaddq_s32(low, high));
                    }
                }
                const float *scales = channel_scales + APUS_PANEL * block + part;
                for (int c = 0; c < 4; c++) {
                    float32x4_t products = vcvtq_f32_s32(vpaddq_s32(sum[2 * c], sum[2 * c + 1]));
                    total[c] = vfmaq_f32(total[c], products, vmulq_n_f32(vld1q_f32(scales + 4 * c), row_scales[block * APUS_BLOCK / APUS_MIX]));
                }
            }
            for (int c = 0; c < 4; c++) vst1q_f32(sums + r * APUS_PANEL + part + 4 * c, total[c]);
        }
    }
}

apus_linear_kernel apus_linear_neon(apus_format format, uint32_t features) {
    if (features & APUS_CPU_NEON) switch (format) {
        case APUS_FORMAT_FP32: return (apus_linear_kernel){tile_fp32, finish_floats_x4, NULL};
        case APUS_FORMAT_BF16: return (apus_linear_kernel){tile_bf16, finish_floats_x4, pack_bf16_x4};
        case APUS_FORMAT_INT8: return (apus_linear_kernel){tile_int8, finish_floats_x4, pack_int8_x4};
        }
    return (apus_linear_kernel){0};
}

#else

apus_linear_kernel apus_linear_neon(apus_format format, uint32_t features) {
    (void)format, (void)features;
    return (apus_linear_kernel){0};
}

#endif
