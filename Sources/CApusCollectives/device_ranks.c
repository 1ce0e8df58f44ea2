// Ranks on CUDA devices. A sum is put into the stream that computes the rank's step and waits there, not in its thread. A rank that fails therefore
// leaves the others' devices waiting: their communicators are aborted, which ends what waits.
//
// A communicator is gone once it was aborted, and aborting is the only way to wake a thread that waits in the library. So whoever aborts gives ranks
// that are in a call a moment to leave it, and aborts under those that do not leave, which the library is made for (nccl.h, ncclCommAbort).

#include "device_ranks.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *const apus_nccl_library = "libnccl.so.2";

enum { NcclSuccess = 0, NcclSum = 0 };

typedef struct Rank {
    apus_nccl_comm _Nullable comm;
    /// Guarded by the lock: calls under way with `comm`.
    int calls;
} Rank;

struct apus_device_ranks {
    apus_nccl nccl;
    int ranks;
    pthread_mutex_t lock;
    /// A rank has left a call.
    pthread_cond_t left;
    /// Guarded by `lock`; set once.
    bool is_aborted;
    Rank each[];
};

/// How long ranks in a call are given to leave it by themselves: a call that only puts work into a stream takes microseconds.
enum { MomentMilliseconds = 100 };

// The assignment through `void **` is what POSIX prescribes for functions found by dlsym.
#define FIND(name)                                                                                 \
    *(void **)(&nccl->name) = dlsym(library, "nccl" #name);                                        \
    if (*(void **)(&nccl->name) == NULL) {                                                         \
        snprintf(reason, APUS_REASON_BYTES, "%s does not export nccl" #name, path);                \
        dlclose(library);                                                                          \
        return reason;                                                                             \
    }

const char *apus_nccl_open(const char *path, apus_nccl *nccl, char *reason) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *message = dlerror();
        snprintf(reason, APUS_REASON_BYTES, "%s", message != NULL ? message : "dlopen failed");
        return reason;
    }
    FIND(GetVersion)
    FIND(GetErrorString)
    FIND(CommInitAll)
    FIND(CommDestroy)
    FIND(CommAbort)
    FIND(CommGetAsyncError)
    FIND(AllReduce)
    return NULL;
}

apus_device_ranks *apus_device_ranks_create(const apus_nccl *nccl, int ranks, const int *devices, char *reason) {
    if (ranks < 1 || ranks > APUS_MOST_RANKS) {
        snprintf(reason, APUS_REASON_BYTES, "%d ranks are not 1 to %d", ranks, APUS_MOST_RANKS);
        return NULL;
    }
    apus_device_ranks *own = calloc(1, sizeof *own + (size_t)ranks * sizeof *own->each);
    bool has_lock = own != NULL && pthread_mutex_init(&own->lock, NULL) == 0;
    if (!has_lock || pthread_cond_init(&own->left, NULL) != 0) {
        snprintf(reason, APUS_REASON_BYTES, "there is no memory for %d ranks", ranks);
        if (has_lock) pthread_mutex_destroy(&own->lock);
        free(own);
        return NULL;
    }
    own->nccl = *nccl;
    own->ranks = ranks;
    apus_nccl_comm comms[APUS_MOST_RANKS] = {NULL};
    int result = nccl->CommInitAll(comms, ranks, devices);
    if (result == NcclSuccess) {
        for (int rank = 0; rank < ranks; rank++) own->each[rank].comm = comms[rank];
        return own;
    }
    snprintf(reason, APUS_REASON_BYTES, "NCCL cannot join %d devices: %s", ranks, nccl->GetErrorString(result));
    pthread_cond_destroy(&own->left);
    pthread_mutex_destroy(&own->lock);
    free(own);
    return NULL;
}

void apus_device_ranks_release(apus_device_ranks *ranks) {
    for (int rank = 0; rank < ranks->ranks && !ranks->is_aborted; rank++) {
        if (ranks->each[rank].comm != NULL) ranks->nccl.CommDestroy(ranks->each[rank].comm);
    }
    pthread_cond_destroy(&ranks->left);
    pthread_mutex_destroy(&ranks->lock);
    free(ranks);
}

int apus_device_ranks_count(const apus_device_ranks *ranks) { return ranks->ranks; }

/// The communicator for a call of this rank; null when there is none any more.
static apus_nccl_comm enter(apus_device_ranks *ranks, int rank) {
    apus_nccl_comm comm = NULL;
    pthread_mutex_lock(&ranks->lock);
    if (!ranks->is_aborted && rank >= 0 && rank < ranks->ranks) {
        comm = ranks->each[rank].comm;
        ranks->each[rank].calls += 1;
    }
    pthread_mutex_unlock(&ranks->lock);
    return comm;
}

static void leave(apus_device_ranks *ranks, int rank) {
    pthread_mutex_lock(&ranks->lock);
    ranks->each[rank].calls -= 1;
    pthread_cond_broadcast(&ranks->left);
    pthread_mutex_unlock(&ranks->lock);
}

int apus_device_ranks_sum(apus_device_ranks *ranks, int rank, apus_device_type type, const void *input, void *output, size_t count,
                          void *stream, char *reason) {
    apus_nccl_comm comm = enter(ranks, rank);
    if (comm == NULL) {
        snprintf(reason, APUS_REASON_BYTES, "rank %d has no communicator any more", rank);
        return -1;
    }
    // What has failed on the device since the last sum shows here first.
    int earlier = NcclSuccess;
    int result = ranks->nccl.CommGetAsyncError(comm, &earlier);
    if (result == NcclSuccess) result = earlier;
    if (result == NcclSuccess) result = ranks->nccl.AllReduce(input, output, count, type, NcclSum, comm, stream);
    leave(ranks, rank);
    if (result != NcclSuccess) snprintf(reason, APUS_REASON_BYTES, "NCCL: %s", ranks->nccl.GetErrorString(result));
    return result;
}

void apus_device_ranks_abort(apus_device_ranks *ranks) {
    pthread_mutex_lock(&ranks->lock);
    bool is_first = !ranks->is_aborted;
    ranks->is_aborted = true;
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += MomentMilliseconds * 1000000L;
    if (deadline.tv_nsec >= 1000000000L) {
        deadline.tv_nsec -= 1000000000L;
        deadline.tv_sec += 1;
    }
    for (int rank = 0; rank < ranks->ranks && is_first; rank++) {
        while (ranks->each[rank].calls > 0 && pthread_cond_timedwait(&ranks->left, &ranks->lock, &deadline) == 0) continue;
    }
    pthread_mutex_unlock(&ranks->lock);
    for (int rank = 0; rank < ranks->ranks && is_first; rank++) {
        if (ranks->each[rank].comm != NULL) ranks->nccl.CommAbort(ranks->each[rank].comm);
    }
}
