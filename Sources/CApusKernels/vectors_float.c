// Products and squared distances of fp32 queries with fp32, fp16 and bf16 rows, at every vector width.

#include "vectors.h"

#define UNROLL _Pragma("clang loop unroll(full)")

typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#define PRODUCT_ROWS 3
#define DISTANCE_ROWS 3
#define HALVES(p) from_halves_x4(p)
#include "vectors_shuffle.h"
#include "vectors_lanes.h"
#undef LANES
#undef TARGET
#undef NAME
#undef PRODUCT_ROWS
#undef DISTANCE_ROWS
#undef HALVES

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 8
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define NAME(f) f##_x8
#define PRODUCT_ROWS 3
#define DISTANCE_ROWS 2
#define HALVES(p) ((floats_x8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#include "vectors_shuffle.h"
#include "vectors_lanes.h"
#undef LANES
#undef TARGET
#undef NAME
#undef PRODUCT_ROWS
#undef DISTANCE_ROWS
#undef HALVES

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define NAME(f) f##_x16
#define PRODUCT_ROWS 6
#define DISTANCE_ROWS 4
#define HALVES(p) ((floats_x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p))))
#include "vectors_shuffle.h"
#include "vectors_lanes.h"

#endif

apus_float_kernel apus_float_kernel_for(apus_vector_storage storage, int is_distance, uint32_t features) {
#if defined(__x86_64__)
    if (features & APUS_CPU_AVX512) return kernel_x16(storage, is_distance);
    if (features & APUS_CPU_AVX2) return kernel_x8(storage, is_distance);
#endif
    (void)features;
    return kernel_x4(storage, is_distance);
}
