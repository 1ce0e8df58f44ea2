// Includes ROWS_TEMPLATE once for each vector width that this processor may have: names end in _x4 (plain), _x8 (AVX2), _x16 (AVX-512).

#define LANES 4
#define TARGET
#define NAME(f) f##_x4
#include ROWS_TEMPLATE
#undef LANES
#undef TARGET
#undef NAME

#if defined(__x86_64__)

#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(f) f##_x8
#include ROWS_TEMPLATE
#undef LANES
#undef TARGET
#undef NAME

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define NAME(f) f##_x16
#include ROWS_TEMPLATE
#undef LANES
#undef TARGET
#undef NAME

#endif
