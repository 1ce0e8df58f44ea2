// Blobs: sizes, headers and the conversion of weights. Runs at load time, in plain C.

#include "linear_blob.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(sizeof(apus_linear_header) == 64, "a header is a cache line");

static const uint64_t magic = 0x726e696c73757061; // "apuslinr", little endian
static const uint32_t version = 3;
static const uint32_t layout = 1;
apus_linear_sizes apus_linear_measure(apus_format format, int64_t n, int64_t k) {
    apus_linear_sizes sizes = {0};
    switch (format) {
    case APUS_FORMAT_FP32: sizes.group = 1, sizes.element = 4; break;
    case APUS_FORMAT_BF16: sizes.group = 2, sizes.element = 2; break;
    case APUS_FORMAT_INT8: sizes.group = 4, sizes.element = 1; break;
    default: return sizes;
    }
    const int64_t most = INT64_C(1) << 40;
    if (n < 1 || k < 1 || n > most || k > most) return sizes;
    sizes.groups = (k - 1) / sizes.group + 1;
    if (format == APUS_FORMAT_INT8) sizes.groups = ((k - 1) / APUS_BLOCK + 1) * (APUS_BLOCK / sizes.group);
    sizes.panels = (n - 1) / APUS_PANEL + 1;
    sizes.panel_bytes = (size_t)(sizes.groups * APUS_PANEL * sizes.group * sizes.element);
    if (format == APUS_FORMAT_INT8) {
        sizes.scales = sizes.panel_bytes;
        sizes.panel_bytes += sizes.panel_bytes / APUS_BLOCK * sizeof(float);
    }
    size_t panels, total;
    if (__builtin_mul_overflow((size_t)sizes.panels, sizes.panel_bytes, &panels)) return sizes;
    if (__builtin_add_overflow(panels, sizeof(apus_linear_header), &total)) return sizes;
    if (total > PTRDIFF_MAX) return sizes;
    sizes.total = total;
    return sizes;
}

size_t apus_linear_bytes(apus_format format, int64_t n, int64_t k) { return apus_linear_measure(format, n, k).total; }

static int is_aligned(const void *pointer) { return ((uintptr_t)pointer & 63) == 0; }

apus_result apus_linear_begin(apus_format format, int64_t n, int64_t k, void *packed) {
    apus_linear_sizes sizes = apus_linear_measure(format, n, k);
    if (!sizes.total || !packed || !is_aligned(packed)) return APUS_BAD_ARGUMENT;
    memset(packed, 0, sizes.total);
    *(apus_linear_header *)packed = (apus_linear_header){
        .magic = magic, .version = version, .format = format, .layout = layout, .n = n, .k = k, .bytes = sizes.total};
    return APUS_OK;
}

const apus_linear_header *apus_linear_header_of(const void *packed, size_t bytes, apus_linear_sizes *sizes) {
    if (!packed || !is_aligned(packed) || bytes < sizeof(apus_linear_header)) return NULL;
    const apus_linear_header *header = packed;
    if (header->magic != magic || header->version != version || header->layout != layout || header->bytes > bytes) return NULL;
    *sizes = apus_linear_measure((apus_format)header->format, header->n, header->k);
    return sizes->total && sizes->total == header->bytes ? header : NULL;
}

apus_result apus_linear_check(const void *packed, size_t bytes, int64_t *n, int64_t *k) {
    apus_linear_sizes sizes;
    const apus_linear_header *header = apus_linear_header_of(packed, bytes, &sizes);
    if (!header || header->bytes != bytes) return APUS_BAD_BLOB;
    if (n) *n = header->n;
    if (k) *k = header->k;
    return APUS_OK;
}

/// Nearest even for |v| < 2^22.
static float rounded(float v) { return (v + 12582912.0f) - 12582912.0f; }

int8_t apus_quantised(float value, float scale) {
    if (!(scale > 0)) return 0;
    float q = rounded(value / scale);
    return (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
}

/// The row's scale, negative when a value is not finite.
static float row_scale(const float *row, int64_t k) {
    float most = 0;
    for (int64_t i = 0; i < k; i++) {
        float size = fabsf(row[i]);
        if (!(size <= FLT_MAX)) return -1;
        most = size > most ? size : most;
    }
    return most / 127;
}

apus_result apus_quantize_row_int8(const float *row, int64_t k, int8_t *out, float *scale) {
    if (!row || !out || !scale || k < 1) return APUS_BAD_ARGUMENT;
    float found = row_scale(row, k);
    if (found < 0) return APUS_BAD_ARGUMENT;
    *scale = found;
    for (int64_t i = 0; i < k; i++) out[i] = apus_quantised(row[i], found);
    return APUS_OK;
}

/// Candidates for the integer that the largest value becomes. Of 32 values that are distributed normally the best of them loses 0.81 of what
/// 127 loses; more candidates gain little.
enum { CANDIDATES = 16 };
static const float highest[CANDIDATES] = {127, 126, 125, 124, 123, 122, 121, 120, 119, 118, 117, 116, 128, 129, 130, 131};

float apus_best_scale(const float *values, int64_t count) {
    float most = row_scale(values, count) * 127;
    if (!(most / 127 >= FLT_MIN)) return 0;
    float scales[CANDIDATES], inverses[CANDIDATES], losses[CANDIDATES] = {0};
    for (int c = 0; c < CANDIDATES; c++) {
        scales[c] = most / highest[c];
        inverses[c] = highest[c] / most;
    }
    for (int64_t i = 0; i < count; i++)
        for (int c = 0; c < CANDIDATES; c++) {
            float q = rounded(values[i] * inverses[c]);
            q = q > 127 ? 127 : q;
            q = q < -127 ? -127 : q;
            float lost = q * scales[c] - values[i];
            losses[c] += lost * lost;
        }
    int best = 0;
    for (int c = 1; c < CANDIDATES; c++) best = losses[c] < losses[best] ? c : best;
    return scales[best];
}

static uint16_t bf16(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int is_inside(const apus_linear_header *header, int64_t first_row, int64_t rows) {
    return first_row >= 0 && rows >= 0 && first_row <= header->n && rows <= header->n - first_row;
}

/// Where value `index` of an output channel lies.
static size_t place(const apus_linear_sizes *sizes, int64_t channel, int64_t index) {
    size_t panel = sizeof(apus_linear_header) + (size_t)(channel / APUS_PANEL) * sizes->panel_bytes;
    int64_t value = (index / sizes->group * APUS_PANEL + channel % APUS_PANEL) * sizes->group + index % sizes->group;
    return panel + (size_t)(value * sizes->element);
}

/// An output channel as it comes: fp32, or integers of one scale.
typedef struct {
    const float *_Nullable floats;
    const int8_t *_Nullable integers;
    float scale;
} weight_row;

/// `count` weights from `first` on, which are of one group of the mixing, as they meet the inputs: mixed where the inputs are.
static void mix_weights(weight_row row, int64_t first, int64_t count, float group[APUS_MIX]) {
    for (int64_t i = 0; i < count; i++) group[i] = row.floats ? row.floats[first + i] : (float)row.integers[first + i] * row.scale;
    if (count < APUS_MIX) return;
    for (int64_t i = 0; i < count; i++) group[i] /= APUS_MIX;
    for (int stride = 1; stride < APUS_MIX; stride *= 2)
        for (int i = 0; i < APUS_MIX; i++)
            if (!(i & stride)) {
                float a = group[i], b = group[i + stride];
                group[i] = i & 2 * stride ? b - a : a + b;
                group[i + stride] = i & 2 * stride ? a + b : a - b;
            }
}

/// Quantises an output channel; false when a weight is not finite.
static int pack_int8_row(uint8_t *blob, const apus_linear_header *header, const apus_linear_sizes *sizes, int64_t channel, weight_row row) {
    float group[APUS_MIX];
    size_t panel = sizeof(apus_linear_header) + (size_t)(channel / APUS_PANEL) * sizes->panel_bytes;
    float *scales = (float *)(blob + panel + sizes->scales) + channel % APUS_PANEL;
    for (int64_t first = 0; first < header->k; first += APUS_MIX) {
        int64_t count = header->k - first < APUS_MIX ? header->k - first : APUS_MIX;
        mix_weights(row, first, count, group);
        if (row_scale(group, count) < 0) return 0;
        for (int64_t start = 0; start < count; start += APUS_BLOCK) {
            int64_t length = count - start < APUS_BLOCK ? count - start : APUS_BLOCK;
            float scale = apus_best_scale(group + start, length);
            scales[(first + start) / APUS_BLOCK * APUS_PANEL] = scale;
            for (int64_t i = start; i < start + length; i++)
                blob[place(sizes, channel, first + i)] = (uint8_t)(apus_quantised(group[i], scale) + APUS_WEIGHT_ZERO);
        }
    }
    return 1;
}

apus_result apus_linear_pack_rows(void *packed, int64_t first_row, int64_t rows, const float *weight) {
    apus_linear_sizes sizes;
    const apus_linear_header *header = apus_linear_header_of(packed, SIZE_MAX, &sizes);
    if (!header) return APUS_BAD_BLOB;
    if (!weight || !is_inside(header, first_row, rows)) return APUS_BAD_ARGUMENT;
    uint8_t *blob = packed;
    for (int64_t channel = first_row; channel < first_row + rows; channel++, weight += header->k) {
        if (row_scale(weight, header->k) < 0) return APUS_BAD_ARGUMENT;
        switch ((apus_format)header->format) {
        case APUS_FORMAT_FP32:
            for (int64_t i = 0; i < header->k; i++) *(float *)(blob + place(&sizes, channel, i)) = weight[i];
            break;
        case APUS_FORMAT_BF16:
            for (int64_t i = 0; i < header->k; i++) *(uint16_t *)(blob + place(&sizes, channel, i)) = bf16(weight[i]);
            break;
        case APUS_FORMAT_INT8:
            if (!pack_int8_row(blob, header, &sizes, channel, (weight_row){.floats = weight})) return APUS_BAD_ARGUMENT;
            break;
        }
    }
    return APUS_OK;
}

apus_result apus_linear_pack_int8_rows(void *packed, int64_t first_row, int64_t rows, const int8_t *weight, const float *scales) {
    apus_linear_sizes sizes;
    const apus_linear_header *header = apus_linear_header_of(packed, SIZE_MAX, &sizes);
    if (!header) return APUS_BAD_BLOB;
    if (!weight || !scales || header->format != APUS_FORMAT_INT8 || !is_inside(header, first_row, rows)) return APUS_BAD_ARGUMENT;
    for (int64_t row = 0; row < rows; row++) {
        if (!(fabsf(scales[row]) <= FLT_MAX)) return APUS_BAD_ARGUMENT;
        weight_row integers = {.integers = weight + row * header->k, .scale = scales[row]};
        if (!pack_int8_row(packed, header, &sizes, first_row + row, integers)) return APUS_BAD_ARGUMENT;
    }
    return APUS_OK;
}
