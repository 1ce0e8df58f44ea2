// Memory and numbers that the measurements work on.

#ifndef INPUTS_H
#define INPUTS_H

#include "CApusKernels.h"

extern const char *const format_names[3];

/// 64-byte aligned; ends the program when there is none.
void *memory(size_t bytes);

/// The same `count` numbers in -range ..< range every time.
float *noise(int64_t count, float range);

/// A packed layer of random weights.
void *linear(apus_format format, int64_t n, int64_t k);

#endif
