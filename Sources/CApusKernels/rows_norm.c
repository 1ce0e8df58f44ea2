#include "norm.h"

#include "CApusKernels.h"

#include <math.h>

#define ROWS_TEMPLATE "norm_lanes.h"
#include "every_width.h"

void apus_norm_rows(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon, int64_t m, int64_t h,
                    float *y) {
#if defined(__x86_64__)
    uint32_t features = apus_cpu_features();
    if (features & APUS_CPU_AVX512) return norm_rows_x16(x, residual, gamma, beta, epsilon, m, h, y);
    if (features & APUS_CPU_AVX2) return norm_rows_x8(x, residual, gamma, beta, epsilon, m, h, y);
#endif
    norm_rows_x4(x, residual, gamma, beta, epsilon, m, h, y);
}
