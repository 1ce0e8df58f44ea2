#include "CApusCollectives.h"
#include "operator.h"

enum { X };

static OrtStatus *compute(ApusRun *run) {
    const ApusAttributes *attributes = &run->kernel->attributes;
    int rank = 0;
    apus_communicator *communicator = apus_thread_communicator(&rank);
    if (communicator == NULL) {
        return apus_run_status(run, "rank %lld of %lld in group '%s' has nobody to add up with: it runs by itself",
                               (long long)attributes->rank, (long long)attributes->ranks, attributes->group);
    }
    if (rank != attributes->rank || apus_communicator_ranks(communicator) != attributes->ranks) {
        return apus_run_status(run, "rank %lld of %lld in group '%s' is run as rank %d of %d", (long long)attributes->rank,
                               (long long)attributes->ranks, attributes->group, rank, apus_communicator_ranks(communicator));
    }
    float *y = NULL;
    size_t count = 0;
    OrtStatus *status = apus_run_output_like(run, X, &y, &count);
    if (status != NULL) return status;
    if (apus_communicator_sum(communicator, rank, run->inputs[X].data, y, count) == APUS_SUM_OK) return NULL;
    char reason[APUS_REASON_BYTES];
    apus_communicator_reason(communicator, reason);
    return apus_run_status(run, "rank %d of %lld in group '%s' could not add up: %s", rank, (long long)attributes->ranks,
                           attributes->group, reason);
}

const ApusOperator apus_all_reduce_operator = {
    .name = "AllReduce",
    .attributes = ApusGroup,
    .inputs = {[X] = {"x", ApusFloats}},
    .compute = compute,
};
