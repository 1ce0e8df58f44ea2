#include "attention.h"
#include "linear_internal.h"
#include "norm.h"

/// Whole sequences are worked on together up to this many rows, so that q, k and v of a group are still in the second-level cache when
/// attention reads them, while each weight that is loaded serves many rows. A longer sequence is a group of its own.
#define GROUP_ROWS 96

typedef struct {
    apus_linear_view qkv, out;
    int64_t h, head_size;
} layers;

static apus_result open_layers(const void *qkv, const void *out, int64_t heads, layers *l) {
    if (apus_linear_open(qkv, &l->qkv) != APUS_OK || apus_linear_open(out, &l->out) != APUS_OK) return APUS_BAD_BLOB;
    l->h = l->out.n;
    if (l->out.k != l->h || l->qkv.k != l->h || l->qkv.n % 3 != 0 || l->qkv.n / 3 != l->h) return APUS_BAD_ARGUMENT;
    if (heads < 1 || l->h % heads != 0) return APUS_BAD_ARGUMENT;
    l->head_size = l->h / heads;
    return APUS_OK;
}

/// The sequence after the last one of the group that begins with sequence `first`.
static int64_t group_end(const int32_t *starts, int64_t count, int64_t first) {
    int64_t end = first + 1;
    while (end < count && (int64_t)starts[end + 1] - starts[first] <= GROUP_ROWS) end++;
    return end;
}

/// Scratch memory by parts, each a multiple of 64 bytes.
typedef struct {
    size_t projected, context, rows, attention;
} parts;

static int find_parts(const layers *l, int64_t heads, const int32_t *starts, int64_t count, parts *p) {
    int64_t longest, rows = 1;
    if (!apus_starts_are_valid(starts, count, &longest)) return 0;
    for (int64_t first = 0, end; first < count; first = end) {
        end = group_end(starts, count, first);
        int64_t group = (int64_t)starts[end] - starts[first];
        rows = group > rows ? group : rows;
    }
    size_t bytes;
    if (__builtin_mul_overflow((size_t)l->h * sizeof(float), (size_t)rows, &bytes) || bytes > SIZE_MAX / 16) return 0;
    size_t first = apus_rows_bytes(&l->qkv, rows), second = apus_rows_bytes(&l->out, rows);
    p->attention = apus_attention_scratch(l->qkv.format, heads, l->head_size, starts, count);
    if (first == 0 || second == 0 || p->attention == 0) return 0;
    p->projected = (3 * bytes + 63) / 64 * 64;
    p->context = (bytes + 63) / 64 * 64;
    p->rows = first > second ? first : second;
    return 1;
}

size_t apus_self_attention_scratch(const void *qkv, const void *out, int64_t heads, const int32_t *starts, int64_t count) {
    layers l;
    parts p;
    if (open_layers(qkv, out, heads, &l) != APUS_OK || !find_parts(&l, heads, starts, count, &p)) return 0;
    return p.projected + p.context + p.rows + p.attention;
}

apus_result apus_self_attention(const void *qkv, const float *bqkv, const void *out, const float *bo, int64_t heads, float scale,
                                const float *bias, int64_t bias_size, const float *gamma, const float *beta, float epsilon,
                                const float *x, const int32_t *starts, int64_t count, float *y, void *scratch) {
    layers l;
    parts p;
    int64_t longest;
    apus_result opened = open_layers(qkv, out, heads, &l);
    if (opened != APUS_OK) return opened;
    if (!apus_starts_are_valid(starts, count, &longest) || (bias && bias_size < longest)) return APUS_BAD_ARGUMENT;
    if (!find_parts(&l, heads, starts, count, &p) || !scratch || (uintptr_t)scratch % 64 != 0) return APUS_BAD_ARGUMENT;
    char *at = scratch;
    float *projected = scratch, *context = (float *)(void *)(at + p.projected);
    void *packed = at + p.projected + p.context, *attention = at + p.projected + p.context + p.rows;
    int64_t h = l.h;
    for (int64_t first = 0, end; first < count; first = end) {
        end = group_end(starts, count, first);
        int64_t row = starts[first], rows = starts[end] - row;
        if (rows == 0) continue;
        apus_rows ready;
        apus_rows_pack(&l.qkv, x + row * h, h, rows, packed, &ready);
        apus_linear_rows(&l.qkv, &ready, rows, bqkv, APUS_ACT_NONE, projected, 3 * h);
        apus_attend_sequences(l.qkv.format, heads, l.head_size, scale, bias, bias_size, projected, projected + h, projected + 2 * h, 3 * h,
                              starts + first, end - first, context, h, attention);
        apus_rows_pack(&l.out, context, h, rows, packed, &ready);
        apus_linear_rows(&l.out, &ready, rows, bo, APUS_ACT_NONE, y + row * h, h);
        apus_norm_rows(y + row * h, x + row * h, gamma, beta, epsilon, rows, h, y + row * h);
    }
    return APUS_OK;
}
