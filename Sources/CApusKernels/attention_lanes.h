// Attention in fp32 for one vector width: attention_fp32.c includes this file once per width with LANES, TARGET, NAME (norm_lanes.h) and
//   KEYS  keys, and rows of a tile, that are worked on at a time (their sums fill the registers).

typedef float NAME(floats) __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int32_t NAME(ints) __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));
typedef uint32_t NAME(words) __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

#define floats NAME(floats)
#define INLINE TARGET static inline __attribute__((always_inline))
/// Queries of a tile: two vectors.
#define TILE (2 * LANES)

INLINE floats NAME(at)(const float *p) { return *(const floats *)p; }

INLINE floats NAME(larger)(floats a, floats b) {
    NAME(ints) choice = a > b;
    return (floats)((choice & (NAME(ints))a) | (~choice & (NAME(ints))b));
}

/// 2^x for x <= 0, 2^-126 below. The polynomial is the relative minimax of degree 6 on [-0.5, 0.5] (error 1.9e-9).
INLINE floats NAME(power_of_two)(floats x) {
    const float shifter = 12582912.0f;
    x = NAME(larger)(x, (floats){0} - 126.0f);
    floats shifted = x + shifter;
    floats part = x - (shifted - shifter);
    floats p = part * 0.0001534581216f + 0.001339993118f;
    p = p * part + 0.009618488956f;
    p = p * part + 0.05550328777f;
    p = p * part + 0.2402264689f;
    p = p * part + 0.6931472057f;
    p = p * part + 1.0f;
    return (floats)((NAME(words))p + ((NAME(words))shifted << 23));
}

/// Scores of `count` keys with the tile; the maximum takes them in.
INLINE void NAME(scores_of)(const float *keys, int64_t d, const float *queries, int count, float *scores, floats *maximum) {
    floats sums[KEYS][2];
    UNROLL for (int key = 0; key < count; key++) sums[key][0] = sums[key][1] = (floats){0};
    for (int64_t i = 0; i < d; i++) {
        floats q0 = NAME(at)(queries + i * TILE), q1 = NAME(at)(queries + i * TILE + LANES);
        UNROLL for (int key = 0; key < count; key++) {
            float k = keys[key * d + i];
            sums[key][0] += q0 * k;
            sums[key][1] += q1 * k;
        }
    }
    UNROLL for (int key = 0; key < count; key++)
        UNROLL for (int vector = 0; vector < 2; vector++) {
            *(floats *)(scores + key * TILE + vector * LANES) = sums[key][vector];
            maximum[vector] = NAME(larger)(maximum[vector], sums[key][vector]);
        }
}

TARGET static void NAME(add_bias)(const apus_attention_head *head, int64_t query, int64_t rows, int64_t start, int64_t count,
                                  float *scores, floats *maximum) {
    for (int64_t row = 0; row < rows; row++) {
        const float *bias = head->bias + (query + row) * head->bias_size + start;
        for (int64_t key = 0; key < count; key++) scores[key * TILE + row] += bias[key] * 1.44269504f;
    }
    UNROLL for (int vector = 0; vector < 2; vector++) {
        floats top = (floats){0} - __builtin_inff();
        for (int64_t key = 0; key < count; key++) top = NAME(larger)(top, NAME(at)(scores + key * TILE + vector * LANES));
        maximum[vector] = top;
    }
}

/// Adds a block's probabilities times its values to `rows` rows and `vectors` vectors of columns.
INLINE void NAME(weigh_values)(const float *probabilities, const float *values, int64_t width, int64_t count, int rows, int vectors,
                               const float *factors, float *sums) {
    floats all[KEYS][2];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int vector = 0; vector < vectors; vector++)
            all[row][vector] = NAME(at)(sums + row * width + vector * LANES) * factors[row];
    for (int64_t key = 0; key < count; key++) {
        floats v[2];
        UNROLL for (int vector = 0; vector < vectors; vector++) v[vector] = NAME(at)(values + key * width + vector * LANES);
        UNROLL for (int row = 0; row < rows; row++) {
            float weight = probabilities[key * TILE + row];
            UNROLL for (int vector = 0; vector < vectors; vector++) all[row][vector] += v[vector] * weight;
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int vector = 0; vector < vectors; vector++)
            *(floats *)(sums + row * width + vector * LANES) = all[row][vector];
}

TARGET static void NAME(attend_tile)(const apus_attention_head *head, const buffers *b, int64_t first) {
    int64_t n = head->length, d = head->head_size, width = b->width;
    int64_t rows = n - first < TILE ? n - first : TILE;
    for (int64_t i = 0; i < d; i++)
        for (int64_t row = 0; row < TILE; row++)
            b->queries[i * TILE + row] = row < rows ? head->q[(first + row) * head->ld + i] * head->scale : 0;
    memset(b->sums, 0, (size_t)(TILE * width) * sizeof(float));
    floats maximum[2], totals[2] = {{0}, {0}};
    maximum[0] = maximum[1] = (floats){0} - __builtin_inff();
    for (int64_t start = 0; start < n; start += APUS_BLOCK_KEYS) {
        int64_t count = n - start < APUS_BLOCK_KEYS ? n - start : APUS_BLOCK_KEYS, key = 0;
        const float *keys = b->keys + start * d;
        floats tops[2];
        tops[0] = tops[1] = (floats){0} - __builtin_inff();
        for (; count - key >= KEYS; key += KEYS)
            NAME(scores_of)(keys + key * d, d, b->queries, KEYS, b->scores + key * TILE, tops);
        for (; key < count; key++) NAME(scores_of)(keys + key * d, d, b->queries, 1, b->scores + key * TILE, tops);
        if (head->bias) NAME(add_bias)(head, first, rows, start, count, b->scores, tops);
        float factors[TILE];
        UNROLL for (int vector = 0; vector < 2; vector++) {
            floats top = NAME(larger)(maximum[vector], tops[vector]);
            floats factor = NAME(power_of_two)(maximum[vector] - top);
            *(floats *)(factors + vector * LANES) = factor;
            totals[vector] *= factor;
            maximum[vector] = top;
        }
        for (key = 0; key < count; key++)
            UNROLL for (int vector = 0; vector < 2; vector++) {
                floats *score = (floats *)(b->scores + key * TILE + vector * LANES);
                floats p = NAME(power_of_two)(*score - maximum[vector]);
                *score = p;
                totals[vector] += p;
            }
        const float *values = b->values + start * width;
        for (int64_t row = 0; row < rows; row += KEYS) {
            int64_t column = 0;
            for (; width - column >= 2 * LANES; column += 2 * LANES)
                NAME(weigh_values)(b->scores + row, values + column, width, count, KEYS, 2, factors + row, b->sums + row * width + column);
            for (; column < width; column += LANES)
                NAME(weigh_values)(b->scores + row, values + column, width, count, KEYS, 1, factors + row, b->sums + row * width + column);
        }
    }
    float inverses[TILE];
    UNROLL for (int vector = 0; vector < 2; vector++) *(floats *)(inverses + vector * LANES) = 1.0f / totals[vector];
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < d; i++) head->y[(first + row) * head->ldy + i] = b->sums[row * width + i] * inverses[row];
}

TARGET static void NAME(attend)(const apus_attention_head *head) {
    buffers b = split(head);
    int64_t n = head->length, d = head->head_size;
    for (int64_t row = 0; row < n; row++) {
        memcpy(b.keys + row * d, head->k + row * head->ld, (size_t)d * sizeof(float));
        memcpy(b.values + row * b.width, head->v + row * head->ld, (size_t)d * sizeof(float));
        memset(b.values + row * b.width + d, 0, (size_t)(b.width - d) * sizeof(float));
    }
    for (int64_t first = 0; first < n; first += TILE) NAME(attend_tile)(head, &b, first);
}

#undef floats
#undef INLINE
#undef TILE
