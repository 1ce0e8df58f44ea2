#include "CApusKernels.h"

#include <string.h>

// The reflected polynomial of CRC-32C, 0x1EDC6F41 (Castagnoli; RFC 3720, appendix B.4).
// Half bytes keep the table in one cache line; it is for CPUs without the instruction.
static const uint32_t half_bytes[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t by_table(uint32_t crc, const uint8_t *bytes, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ half_bytes[crc & 15];
        crc = crc >> 4 ^ half_bytes[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, int64_t count) {
    uint64_t word, wide = crc;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; count > 0; bytes++, count--) narrow = __builtin_ia32_crc32qi(narrow, *bytes);
    return narrow;
}

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, int64_t count) {
    uint64_t word;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        crc = __crc32cd(crc, word);
    }
    for (; count > 0; bytes++, count--) crc = __crc32cb(crc, *bytes);
    return crc;
}

static int has_instruction(void) { return 1; }

#else

static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, int64_t count) { return by_table(crc, bytes, count); }

static int has_instruction(void) { return 0; }

#endif

uint32_t apus_crc32c(uint32_t crc, const void *bytes, int64_t count) {
    return ~(has_instruction() ? by_instruction : by_table)(~crc, bytes, count);
}

uint32_t apus_crc32c_portable(uint32_t crc, const void *bytes, int64_t count) { return ~by_table(~crc, bytes, count); }
