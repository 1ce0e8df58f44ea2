// The core's own limit: a loop of 24 independent multiply-adds that touches no memory.

#include "peak.h"

#include "CApusKernels.h"

#include <time.h>

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)

#define LOOP(instruction)                                                                                                                  \
    __asm__ volatile("1:\n"                                                                                                               \
                     ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n" instruction                                  \
                     " %%zmm30, %%zmm31, %%zmm\\r\n"                                                                                       \
                     ".endr\n"                                                                                                             \
                     "dec %0\n"                                                                                                            \
                     "jnz 1b\n"                                                                                                            \
                     : "+r"(rounds)                                                                                                        \
                     :                                                                                                                     \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",    \
                       "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30",         \
                       "xmm31")

__attribute__((target("avx512f,avx512bw,avx512vnni,avx512bf16"))) static void spin(int instruction, long rounds) {
    // Operands of zero: what the registers hold must not make products denormal.
    __asm__ volatile("vpxord %%zmm30, %%zmm30, %%zmm30\n vpxord %%zmm31, %%zmm31, %%zmm31" : : : "xmm30", "xmm31");
    if (instruction == 0) LOOP("vfmadd231ps");
    if (instruction == 1) LOOP("vdpbf16ps");
    if (instruction == 2) LOOP("vpdpbusd");
}

double peak_gops(int instruction, uint32_t features) {
    static const uint32_t needs[3] = {APUS_CPU_AVX512, APUS_CPU_AVX512 | APUS_CPU_BF16, APUS_CPU_AVX512 | APUS_CPU_VNNI};
    static const double operations[3] = {32, 64, 128};
    if ((features & needs[instruction]) != needs[instruction]) return 0;
    const long rounds = 200000;
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        double start = seconds_now();
        spin(instruction, rounds);
        double taken = seconds_now() - start;
        best = taken < best ? taken : best;
    }
    return operations[instruction] * 24 * (double)rounds / best * 1e-9;
}

#else

double peak_gops(int instruction, uint32_t features) {
    (void)instruction, (void)features;
    return 0;
}

#endif
