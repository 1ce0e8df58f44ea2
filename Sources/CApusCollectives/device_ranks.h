#ifndef APUS_DEVICE_RANKS_INTERNAL_H
#define APUS_DEVICE_RANKS_INTERNAL_H

#include "CApusCollectives.h"

#pragma clang assume_nonnull begin

int apus_device_ranks_count(const apus_device_ranks *ranks);

/// Puts the sum of all ranks' numbers into `stream`; it is done when the stream has come to it. 0 on success, else why not is in `reason`.
int apus_device_ranks_sum(apus_device_ranks *ranks, int rank, apus_device_type type, const void *input, void *output, size_t count,
                          void *_Nullable stream, char *reason);

/// Ends sums that wait on the devices for ranks that do not come. Sums fail from then on.
void apus_device_ranks_abort(apus_device_ranks *ranks);

#pragma clang assume_nonnull end

#endif
