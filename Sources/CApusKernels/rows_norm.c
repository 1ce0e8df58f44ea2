#include "norm.h"

#include "CApusKernels.h"

#include <math.h>

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#include "norm_lanes.h"
#undef LANES
#undef TARGET
#undef NAME

#if defined(__x86_64__)

#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(f) f##_x8
#include "norm_lanes.h"
#undef LANES
#undef TARGET
#undef NAME

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define NAME(f) f##_x16
#include "norm_lanes.h"
#undef LANES
#undef TARGET
#undef NAME

#endif

void apus_norm_rows(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon, int64_t m, int64_t h,
                    float *y) {
#if defined(__x86_64__)
    uint32_t features = apus_cpu_features();
    if (features & APUS_CPU_AVX512) return norm_rows_x16(x, residual, gamma, beta, epsilon, m, h, y);
    if (features & APUS_CPU_AVX2) return norm_rows_x8(x, residual, gamma, beta, epsilon, m, h, y);
#endif
    norm_rows_x4(x, residual, gamma, beta, epsilon, m, h, y);
}
