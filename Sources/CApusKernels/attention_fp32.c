// Attention in fp32, in the compiler's vector types: one text for AVX-512, AVX2 and the 128-bit vectors that every x86-64 and ARM64 has.

#include "attention.h"

#include <string.h>

#define UNROLL _Pragma("clang loop unroll(full)")

static int64_t rounded(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

typedef struct {
    /// [head_size][tile].
    float *queries;
    /// [length][head_size].
    float *keys;
    /// [length][width].
    float *values;
    /// [APUS_BLOCK_KEYS][tile].
    float *scores;
    /// [tile][width].
    float *sums;
    /// head_size rounded up to 16.
    int64_t width;
} buffers;

size_t apus_attend_fp32_bytes(int64_t length, int64_t head_size) {
    int64_t width = rounded(head_size, 16);
    int64_t count = head_size * APUS_TILE_QUERIES + rounded(length * head_size, 16) + length * width + APUS_BLOCK_KEYS * APUS_TILE_QUERIES +
                    APUS_TILE_QUERIES * width;
    return (size_t)count * sizeof(float);
}

static buffers split(const apus_attention_head *head) {
    buffers b;
    b.width = rounded(head->head_size, 16);
    b.queries = head->scratch;
    b.keys = b.queries + head->head_size * APUS_TILE_QUERIES;
    b.values = b.keys + rounded(head->length * head->head_size, 16);
    b.scores = b.values + head->length * b.width;
    b.sums = b.scores + APUS_BLOCK_KEYS * APUS_TILE_QUERIES;
    return b;
}

#define LANES 4
#define KEYS 4
#define TARGET
#define NAME(f) f##_x4
#include "attention_lanes.h"
#undef LANES
#undef KEYS
#undef TARGET
#undef NAME

#if defined(__x86_64__)

#define LANES 8
#define KEYS 4
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(f) f##_x8
#include "attention_lanes.h"
#undef LANES
#undef KEYS
#undef TARGET
#undef NAME

#define LANES 16
#define KEYS 8
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define NAME(f) f##_x16
#include "attention_lanes.h"
#undef LANES
#undef KEYS
#undef TARGET
#undef NAME

/// A tile of 16 queries wastes less of a short sequence than one of 32.
static void attend_avx512(const apus_attention_head *head) {
    if (head->length <= 16)
        attend_x8(head);
    else
        attend_x16(head);
}

#endif

apus_attend apus_attend_fp32(void) {
#if defined(__x86_64__)
    uint32_t features = apus_cpu_features();
    if (features & APUS_CPU_AVX512) return attend_avx512;
    if (features & APUS_CPU_AVX2) return attend_x8;
#endif
    return attend_x4;
}
