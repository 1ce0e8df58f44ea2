// What surrounds a linear layer's products, for one vector width: rows in, results out. A source file includes this after simd_math.h with
// the same LANES, TARGET and NAME.

#include <float.h>
#include <string.h>

/// Applies `f` to every vector of `columns` floats.
#define EACH(f) \
    for (int64_t c = 0; c < APUS_PANEL; c += LANES) *(NAME(vector) *)(row + c) = f(*(const NAME(vector) *)(row + c))

TARGET static inline NAME(vector) NAME(relu)(NAME(vector) v) { return (NAME(vector))((NAME(integers))v & (v > 0)); }

/// Activates the 64 floats of `row`.
TARGET static inline void NAME(activate)(float *row, apus_activation activation) {
    switch (activation) {
    case APUS_ACT_NONE: break;
    case APUS_ACT_GELU: EACH(NAME(gelu)); break;
    case APUS_ACT_GELU_TANH: EACH(NAME(gelu_tanh)); break;
    case APUS_ACT_RELU: EACH(NAME(relu)); break;
    case APUS_ACT_SILU: EACH(NAME(silu)); break;
    case APUS_ACT_TANH: EACH(NAME(tanh)); break;
    case APUS_ACT_SIGMOID: EACH(NAME(sigmoid)); break;
    }
}

#undef EACH

TARGET static void NAME(finish_floats)(const apus_finish *f) {
    for (int64_t r = 0; r < f->rows; r++) {
        _Alignas(64) float row[APUS_PANEL];
        const float *sums = (const float *)f->sums + r * APUS_PANEL;
        for (int64_t c = 0; c < APUS_PANEL; c += LANES)
            *(NAME(vector) *)(row + c) = *(const NAME(vector) *)(sums + c) + *(const NAME(vector) *)(f->bias + c);
        NAME(activate)(row, f->activation);
        memcpy(f->y + r * f->ldy, row, (size_t)f->columns * sizeof(float));
    }
}

TARGET static void NAME(finish_int8)(const apus_finish *f) {
    for (int64_t r = 0; r < f->rows; r++) {
        _Alignas(64) float row[APUS_PANEL];
        const int32_t *sums = (const int32_t *)f->sums + r * APUS_PANEL;
        float scale = f->row_scales[r], zero = f->row_zeros[r];
        for (int64_t c = 0; c < APUS_PANEL; c += LANES) {
            NAME(vector) v = __builtin_convertvector(*(const NAME(integers) *)(sums + c), NAME(vector));
            v = v - zero * *(const NAME(vector) *)(f->column_sums + c);
            *(NAME(vector) *)(row + c) = v * (scale * *(const NAME(vector) *)(f->scales + c)) + *(const NAME(vector) *)(f->bias + c);
        }
        NAME(activate)(row, f->activation);
        memcpy(f->y + r * f->ldy, row, (size_t)f->columns * sizeof(float));
    }
}

TARGET __attribute__((unused)) static void NAME(pack_bf16)(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride, float *scales,
                                   float *zeros) {
    (void)scales, (void)zeros;
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        uint16_t *out = (uint16_t *)data;
        for (int64_t i = 0; i < k; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
            uint32_t quiet = bits >> 16 | 0x40;
            out[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : nearest);
        }
        memset(out + k, 0, stride - (size_t)k * sizeof(uint16_t));
    }
}

/// Scale and zero point that put the row's values and 0 on 0...255.
TARGET static inline void NAME(range)(float lowest, float highest, float *scale, float *inverse, float *zero) {
    *scale = highest / 255 - lowest / 255;
    *inverse = *scale >= FLT_MIN ? 1 / *scale : 0;
    if (*inverse == 0) *scale = *scale >= FLT_MIN ? *scale : 0;
    // Adding 1.5 · 2^23 rounds to the nearest integer.
    *zero = (-lowest * *inverse + 12582912.0f) - 12582912.0f;
}

TARGET __attribute__((unused)) static void NAME(pack_int8)(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride, float *scales,
                                   float *zeros) {
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        NAME(vector) least = {0}, most = {0};
        int64_t i = 0;
        for (; i + LANES <= k; i += LANES) {
            NAME(vector) v = *(const NAME(vector) *)(x + i);
            least = NAME(lesser)(v, least);
            most = NAME(greater)(v, most);
        }
        float lowest = 0, highest = 0;
        for (int lane = 0; lane < LANES; lane++) {
            lowest = least[lane] < lowest ? least[lane] : lowest;
            highest = most[lane] > highest ? most[lane] : highest;
        }
        for (; i < k; i++) {
            lowest = x[i] < lowest ? x[i] : lowest;
            highest = x[i] > highest ? x[i] : highest;
        }
        float inverse;
        NAME(range)(lowest, highest, scales + r, &inverse, zeros + r);
        for (i = 0; i < k; i++) {
            float v = x[i] * inverse + zeros[r];
            // A NaN fails both comparisons' complements and becomes 0.
            v = v > 0 ? v : 0;
            v = v < 255 ? v : 255;
            union {
                float value;
                uint32_t bits;
            } shifted = {v + 12582912.0f};
            data[i] = (uint8_t)shifted.bits;
        }
        memset(data + k, 0, stride - (size_t)k);
    }
}
