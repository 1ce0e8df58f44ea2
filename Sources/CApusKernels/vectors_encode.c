// Stored vectors and packed queries: sizes, checks and conversions, in plain C.

#include "vectors.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const uint64_t magic = 0x7972657573757061; // "apusuery", little endian

/// Two vectors of this length have a squared distance that fp32 can hold: (2 · 9e18)² < FLT_MAX. So no score is ever infinite or NaN.
static const double longest = 9e18;
/// What rounds to the largest fp16 and not to infinity.
static const float largest_half = 65520;

static int64_t element_bytes(apus_vector_storage storage) {
    switch (storage) {
    case APUS_VECTORS_FP32: return 4;
    case APUS_VECTORS_FP16: return 2;
    case APUS_VECTORS_BF16: return 2;
    case APUS_VECTORS_INT8: return 1;
    }
    return 0;
}

size_t apus_vector_stride(apus_vector_storage storage, int64_t dimensions) {
    int64_t element = element_bytes(storage);
    if (element == 0 || dimensions < 1 || dimensions > APUS_VECTOR_DIMENSIONS) return 0;
    return (size_t)((dimensions * element + 63) / 64 * 64);
}

static int is_storable(apus_vector_storage storage, int64_t dimensions, const float *row) {
    double squares[4] = {0, 0, 0, 0};
    int in_range = 1;
    float limit = storage == APUS_VECTORS_FP16 ? largest_half : INFINITY;
    for (int64_t i = 0; i < dimensions; i++) {
        // False for a NaN too.
        in_range &= fabsf(row[i]) < limit;
        squares[i & 3] += (double)row[i] * (double)row[i];
    }
    return in_range && sqrt(squares[0] + squares[1] + squares[2] + squares[3]) <= longest;
}

int64_t apus_vectors_check(apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count) {
    for (int64_t row = 0; row < count; row++)
        if (!is_storable(storage, dimensions, values + row * dimensions)) return row;
    return -1;
}

/// Rounds to the nearest bf16, ties to even.
static uint16_t bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// Rounds to the nearest fp16, ties to even; |value| < 65520.
static uint16_t fp16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    // Below 2^-14 halves lie 2^-24 apart: adding 0.5, whose last bit is 2^-24, rounds there.
    if (size < 0x38800000) {
        float shifted = fabsf(value) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    return (uint16_t)(sign | ((size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13));
}

static float from_fp16(uint16_t half) {
    // Exponents of a half are 112 less; the product is exact, subnormal halves included.
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    return half & 0x8000 ? -value : value;
}

static float norm_of_bytes(const int8_t *row, int64_t dimensions, float scale) {
    int64_t squares = 0;
    for (int64_t i = 0; i < dimensions; i++) squares += (int64_t)row[i] * row[i];
    return (float)(sqrt((double)squares) * scale);
}

apus_result apus_vectors_encode(apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count, void *rows,
                                float *norms, float *scales) {
    size_t stride = apus_vector_stride(storage, dimensions);
    if (stride == 0 || count < 0 || !values || !rows || !norms || (storage == APUS_VECTORS_INT8 && !scales)) return APUS_BAD_ARGUMENT;
    if (apus_vectors_check(storage, dimensions, values, count) >= 0) return APUS_BAD_ARGUMENT;
    for (int64_t row = 0; row < count; row++, values += dimensions) {
        uint8_t *to = (uint8_t *)rows + (size_t)row * stride;
        memset(to, 0, stride);
        double squares[4] = {0, 0, 0, 0};
        switch (storage) {
        case APUS_VECTORS_FP32:
            memcpy(to, values, (size_t)dimensions * sizeof(float));
            for (int64_t i = 0; i < dimensions; i++) squares[i & 3] += (double)values[i] * (double)values[i];
            break;
        case APUS_VECTORS_FP16:
            for (int64_t i = 0; i < dimensions; i++) {
                uint16_t half = fp16(values[i]);
                double kept = from_fp16(half);
                ((uint16_t *)(void *)to)[i] = half;
                squares[i & 3] += kept * kept;
            }
            break;
        case APUS_VECTORS_BF16:
            for (int64_t i = 0; i < dimensions; i++) {
                uint16_t half = bf16(values[i]);
                double kept = from_bf16(half);
                ((uint16_t *)(void *)to)[i] = half;
                squares[i & 3] += kept * kept;
            }
            break;
        case APUS_VECTORS_INT8: {
            apus_result result = apus_quantize_row_int8(values, dimensions, (int8_t *)to, scales + row);
            if (result != APUS_OK) return result;
            norms[row] = norm_of_bytes((const int8_t *)to, dimensions, scales[row]);
            continue;
        }
        }
        norms[row] = (float)sqrt(squares[0] + squares[1] + squares[2] + squares[3]);
    }
    return APUS_OK;
}

// MARK: Queries

typedef struct {
    apus_queries_header header;
    int64_t groups;
    size_t values, words, terms;
} sizes;

/// Offsets of a packed query's parts; header.bytes is 0 for sizes that are out of range.
static sizes measure(apus_vector_storage storage, int64_t dimensions, int64_t count) {
    sizes found = {.header = {.magic = magic, .storage = (uint32_t)storage, .dimensions = dimensions, .count = count}};
    size_t stride = apus_vector_stride(storage, dimensions);
    if (stride == 0 || count < 1 || count > APUS_SCAN_QUERIES) return found;
    int64_t unit = storage == APUS_VECTORS_INT8 ? APUS_UNIT : 16;
    found.header.units = (int64_t)stride / (unit * element_bytes(storage));
    found.header.width = count == 1 ? 1 : APUS_GROUP;
    found.groups = (count + found.header.width - 1) / found.header.width;
    size_t group = (size_t)(found.header.units * found.header.width) * APUS_UNIT, values = group * (size_t)found.groups;
    found.values = sizeof(apus_queries_header);
    found.words = found.values + values;
    found.terms = found.words + (storage == APUS_VECTORS_INT8 ? 2 * values : 0);
    found.header.bytes = found.terms + 3 * (size_t)(found.groups * found.header.width) * sizeof(float);
    return found;
}

size_t apus_queries_bytes(apus_vector_storage storage, int64_t dimensions, int64_t count) {
    return measure(storage, dimensions, count).header.bytes;
}

int apus_queries_read(const void *packed, apus_queries_view *view) {
    if (!packed || (uintptr_t)packed % 64 != 0) return 0;
    apus_queries_header header;
    memcpy(&header, packed, sizeof header);
    sizes expected = measure((apus_vector_storage)header.storage, header.dimensions, header.count);
    if (header.magic != magic || header.metric > APUS_METRIC_L2 || expected.header.bytes == 0) return 0;
    if (header.bytes != expected.header.bytes || header.units != expected.header.units || header.width != expected.header.width) return 0;
    const uint8_t *base = packed;
    int64_t padded = expected.groups * header.width;
    const float *terms = (const float *)(const void *)(base + expected.terms);
    *view = (apus_queries_view){
        .metric = (apus_metric)header.metric,
        .storage = (apus_vector_storage)header.storage,
        .dimensions = header.dimensions,
        .count = header.count,
        .units = header.units,
        .groups = expected.groups,
        .width = header.width,
        .floats = (const float *)(const void *)(base + expected.values),
        .bytes = (const int8_t *)(base + expected.values),
        .words = (const int16_t *)(const void *)(base + expected.words),
        .scales = terms,
        .offsets = (const int32_t *)(const void *)(terms + padded),
        .squares = terms + 2 * padded,
    };
    return 1;
}

/// Where value `index` of a query lies, counted in values, when a unit has `unit` of them.
static size_t place(const sizes *found, int64_t query, int64_t index, int64_t unit) {
    int64_t width = found->header.width, group = query / width;
    return (size_t)(((group * found->header.units + index / unit) * width + query % width) * unit + index % unit);
}

/// Quantised as rows are, value by value, so that no second row of memory is needed.
static void pack_bytes(const sizes *found, int64_t query, const float *values, double factor, uint8_t *base) {
    int64_t dimensions = found->header.dimensions, padded = found->groups * found->header.width;
    double most = 0;
    for (int64_t i = 0; i < dimensions; i++) most = fmax(most, fabs((double)values[i] * factor));
    double scale = most / 127;
    int64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < dimensions; i++) {
        int8_t value = scale > 0 ? (int8_t)nearbyint((double)values[i] * factor / scale) : 0;
        size_t at = place(found, query, i, APUS_UNIT);
        ((int8_t *)base + found->values)[at] = value;
        ((int16_t *)(void *)(base + found->words))[at] = value;
        sum += value;
        squares += (int64_t)value * value;
    }
    float *terms = (float *)(void *)(base + found->terms);
    terms[query] = (float)scale;
    ((int32_t *)(void *)terms)[padded + query] = (int32_t)(128 * sum);
    terms[2 * padded + query] = (float)((double)squares * scale * scale);
}

apus_result apus_queries_pack(apus_metric metric, apus_vector_storage storage, int64_t dimensions, const float *values, int64_t count,
                              void *packed) {
    sizes found = measure(storage, dimensions, count);
    if (found.header.bytes == 0 || metric < APUS_METRIC_DOT || metric > APUS_METRIC_L2 || !values || !packed || (uintptr_t)packed % 64 != 0)
        return APUS_BAD_ARGUMENT;
    if (apus_vectors_check(APUS_VECTORS_FP32, dimensions, values, count) >= 0) return APUS_BAD_ARGUMENT;
    uint8_t *base = packed;
    memset(base, 0, found.header.bytes);
    found.header.metric = (uint32_t)metric;
    memcpy(base, &found.header, sizeof found.header);
    for (int64_t query = 0; query < count; query++, values += dimensions) {
        double factor = 1;
        if (metric == APUS_METRIC_COSINE) {
            double squares = 0;
            for (int64_t i = 0; i < dimensions; i++) squares += (double)values[i] * (double)values[i];
            factor = squares > 0 ? 1 / sqrt(squares) : 0;
        }
        if (storage == APUS_VECTORS_INT8) {
            pack_bytes(&found, query, values, factor, base);
            continue;
        }
        float *floats = (float *)(void *)(base + found.values);
        for (int64_t i = 0; i < dimensions; i++) floats[place(&found, query, i, 16)] = (float)((double)values[i] * factor);
    }
    return APUS_OK;
}
