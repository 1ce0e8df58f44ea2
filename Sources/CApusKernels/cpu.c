#include "CApusKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t system_state(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/// CPUID's answers (Intel's manual, volume 2A) that count only when the system saves the registers (XCR0).
static uint32_t found(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t base = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if ((c & base) != base) return 0;
    uint64_t state = system_state();
    const uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;
    uint32_t leaves;
    if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &leaves, &b, &c, &d) || !(b & bit_AVX2)) return 0;
    uint32_t a1 = 0, b1, c1, d1;
    if (leaves >= 1 && !__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) a1 = 0;

    uint32_t features = APUS_CPU_AVX2;
    if (a1 & 1u << 4) features |= APUS_CPU_AVX_VNNI;
    const uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if ((state & zmm) == zmm && (b & wide) == wide) {
        features |= APUS_CPU_AVX512;
        if (c & bit_AVX512VNNI) features |= APUS_CPU_VNNI;
        if (a1 & 1u << 5) features |= APUS_CPU_BF16;
    }
    // Linux wants a process to ask for the tile registers before it uses them, which no kernel here does.
    if ((state & tiles) == tiles) {
        if (d & 1u << 25) features |= APUS_CPU_AMX_INT8;
        if (d & 1u << 22) features |= APUS_CPU_AMX_BF16;
    }
    return features;
}

#elif defined(__aarch64__)

static uint32_t found(void) { return APUS_CPU_NEON; }

#else

static uint32_t found(void) { return 0; }

#endif

/// Bit 31 says that the word was computed; threads that meet compute the same one.
static uint32_t features_word;
static uint32_t allowed = UINT32_MAX;
static const uint32_t computed = 1u << 31;

uint32_t apus_cpu_features(void) {
    uint32_t word = __atomic_load_n(&features_word, __ATOMIC_RELAXED);
    if (!(word & computed)) {
        word = found() | computed;
        __atomic_store_n(&features_word, word, __ATOMIC_RELAXED);
    }
    return word & ~computed & __atomic_load_n(&allowed, __ATOMIC_RELAXED);
}

void apus_cpu_allow(uint32_t mask) { __atomic_store_n(&allowed, mask, __ATOMIC_RELAXED); }

int apus_format_is_native(apus_format format) {
    uint32_t features = apus_cpu_features();
    const uint32_t bf16 = APUS_CPU_AVX512 | APUS_CPU_BF16;
    switch (format) {
    case APUS_FORMAT_FP32: return 1;
    case APUS_FORMAT_BF16: return (features & bf16) == bf16;
    case APUS_FORMAT_INT8: return (features & (APUS_CPU_AVX2 | APUS_CPU_NEON)) != 0;
    }
    return 0;
}

uint32_t apus_kernels_version(void) { return 3; }
