// Linear layers with AVX-512: tiles of up to 6 rows by 64 channels whose 24 sums stay in registers.

#include "linear_internal.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define NAME(f) f##_x16
#include "simd_math.h"
#include "linear_lanes.h"

#define WITH_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))
#define WITH_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))

/// Defines `name`_rows, the products of a constant number of rows, and `name`, which chooses it. One chain of sums per result, the same for
/// every number of rows. Lines of the panels, which follow each other in memory, are fetched 4 KiB ahead: 200 cycles, the way to the L3 cache.
#define TILE(name, attributes, vector, zero, load_panel, load_row, multiply_add, store)                                                   \
    attributes static inline __attribute__((always_inline)) void name##_rows(const int count, const uint8_t *rows, size_t stride,         \
                                                                             const uint8_t *panel, int64_t groups, uint8_t *sums) {       \
        vector sum[APUS_TILE_ROWS][4];                                                                                                     \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++)                                                                 \
            _Pragma("clang loop unroll(full)") for (int c = 0; c < 4; c++) sum[r][c] = zero();                                             \
        for (int64_t g = 0; g < groups; g++, panel += 256, rows += 4) {                                                                    \
            vector w[4];                                                                                                                   \
            _Pragma("clang loop unroll(full)") for (int c = 0; c < 4; c++) {                                                               \
                w[c] = load_panel(panel + 64 * c);                                                                                         \
                __builtin_prefetch(panel + 64 * c + 4096);                                                                                 \
            }                                                                                                                              \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {                                                           \
                vector x = load_row(rows + (size_t)r * stride);                                                                            \
                _Pragma("clang loop unroll(full)") for (int c = 0; c < 4; c++) sum[r][c] = multiply_add(sum[r][c], x, w[c]);               \
            }                                                                                                                              \
        }                                                                                                                                  \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++)                                                                 \
            _Pragma("clang loop unroll(full)") for (int c = 0; c < 4; c++) store(sums + 256 * r + 64 * c, sum[r][c]);                      \
    }                                                                                                                                      \
    attributes static void name(const uint8_t *rows, size_t stride, int64_t count, const uint8_t *panel, int64_t groups, void *sums) {     \
        switch (count) {                                                                                                                   \
        case 1: return name##_rows(1, rows, stride, panel, groups, sums);                                                                  \
        case 2: return name##_rows(2, rows, stride, panel, groups, sums);                                                                  \
        case 3: return name##_rows(3, rows, stride, panel, groups, sums);                                                                  \
        case 4: return name##_rows(4, rows, stride, panel, groups, sums);                                                                  \
        case 5: return name##_rows(5, rows, stride, panel, groups, sums);                                                                  \
        case 6: return name##_rows(6, rows, stride, panel, groups, sums);                                                                  \
        }                                                                                                                                  \
    }

#define LOAD_INT(address) _mm512_loadu_si512(address)
#define ROW_INT(address) _mm512_set1_epi32(*(const int32_t *)(address))
#define STORE_INT(address, v) _mm512_store_si512(address, v)
TILE(tile_int8, WITH_VNNI, __m512i, _mm512_setzero_si512, LOAD_INT, ROW_INT, _mm512_dpbusd_epi32, STORE_INT)

#define LOAD_BF16(address) ((__m512bh)_mm512_loadu_si512(address))
#define ROW_BF16(address) ((__m512bh)_mm512_set1_epi32(*(const int32_t *)(address)))
#define STORE_FLOAT(address, v) _mm512_store_ps(address, v)
TILE(tile_bf16, WITH_BF16, __m512, _mm512_setzero_ps, LOAD_BF16, ROW_BF16, _mm512_dpbf16_ps, STORE_FLOAT)

#define LOAD_FLOAT(address) _mm512_loadu_ps(address)
#define ROW_FLOAT(address) _mm512_set1_ps(*(const float *)(address))
#define FMA(sum, x, w) _mm512_fmadd_ps(x, w, sum)
TILE(tile_fp32, TARGET, __m512, _mm512_setzero_ps, LOAD_FLOAT, ROW_FLOAT, FMA, STORE_FLOAT)

/// The first `count` lanes, count 0...16 (more: all).
static inline __mmask16 lanes(int64_t count) { return count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1); }

WITH_BF16 static void pack_native_bf16(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride, float *scales,
                                       float *zeros, float *mixed) {
    (void)scales, (void)zeros, (void)mixed;
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        int64_t i = 0;
        for (; i + 32 <= k; i += 32)
            _mm512_storeu_si512(data + 2 * i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
        for (; (size_t)i * 2 < stride; i += 16) {
            __m512 v = _mm512_maskz_loadu_ps(lanes(k > i ? k - i : 0), x + (k > i ? i : 0));
            _mm256_storeu_si256((__m256i *)(data + 2 * i), (__m256i)_mm512_cvtneps_pbh(v));
        }
    }
}

TARGET static void pack_wide_int8(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride, float *scales,
                                  float *zeros, float *mixed) {
    int64_t groups_end = k - k % APUS_MIX;
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        vector_x16 least, most;
        mix_groups_x16(x, k, mixed, &least, &most);
        for (int64_t i = groups_end; i < k; i += 16) {
            __mmask16 inside = lanes(k - i);
            __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(inside, x + i), _mm512_set1_ps(APUS_MIX_SIZE));
            _mm512_mask_storeu_ps(mixed + i, inside, v);
            least = (vector_x16)_mm512_min_ps(v, (__m512)least);
            most = (vector_x16)_mm512_max_ps(v, (__m512)most);
        }
        float inverse;
        range_x16(_mm512_reduce_min_ps((__m512)least), _mm512_reduce_max_ps((__m512)most), scales + r, &inverse, zeros + r);
        __m512 by = _mm512_set1_ps(inverse), zero = _mm512_set1_ps(zeros[r]);
        int64_t i = 0;
        for (; i + 16 <= k; i += 16) {
            __m512i q = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_loadu_ps(mixed + i), by, zero));
            _mm_storeu_si128((__m128i *)(data + i), _mm512_cvtusepi32_epi8(_mm512_max_epi32(q, _mm512_setzero_si512())));
        }
        for (; (size_t)i < stride; i += 16) {
            __mmask16 inside = lanes(k > i ? k - i : 0);
            __m512 v = _mm512_maskz_loadu_ps(inside, mixed + (k > i ? i : 0));
            __m512i q = _mm512_maskz_cvtps_epi32(inside, _mm512_fmadd_ps(v, by, zero));
            _mm_storeu_si128((__m128i *)(data + i), _mm512_cvtusepi32_epi8(_mm512_max_epi32(q, _mm512_setzero_si512())));
        }
    }
}

/// GELU(x) = x/2 + |x|/2 · erf(|x|/√2). Coefficients of the second term by power and by segment of |x|: cubics fitted at Chebyshev nodes
/// of sixteen segments around the multiples of 0.3, |x|/2 from 4.35 on. Absolute error 3e-5 (at ±4.35; 1e-5 below 4), far under what
/// quantisation to 8 bits leaves; a permutation looks sixteen of them up at once.
_Alignas(64) static const float gelu_cubics[4][16] = {
    {2.59936371e-07f, 0.000352008239f, 0.00428629434f, 0.00533551304f, -0.028883243f, -0.134525687f, -0.306076676f, -0.4825899f,
     -0.586939871f, -0.579830706f, -0.479452193f, -0.338339925f, -0.206514433f, -0.110093094f, -0.0516363233f, 0.0f},
    {-5.5517794e-05f, -0.00549612194f, -0.031894587f, -0.0380806439f, 0.0572072938f, 0.290615976f, 0.602951884f, 0.876157999f,
     1.01709807f, 1.0099355f, 0.904703915f, 0.770215511f, 0.655291378f, 0.577878416f, 0.534394085f, 0.5f},
    {0.400796115f, 0.429716855f, 0.489879161f, 0.500866652f, 0.412189275f, 0.239949077f, 0.0501382686f, -0.0909518301f, -0.154443473f,
     -0.152105644f, -0.11531692f, -0.0725758374f, -0.0391689353f, -0.0184463337f, -0.00766173191f, 0.0f},
    {-0.0198317897f, -0.0741066039f, -0.120631911f, -0.126776055f, -0.0991919562f, -0.056739796f, -0.0182374883f, 0.0060727247f,
     0.0156123154f, 0.015368307f, 0.0110793794f, 0.00654992135f, 0.00331194955f, 0.00146240497f, 0.000570646895f, 0.0f},
};

TARGET static inline __attribute__((always_inline)) __m512 gelu_by_table(__m512 x) {
    // Adding 1.5 · 2^23 rounds to an integer and leaves it in the low bits, of which the permutation takes four.
    const __m512 round = _mm512_set1_ps(12582912.0f), last = _mm512_set1_ps(12582927.0f);
    __m512 size = _mm512_abs_ps(x);
    __m512i segment = _mm512_castps_si512(_mm512_min_ps(_mm512_fmadd_ps(size, _mm512_set1_ps(3.33333333f), round), last));
    __m512 v = _mm512_permutexvar_ps(segment, _mm512_load_ps(gelu_cubics[3]));
    v = _mm512_fmadd_ps(v, size, _mm512_permutexvar_ps(segment, _mm512_load_ps(gelu_cubics[2])));
    v = _mm512_fmadd_ps(v, size, _mm512_permutexvar_ps(segment, _mm512_load_ps(gelu_cubics[1])));
    v = _mm512_fmadd_ps(v, size, _mm512_permutexvar_ps(segment, _mm512_load_ps(gelu_cubics[0])));
    return _mm512_fmadd_ps(x, _mm512_set1_ps(0.5f), v);
}

/// 16 channels of all rows at a time, so that what belongs to a channel stays in registers.
TARGET static inline __attribute__((always_inline)) void finish_channels(const apus_finish *f, const int is_gelu) {
    for (int64_t c = 0; c < f->columns; c += 16) {
        __m512 bias = _mm512_load_ps(f->bias + c), channel_scale = _mm512_loadu_ps(f->scales + c);
        __m512 column_sum = _mm512_loadu_ps(f->column_sums + c);
        __mmask16 inside = lanes(f->columns - c);
        for (int64_t r = 0; r < f->rows; r++) {
            __m512 v = _mm512_cvtepi32_ps(_mm512_load_si512((const int32_t *)f->sums + r * APUS_PANEL + c));
            v = _mm512_fnmadd_ps(_mm512_set1_ps(f->row_zeros[r]), column_sum, v);
            v = _mm512_fmadd_ps(v, _mm512_mul_ps(_mm512_set1_ps(f->row_scales[r]), channel_scale), bias);
            _mm512_mask_storeu_ps(f->y + r * f->ldy + c, inside, is_gelu ? gelu_by_table(v) : v);
        }
    }
}

TARGET static void finish_wide_int8(const apus_finish *f) {
    switch (f->activation) {
    case APUS_ACT_NONE: return finish_channels(f, 0);
    case APUS_ACT_GELU: return finish_channels(f, 1);
    default: return finish_int8_x16(f);
    }
}

apus_linear_kernel apus_linear_avx512(apus_format format, uint32_t features) {
    const apus_linear_kernel none = {0};
    if (!(features & APUS_CPU_AVX512)) return none;
    switch (format) {
    case APUS_FORMAT_FP32: return (apus_linear_kernel){tile_fp32, finish_floats_x16, NULL};
    case APUS_FORMAT_BF16:
        return features & APUS_CPU_BF16 ? (apus_linear_kernel){tile_bf16, finish_floats_x16, pack_native_bf16} : none;
    case APUS_FORMAT_INT8:
        return features & APUS_CPU_VNNI ? (apus_linear_kernel){tile_int8, finish_wide_int8, pack_wide_int8} : none;
    }
    return none;
}

#else

apus_linear_kernel apus_linear_avx512(apus_format format, uint32_t features) {
    (void)format, (void)features;
    return (apus_linear_kernel){0};
}

#endif
