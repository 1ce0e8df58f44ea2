// Products of queries with fp32, fp16 and bf16 rows for one vector width: vectors_float.c includes this file once per width with
//   LANES      floats in a vector,
//   TARGET     the attribute that lets the compiler use that width,
//   NAME(f)    the name of `f` for that width,
//   PRODUCT_ROWS, DISTANCE_ROWS  rows whose sums with a group of queries fill the registers,
//   HALVES(p)  the LANES fp16 values at p as floats.
// Every sum is one chain of LANES partial sums over a row and then one tree over those, whatever the tile: the product of a query and a row
// has the same bits alone, in a group, and wherever the row lies.

typedef float NAME(floats) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef uint16_t NAME(halves) __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(sizeof(uint16_t)), may_alias));

#define floats NAME(floats)
#define INLINE TARGET static inline __attribute__((always_inline))

/// Exponents of a half are 112 less than a float's; the product is exact, subnormal halves included.
INLINE __attribute__((unused)) floats NAME(from_halves)(const void *p) {
    NAME(words) bits = __builtin_convertvector(*(const NAME(halves) *)p, NAME(words));
    floats size = (floats)((bits & 0x7fff) << 13) * 0x1p112f;
    return (floats)((NAME(words))size | (bits & 0x8000) << 16);
}

INLINE floats NAME(load)(const apus_vector_storage storage, const uint8_t *row, int64_t at) {
    if (storage == APUS_VECTORS_FP32) return *(const floats *)(const void *)(row + 4 * at);
    if (storage == APUS_VECTORS_FP16) return HALVES(row + 2 * at);
    return (floats)(__builtin_convertvector(*(const NAME(halves) *)(const void *)(row + 2 * at), NAME(words)) << 16);
}

/// The sums of four vectors' lanes.
INLINE four_floats NAME(sum4)(floats a, floats b, floats c, floats d) {
    floats ab = SHUFFLE(a, b, 0, N + 0, 1, N + 1) + SHUFFLE(a, b, 2, N + 2, 3, N + 3);
    floats cd = SHUFFLE(c, d, 0, N + 0, 1, N + 1) + SHUFFLE(c, d, 2, N + 2, 3, N + 3);
    floats all = SHUFFLE(ab, cd, 0, 1, N + 0, N + 1) + SHUFFLE(ab, cd, 2, 3, N + 2, N + 3);
    return FOLD(all);
}

INLINE void NAME(scan_tile)(const apus_vector_storage storage, const int is_distance, const int queries, const int count,
                            const float *group, const uint8_t *const *rows, int64_t ahead, int64_t units, float *sums) {
    floats sum[8][APUS_GROUP];
    UNROLL for (int r = 0; r < count; r++)
        UNROLL for (int q = 0; q < queries; q++) sum[r][q] = (floats){0};
    const int64_t bytes = storage == APUS_VECTORS_FP32 ? 64 : 32;
    for (int64_t unit = 0; unit < units; unit++, group += 16 * queries) {
        if (ahead && (bytes == 64 || !(unit & 1)))
            UNROLL for (int r = 0; r < count; r++) __builtin_prefetch(rows[r + ahead] + unit * bytes, 0, 3);
        UNROLL for (int part = 0; part < 16; part += LANES) {
            floats x[8];
            UNROLL for (int r = 0; r < count; r++) x[r] = NAME(load)(storage, rows[r], unit * 16 + part);
            UNROLL for (int q = 0; q < queries; q++) {
                floats w = *(const floats *)(group + 16 * q + part);
                UNROLL for (int r = 0; r < count; r++) {
                    if (is_distance) {
                        floats difference = x[r] - w;
                        sum[r][q] += difference * difference;
                    } else {
                        sum[r][q] += x[r] * w;
                    }
                }
            }
        }
    }
    if (queries == 1)
        UNROLL for (int r = 0; r < count; r += 4)
            *(four_floats *)(sums + r) = NAME(sum4)(sum[r][0], sum[r + 1][0], sum[r + 2][0], sum[r + 3][0]);
    else
        UNROLL for (int r = 0; r < count; r++)
            *(four_floats *)(sums + r * APUS_GROUP) = NAME(sum4)(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
}

#define SCAN(name, storage, is_distance, tile_rows)                                                                                        \
    TARGET static void NAME(name##_one)(const float *group, const uint8_t *const *rows, int64_t count, int64_t ahead, int64_t units,       \
                                        float *sums) {                                                                                     \
        for (int64_t r = 0; r < count; r += 8)                                                                                             \
            NAME(scan_tile)(storage, is_distance, 1, 8, group, rows + r, ahead, units, sums + r);                                          \
    }                                                                                                                                      \
    TARGET static void NAME(name##_group)(const float *group, const uint8_t *const *rows, int64_t count, int64_t ahead, int64_t units,     \
                                          float *sums) {                                                                                   \
        for (int64_t r = 0; r < count; r += tile_rows)                                                                                     \
            NAME(scan_tile)(storage, is_distance, APUS_GROUP, tile_rows, group, rows + r, ahead, units, sums + r * APUS_GROUP);            \
    }

SCAN(products_fp32, APUS_VECTORS_FP32, 0, PRODUCT_ROWS)
SCAN(products_fp16, APUS_VECTORS_FP16, 0, PRODUCT_ROWS)
SCAN(products_bf16, APUS_VECTORS_BF16, 0, PRODUCT_ROWS)
SCAN(distances_fp32, APUS_VECTORS_FP32, 1, DISTANCE_ROWS)
SCAN(distances_fp16, APUS_VECTORS_FP16, 1, DISTANCE_ROWS)
SCAN(distances_bf16, APUS_VECTORS_BF16, 1, DISTANCE_ROWS)

static apus_float_kernel NAME(kernel)(apus_vector_storage storage, int is_distance) {
    switch (storage) {
    case APUS_VECTORS_FP32:
        return is_distance ? (apus_float_kernel){NAME(distances_fp32_one), NAME(distances_fp32_group)}
                           : (apus_float_kernel){NAME(products_fp32_one), NAME(products_fp32_group)};
    case APUS_VECTORS_FP16:
        return is_distance ? (apus_float_kernel){NAME(distances_fp16_one), NAME(distances_fp16_group)}
                           : (apus_float_kernel){NAME(products_fp16_one), NAME(products_fp16_group)};
    case APUS_VECTORS_BF16:
        return is_distance ? (apus_float_kernel){NAME(distances_bf16_one), NAME(distances_bf16_group)}
                           : (apus_float_kernel){NAME(products_bf16_one), NAME(products_bf16_group)};
    case APUS_VECTORS_INT8: break;
    }
    return (apus_float_kernel){0};
}

#undef SCAN
#undef floats
#undef INLINE
