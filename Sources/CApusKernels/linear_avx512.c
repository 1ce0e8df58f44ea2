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
                                                                             const uint8_t *panel, int64_t groups, float *sums) {         \
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
            _Pragma("clang loop unroll(full)") for (int c = 0; c < 4; c++) store(sums + 64 * r + 16 * c, sum[r][c]);                       \
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

/// Half a panel at a time: 12 sums of integers, which begin anew with every block, and 12 of floats, which do with every group, fill 24
/// registers; the results lie in the first-level cache.
WITH_VNNI static inline __attribute__((always_inline)) void tile_int8_rows(const int count, const uint8_t *rows, size_t stride,
                                                                           const uint8_t *panel, int64_t groups, float *sums) {
    const int64_t blocks = apus_row_blocks(groups), in_group = APUS_MIX / APUS_BLOCK;
    const float *row_scales = (const float *)(rows + 4 * groups), *channel_scales = (const float *)(panel + 256 * groups);
    const int32_t *starts = (const int32_t *)(row_scales + apus_row_scales(blocks));
    const size_t parameters = stride / sizeof(float);
    for (int half = 0; half < 2; half++) {
        const uint8_t *x = rows, *w = panel + 128 * half;
        const float *scales = channel_scales + 32 * half;
        for (int64_t group = 0, block = 0; block < blocks; group++) {
            __m512 part[APUS_TILE_ROWS][2];
            _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) part[r][0] = part[r][1] = _mm512_setzero_ps();
            for (int64_t end = block + in_group < blocks ? block + in_group : blocks; block < end; block++, scales += APUS_PANEL) {
                __m512i sum[APUS_TILE_ROWS][2];
                _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++)
                    sum[r][0] = sum[r][1] = _mm512_set1_epi32(starts[(size_t)r * parameters + (size_t)block]);
                _Pragma("clang loop unroll_count(4)") for (int g = 0; g < APUS_BLOCK; g += 4, w += 256, x += 4) {
                    __m512i first = _mm512_loadu_si512(w), second = _mm512_loadu_si512(w + 64);
                    __builtin_prefetch(w + 4096);
                    __builtin_prefetch(w + 4096 + 64);
                    _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {
                        __m512i four = _mm512_set1_epi32(*(const int32_t *)(x + (size_t)r * stride));
                        sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], first, four);
                        sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], second, four);
                    }
                }
                __m512 first = _mm512_loadu_ps(scales), second = _mm512_loadu_ps(scales + 16);
                _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {
                    part[r][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r][0]), first, part[r][0]);
                    part[r][1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r][1]), second, part[r][1]);
                }
            }
            _Pragma("clang loop unroll(full)") for (int r = 0; r < count; r++) {
                __m512 scale = _mm512_set1_ps(row_scales[(size_t)r * parameters + (size_t)group]);
                float *to = sums + APUS_PANEL * r + 32 * half;
                __m512 first = group ? _mm512_load_ps(to) : _mm512_setzero_ps(), second = group ? _mm512_load_ps(to + 16) : _mm512_setzero_ps();
                _mm512_store_ps(to, _mm512_fmadd_ps(part[r][0], scale, first));
                _mm512_store_ps(to + 16, _mm512_fmadd_ps(part[r][1], scale, second));
            }
        }
    }
}
CHOOSE_ROWS(tile_int8, WITH_VNNI)

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

WITH_BF16 static void pack_native_bf16(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride) {
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

/// Quantises a mixed group.
TARGET static inline __attribute__((always_inline)) void quantise_group(const vector_x16 v[8], uint8_t *out, float *scale, int32_t *starts) {
    __m512 sizes[4];
    for (int b = 0; b < 4; b++) sizes[b] = _mm512_max_ps(_mm512_abs_ps((__m512)v[2 * b]), _mm512_abs_ps((__m512)v[2 * b + 1]));
    __m512 largest = _mm512_max_ps(_mm512_max_ps(sizes[0], sizes[1]), _mm512_max_ps(sizes[2], sizes[3]));
    __m512 by = _mm512_set1_ps(inverse_scale_x16(_mm512_reduce_max_ps(largest), scale));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i sums[4];
    _Pragma("clang loop unroll(full)") for (int b = 0; b < 4; b += 2) {
        __m512i q[4];
        _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) q[i] = _mm512_cvtps_epi32(_mm512_mul_ps((__m512)v[2 * b + i], by));
        __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
        _mm512_storeu_si512(out + APUS_BLOCK * b, _mm512_permutexvar_epi32(order, bytes));
        sums[b] = _mm512_add_epi32(q[0], q[1]);
        sums[b + 1] = _mm512_add_epi32(q[2], q[3]);
    }
    // The four are added up together: by 4-byte lanes of two, by pairs of those, then across the quarters of the register.
    __m512i low = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[0], sums[1]), _mm512_unpackhi_epi32(sums[0], sums[1]));
    __m512i high = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[2], sums[3]), _mm512_unpackhi_epi32(sums[2], sums[3]));
    __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128((__m128i *)starts, _mm_mullo_epi32(sum, _mm_set1_epi32(-APUS_WEIGHT_ZERO)));
}

TARGET static void pack_wide_int8(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride) {
    const int64_t blocks = (k - 1) / APUS_BLOCK + 1, whole = k - k % APUS_MIX;
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        float *scales = (float *)(data + blocks * APUS_BLOCK);
        int32_t *starts = (int32_t *)(scales + apus_row_scales(blocks));
        for (int64_t i = 0; i < whole; i += APUS_MIX) {
            vector_x16 v[8];
            _Pragma("clang loop unroll(full)") for (int j = 0; j < 8; j++) v[j] = *(const vector_x16 *)(x + i + 16 * j);
            mix_x16(v);
            quantise_group(v, data + i, scales + i / APUS_MIX, starts + i / APUS_BLOCK);
        }
        if (whole < k) quantise_inputs_x16(x + whole, k - whole, data + whole, scales + whole / APUS_MIX, starts + whole / APUS_BLOCK);
    }
}
_Static_assert(APUS_MIX == 8 * 16 && APUS_BLOCK == 2 * 16, "a group is eight vectors and a block two");

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
        __m512 bias = _mm512_load_ps(f->bias + c);
        __mmask16 inside = lanes(f->columns - c);
        for (int64_t r = 0; r < f->rows; r++) {
            __m512 v = _mm512_add_ps(_mm512_load_ps(f->sums + r * APUS_PANEL + c), bias);
            _mm512_mask_storeu_ps(f->y + r * f->ldy + c, inside, is_gelu ? gelu_by_table(v) : v);
        }
    }
}

TARGET static void finish_wide_int8(const apus_finish *f) {
    switch (f->activation) {
    case APUS_ACT_NONE: return finish_channels(f, 0);
    case APUS_ACT_GELU: return finish_channels(f, 1);
    default: return finish_floats_x16(f);
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
