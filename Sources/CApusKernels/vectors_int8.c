// Products of quantised queries with int8 rows: AVX-512 with VNNI, AVX2, and the compiler's vector types for everything else.

#include "vectors.h"

#define UNROLL _Pragma("clang loop unroll(full)")

typedef int32_t four_integers __attribute__((vector_size(16), aligned(4), may_alias));

/// Defines `name`_one and `name`_group from
///   load(row, part)            part 0 ..< PARTS of a unit of a row,
///   add(sum, x, query, part)   its products with the same part of a query, added to `sum`,
///   word                       the type that queries are read in.
/// LANES, PARTS, TILE_ROWS and `subtracts` (whether rows are read 128 too high) are constants of the including place.
#define SCAN(name, attributes, vector, word, load, add)                                                                                    \
    attributes static inline __attribute__((always_inline)) four_integers name##_sum4(vector a, vector b, vector c, vector d) {            \
        vector ab = SHUFFLE(a, b, 0, N + 0, 1, N + 1) + SHUFFLE(a, b, 2, N + 2, 3, N + 3);                                                 \
        vector cd = SHUFFLE(c, d, 0, N + 0, 1, N + 1) + SHUFFLE(c, d, 2, N + 2, 3, N + 3);                                                 \
        vector all = SHUFFLE(ab, cd, 0, 1, N + 0, N + 1) + SHUFFLE(ab, cd, 2, 3, N + 2, N + 3);                                            \
        return FOLD(all);                                                                                                                  \
    }                                                                                                                                      \
    attributes static inline __attribute__((always_inline)) void name##_tile(const int queries, const int count, const word *group,        \
                                                                             const int32_t *offsets, const uint8_t *const *rows,           \
                                                                             int64_t ahead, int64_t units, int32_t *sums) {                \
        vector sum[8][APUS_GROUP];                                                                                                         \
        UNROLL for (int r = 0; r < count; r++)                                                                                             \
            UNROLL for (int q = 0; q < queries; q++) sum[r][q] = (vector){0};                                                              \
        if (queries == 1)                                                                                                                  \
            UNROLL for (int r = 0; r < count; r++)                                                                                         \
                for (int64_t unit = 0; unit < units; unit++) {                                                                             \
                    if (ahead) __builtin_prefetch(rows[r + ahead] + unit * APUS_UNIT, 0, 3);                                               \
                    UNROLL for (int part = 0; part < PARTS; part++)                                                                        \
                        sum[r][0] = add(sum[r][0], load(rows[r] + unit * APUS_UNIT, part), group + unit * APUS_UNIT, part);                \
                }                                                                                                                          \
        else                                                                                                                               \
            for (int64_t unit = 0; unit < units; unit++, group += APUS_UNIT * queries)                                                     \
                UNROLL for (int part = 0; part < PARTS; part++)                                                                            \
                    UNROLL for (int r = 0; r < count; r++) {                                                                               \
                        vector x = load(rows[r] + unit * APUS_UNIT, part);                                                                 \
                        UNROLL for (int q = 0; q < queries; q++) sum[r][q] = add(sum[r][q], x, group + APUS_UNIT * q, part);               \
                    }                                                                                                                      \
        if (queries == 1)                                                                                                                  \
            UNROLL for (int r = 0; r < count; r += 4)                                                                                      \
                *(four_integers *)(sums + r) =                                                                                             \
                    name##_sum4(sum[r][0], sum[r + 1][0], sum[r + 2][0], sum[r + 3][0]) - SUBTRACTS * offsets[0];                          \
        else                                                                                                                               \
            UNROLL for (int r = 0; r < count; r++)                                                                                         \
                *(four_integers *)(sums + r * APUS_GROUP) =                                                                                \
                    name##_sum4(sum[r][0], sum[r][1], sum[r][2], sum[r][3]) - SUBTRACTS * *(const four_integers *)offsets;                 \
    }                                                                                                                                      \
    attributes static void name##_one(const void *group, const int32_t *offsets, const uint8_t *const *rows, int64_t count,                \
                                      int64_t ahead, int64_t units, int32_t *sums) {                                                       \
        for (int64_t r = 0; r < count; r += 8) name##_tile(1, 8, group, offsets, rows + r, ahead, units, sums + r);                        \
    }                                                                                                                                      \
    attributes static void name##_group(const void *group, const int32_t *offsets, const uint8_t *const *rows, int64_t count,              \
                                        int64_t ahead, int64_t units, int32_t *sums) {                                                     \
        for (int64_t r = 0; r < count; r += TILE_ROWS)                                                                                     \
            name##_tile(APUS_GROUP, TILE_ROWS, group, offsets, rows + r, ahead, units, sums + r * APUS_GROUP);                             \
    }

// Products of two bytes of 127 fit 16 bits.
typedef int8_t eight_bytes __attribute__((vector_size(8), aligned(1), may_alias));
typedef int16_t eight_words __attribute__((vector_size(16), aligned(2), may_alias));
/// Eight bytes of a row as words, held in the type of the sums.
#define LOAD_PLAIN(row, part) \
    ((four_integers)__builtin_convertvector(*(const eight_bytes *)(const void *)((row) + 8 * (part)), eight_words))

static inline __attribute__((always_inline)) four_integers add_plain(four_integers sum, four_integers x, const int16_t *query, int part) {
    eight_words products = (eight_words)x * *(const eight_words *)(query + 8 * part);
    typedef int16_t four_words __attribute__((vector_size(8)));
    four_words low = __builtin_shufflevector(products, products, 0, 1, 2, 3), high = __builtin_shufflevector(products, products, 4, 5, 6, 7);
    return sum + (__builtin_convertvector(low, four_integers) + __builtin_convertvector(high, four_integers));
}

#define LANES 4
#define PARTS 8
#define TILE_ROWS 3
#define SUBTRACTS 0
#include "vectors_shuffle.h"
SCAN(plain, , four_integers, int16_t, LOAD_PLAIN, add_plain)
#undef LANES
#undef PARTS
#undef TILE_ROWS
#undef SUBTRACTS

#if defined(__x86_64__)

#include <immintrin.h>

#define WITH_AVX2 __attribute__((target("avx2,fma")))
#define WITH_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

typedef int32_t eight_integers __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t sixteen_integers __attribute__((vector_size(64), aligned(4), may_alias));

#define LOAD_AVX2(row, part) \
    ((eight_integers)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)((row) + 16 * (part)))))
#define ADD_AVX2(sum, x, query, part) \
    ((sum) + (eight_integers)_mm256_madd_epi16((__m256i)(x), _mm256_loadu_si256((const __m256i *)(const void *)((query) + 16 * (part)))))

#define LANES 8
#define PARTS 4
#define TILE_ROWS 3
#define SUBTRACTS 0
#include "vectors_shuffle.h"
SCAN(avx2, WITH_AVX2, eight_integers, int16_t, LOAD_AVX2, ADD_AVX2)
#undef LANES
#undef PARTS
#undef TILE_ROWS
#undef SUBTRACTS

// The instruction multiplies unsigned with signed bytes: rows are read 128 too high, which adds 128 times the sum of the query.
#define LOAD_VNNI(row, part) ((sixteen_integers)_mm512_xor_si512(_mm512_loadu_si512(row), _mm512_set1_epi8((char)0x80)))
#define ADD_VNNI(sum, x, query, part) \
    ((sixteen_integers)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), _mm512_loadu_si512(query)))

#define LANES 16
#define PARTS 1
#define TILE_ROWS 6
#define SUBTRACTS 1
#include "vectors_shuffle.h"
SCAN(vnni, WITH_VNNI, sixteen_integers, int8_t, LOAD_VNNI, ADD_VNNI)

#endif

apus_int8_kernel apus_int8_kernel_for(uint32_t features) {
#if defined(__x86_64__)
    if ((features & APUS_CPU_AVX512) && (features & APUS_CPU_VNNI)) return (apus_int8_kernel){vnni_one, vnni_group, 0};
    if (features & APUS_CPU_AVX2) return (apus_int8_kernel){avx2_one, avx2_group, 1};
#endif
    (void)features;
    return (apus_int8_kernel){plain_one, plain_group, 1};
}
