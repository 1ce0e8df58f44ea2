// Layer norm over rows, shared by the half-layers and the embedding.

#ifndef APUS_NORM_H
#define APUS_NORM_H

#include <stdint.h>

#pragma clang assume_nonnull begin

/// y = (v − mean(v)) / sqrt(variance(v) + epsilon) · gamma + beta for each of `m` rows of `h` floats, v = x + residual or x alone.
/// The variance is the biased one (divided by h), found in a second pass over v − mean. `y` may be `x` or `residual`; a row's result does
/// not depend on the rows around it.
void apus_norm_rows(const float *x, const float *_Nullable residual, const float *gamma, const float *beta, float epsilon, int64_t m,
                    int64_t h, float *y);

#pragma clang assume_nonnull end

#endif
