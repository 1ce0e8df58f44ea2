#include "layers.h"

#include "inputs.h"
#include "peak.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 12, HEAD_SIZE = 32, H = HEADS * HEAD_SIZE, TOKENS = 768, RUNS = 40, WORDS = 30522, POSITIONS = 512 };

/// The best time of many runs, in microseconds a token.
#define BEST(tokens, work)                                       \
    ({                                                           \
        double best = 1e9;                                       \
        for (int run = 0; run < RUNS; run++) {                   \
            double start = seconds_now();                        \
            work;                                                \
            double taken = seconds_now() - start;                \
            best = taken < best ? taken : best;                  \
        }                                                        \
        best * 1e6 / (double)(tokens);                           \
    })

void measure_attention(apus_format format) {
    static const int32_t lengths[5] = {12, 32, 64, 128, 256};
    void *qkv = linear(format, 3 * H, H), *out = linear(format, H, H);
    float *bias = noise(3 * H, 1), *x = noise(TOKENS * H, 1), *y = noise(TOKENS * H, 1), *projected = noise(TOKENS * 3 * H, 1);
    for (int i = 0; i < 5; i++) {
        int32_t starts[TOKENS / 12 + 1], count = TOKENS / lengths[i], t = count * lengths[i];
        for (int32_t s = 0; s <= count; s++) starts[s] = s * lengths[i];
        void *half_scratch = memory(apus_self_attention_scratch(qkv, out, HEADS, starts, count));
        void *attention_scratch = memory(apus_attention_scratch(format, HEADS, HEAD_SIZE, starts, count));
        void *qkv_scratch = memory(apus_linear_scratch(qkv, t)), *out_scratch = memory(apus_linear_scratch(out, t));
        double half = BEST(t, apus_self_attention(qkv, bias, out, bias, HEADS, 0.17f, NULL, 0, bias, bias, 1e-12f, x, starts, count, y,
                                                  half_scratch));
        double products = BEST(t, {
            apus_linear(qkv, bias, APUS_ACT_NONE, x, t, projected, qkv_scratch);
            apus_linear(out, bias, APUS_ACT_NONE, x, t, y, out_scratch);
        });
        double attention = BEST(t, apus_attention(format, HEADS, HEAD_SIZE, 0.17f, NULL, 0, projected, projected + H, projected + 2 * H,
                                                  3 * H, starts, count, y, H, attention_scratch));
        printf("%s %d tokens a text: attention %.3f us a token, attention half %.3f, its linear layers %.3f\n", format_names[format],
               lengths[i], attention, half, products);
        free(half_scratch), free(attention_scratch), free(qkv_scratch), free(out_scratch);
    }
    free(qkv), free(out), free(bias), free(x), free(y), free(projected);
}

static void *table(apus_format format, int64_t rows) {
    void *blob = memory(apus_table_bytes(format, rows, H));
    float *values = noise(rows * H, 1);
    if (apus_table_begin(format, rows, H, blob) != APUS_OK || apus_table_pack_rows(blob, 0, rows, values) != APUS_OK) {
        fputs("a table cannot be packed\n", stderr);
        exit(1);
    }
    free(values);
    return blob;
}

void measure_embedding(apus_format format) {
    void *words = table(format, WORDS), *positions = table(format, POSITIONS), *types = table(format, 2);
    float *gamma = noise(H, 1), *y = noise(TOKENS * H, 1), *pooled = noise(TOKENS / 12 * H, 1);
    int32_t ids[TOKENS], places[TOKENS], kinds[TOKENS] = {0}, starts[TOKENS / 12 + 1];
    uint32_t state = 1;
    for (int i = 0; i < TOKENS; i++) places[i] = i % 12;
    for (int i = 0; i <= TOKENS / 12; i++) starts[i] = i * 12;
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < TOKENS; i++) {
            state = state * 1664525 + 1013904223;
            ids[i] = (int32_t)((state >> 8) % WORDS);
        }
        double start = seconds_now();
        apus_embed(words, positions, types, gamma, gamma, 1e-12f, ids, places, kinds, TOKENS, y);
        double taken = seconds_now() - start;
        best = taken < best ? taken : best;
    }
    double pool = BEST(TOKENS, apus_pool(0, y, H, starts, TOKENS / 12, pooled));
    printf("%s table: embedding %.3f us a token; mean pooling %.3f\n", format_names[format], best * 1e6 / TOKENS, pool);
    free(words), free(positions), free(types), free(gamma), free(y), free(pooled);
}
