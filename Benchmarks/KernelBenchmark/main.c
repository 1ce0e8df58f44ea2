// Speed of the kernels on one thread. Linear layers: billions of operations a second, and the share of what this core's multiply-add alone
// reaches in the same run; everything else: microseconds a token. The best of many short runs, since other work on the machine can only
// slow them.

#include "inputs.h"
#include "layers.h"
#include "peak.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t heights[4] = {12, 64, 128, 384};

static void report(int64_t m, double operations, double seconds, double peak) {
    double rate = operations / seconds * 1e-9;
    printf("  m %lld: %.0f", (long long)m, rate);
    if (peak > 0) printf(" (%.0f %%)", 100 * rate / peak);
    fflush(stdout);
}

static void measure_linear(apus_format format, int64_t n, int64_t k, apus_activation activation, double peak) {
    void *blob = linear(format, n, k);
    const char *name = activation == APUS_ACT_GELU ? "gelu" : "none";
    printf("%s n %lld k %lld %s:", format_names[format], (long long)n, (long long)k, name);
    for (int i = 0; i < 4; i++) {
        int64_t m = heights[i];
        float *x = noise(m * k, 1), *y = noise(m * n, 1), *bias = noise(n, 1);
        void *scratch = memory(apus_linear_scratch(blob, m));
        double best = 1e9;
        for (int run = 0; run < 50; run++) {
            double start = seconds_now();
            apus_linear(blob, bias, activation, x, m, y, scratch);
            double taken = seconds_now() - start;
            best = taken < best ? taken : best;
        }
        report(m, 2.0 * (double)(m * n) * (double)k, best, peak);
        free(x), free(y), free(bias), free(scratch);
    }
    puts("");
    free(blob);
}

static void measure_feed_forward(apus_format format, int64_t h, double peak) {
    void *up = linear(format, 4 * h, h), *down = linear(format, h, 4 * h);
    printf("%s feed-forward h %lld:", format_names[format], (long long)h);
    for (int i = 0; i < 4; i++) {
        int64_t m = heights[i];
        float *x = noise(m * h, 1), *y = noise(m * h, 1), *bias = noise(4 * h, 1);
        void *scratch = memory(apus_feed_forward_scratch(up, down, m));
        double best = 1e9;
        for (int run = 0; run < 50; run++) {
            double start = seconds_now();
            apus_feed_forward(up, bias, APUS_ACT_GELU, down, bias, bias, bias, 1e-12f, x, m, y, scratch);
            double taken = seconds_now() - start;
            best = taken < best ? taken : best;
        }
        report(m, 16.0 * (double)(m * h) * (double)h, best, peak);
        free(x), free(y), free(bias), free(scratch);
    }
    puts("");
    free(up), free(down);
}

int main(void) {
    for (int format = APUS_FORMAT_FP32; format <= APUS_FORMAT_INT8; format++) {
        double peak = peak_gops(format, apus_cpu_features());
        printf("%s: %.0f GOP/s in registers\n", format_names[format], peak);
        measure_linear((apus_format)format, 1152, 384, APUS_ACT_NONE, peak);
        measure_linear((apus_format)format, 384, 384, APUS_ACT_NONE, peak);
        measure_linear((apus_format)format, 1536, 384, APUS_ACT_GELU, peak);
        measure_linear((apus_format)format, 384, 1536, APUS_ACT_NONE, peak);
        measure_feed_forward((apus_format)format, 384, peak);
        measure_feed_forward((apus_format)format, 768, peak);
        measure_attention((apus_format)format);
        measure_embedding((apus_format)format);
    }
    return 0;
}
