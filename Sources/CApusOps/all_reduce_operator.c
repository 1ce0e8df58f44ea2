#include "CApusCollectives.h"
#include "operator.h"

enum { X };

/// The communicator of the calling thread, which must be there as the node's rank.
static OrtStatus *join(const ApusRun *run, apus_communicator **communicator) {
    const ApusAttributes *attributes = &run->kernel->attributes;
    int rank = 0;
    *communicator = apus_thread_communicator(&rank);
    if (*communicator == NULL) {
        return apus_run_status(run, "rank %lld of %lld in group '%s' has nobody to add up with: it runs by itself",
                               (long long)attributes->rank, (long long)attributes->ranks, attributes->group);
    }
    if (rank != attributes->rank || apus_communicator_ranks(*communicator) != attributes->ranks) {
        return apus_run_status(run, "rank %lld of %lld in group '%s' is run as rank %d of %d", (long long)attributes->rank,
                               (long long)attributes->ranks, attributes->group, rank, apus_communicator_ranks(*communicator));
    }
    return NULL;
}

static OrtStatus *finish(const ApusRun *run, apus_communicator *communicator, apus_sum_result result) {
    if (result == APUS_SUM_OK) return NULL;
    const ApusAttributes *attributes = &run->kernel->attributes;
    char reason[APUS_REASON_BYTES];
    apus_communicator_reason(communicator, reason);
    return apus_run_status(run, "rank %lld of %lld in group '%s' could not add up: %s", (long long)attributes->rank,
                           (long long)attributes->ranks, attributes->group, reason);
}

static OrtStatus *compute(ApusRun *run) {
    apus_communicator *communicator = NULL;
    OrtStatus *status = join(run, &communicator);
    if (status != NULL) return status;
    void *y = NULL;
    size_t count = 0;
    status = apus_run_output_like(run, X, &y, &count);
    if (status != NULL) return status;
    int rank = (int)run->kernel->attributes.rank;
    return finish(run, communicator, apus_communicator_sum(communicator, rank, run->inputs[X].data, y, count));
}

static apus_device_type device_type(ApusInputKind kind) {
    switch (kind) {
    case ApusHalves: return APUS_DEVICE_FLOAT16;
    case ApusBrains: return APUS_DEVICE_BFLOAT16;
    default: return APUS_DEVICE_FLOAT32;
    }
}

/// The numbers lie on the device, and the sum is put into the stream that computes with them.
static OrtStatus *compute_on_cuda(ApusRun *run) {
    apus_communicator *communicator = NULL;
    OrtStatus *status = join(run, &communicator);
    if (status != NULL) return status;
    void *y = NULL;
    size_t count = 0;
    status = apus_run_output_like(run, X, &y, &count);
    if (status != NULL) return status;
    void *stream = NULL;
    status = OrtKernelContext_GetGPUComputeStream(run->kernel->api, run->context, &stream);
    if (status != NULL) return status;
    apus_device_type type = device_type(run->kernel->operator->output);
    int rank = (int)run->kernel->attributes.rank;
    return finish(run, communicator, apus_communicator_device_sum(communicator, rank, type, run->inputs[X].data, y, count, stream));
}

#define ON_CUDA(kind_)                                                                                                         \
    {                                                                                                                          \
        .name = "AllReduce", .attributes = ApusGroup, .inputs = {[X] = {"x", kind_, false}}, .compute = compute_on_cuda,       \
        .provider = "CUDAExecutionProvider", .output = kind_,                                                                  \
    }

const ApusOperator apus_all_reduce_operator = {
    .name = "AllReduce",
    .attributes = ApusGroup,
    .inputs = {[X] = {"x", ApusFloats}},
    .compute = compute,
};

const ApusOperator apus_cuda_all_reduce_operators[3] = {ON_CUDA(ApusFloats), ON_CUDA(ApusHalves), ON_CUDA(ApusBrains)};
