#include "inputs.h"

#include <stdio.h>
#include <stdlib.h>

const char *const format_names[3] = {"fp32", "bf16", "int8"};

void *memory(size_t bytes) {
    void *pointer = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!pointer) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

float *noise(int64_t count, float range) {
    float *values = memory((size_t)count * sizeof(float));
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = ((float)(state >> 8) / 8388608.0f - 1) * range;
    }
    return values;
}

void *linear(apus_format format, int64_t n, int64_t k) {
    void *blob = memory(apus_linear_bytes(format, n, k));
    float *weight = noise(n * k, 0.1f);
    if (apus_linear_begin(format, n, k, blob) != APUS_OK || apus_linear_pack_rows(blob, 0, n, weight) != APUS_OK) {
        fputs("a weight cannot be packed\n", stderr);
        exit(1);
    }
    free(weight);
    return blob;
}
