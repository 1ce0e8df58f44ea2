// The memory layout of a linear layer's blob.

#ifndef APUS_LINEAR_BLOB_H
#define APUS_LINEAR_BLOB_H

#include "linear_internal.h"

#pragma clang assume_nonnull begin

typedef struct {
    uint64_t magic;
    uint32_t version;
    int32_t format;
    /// One layout so far, the same for every CPU: 64-channel panels.
    uint32_t layout;
    uint32_t reserved;
    int64_t n, k;
    uint64_t bytes;
    uint64_t padding[2];
} apus_linear_header;

/// Sizes in bytes; `total` 0 when the sizes are not allowed. `scales`: where those of an int8 panel lie in it.
typedef struct {
    int64_t group, element, groups, panels;
    size_t panel_bytes, scales, total;
} apus_linear_sizes;

apus_linear_sizes apus_linear_measure(apus_format format, int64_t n, int64_t k);

/// The scale for `count` values of which rounding to -127...127 times the scale loses least: the one that just holds the largest is often not
/// it. 0 for zeros alone. Values must be finite.
float apus_best_scale(const float *values, int64_t count);

/// The nearest integer in -127...127.
int8_t apus_quantised(float value, float scale);

/// The header of a blob that claims at most `bytes` bytes and is consistent; NULL else.
const apus_linear_header *_Nullable apus_linear_header_of(const void *packed, size_t bytes, apus_linear_sizes *sizes);

#pragma clang assume_nonnull end

#endif
