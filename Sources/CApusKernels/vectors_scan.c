// Scans: rows go by in blocks that stay in the cache, every group of queries scores the block, and what may belong to the best is kept.

#include "vectors.h"

#include <math.h>
#include <string.h>

// A score has the same bits for one query and for a group, whichever instructions the compiler finds.
#pragma STDC FP_CONTRACT OFF

/// Rows that are scored together at most, and pointers that are known beyond them.
enum { BLOCK = 96, AHEAD = APUS_ROWS_STEP };
/// What a core reads while it waits for memory and makes the scores of a block: measured on a Zen 5.
enum { BYTES_AHEAD = 6144 };

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_integers __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint64_t two_words __attribute__((vector_size(16), aligned(8), may_alias));

// MARK: Hits

/// Whether `a` stands behind `b`.
static inline int is_worse(apus_hit a, apus_hit b) { return a.score < b.score || (a.score == b.score && a.row > b.row); }

/// The list is a heap with the worst at its root. Puts `hit` at `hole` or below it.
static void sink(apus_hit *hits, int64_t count, int64_t hole, apus_hit hit) {
    for (;;) {
        int64_t child = 2 * hole + 1;
        if (child >= count) break;
        if (child + 1 < count && is_worse(hits[child + 1], hits[child])) child++;
        if (!is_worse(hits[child], hit)) break;
        hits[hole] = hits[child];
        hole = child;
    }
    hits[hole] = hit;
}

/// A hit that is behind every other; a score that is NaN is never before it.
static const apus_hit nobody = {INT64_MAX, -INFINITY};

static inline void offer(apus_hit *hits, int64_t k, int64_t row, float score) {
    apus_hit hit = {row, score};
    if (is_worse(hits[0], hit)) sink(hits, k, 0, hit);
}

void apus_hits_begin(apus_hit *hits, int64_t k, int64_t lists) {
    for (int64_t i = 0; i < k * lists; i++) hits[i] = nobody;
}

void apus_hits_merge(apus_hit *hits, const apus_hit *other, int64_t k) {
    for (int64_t i = 0; i < k; i++) offer(hits, k, other[i].row, other[i].score);
}

int64_t apus_hits_finish(apus_hit *hits, int64_t k) {
    for (int64_t last = k - 1; last > 0; last--) {
        apus_hit worst = hits[0];
        sink(hits, last, 0, hits[last]);
        hits[last] = worst;
    }
    int64_t count = k;
    while (count > 0 && hits[count - 1].row == nobody.row) count--;
    return count;
}

// MARK: Blocks

/// A block of rows: where they lie and what belongs to each. Filled up to a multiple of APUS_ROWS_STEP with the last row, and with what the
/// next block begins with.
typedef struct {
    int64_t start, count, padded;
    const uint8_t *rows[BLOCK + AHEAD];
    /// The stored ones where whole blocks lie together, else copies.
    const float *norms, *scales;
    float some_norms[BLOCK], some_scales[BLOCK];
} row_block;

typedef struct {
    const apus_vectors *vectors;
    apus_queries_view queries;
    apus_row_choice choice;
    size_t stride;
    int64_t block_rows;
    apus_float_kernel floats;
    apus_int8_kernel integers;
} scan;

static inline int64_t number(const scan *s, int64_t index) {
    return s->choice.list ? s->choice.list[index] : s->choice.first + index;
}

static inline const uint8_t *row_at(const scan *s, int64_t index) {
    return (const uint8_t *)s->vectors->values + (size_t)number(s, index) * s->stride;
}

static void fill(const scan *s, int64_t start, row_block *block) {
    const apus_vectors *vectors = s->vectors;
    const int32_t *list = s->choice.list;
    const float *norms = vectors->norms, *scales = vectors->scales;
    int64_t left = s->choice.count - start, last = left - 1;
    block->start = start;
    block->count = left < s->block_rows ? left : s->block_rows;
    block->padded = (block->count + APUS_ROWS_STEP - 1) / APUS_ROWS_STEP * APUS_ROWS_STEP;
    int64_t known = block->padded + AHEAD;
    if (!list) {
        int64_t first = s->choice.first + start;
        const uint8_t *at = (const uint8_t *)vectors->values + (size_t)first * s->stride;
        const size_t stride = s->stride;
        for (int64_t i = 0; i < known; i++) block->rows[i] = at + (size_t)(i < last ? i : last) * stride;
        block->norms = norms + first;
        block->scales = scales ? scales + first : block->norms;
        if (block->count == block->padded) return;
    } else {
        for (int64_t i = 0; i < known; i++) block->rows[i] = row_at(s, start + (i < last ? i : last));
    }
    for (int64_t i = 0; i < block->padded; i++) {
        int64_t at = number(s, start + (i < last ? i : last));
        block->some_norms[i] = norms[at];
        block->some_scales[i] = scales ? scales[at] : 1;
    }
    block->norms = block->some_norms;
    block->scales = block->some_scales;
}

// MARK: Scores

static inline four broadcast(float value) { return (four){value, value, value, value}; }

static inline four divided(four products, four norms) {
    four_integers some = norms > 0;
    four quotient = products / (four)(((four_integers)norms & some) | ((four_integers)broadcast(1) & ~some));
    return (four)((four_integers)quotient & some);
}

/// Scores of four pairs of a query and a row.
static inline four finished(apus_metric metric, int is_quantised, four sums, four norms, four squares) {
    switch (metric) {
    case APUS_METRIC_DOT: return sums;
    case APUS_METRIC_COSINE: return divided(sums, norms);
    case APUS_METRIC_L2: break;
    }
    if (!is_quantised) return -sums;
    four score = 2 * sums - squares - norms * norms;
    return (four)((four_integers)score & (score < 0));
}

/// `sums` `[padded][width]` become scores, in place.
static void score_block(const scan *s, int64_t group, const row_block *block, float *sums) {
    const apus_queries_view *q = &s->queries;
    int is_quantised = q->storage == APUS_VECTORS_INT8;
    if (!is_quantised && q->metric == APUS_METRIC_DOT) return;
    const int64_t step = q->width == 1 ? 4 : 1;
    const float *terms = q->scales + group * q->width, *squares = q->squares + group * q->width;
    four query_scales = q->width == 1 ? broadcast(terms[0]) : *(const four *)terms;
    four query_squares = q->width == 1 ? broadcast(squares[0]) : *(const four *)squares;
    for (int64_t r = 0; r < block->padded; r += step) {
        float *at = sums + r * q->width;
        four norms = step == 4 ? *(const four *)(block->norms + r) : broadcast(block->norms[r]);
        four values = *(const four *)at;
        if (is_quantised) {
            four scales = step == 4 ? *(const four *)(block->scales + r) : broadcast(block->scales[r]);
            values = __builtin_convertvector((four_integers)values, four) * (scales * query_scales);
        }
        *(four *)at = finished(q->metric, is_quantised, values, norms, query_squares);
    }
}

/// How many rows early those of one query are fetched: it is as fast as memory, and rows are to come while a block's scores are made, too.
/// Long rows one after the other are fetched by the CPU itself; a group finds its rows in the cache.
static int64_t rows_ahead(const scan *s) {
    if (s->queries.width > 1 || (!s->choice.list && s->stride > 1024)) return 0;
    int64_t rows = BYTES_AHEAD / (int64_t)s->stride;
    return rows < 8 ? 8 : rows > AHEAD ? AHEAD : rows;
}

static void score_group(const scan *s, int64_t group, const row_block *block, float *sums) {
    const apus_queries_view *q = &s->queries;
    int64_t values = q->units * q->width;
    int64_t ahead = rows_ahead(s);
    if (q->storage == APUS_VECTORS_INT8) {
        int64_t at = group * values * APUS_UNIT;
        const void *from = s->integers.reads_words ? (const void *)(q->words + at) : (const void *)(q->bytes + at);
        apus_int8_scan run = q->width == 1 ? s->integers.one : s->integers.group;
        run(from, q->offsets + group * q->width, block->rows, block->padded, ahead, q->units, (int32_t *)(void *)sums);
    } else {
        apus_float_scan run = q->width == 1 ? s->floats.one : s->floats.group;
        run(q->floats + group * values * 16, block->rows, block->padded, ahead, q->units, sums);
    }
    score_block(s, group, block, sums);
}

/// Fetches the share of the next block's rows that falls to this group of queries.
static void fetch_next(const scan *s, int64_t start, int64_t group) {
    int64_t left = s->choice.count - start, rows = left < s->block_rows ? left : s->block_rows;
    int64_t lines = (int64_t)(s->stride / 64), all = rows * lines;
    int64_t share = (all + s->queries.groups - 1) / s->queries.groups, end = (group + 1) * share;
    for (int64_t line = group * share; line < end && line < all; line++)
        __builtin_prefetch(row_at(s, start + line / lines) + line % lines * 64, 0, 2);
}

// MARK: Scans

static int is_inside(const apus_vectors *vectors, apus_row_choice choice) {
    if (choice.count < 0) return 0;
    if (!choice.list) return choice.first >= 0 && choice.first <= vectors->count && choice.count <= vectors->count - choice.first;
    int inside = 1;
    for (int64_t i = 0; i < choice.count; i++) inside &= choice.list[i] >= 0 && choice.list[i] < vectors->count;
    return inside;
}

static apus_result open(const apus_vectors *vectors, const void *queries, apus_row_choice choice, scan *s) {
    if (!vectors || !apus_queries_read(queries, &s->queries)) return APUS_BAD_BLOB;
    s->stride = apus_vector_stride(vectors->storage, vectors->dimensions);
    if (s->stride == 0 || vectors->storage != s->queries.storage || vectors->dimensions != s->queries.dimensions) return APUS_BAD_ARGUMENT;
    if (vectors->count < 0 || !vectors->values || !vectors->norms || (uintptr_t)vectors->values % 64 != 0) return APUS_BAD_ARGUMENT;
    if ((vectors->storage == APUS_VECTORS_INT8 && !vectors->scales) || !is_inside(vectors, choice)) return APUS_BAD_ARGUMENT;
    s->vectors = vectors;
    s->choice = choice;
    // A group's rows stay in the L1 cache beside its queries.
    int64_t fitting = (int64_t)(32768 / s->stride) / APUS_ROWS_STEP * APUS_ROWS_STEP;
    s->block_rows = s->queries.width == 1 || fitting > BLOCK ? BLOCK : fitting < APUS_ROWS_STEP ? APUS_ROWS_STEP : fitting;
    uint32_t features = apus_cpu_features();
    s->floats = apus_float_kernel_for(vectors->storage, s->queries.metric == APUS_METRIC_L2, features);
    s->integers = apus_int8_kernel_for(features);
    return APUS_OK;
}

static inline int is_any(four_integers conditions) {
    two_words words = (two_words)conditions;
    return (words[0] | words[1]) != 0;
}

static void keep_one(const scan *s, const row_block *block, const float *scores, int64_t base, int64_t k, apus_hit *hits) {
    for (int64_t r = 0; r < block->count; r += 4) {
        if (!is_any(*(const four *)(scores + r) >= broadcast(hits->score))) continue;
        for (int64_t i = r; i < r + 4 && i < block->count; i++)
            if (scores[i] >= hits->score) offer(hits, k, base + number(s, block->start + i), scores[i]);
    }
}

static void keep_group(const scan *s, const row_block *block, const float *scores, int64_t queries, int64_t base, int64_t k,
                       apus_hit *hits) {
    four worst = broadcast(INFINITY);
    for (int64_t q = 0; q < queries; q++) worst[q] = hits[q * k].score;
    for (int64_t r = 0; r < block->count; r++) {
        four row = *(const four *)(scores + r * APUS_GROUP);
        four_integers enters = row >= worst;
        if (!is_any(enters)) continue;
        for (int64_t q = 0; q < queries; q++)
            if (enters[q]) {
                offer(hits + q * k, k, base + number(s, block->start + r), row[q]);
                worst[q] = hits[q * k].score;
            }
    }
}

apus_result apus_scan_top(const apus_vectors *vectors, const void *queries, apus_row_choice choice, int64_t base, int64_t k,
                          apus_hit *hits) {
    scan s;
    apus_result result = open(vectors, queries, choice, &s);
    if (result != APUS_OK) return result;
    if (k < 1 || !hits || base < 0 || base > INT64_MAX - vectors->count) return APUS_BAD_ARGUMENT;
    row_block block;
    _Alignas(64) float scores[BLOCK * APUS_GROUP];
    for (int64_t start = 0; start < choice.count; start += block.count) {
        fill(&s, start, &block);
        for (int64_t group = 0; group < s.queries.groups; group++) {
            if (s.queries.width > 1) fetch_next(&s, start + block.count, group);
            score_group(&s, group, &block, scores);
            int64_t first = group * s.queries.width, left = s.queries.count - first;
            if (s.queries.width == 1)
                keep_one(&s, &block, scores, base, k, hits);
            else
                keep_group(&s, &block, scores, left < APUS_GROUP ? left : APUS_GROUP, base, k, hits + first * k);
        }
    }
    return APUS_OK;
}

apus_result apus_scan_scores(const apus_vectors *vectors, const void *queries, apus_row_choice choice, float *scores, int64_t ld) {
    scan s;
    apus_result result = open(vectors, queries, choice, &s);
    if (result != APUS_OK) return result;
    if (!scores || ld < choice.count) return APUS_BAD_ARGUMENT;
    row_block block;
    _Alignas(64) float sums[BLOCK * APUS_GROUP];
    for (int64_t start = 0; start < choice.count; start += block.count) {
        fill(&s, start, &block);
        for (int64_t group = 0; group < s.queries.groups; group++) {
            if (s.queries.width > 1) fetch_next(&s, start + block.count, group);
            score_group(&s, group, &block, sums);
            int64_t width = s.queries.width;
            for (int64_t q = 0; q < width && group * width + q < s.queries.count; q++)
                for (int64_t r = 0; r < block.count; r++) scores[(group * width + q) * ld + start + r] = sums[r * width + q];
        }
    }
    return APUS_OK;
}
