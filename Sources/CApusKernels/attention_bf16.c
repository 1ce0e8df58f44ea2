// Attention with AVX512-BF16: vdpbf16ps multiplies pairs of bf16 and sums in fp32.
//
// Queries: [head_size / 2][tile] pairs of elements, keys: rows of bf16, values: [keys / 2][head_size] pairs of rows,
// probabilities: [keys / 2][tile] pairs of keys, so that each product is a broadcast of 32 bits times a vector.

#include "attention.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

static int64_t rounded(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

typedef struct {
    /// [head_size / 2][32] pairs.
    uint32_t *queries;
    /// [length rounded up to 4][head_size].
    uint16_t *keys;
    /// [length / 2 rounded up][width] pairs.
    uint32_t *values;
    /// [APUS_BLOCK_KEYS][32]; the probabilities' pairs overwrite it from the start.
    float *scores;
    /// [32][width], only with more than one block of keys.
    float *sums;
    /// head_size rounded up to 16.
    int64_t width;
} buffers;

size_t apus_attend_bf16_bytes(int64_t length, int64_t head_size) {
    int64_t width = rounded(head_size, 16);
    int64_t bytes = rounded(head_size * 2 * APUS_TILE_QUERIES, 64) + rounded(rounded(length, 4) * head_size * 2, 64) +
                    rounded(length, 2) * width * 2 + APUS_BLOCK_KEYS * APUS_TILE_QUERIES * 4 + APUS_TILE_QUERIES * width * 4;
    return (size_t)bytes;
}

static buffers split(const apus_attention_head *head) {
    buffers b;
    b.width = rounded(head->head_size, 16);
    char *at = head->scratch;
    b.queries = (uint32_t *)at;
    at += rounded(head->head_size * 2 * APUS_TILE_QUERIES, 64);
    b.keys = (uint16_t *)at;
    at += rounded(rounded(head->length, 4) * head->head_size * 2, 64);
    b.values = (uint32_t *)at;
    at += rounded(head->length, 2) * b.width * 2;
    b.scores = (float *)at;
    at += APUS_BLOCK_KEYS * APUS_TILE_QUERIES * 4;
    b.sums = (float *)at;
    return b;
}

INLINE __mmask16 first_lanes(int64_t count) { return count >= 16 ? 0xffff : count <= 0 ? 0 : (__mmask16)((1u << count) - 1); }

/// Elements `at ..< at + 32` of a row as 16 pairs of bf16, zeros from `size` on.
INLINE __m512i row_pairs(const float *row, int64_t at, int64_t size, __m512 factor) {
    __m512 low = _mm512_maskz_loadu_ps(first_lanes(size - at), row + at);
    __m512 high = size - at > 16 ? _mm512_maskz_loadu_ps(first_lanes(size - at - 16), row + at + 16) : _mm512_setzero_ps();
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(high, factor), _mm512_mul_ps(low, factor));
}

/// Lane i of row j becomes lane j of row i.
INLINE void transpose(__m512i rows[16]) {
    __m512i t[16];
    UNROLL for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        rows[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        rows[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

TARGET static void pack_keys_and_values(const apus_attention_head *head, const buffers *b) {
    int64_t n = head->length, d = head->head_size;
    __m512 one = _mm512_set1_ps(1);
    for (int64_t row = 0; row < n; row++)
        for (int64_t i = 0; i < d; i += 32) {
            __m512i pairs = row_pairs(head->k + row * head->ld, i, d, one);
            _mm512_mask_storeu_epi32(b->keys + row * d + i, first_lanes((d - i) / 2), pairs);
        }
    // Copies of the last key: their scores leave the maximum as it is.
    for (int64_t row = n; row < rounded(n, 4); row++) memcpy(b->keys + row * d, b->keys + (n - 1) * d, (size_t)d * 2);

    const __m512i interleaved = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                 19, 3, 18, 2, 17, 1, 16, 0);
    for (int64_t row = 0; row < n; row += 2) {
        const float *v = head->v + row * head->ld;
        for (int64_t i = 0; i < d; i += 16) {
            __mmask16 lanes = first_lanes(d - i);
            __m512 even = _mm512_maskz_loadu_ps(lanes, v + i);
            __m512 odd = row + 1 < n ? _mm512_maskz_loadu_ps(lanes, v + head->ld + i) : _mm512_setzero_ps();
            __m512i pairs = _mm512_permutexvar_epi16(interleaved, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
            _mm512_store_si512(b->values + row / 2 * b->width + i, pairs);
        }
    }
}

/// Queries `first ..< first + 16 * vectors` scaled, as [pair][16 * vectors].
INLINE void pack_queries(const apus_attention_head *head, const buffers *b, int64_t first, int vectors) {
    int64_t d = head->head_size;
    __m512 scale = _mm512_set1_ps(head->scale);
    for (int vector = 0; vector < vectors; vector++) {
        int64_t row = first + vector * 16, left = head->length - row;
        for (int64_t i = 0; i < d; i += 32) {
            __m512i rows[16];
            UNROLL for (int lane = 0; lane < 16; lane++)
                rows[lane] = lane < left ? row_pairs(head->q + (row + lane) * head->ld, i, d, scale) : _mm512_setzero_si512();
            transpose(rows);
            int64_t pairs = (d - i) / 2;
            uint32_t *to = b->queries + i / 2 * 16 * vectors + vector * 16;
            UNROLL for (int pair = 0; pair < 16; pair++)
                if (pair < pairs) _mm512_store_si512(to + pair * 16 * vectors, rows[pair]);
        }
    }
}

/// Scores of `count` keys with the tile; the running maximum takes them in.
INLINE void scores_of(const uint16_t *keys, int64_t d, const uint32_t *queries, int vectors, int count, float *scores, __m512 *maximum) {
    __m512 sums[16][2];
    UNROLL for (int key = 0; key < count; key++)
        UNROLL for (int vector = 0; vector < vectors; vector++) sums[key][vector] = _mm512_setzero_ps();
    for (int64_t pair = 0; pair < d / 2; pair++) {
        __m512bh q[2];
        UNROLL for (int vector = 0; vector < vectors; vector++)
            q[vector] = (__m512bh)_mm512_load_si512(queries + (pair * vectors + vector) * 16);
        UNROLL for (int key = 0; key < count; key++) {
            uint32_t bits;
            memcpy(&bits, keys + key * d + pair * 2, sizeof bits);
            __m512bh k = (__m512bh)_mm512_set1_epi32((int)bits);
            UNROLL for (int vector = 0; vector < vectors; vector++)
                sums[key][vector] = _mm512_dpbf16_ps(sums[key][vector], q[vector], k);
        }
    }
    UNROLL for (int key = 0; key < count; key++)
        UNROLL for (int vector = 0; vector < vectors; vector++) {
            _mm512_store_ps(scores + (key * vectors + vector) * 16, sums[key][vector]);
            maximum[vector] = _mm512_max_ps(maximum[vector], sums[key][vector]);
        }
}

/// Adds the bias of queries `query ...` and keys `key ..< key + count` to the scores and finds the maximum anew.
INLINE void add_bias(const apus_attention_head *head, int64_t query, int64_t key, int64_t count, int vectors, float *scores,
                     __m512 *maximum) {
    const __m512 log2e = _mm512_set1_ps(1.44269504f);
    UNROLL for (int vector = 0; vector < vectors; vector++) {
        int64_t row = query + vector * 16, left = head->length - row;
        __m512 top = _mm512_set1_ps(-__builtin_inff());
        for (int64_t i = 0; i < count; i += 16) {
            __mmask16 lanes = first_lanes(count - i);
            __m512i rows[16];
            UNROLL for (int lane = 0; lane < 16; lane++)
                rows[lane] = lane < left ? _mm512_maskz_loadu_epi32(lanes, head->bias + (row + lane) * head->bias_size + key + i)
                                         : _mm512_setzero_si512();
            transpose(rows);
            UNROLL for (int at = 0; at < 16; at++)
                if (i + at < count) {
                    float *score = scores + ((i + at) * vectors + vector) * 16;
                    __m512 sum = _mm512_fmadd_ps((__m512)rows[at], log2e, _mm512_load_ps(score));
                    _mm512_store_ps(score, sum);
                    top = _mm512_max_ps(top, sum);
                }
        }
        maximum[vector] = top;
    }
}

/// 2^x for x <= 0. The polynomial is the relative minimax of degree 4 on [0, 1) (error 2.6e-6, a 1500th of bf16's rounding).
INLINE __m512 power_of_two(__m512 x) {
    __m512 part = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(0.01353416785f);
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.05201146078f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.2414427568f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.6930038345f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(1.000002593f));
    return _mm512_scalef_ps(p, x);
}

/// Turns scores into pairs of probabilities (not yet divided by their sum) in place; returns the sums of what was rounded to bf16.
INLINE void probabilities(float *scores, int64_t count, int vectors, const __m512 *maximum, __m512 *totals) {
    const __m512i interleaved = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    uint32_t *pairs = (uint32_t *)(void *)scores;
    for (int64_t key = 0; key < count; key += 2)
        UNROLL for (int vector = 0; vector < vectors; vector++) {
            __m512 even = power_of_two(_mm512_sub_ps(_mm512_load_ps(scores + (key * vectors + vector) * 16), maximum[vector]));
            __m512 odd = _mm512_setzero_ps();
            if (key + 1 < count)
                odd = power_of_two(_mm512_sub_ps(_mm512_load_ps(scores + ((key + 1) * vectors + vector) * 16), maximum[vector]));
            __m512i pair = _mm512_permutexvar_epi16(interleaved, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
            totals[vector] = _mm512_dpbf16_ps(totals[vector], (__m512bh)pair, ones);
            _mm512_store_si512(pairs + (key / 2 * vectors + vector) * 16, pair);
        }
}

/// What a block of keys adds to the tile's rows.
typedef struct {
    const uint32_t *probabilities, *values;
    int64_t pairs, width, head_size;
    /// Rows of the tile in `probabilities`, and those that exist.
    int64_t stride, rows;
    /// The rows so far and their factors; NULL in the first block.
    const float *earlier, *factors;
    /// Where rows go and their factors: the result in the last block (masked to head_size), else the rows so far.
    float *to;
    int64_t to_stride;
    const float *inverses;
} block;

INLINE void weigh_values(const block *b, int64_t row, int64_t column, int rows, int vectors) {
    __m512 sums[12][2];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int vector = 0; vector < vectors; vector++)
            sums[r][vector] = b->earlier ? _mm512_mul_ps(_mm512_load_ps(b->earlier + (row + r) * b->width + column + vector * 16),
                                                         _mm512_set1_ps(b->factors[row + r]))
                                         : _mm512_setzero_ps();
    const uint32_t *p = b->probabilities + row, *v = b->values + column;
    for (int64_t pair = 0; pair < b->pairs; pair++, p += b->stride, v += b->width) {
        __m512bh values[2];
        UNROLL for (int vector = 0; vector < vectors; vector++) values[vector] = (__m512bh)_mm512_load_si512(v + vector * 16);
        UNROLL for (int r = 0; r < rows; r++) {
            __m512bh weight = (__m512bh)_mm512_set1_epi32((int)p[r]);
            UNROLL for (int vector = 0; vector < vectors; vector++)
                sums[r][vector] = _mm512_dpbf16_ps(sums[r][vector], weight, values[vector]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        if (row + r < b->rows)
            UNROLL for (int vector = 0; vector < vectors; vector++) {
                __m512 sum = sums[r][vector];
                int64_t at = column + vector * 16;
                if (b->inverses) sum = _mm512_mul_ps(sum, _mm512_set1_ps(b->inverses[row + r]));
                _mm512_mask_storeu_ps(b->to + (row + r) * b->to_stride + at,
                                      first_lanes((b->inverses ? b->head_size : b->width) - at), sum);
            }
}

INLINE void weigh_columns(const block *b, int64_t column, int vectors) {
    int64_t row = 0;
    for (; b->rows - row > 8; row += 12) {
        if (b->rows - row > 12 && b->rows - row <= 16) break;
        if (row + 12 > b->stride) break;
        weigh_values(b, row, column, 12, vectors);
    }
    for (; b->rows - row > 4; row += 8) weigh_values(b, row, column, 8, vectors);
    for (; b->rows - row > 0; row += 4) weigh_values(b, row, column, 4, vectors);
}

INLINE void attend_tile(const apus_attention_head *head, const buffers *b, int64_t first, int vectors) {
    int64_t n = head->length, d = head->head_size;
    int64_t rows = n - first < vectors * 16 ? n - first : vectors * 16;
    pack_queries(head, b, first, vectors);
    __m512 maximum[2], totals[2];
    float factors[APUS_TILE_QUERIES], inverses[APUS_TILE_QUERIES];
    UNROLL for (int vector = 0; vector < vectors; vector++) {
        maximum[vector] = _mm512_set1_ps(-__builtin_inff());
        totals[vector] = _mm512_setzero_ps();
    }
    for (int64_t start = 0; start < n; start += APUS_BLOCK_KEYS) {
        int64_t count = n - start < APUS_BLOCK_KEYS ? n - start : APUS_BLOCK_KEYS;
        const uint16_t *keys = b->keys + start * d;
        __m512 tops[2];
        UNROLL for (int vector = 0; vector < vectors; vector++) tops[vector] = _mm512_set1_ps(-__builtin_inff());
        int64_t key = 0;
        if (vectors == 1)
            for (; count - key > 8; key += 12) {
                if (count - key > 12) break;
                scores_of(keys + key * d, d, b->queries, vectors, 12, b->scores + key * vectors * 16, tops);
            }
        for (; count - key > 4; key += 8)
            scores_of(keys + key * d, d, b->queries, vectors, 8, b->scores + key * vectors * 16, tops);
        for (; count - key > 0; key += 4)
            scores_of(keys + key * d, d, b->queries, vectors, 4, b->scores + key * vectors * 16, tops);
        if (head->bias) add_bias(head, first, start, count, vectors, b->scores, tops);
        int64_t last = start + count == n;
        UNROLL for (int vector = 0; vector < vectors; vector++) {
            __m512 top = _mm512_max_ps(maximum[vector], tops[vector]);
            if (start > 0) {
                __m512 factor = power_of_two(_mm512_sub_ps(maximum[vector], top));
                totals[vector] = _mm512_mul_ps(totals[vector], factor);
                _mm512_storeu_ps(factors + vector * 16, factor);
            }
            maximum[vector] = top;
        }
        probabilities(b->scores, count, vectors, maximum, totals);
        if (last)
            UNROLL for (int vector = 0; vector < vectors; vector++)
                _mm512_storeu_ps(inverses + vector * 16, _mm512_div_ps(_mm512_set1_ps(1), totals[vector]));
        block of = {
            .probabilities = (const uint32_t *)(const void *)b->scores,
            .values = b->values + start / 2 * b->width,
            .pairs = (count + 1) / 2,
            .width = b->width,
            .head_size = d,
            .stride = vectors * 16,
            .rows = rows,
            .earlier = start > 0 ? b->sums : NULL,
            .factors = factors,
            .to = last ? head->y + first * head->ldy : b->sums,
            .to_stride = last ? head->ldy : b->width,
            .inverses = last ? inverses : NULL,
        };
        int64_t column = 0;
        for (; b->width - column >= 32; column += 32) weigh_columns(&of, column, 2);
        if (column < b->width) weigh_columns(&of, column, 1);
    }
}

TARGET static __attribute__((noinline)) void attend_narrow(const apus_attention_head *head, const buffers *b, int64_t first) {
    attend_tile(head, b, first, 1);
}

TARGET static __attribute__((noinline)) void attend_wide(const apus_attention_head *head, const buffers *b, int64_t first) {
    attend_tile(head, b, first, 2);
}

TARGET void apus_attend_bf16(const apus_attention_head *head) {
    buffers b = split(head);
    pack_keys_and_values(head, &b);
    int64_t first = 0;
    for (; head->length - first > 16; first += 32) attend_wide(head, &b, first);
    if (first < head->length) attend_narrow(head, &b, first);
}

#endif
