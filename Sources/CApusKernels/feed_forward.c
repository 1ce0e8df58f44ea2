// The feed-forward half of a post-norm layer, through blocks of rows whose `[rows, 4h]` intermediate stays in the L2 cache.

#include "linear_internal.h"
#include "norm.h"

typedef struct {
    apus_linear_view up, down;
    int64_t block;
    size_t packed, middle, total;
} plan;

static size_t whole_lines(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static apus_result plan_for(const void *w1, const void *w2, int64_t m, plan *p) {
    if (apus_linear_open(w1, &p->up) != APUS_OK || apus_linear_open(w2, &p->down) != APUS_OK) return APUS_BAD_BLOB;
    if (p->up.n != p->down.k || p->up.k != p->down.n || m < 1) return APUS_BAD_ARGUMENT;
    // Half of a 1 MiB L2 cache for the intermediate, the rest for panels and packed rows. The fp32 kernels take long enough over a panel
    // to fetch rows from farther away, and read weights of four times the size, which larger blocks read less often.
    const int64_t middle_bytes = p->up.format == APUS_FORMAT_FP32 ? 1536 * 1024 : 640 * 1024;
    int64_t tiles = middle_bytes / 4 / p->up.n / APUS_TILE_ROWS;
    p->block = (tiles < 2 ? 2 : tiles > 64 ? 64 : tiles) * APUS_TILE_ROWS;
    if (p->block > m) p->block = m;
    size_t first = apus_rows_bytes(&p->up, p->block), second = apus_rows_bytes(&p->down, p->block);
    p->packed = whole_lines(first > second ? first : second);
    size_t middle;
    if (!first || !second || __builtin_mul_overflow((size_t)p->block * sizeof(float), (size_t)p->up.n, &middle) ||
        middle > PTRDIFF_MAX / 2 || p->packed > PTRDIFF_MAX / 2)
        return APUS_BAD_ARGUMENT;
    p->middle = whole_lines(middle);
    p->total = p->packed + p->middle;
    return APUS_OK;
}

size_t apus_feed_forward_scratch(const void *w1, const void *w2, int64_t m) {
    plan p;
    return plan_for(w1, w2, m, &p) == APUS_OK ? p.total : 0;
}

apus_result apus_feed_forward(const void *w1, const float *b1, apus_activation activation, const void *w2, const float *b2,
                              const float *gamma, const float *beta, float epsilon, const float *x, int64_t m, float *y, void *scratch) {
    if (m < 0 || activation < APUS_ACT_NONE || activation > APUS_ACT_SIGMOID) return APUS_BAD_ARGUMENT;
    plan p;
    apus_result planned = plan_for(w1, w2, m ? m : 1, &p);
    if (planned != APUS_OK || m == 0) return planned;
    if (!gamma || !beta || !x || !y || !scratch || ((uintptr_t)scratch & 63)) return APUS_BAD_ARGUMENT;
    int64_t h = p.up.k;
    float *middle = (float *)((uint8_t *)scratch + p.packed);
    for (int64_t row = 0; row < m; row += p.block) {
        int64_t count = m - row < p.block ? m - row : p.block;
        apus_rows rows;
        apus_rows_pack(&p.up, x + row * h, h, count, scratch, &rows);
        apus_linear_rows(&p.up, &rows, count, b1, activation, middle, p.up.n);
        apus_rows_pack(&p.down, middle, p.up.n, count, scratch, &rows);
        apus_linear_rows(&p.down, &rows, count, b2, APUS_ACT_NONE, y + row * h, h);
        apus_norm_rows(y + row * h, x + row * h, gamma, beta, epsilon, count, h, y + row * h);
    }
    return APUS_OK;
}
