// Stands in for libnccl.so.2: devices are the host's memory, and sums are done when their calls return. Fails as the functions at the end say.

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MostRanks = 8, Success = 0, UnhandledCudaError = 1, InvalidArgument = 4, RemoteError = 6 };

typedef struct Clique {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ranks;
    int here;
    int alive;
    uint64_t round;
    const void *inputs[MostRanks];
    bool is_aborted;
} Clique;

struct ncclComm {
    Clique *clique;
    int rank;
    int device;
    bool is_aborted;
};

static int live_comms;
static int destroyed;
static int aborted;
static int next_result;
static int async_result;
static int last_type;
static int devices_seen[MostRanks];
static void *last_stream;

int ncclGetVersion(int *version) {
    *version = 22703;
    return Success;
}

const char *ncclGetErrorString(int result) {
    switch (result) {
    case UnhandledCudaError: return "unhandled cuda error";
    case InvalidArgument: return "invalid argument";
    case RemoteError: return "remote process exited or there was a network error";
    default: return "unknown result code";
    }
}

int ncclCommInitAll(struct ncclComm **comms, int count, const int *devices) {
    if (next_result != Success) return next_result;
    if (count < 1 || count > MostRanks) return InvalidArgument;
    Clique *clique = calloc(1, sizeof *clique);
    pthread_mutex_init(&clique->lock, NULL);
    pthread_cond_init(&clique->changed, NULL);
    clique->ranks = count;
    clique->alive = count;
    for (int rank = 0; rank < count; rank++) {
        comms[rank] = calloc(1, sizeof **comms);
        comms[rank]->clique = clique;
        comms[rank]->rank = rank;
        comms[rank]->device = devices[rank];
        devices_seen[rank] = devices[rank];
        __atomic_add_fetch(&live_comms, 1, __ATOMIC_SEQ_CST);
    }
    return Success;
}

static void give_back(struct ncclComm *comm) {
    Clique *clique = comm->clique;
    pthread_mutex_lock(&clique->lock);
    bool is_last = --clique->alive == 0;
    pthread_mutex_unlock(&clique->lock);
    if (is_last && !clique->is_aborted) free(clique);
    // What was aborted stays, so that a use after that is seen and not a crash.
    __atomic_sub_fetch(&live_comms, 1, __ATOMIC_SEQ_CST);
}

int ncclCommDestroy(struct ncclComm *comm) {
    if (comm->is_aborted) return InvalidArgument;
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
    give_back(comm);
    free(comm);
    return Success;
}

int ncclCommAbort(struct ncclComm *comm) {
    if (comm->is_aborted) return InvalidArgument;
    comm->is_aborted = true;
    __atomic_add_fetch(&aborted, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&comm->clique->lock);
    comm->clique->is_aborted = true;
    pthread_cond_broadcast(&comm->clique->changed);
    pthread_mutex_unlock(&comm->clique->lock);
    give_back(comm);
    return Success;
}

int ncclCommGetAsyncError(struct ncclComm *comm, int *result) {
    *result = comm->is_aborted ? InvalidArgument : async_result;
    return Success;
}

/// Float sums only; waits in the call as NCCL does in the stream.
int ncclAllReduce(const void *input, void *output, size_t count, int type, int operation, struct ncclComm *comm, void *stream) {
    if (comm->is_aborted || operation != 0) return InvalidArgument;
    last_type = type;
    last_stream = stream;
    if (next_result != Success && comm->rank == 0) return next_result;
    Clique *clique = comm->clique;
    pthread_mutex_lock(&clique->lock);
    uint64_t round = clique->round;
    clique->inputs[comm->rank] = input;
    float *sums = type == 7 ? calloc(count + 1, sizeof *sums) : NULL;
    if (++clique->here == clique->ranks) {
        clique->here = 0;
        clique->round += 1;
        pthread_cond_broadcast(&clique->changed);
    }
    while (clique->round == round && !clique->is_aborted) pthread_cond_wait(&clique->changed, &clique->lock);
    bool is_done = clique->round != round;
    if (is_done && sums != NULL) {
        for (int rank = 0; rank < clique->ranks; rank++) {
            for (size_t index = 0; index < count; index++) sums[index] += ((const float *)clique->inputs[rank])[index];
        }
    }
    // Nobody's numbers change before all have read them.
    if (is_done) {
        round = clique->round;
        if (++clique->here == clique->ranks) {
            clique->here = 0;
            clique->round += 1;
            pthread_cond_broadcast(&clique->changed);
        }
        while (clique->round == round && !clique->is_aborted) pthread_cond_wait(&clique->changed, &clique->lock);
    }
    pthread_mutex_unlock(&clique->lock);
    if (is_done && sums != NULL) memcpy(output, sums, count * sizeof *sums);
    free(sums);
    return is_done ? Success : RemoteError;
}

// For tests.
void fake_nccl_fail(int result) { next_result = result; }
void fake_nccl_fail_later(int result) { async_result = result; }
int fake_nccl_live(void) { return __atomic_load_n(&live_comms, __ATOMIC_SEQ_CST); }
int fake_nccl_destroyed(void) { return __atomic_load_n(&destroyed, __ATOMIC_SEQ_CST); }
int fake_nccl_aborted(void) { return __atomic_load_n(&aborted, __ATOMIC_SEQ_CST); }
int fake_nccl_type(void) { return last_type; }
int fake_nccl_device(int rank) { return devices_seen[rank]; }
void *fake_nccl_stream(void) { return last_stream; }
