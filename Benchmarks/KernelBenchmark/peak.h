#ifndef PEAK_H
#define PEAK_H

#include <stdint.h>

/// Billions of operations (a multiply-add is two) a second of the widest multiply-add of a format in registers alone; 0 where this program
/// has no such loop. `instruction` is 0 fp32, 1 bf16, 2 int8.
double peak_gops(int instruction, uint32_t features);

double seconds_now(void);

#endif
