// Scans of stored vectors: what their files share.

#ifndef VECTORS_H
#define VECTORS_H

#include "CApusKernels.h"

#pragma clang assume_nonnull begin

/// Queries of a group, whose sums with a tile of rows stay in registers.
#define APUS_GROUP 4
/// Rows are handed to a kernel in multiples of this: of the tiles' rows at every width and for one query (6, 3, 8).
#define APUS_ROWS_STEP 24
/// Bytes of a row that are worked on together, in the widest form: 16 floats, or 64 integers.
#define APUS_UNIT 64

/// Packed queries: this header, then the values by group, then 4-byte terms by query. A group is `[units][width][unit]`, where width is 1
/// for a single query and 4 for more; missing queries are zeros. For int8 rows the values are there twice, as s8 and then as s16.
typedef struct {
    uint64_t magic;
    uint32_t metric, storage;
    int64_t dimensions, count, units;
    int32_t width, padding;
    uint64_t bytes;
    uint64_t reserved;
} apus_queries_header;

typedef struct {
    apus_metric metric;
    apus_vector_storage storage;
    int64_t dimensions, count, units, groups;
    int width;
    const float *floats;
    const int8_t *bytes;
    const int16_t *words;
    /// int8: what a query's integers are multiplied by, 128 times their sum, and the square of the query's norm.
    const float *scales;
    const int32_t *offsets;
    const float *squares;
} apus_queries_view;

/// False for memory that is no packed queries.
int apus_queries_read(const void *packed, apus_queries_view *view);

/// Products of a group of queries with `count` rows (a multiple of APUS_ROWS_STEP): `sums` `[count][width]`. While rows `i` are worked on,
/// rows `i + ahead` of the list are fetched, when ahead is not 0.
typedef void (*apus_float_scan)(const float *group, const uint8_t *const _Nonnull *_Nonnull rows, int64_t count, int64_t ahead, int64_t units,
                                float *sums);
/// The same in integers. `group` is s8 or s16, as the kernel says.
typedef void (*apus_int8_scan)(const void *group, const int32_t *offsets, const uint8_t *const _Nonnull *_Nonnull rows, int64_t count,
                               int64_t ahead, int64_t units, int32_t *sums);

typedef struct {
    /// For one query and for a group. NULL where this compiler or CPU has none.
    apus_float_scan _Nullable one, group;
} apus_float_kernel;

typedef struct {
    apus_int8_scan _Nullable one, group;
    /// Whether queries are read as s16.
    int reads_words;
} apus_int8_kernel;

/// Sums of products, or of squared differences when `is_distance`.
apus_float_kernel apus_float_kernel_for(apus_vector_storage storage, int is_distance, uint32_t features);
apus_int8_kernel apus_int8_kernel_for(uint32_t features);

#pragma clang assume_nonnull end

#endif
