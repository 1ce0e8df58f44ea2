#include "attention.h"

/// Bounds of what is multiplied below: no product of a length (32 bits), a head size and a constant leaves 64 bits.
#define LARGEST_HEAD_SIZE 65536
#define LARGEST_HEADS 65536

int apus_starts_are_valid(const int32_t *starts, int64_t count, int64_t *longest) {
    *longest = 0;
    if (count < 0 || count > INT32_MAX || starts[0] != 0) return 0;
    for (int64_t i = 0; i < count; i++) {
        if (starts[i + 1] < starts[i]) return 0;
        int64_t length = (int64_t)starts[i + 1] - starts[i];
        if (length > *longest) *longest = length;
    }
    return 1;
}

/// The kernel for the arithmetic and the features that are allowed now.
static apus_attend kernel_for(apus_format arithmetic) {
#if defined(__x86_64__)
    uint32_t needed = APUS_CPU_AVX512 | APUS_CPU_BF16;
    if (arithmetic != APUS_FORMAT_FP32 && (apus_cpu_features() & needed) == needed) return apus_attend_bf16;
#else
    (void)arithmetic;
#endif
    return apus_attend_fp32();
}

static int sizes_are_valid(apus_format arithmetic, int64_t heads, int64_t head_size) {
    return arithmetic >= APUS_FORMAT_FP32 && arithmetic <= APUS_FORMAT_INT8 && heads >= 1 && heads <= LARGEST_HEADS && head_size >= 8 &&
           head_size <= LARGEST_HEAD_SIZE && head_size % 8 == 0;
}

size_t apus_attention_scratch(apus_format arithmetic, int64_t heads, int64_t head_size, const int32_t *starts, int64_t count) {
    int64_t longest;
    if (!sizes_are_valid(arithmetic, heads, head_size) || !apus_starts_are_valid(starts, count, &longest)) return 0;
    // Enough for either kernel: the features may change between this call and the work.
    size_t fp32 = apus_attend_fp32_bytes(longest, head_size);
#if defined(__x86_64__)
    size_t bf16 = apus_attend_bf16_bytes(longest, head_size);
    return bf16 > fp32 ? bf16 : fp32;
#else
    return fp32;
#endif
}

void apus_attend_sequences(apus_format arithmetic, int64_t heads, int64_t head_size, float scale, const float *bias, int64_t bias_size,
                           const float *q, const float *k, const float *v, int64_t ld, const int32_t *starts, int64_t count, float *y,
                           int64_t ldy, void *scratch) {
    apus_attend attend = kernel_for(arithmetic);
    apus_attention_head head = {
        .ld = ld,
        .ldy = ldy,
        .head_size = head_size,
        .scale = scale * 1.44269504f,
        .bias_size = bias_size,
        .scratch = scratch,
    };
    for (int64_t sequence = 0; sequence < count; sequence++) {
        int64_t first = (int64_t)starts[sequence] - starts[0];
        head.length = (int64_t)starts[sequence + 1] - starts[sequence];
        if (head.length == 0) continue;
        for (int64_t i = 0; i < heads; i++) {
            head.q = q + first * ld + i * head_size;
            head.k = k + first * ld + i * head_size;
            head.v = v + first * ld + i * head_size;
            head.y = y + first * ldy + i * head_size;
            head.bias = bias ? bias + i * bias_size * bias_size : NULL;
            attend(&head);
        }
    }
}

apus_result apus_attention(apus_format arithmetic, int64_t heads, int64_t head_size, float scale, const float *bias, int64_t bias_size,
                           const float *q, const float *k, const float *v, int64_t ld, const int32_t *starts, int64_t count, float *y,
                           int64_t ldy, void *scratch) {
    int64_t longest;
    if (!sizes_are_valid(arithmetic, heads, head_size) || !apus_starts_are_valid(starts, count, &longest)) return APUS_BAD_ARGUMENT;
    if (ld < heads * head_size || ldy < heads * head_size || !scratch || (uintptr_t)scratch % 64 != 0) return APUS_BAD_ARGUMENT;
    if (bias && bias_size < longest) return APUS_BAD_ARGUMENT;
    apus_attend_sequences(arithmetic, heads, head_size, scale, bias, bias_size, q, k, v, ld, starts, count, y, ldy, scratch);
    return APUS_OK;
}
