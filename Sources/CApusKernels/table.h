// Embedding tables: a header of 64 bytes, the rows, and in int8 a scale for every block of every row.

#ifndef APUS_TABLE_H
#define APUS_TABLE_H

#include <stdint.h>

#include "CApusKernels.h"

#pragma clang assume_nonnull begin

/// "APUSTABL" as a little-endian number.
#define APUS_TABLE_MAGIC UINT64_C(0x4c42415453555041)
#define APUS_TABLE_VERSION 2
#define APUS_TABLE_HEADER_BYTES 64
/// Neighbours in a row that share a scale in int8; the last block of a row may be shorter.
#define APUS_TABLE_BLOCK 64

typedef struct {
    uint64_t magic;
    uint32_t version;
    uint32_t format;
    int64_t rows, width;
    uint64_t bytes;
} apus_table_header;

/// Where the rows are; `scales` `[rows, blocks]` is set in int8 only.
typedef struct {
    apus_format format;
    int64_t rows, width;
    const void *values;
    const float *_Nullable scales;
    int64_t blocks;
} apus_table_view;

/// Reads a table's header; 0 when it is none.
int apus_table_read(const void *table, apus_table_view *view);

#pragma clang assume_nonnull end

#endif
