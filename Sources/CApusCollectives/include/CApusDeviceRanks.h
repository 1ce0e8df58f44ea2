// Sums of what several CUDA devices of one process hold, by NVIDIA's collective library, which is looked for at run time: building needs neither it
// nor a GPU.
#ifndef C_APUS_DEVICE_RANKS_H
#define C_APUS_DEVICE_RANKS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// `ncclComm_t`.
typedef struct ncclComm *apus_nccl_comm;

/// The functions of nccl.h 2.10 and later that are used; results are `ncclResult_t`, 0 for success.
typedef struct apus_nccl {
    int (*_Nullable GetVersion)(int *version);
    const char *_Nonnull (*_Nullable GetErrorString)(int result);
    /// Makes a communicator for each of the devices of this process, ranks in their order.
    int (*_Nullable CommInitAll)(apus_nccl_comm _Nullable *_Nonnull comms, int count, const int *devices);
    int (*_Nullable CommDestroy)(apus_nccl_comm _Nonnull comm);
    /// Also ends what is under way, on the devices and in other threads.
    int (*_Nullable CommAbort)(apus_nccl_comm _Nonnull comm);
    int (*_Nullable CommGetAsyncError)(apus_nccl_comm _Nonnull comm, int *result);
    /// `stream` is a `cudaStream_t`. Returns when the sum is in the stream.
    int (*_Nullable AllReduce)(const void *input, void *output, size_t count, int type, int operation, apus_nccl_comm _Nonnull comm,
                              void *_Nullable stream);
} apus_nccl;

/// `libnccl.so.2`, which the search path of libraries finds.
extern const char *const apus_nccl_library;

/// Finds the functions of the library at `path`, which stays loaded. Null on success, else why not, into `reason` of ``APUS_REASON_BYTES`` too.
const char *_Nullable apus_nccl_open(const char *path, apus_nccl *nccl, char *reason);

/// `ncclDataType_t`, as far as activations are of them.
typedef enum apus_device_type : int {
    APUS_DEVICE_FLOAT16 = 6,
    APUS_DEVICE_FLOAT32 = 7,
    APUS_DEVICE_BFLOAT16 = 9,
} apus_device_type;

/// Devices that add up, each a rank.
typedef struct apus_device_ranks apus_device_ranks;

/// Null where there is no memory or the library refuses; then `reason`, of ``APUS_REASON_BYTES``, says why. `devices` are CUDA's numbers of
/// them in this process; `nccl` is copied.
apus_device_ranks *_Nullable apus_device_ranks_create(const apus_nccl *nccl, int ranks, const int *devices, char *reason);

/// Nobody may be in a sum any more.
void apus_device_ranks_release(apus_device_ranks *ranks);

#pragma clang assume_nonnull end

#endif
