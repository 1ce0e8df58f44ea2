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
        const float *sums = f->sums + r * APUS_PANEL;
        for (int64_t c = 0; c < APUS_PANEL; c += LANES)
            *(NAME(vector) *)(row + c) = *(const NAME(vector) *)(sums + c) + *(const NAME(vector) *)(f->bias + c);
        NAME(activate)(row, f->activation);
        memcpy(f->y + r * f->ldy, row, (size_t)f->columns * sizeof(float));
    }
}

TARGET __attribute__((unused)) static void NAME(pack_bf16)(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride) {
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

#if LANES == 4
#define EACH_LANE(f) f(0), f(1), f(2), f(3)
#elif LANES == 8
#define EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#endif
#define OTHER_1(lane) (lane) ^ 1
#define OTHER_2(lane) (lane) ^ 2
#define OTHER_4(lane) (lane) ^ 4
#define OTHER_8(lane) (lane) ^ 8
#define SIGN_1(lane) ((lane) & 1 ? -1.0f : 1.0f)
#define SIGN_2(lane) ((lane) & 2 ? -1.0f : 1.0f)
#define SIGN_4(lane) ((lane) & 4 ? -1.0f : 1.0f)
#define SIGN_8(lane) ((lane) & 8 ? -1.0f : 1.0f)
#define SIGNS_12(lane) SIGN_1(lane) * SIGN_2(lane)
#define SIGNS_24(lane) SIGN_2(lane) * SIGN_4(lane)
#define SIGNS_48(lane) SIGN_4(lane) * SIGN_8(lane)

/// Each lane plus or minus the one `stride` from it. `turn` is -1 where all signs are the other way round.
#define MIX_LANES(stride, signs, turn)                                                                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < APUS_MIX / LANES; i++)                                                \
        v[i] = __builtin_shufflevector(v[i], v[i], EACH_LANE(OTHER_##stride)) + v[i] * (turn * (NAME(vector)){EACH_LANE(signs)})

/// Mixes a group (APUS_MIX): steps of stride 1, 2, 4, …; in each, value i becomes value i ^ stride plus value i, or minus it where just one of
/// the bits of i that stand for stride and 2 · stride is set.
TARGET static inline __attribute__((always_inline, unused)) void NAME(mix)(NAME(vector) v[APUS_MIX / LANES]) {
#if LANES == 4
    MIX_LANES(1, SIGNS_12, 1);
    MIX_LANES(2, SIGN_2, (i & 1 ? -1.0f : 1.0f));
#elif LANES == 8
    MIX_LANES(1, SIGNS_12, 1);
    MIX_LANES(2, SIGNS_24, 1);
    MIX_LANES(4, SIGN_4, (i & 1 ? -1.0f : 1.0f));
#else
    MIX_LANES(1, SIGNS_12, 1);
    MIX_LANES(2, SIGNS_24, 1);
    MIX_LANES(4, SIGNS_48, 1);
    MIX_LANES(8, SIGN_8, (i & 1 ? -1.0f : 1.0f));
#endif
    _Pragma("clang loop unroll(full)") for (int stride = 1; stride < APUS_MIX / LANES; stride *= 2)
        _Pragma("clang loop unroll(full)") for (int i = 0; i < APUS_MIX / LANES; i++)
            if (!(i & stride)) {
                NAME(vector) a = v[i], b = v[i + stride];
                v[i] = i & 2 * stride ? b - a : a + b;
                v[i + stride] = i & 2 * stride ? a + b : a - b;
            }
}

/// What puts values of this size on -127...127. `scale` leaves none of values that are not finite.
TARGET static inline __attribute__((always_inline, unused)) float NAME(inverse_scale)(float most, float *scale) {
    float found = most / 127;
    int is_normal = found >= FLT_MIN && found <= FLT_MAX;
    *scale = is_normal ? found : most;
    return is_normal ? 1 / found : 0;
}

/// Mixes and quantises `count` inputs of a row, at most a group; fewer than that are not mixed. `scale` and `starts`: as apus_rows has them.
TARGET static inline __attribute__((unused)) void NAME(quantise_inputs)(const float *x, int64_t count, uint8_t *out, float *scale,
                                                                        int32_t *starts) {
    _Alignas(64) float group[APUS_MIX] = {0};
    NAME(vector) v[APUS_MIX / LANES], sizes = {0};
    memcpy(group, x, (size_t)count * sizeof(float));
    _Pragma("clang loop unroll(full)") for (int j = 0; j < APUS_MIX / LANES; j++) v[j] = *(const NAME(vector) *)(group + LANES * j);
    if (count == APUS_MIX) NAME(mix)(v);
    _Pragma("clang loop unroll(full)") for (int j = 0; j < APUS_MIX / LANES; j++) {
        *(NAME(vector) *)(group + LANES * j) = v[j];
        sizes = NAME(greater)(NAME(greater)(v[j], -v[j]), sizes);
    }
    float most = 0;
    for (int lane = 0; lane < LANES; lane++) most = sizes[lane] > most ? sizes[lane] : most;
    float inverse = NAME(inverse_scale)(most, scale);
    for (int64_t block = 0; block < count; block += APUS_BLOCK) {
        int32_t sum = 0;
        for (int64_t i = block; i < block + APUS_BLOCK; i++) {
            // Adding 1.5 · 2^23 rounds to the nearest integer and leaves it in the low bits.
            union {
                float value;
                uint32_t bits;
            } shifted = {group[i] * inverse + 12582912.0f};
            out[i] = (uint8_t)shifted.bits;
            sum += (int8_t)out[i];
        }
        *starts++ = -APUS_WEIGHT_ZERO * sum;
    }
}

TARGET __attribute__((unused)) static void NAME(pack_int8)(const float *x, int64_t ldx, int64_t m, int64_t k, uint8_t *data, size_t stride) {
    const int64_t blocks = (k - 1) / APUS_BLOCK + 1;
    for (int64_t r = 0; r < m; r++, x += ldx, data += stride) {
        float *scales = (float *)(data + blocks * APUS_BLOCK);
        int32_t *starts = (int32_t *)(scales + apus_row_scales(blocks));
        for (int64_t i = 0; i < k; i += APUS_MIX)
            NAME(quantise_inputs)(x + i, k - i < APUS_MIX ? k - i : APUS_MIX, data + i, scales + i / APUS_MIX, starts + i / APUS_BLOCK);
    }
}
