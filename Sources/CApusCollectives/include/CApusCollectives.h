// Sums of what several threads of one process hold, each a rank of a group: what shards of a network exchange between devices that share
// the host's memory.
//
// Results do not depend on who was first: every element is added up in the order of the ranks, once, and everybody gets that sum, to the
// bit the same on every rank and in every run.
#ifndef C_APUS_COLLECTIVES_H
#define C_APUS_COLLECTIVES_H

#include <stddef.h>
#include <stdint.h>

#include "CApusDeviceRanks.h"

#pragma clang assume_nonnull begin

/// More ranks than devices of one machine.
#define APUS_MOST_RANKS 64

/// Bytes of a reason with its terminating NUL; longer ones are cut.
#define APUS_REASON_BYTES 256

/// Threads that sum together, one for each rank, each of them running the same operators in the same order. Counted references.
typedef struct apus_communicator apus_communicator;

typedef enum apus_sum_result : int {
    APUS_SUM_OK = 0,
    /// ``apus_communicator_abort`` was called, or another rank's sum failed.
    APUS_SUM_ABORTED = 1,
    /// Ranks brought different numbers of elements.
    APUS_SUM_MISMATCH = 2,
    /// A rank did not come in time.
    APUS_SUM_TIMEOUT = 3,
    /// There is no such rank, or it is here twice.
    APUS_SUM_BAD_RANK = 4,
    /// The devices' own library refused, or there are none.
    APUS_SUM_DEVICE = 5,
} apus_sum_result;

/// Null without memory, or unless there are 1 to ``APUS_MOST_RANKS`` ranks. The caller has the first reference. `timeout_nanoseconds` is how
/// long a rank waits for the others of one sum.
apus_communicator *_Nullable apus_communicator_create(int ranks, int64_t timeout_nanoseconds);
void apus_communicator_retain(apus_communicator *communicator);
void apus_communicator_release(apus_communicator *communicator);

int apus_communicator_ranks(const apus_communicator *communicator);

/// Ends all sums that have not begun, and all later ones, with ``APUS_SUM_ABORTED``. Only the first reason is kept. Never waits, but for devices:
/// those are given a tenth of a second.
void apus_communicator_abort(apus_communicator *communicator, const char *reason);

/// Why the communicator has ended, into `reason` of ``APUS_REASON_BYTES``; 0 when it has not.
int apus_communicator_reason(apus_communicator *communicator, char *reason);

/// After a ``APUS_SUM_TIMEOUT``: the ranks that did not come, one bit each; 0 otherwise.
uint64_t apus_communicator_missing(apus_communicator *communicator);

/// Nanoseconds that this rank has waited for others.
int64_t apus_communicator_waited(apus_communicator *communicator, int rank);

/// Sums `count` floats of every rank into `output` of each. Waits, without spinning, for all ranks; once all are there it always ends well.
/// Everything but ``APUS_SUM_OK`` is told to every rank and ends the communicator. `output` may be `input`.
apus_sum_result apus_communicator_sum(apus_communicator *communicator, int rank, const float *input, float *output, size_t count);

/// Lets ranks add up what lies on CUDA devices, too. To be called once, before the first sum; the communicator owns `devices` from then on, which
/// are as many as its ranks.
void apus_communicator_take_devices(apus_communicator *communicator, apus_device_ranks *devices);

/// Puts the sum of what all ranks have on their devices into this rank's stream, without waiting for it: what follows in the stream finds the
/// sum. NCCL adds up in an order of its own, which is the same in every run on the same devices. An abort ends sums that wait on devices.
/// Everything but ``APUS_SUM_OK`` is told to every rank and ends the communicator.
apus_sum_result apus_communicator_device_sum(apus_communicator *communicator, int rank, apus_device_type type, const void *input,
                                             void *output, size_t count, void *_Nullable stream);

/// Makes the calling thread a rank of `communicator`, until it is told otherwise; null makes it nobody's. The thread holds no reference.
void apus_thread_join(apus_communicator *_Nullable communicator, int rank);

/// Whose rank the calling thread is; null for nobody's.
apus_communicator *_Nullable apus_thread_communicator(int *rank);

#pragma clang assume_nonnull end

#endif
