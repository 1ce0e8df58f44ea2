// Linear layers with AVX2: tiles of up to 6 rows by 64 channels, 16 channels at a time.

#include "linear_internal.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 8
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define NAME(f) f##_x8
#include "simd_math.h"
#include "linear_lanes.h"

#define WITH_VNNI __attribute__((target("avx2,fma,f16c,avxvnni")))

/// Defines `name`: 16 channels of a constant number of rows at a time, whose 12 sums stay in registers; one chain of sums per result, the
/// same for every number of rows. `prepare` splits a vector of weights, `step` adds its products with a row.
#define TILE(name, attributes, vector, zero, weights, prepare, step, store)                                                               \
    attributes static inline __attribute__((always_inline)) void name##_rows(const int count, const uint8_t *rows, size_t stride,         \
                                                                             const uint8_t *panel, int64_t groups, float *sums) {         \
        for (int part = 0; part < 256; part += 64) {                                                                                       \
            vector sum[APUS_TILE_ROWS][2];                                                                                                 \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++)                                                             \
                _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) sum[r][c] = zero();                                         \
            for (int64_t g = 0; g < groups; g++) {                                                                                         \
                weights w[2];                                                                                                              \
                _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) w[c] = prepare(panel + 256 * g + part + 32 * c);            \
                _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {                                                       \
                    const uint8_t *x = rows + (size_t)r * stride + 4 * g;                                                                  \
                    _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) sum[r][c] = step(sum[r][c], x, w[c]);                   \
                }                                                                                                                          \
            }                                                                                                                              \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++)                                                             \
                _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) store(sums + 64 * r + part / 4 + 8 * c, sum[r][c]);         \
        }                                                                                                                                  \
    }                                                                                                                                      \
    CHOOSE_ROWS(name, attributes)

/// Defines `name`, which calls `name`_rows with a constant number of rows.
#define CHOOSE_ROWS(name, attributes)                                                                                                      \
    attributes static void name(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, float *sums) {    \
        switch (count) {                                                                                                                   \
        case 1: return name##_rows(1, rows, stride, panel, groups, sums);                                                                  \
        case 2: return name##_rows(2, rows, stride, panel, groups, sums);                                                                  \
        case 3: return name##_rows(3, rows, stride, panel, groups, sums);                                                                  \
        case 4: return name##_rows(4, rows, stride, panel, groups, sums);                                                                  \
        case 5: return name##_rows(5, rows, stride, panel, groups, sums);                                                                  \
        case 6: return name##_rows(6, rows, stride, panel, groups, sums);                                                                  \
        }                                                                                                                                  \
    }

#define INLINE static inline __attribute__((always_inline))

TARGET INLINE __m256 load_floats(const uint8_t *from) { return _mm256_loadu_ps((const float *)from); }
TARGET INLINE __m256 step_floats(__m256 sum, const uint8_t *x, __m256 w) {
    return _mm256_fmadd_ps(_mm256_broadcast_ss((const float *)x), w, sum);
}
TARGET INLINE void store_floats(float *to, __m256 v) { _mm256_storeu_ps(to, v); }
TILE(tile_fp32, TARGET, __m256, _mm256_setzero_ps, __m256, load_floats, step_floats, store_floats)

/// Without instructions for bf16: both halves of every pair widened to fp32.
typedef struct {
    __m256 first, second;
} pairs;
TARGET INLINE pairs load_bf16(const uint8_t *from) {
    __m256i w = _mm256_loadu_si256((const __m256i *)from);
    return (pairs){_mm256_castsi256_ps(_mm256_slli_epi32(w, 16)),
                   _mm256_castsi256_ps(_mm256_and_si256(w, _mm256_set1_epi32((int)0xffff0000)))};
}
TARGET INLINE __m256 step_bf16(__m256 sum, const uint8_t *x, pairs w) {
    uint32_t pair = *(const uint32_t *)x;
    sum = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_set1_epi32((int)(pair << 16))), w.first, sum);
    return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_set1_epi32((int)(pair & 0xffff0000))), w.second, sum);
}
TILE(tile_bf16, TARGET, __m256, _mm256_setzero_ps, pairs, load_bf16, step_bf16, store_floats)

/// Like TILE for int8: sums of integers begin anew with every block, those of floats lie in the first-level cache.
#define BLOCK_TILE(name, attributes, weights, prepare, step)                                                                              \
    attributes static inline __attribute__((always_inline)) void name##_rows(const int count, const uint8_t *rows, size_t stride,         \
                                                                             const uint8_t *panel, int64_t groups, float *sums) {         \
        const int64_t blocks = apus_row_blocks(groups);                                                                                    \
        const float *row_scales = (const float *)(rows + 4 * groups), *channel_scales = (const float *)(panel + 256 * groups);            \
        const size_t parameters = stride / sizeof(float);                                                                                  \
        for (int part = 0; part < 256; part += 64) {                                                                                       \
            float *to = sums + part / 4;                                                                                                   \
            for (int64_t block = 0; block < blocks; block++) {                                                                             \
                __m256i sum[APUS_TILE_ROWS][2];                                                                                            \
                _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {                                                       \
                    const int32_t *start = (const int32_t *)(row_scales + apus_row_scales(blocks) + block) + (size_t)r * parameters;       \
                    sum[r][0] = sum[r][1] = _mm256_set1_epi32(*start);                                                                     \
                }                                                                                                                          \
                for (int64_t g = block * (APUS_BLOCK / 4); g < (block + 1) * (APUS_BLOCK / 4); g++) {                                      \
                    weights w[2];                                                                                                          \
                    _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) w[c] = prepare(panel + 256 * g + part + 32 * c);        \
                    _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {                                                   \
                        const uint8_t *x = rows + (size_t)r * stride + 4 * g;                                                              \
                        _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) sum[r][c] = step(sum[r][c], x, w[c]);               \
                    }                                                                                                                      \
                }                                                                                                                          \
                const float *of_channels = channel_scales + APUS_PANEL * block + part / 4;                                                 \
                _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {                                                       \
                    __m256 scale = _mm256_set1_ps(row_scales[(size_t)r * parameters + (size_t)(block * APUS_BLOCK / APUS_MIX)]);           \
                    _Pragma("clang loop unroll(full)") for (int c = 0; c < 2; c++) {                                                       \
                        float *total = to + APUS_PANEL * r + 8 * c;                                                                        \
                        __m256 before = block == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(total);                                         \
                        __m256 of_both = _mm256_mul_ps(_mm256_loadu_ps(of_channels + 8 * c), scale);                                       \
                        _mm256_storeu_ps(total, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[r][c]), of_both, before));                          \
                    }                                                                                                                      \
                }                                                                                                                          \
            }                                                                                                                              \
        }                                                                                                                                  \
    }                                                                                                                                      \
    CHOOSE_ROWS(name, attributes)

/// Even and odd bytes widened to 16 bits: vpmaddwd is exact where vpmaddubsw would saturate.
typedef struct {
    __m256i even, odd;
} widened;
TARGET INLINE widened load_int8(const uint8_t *from) {
    __m256i w = _mm256_loadu_si256((const __m256i *)from);
    return (widened){_mm256_and_si256(w, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(w, 8)};
}
TARGET INLINE __m256i step_int8(__m256i sum, const uint8_t *x, widened w) {
    __m256i four = _mm256_set1_epi32(*(const int32_t *)x);
    __m256i even = _mm256_madd_epi16(_mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8), w.even);
    __m256i odd = _mm256_madd_epi16(_mm256_srai_epi16(four, 8), w.odd);
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
BLOCK_TILE(tile_int8, TARGET, widened, load_int8, step_int8)

TARGET INLINE __m256i load_bytes(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
WITH_VNNI INLINE __m256i step_vnni(__m256i sum, const uint8_t *x, __m256i w) {
    return _mm256_dpbusd_avx_epi32(sum, w, _mm256_set1_epi32(*(const int32_t *)x));
}
BLOCK_TILE(tile_vnni, WITH_VNNI, __m256i, load_bytes, step_vnni)

apus_linear_kernel apus_linear_avx2(apus_format format, uint32_t features) {
    if (features & APUS_CPU_AVX2) switch (format) {
        case APUS_FORMAT_FP32: return (apus_linear_kernel){tile_fp32, finish_floats_x8, NULL};
        case APUS_FORMAT_BF16: return (apus_linear_kernel){tile_bf16, finish_floats_x8, pack_bf16_x8};
        case APUS_FORMAT_INT8:
            return (apus_linear_kernel){features & APUS_CPU_AVX_VNNI ? tile_vnni : tile_int8, finish_floats_x8, pack_int8_x8};
        }
    return (apus_linear_kernel){0};
}

#else

apus_linear_kernel apus_linear_avx2(apus_format format, uint32_t features) {
    (void)format, (void)features;
    return (apus_linear_kernel){0};
}

#endif
