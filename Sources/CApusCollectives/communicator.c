// A round is one sum. It has two halves: first everybody arrives and lays down where its numbers lie, then everybody adds up its part for
// all. Sums of few numbers have one half: whoever comes last adds up everything, which saves the others from being woken twice.
//
// An end (abort, time-out, mismatch) takes effect only in the first half. In the second every rank is at work on memory that others own, so
// nobody leaves before all are done; nothing there waits for anything but arithmetic.

#include "device_ranks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/// Up to so many numbers, over all ranks, one rank adds up everything. About there both ways took the same time, 22 µs, with two ranks on
/// two cores (`SumBenchmark`).
enum { ApusAloneCount = 1 << 15 };

/// Numbers that are added up before they are handed out: as many as the nearest cache holds with room to spare.
enum { ApusBlockCount = 2048 };

typedef struct Slot {
    const float *_Nullable input;
    float *_Nullable output;
    size_t count;
    bool is_here;
    int64_t waited;
} Slot;

struct apus_communicator {
    atomic_int references;
    int ranks;
    int64_t timeout;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Guarded by `lock`, but for the slots of a round under way, which only its ranks read.
    /// Rounds that have begun, and that have ended.
    uint64_t begun;
    uint64_t ended;
    int arrived;
    int done;
    apus_sum_result end;
    uint64_t missing;
    char reason[APUS_REASON_BYTES];
    /// Set before the first sum.
    apus_device_ranks *_Nullable devices;
    Slot slots[];
};

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// Waits for a change, at most until `deadline`.
static void wait_until(apus_communicator *communicator, int64_t deadline) {
#ifdef __APPLE__
    int64_t rest = deadline - now();
    if (rest <= 0) return;
    struct timespec time = {.tv_sec = rest / 1000000000, .tv_nsec = rest % 1000000000};
    pthread_cond_timedwait_relative_np(&communicator->changed, &communicator->lock, &time);
#else
    struct timespec time = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    pthread_cond_timedwait(&communicator->changed, &communicator->lock, &time);
#endif
}

static int make_condition(pthread_cond_t *condition) {
#ifdef __APPLE__
    return pthread_cond_init(condition, NULL);
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return -1;
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0) result = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return result;
#endif
}

apus_communicator *apus_communicator_create(int ranks, int64_t timeout_nanoseconds) {
    if (ranks < 1 || ranks > APUS_MOST_RANKS) return NULL;
    apus_communicator *communicator = calloc(1, sizeof *communicator + (size_t)ranks * sizeof(Slot));
    if (communicator == NULL) return NULL;
    atomic_init(&communicator->references, 1);
    communicator->ranks = ranks;
    communicator->timeout = timeout_nanoseconds < 0 ? 0 : timeout_nanoseconds;
    if (pthread_mutex_init(&communicator->lock, NULL) != 0) {
        free(communicator);
        return NULL;
    }
    if (make_condition(&communicator->changed) != 0) {
        pthread_mutex_destroy(&communicator->lock);
        free(communicator);
        return NULL;
    }
    return communicator;
}

void apus_communicator_retain(apus_communicator *communicator) {
    atomic_fetch_add_explicit(&communicator->references, 1, memory_order_relaxed);
}

void apus_communicator_release(apus_communicator *communicator) {
    if (atomic_fetch_sub_explicit(&communicator->references, 1, memory_order_acq_rel) != 1) return;
    if (communicator->devices != NULL) apus_device_ranks_release(communicator->devices);
    pthread_cond_destroy(&communicator->changed);
    pthread_mutex_destroy(&communicator->lock);
    free(communicator);
}

int apus_communicator_ranks(const apus_communicator *communicator) { return communicator->ranks; }

/// With the lock held. The first end stays.
static void end(apus_communicator *communicator, apus_sum_result result, const char *reason) {
    if (communicator->end != APUS_SUM_OK) return;
    communicator->end = result;
    snprintf(communicator->reason, sizeof communicator->reason, "%s", reason);
    pthread_cond_broadcast(&communicator->changed);
}

void apus_communicator_abort(apus_communicator *communicator, const char *reason) {
    pthread_mutex_lock(&communicator->lock);
    end(communicator, APUS_SUM_ABORTED, reason);
    pthread_mutex_unlock(&communicator->lock);
    if (communicator->devices != NULL) apus_device_ranks_abort(communicator->devices);
}

int apus_communicator_reason(apus_communicator *communicator, char *reason) {
    pthread_mutex_lock(&communicator->lock);
    int has_ended = communicator->end != APUS_SUM_OK;
    memcpy(reason, communicator->reason, sizeof communicator->reason);
    pthread_mutex_unlock(&communicator->lock);
    return has_ended;
}

uint64_t apus_communicator_missing(apus_communicator *communicator) {
    pthread_mutex_lock(&communicator->lock);
    uint64_t missing = communicator->missing;
    pthread_mutex_unlock(&communicator->lock);
    return missing;
}

int64_t apus_communicator_waited(apus_communicator *communicator, int rank) {
    if (rank < 0 || rank >= communicator->ranks) return 0;
    pthread_mutex_lock(&communicator->lock);
    int64_t waited = communicator->slots[rank].waited;
    pthread_mutex_unlock(&communicator->lock);
    return waited;
}

/// Adds up the numbers from `first` to `last` of all ranks, in their order, and hands every rank the sums.
static void add_up(const apus_communicator *communicator, size_t first, size_t last) {
    float sums[ApusBlockCount];
    for (size_t start = first; start < last; start += ApusBlockCount) {
        size_t count = last - start < ApusBlockCount ? last - start : ApusBlockCount;
        memcpy(sums, communicator->slots[0].input + start, count * sizeof *sums);
        for (int rank = 1; rank < communicator->ranks; rank++) {
            const float *input = communicator->slots[rank].input + start;
            for (size_t index = 0; index < count; index++) sums[index] += input[index];
        }
        for (int rank = 0; rank < communicator->ranks; rank++) {
            memcpy(communicator->slots[rank].output + start, sums, count * sizeof *sums);
        }
    }
}

/// The first number of a rank's part, on a border of 64 bytes, so that no two ranks write to one line of a cache.
static size_t part(const apus_communicator *communicator, size_t count, int rank) {
    if (rank == communicator->ranks) return count;
    size_t each = (count / (size_t)communicator->ranks) & ~(size_t)15;
    return each * (size_t)rank;
}

static void time_out(apus_communicator *communicator) {
    char reason[APUS_REASON_BYTES];
    int length = snprintf(reason, sizeof reason, "within %.3g s there came no rank", (double)communicator->timeout * 1e-9);
    for (int rank = 0; rank < communicator->ranks; rank++) {
        if (communicator->slots[rank].is_here) continue;
        communicator->missing |= (uint64_t)1 << rank;
        if (length > 0 && (size_t)length < sizeof reason) {
            length += snprintf(reason + length, sizeof reason - (size_t)length, " %d", rank);
        }
    }
    end(communicator, APUS_SUM_TIMEOUT, reason);
}

/// With the lock held: all are here, and their numbers are as many.
static bool begin(apus_communicator *communicator, size_t count) {
    for (int rank = 0; rank < communicator->ranks; rank++) {
        if (communicator->slots[rank].count == count) continue;
        char reason[APUS_REASON_BYTES];
        snprintf(reason, sizeof reason, "rank %d has %zu numbers to add and another rank %zu", rank, communicator->slots[rank].count, count);
        end(communicator, APUS_SUM_MISMATCH, reason);
        return false;
    }
    for (int rank = 0; rank < communicator->ranks; rank++) communicator->slots[rank].is_here = false;
    communicator->arrived = 0;
    communicator->done = 0;
    communicator->begun += 1;
    return true;
}

/// With the lock held. Waits until the round numbered `round` has begun; false when the communicator has ended first.
static bool wait_for_others(apus_communicator *communicator, int rank, uint64_t round) {
    int64_t start = now();
    int64_t deadline;
    if (__builtin_add_overflow(start, communicator->timeout, &deadline)) deadline = INT64_MAX;
    while (communicator->begun < round && communicator->end == APUS_SUM_OK) {
        if (now() >= deadline) {
            time_out(communicator);
            break;
        }
        wait_until(communicator, deadline);
    }
    communicator->slots[rank].waited += now() - start;
    return communicator->begun >= round;
}

/// With the lock held. A round that has begun always ends.
static void wait_for_end(apus_communicator *communicator, int rank, uint64_t round) {
    int64_t start = now();
    while (communicator->ended < round) pthread_cond_wait(&communicator->changed, &communicator->lock);
    communicator->slots[rank].waited += now() - start;
}

static void finish(apus_communicator *communicator) {
    communicator->ended = communicator->begun;
    pthread_cond_broadcast(&communicator->changed);
}

/// With the lock held.
static apus_sum_result sum(apus_communicator *communicator, int rank, const float *input, float *output, size_t count) {
    if (communicator->end != APUS_SUM_OK) return communicator->end;
    if (rank < 0 || rank >= communicator->ranks || communicator->slots[rank].is_here) {
        char reason[APUS_REASON_BYTES];
        snprintf(reason, sizeof reason, "rank %d of %d cannot come to the sum%s", rank, communicator->ranks,
                 rank < 0 || rank >= communicator->ranks ? "" : " twice");
        end(communicator, APUS_SUM_BAD_RANK, reason);
        return APUS_SUM_BAD_RANK;
    }
    Slot *slot = &communicator->slots[rank];
    slot->input = input;
    slot->output = output;
    slot->count = count;
    slot->is_here = true;
    uint64_t round = communicator->begun + 1;
    bool is_last = ++communicator->arrived == communicator->ranks;
    if (is_last && !begin(communicator, count)) return communicator->end;
    bool is_alone = count <= (size_t)ApusAloneCount / (size_t)communicator->ranks;
    if (!is_last) {
        if (!wait_for_others(communicator, rank, round)) return communicator->end;
    } else if (!is_alone) {
        pthread_cond_broadcast(&communicator->changed);
    }
    if (is_alone && !is_last) {
        wait_for_end(communicator, rank, round);
        return APUS_SUM_OK;
    }
    pthread_mutex_unlock(&communicator->lock);
    add_up(communicator, is_alone ? 0 : part(communicator, count, rank), is_alone ? count : part(communicator, count, rank + 1));
    pthread_mutex_lock(&communicator->lock);
    communicator->done += 1;
    if (is_alone || communicator->done == communicator->ranks) finish(communicator);
    wait_for_end(communicator, rank, round);
    return APUS_SUM_OK;
}

apus_sum_result apus_communicator_sum(apus_communicator *communicator, int rank, const float *input, float *output, size_t count) {
    pthread_mutex_lock(&communicator->lock);
    apus_sum_result result = sum(communicator, rank, input, output, count);
    pthread_mutex_unlock(&communicator->lock);
    return result;
}

void apus_communicator_take_devices(apus_communicator *communicator, apus_device_ranks *devices) { communicator->devices = devices; }

apus_sum_result apus_communicator_device_sum(apus_communicator *communicator, int rank, apus_device_type type, const void *input, void *output,
                                             size_t count, void *stream) {
    pthread_mutex_lock(&communicator->lock);
    apus_sum_result result = communicator->end;
    pthread_mutex_unlock(&communicator->lock);
    if (result != APUS_SUM_OK) return result;
    char reason[APUS_REASON_BYTES] = "the ranks have no devices to add up on";
    if (communicator->devices != NULL &&
        apus_device_ranks_sum(communicator->devices, rank, type, input, output, count, stream, reason) == 0) {
        return APUS_SUM_OK;
    }
    pthread_mutex_lock(&communicator->lock);
    end(communicator, APUS_SUM_DEVICE, reason);
    result = communicator->end;
    pthread_mutex_unlock(&communicator->lock);
    if (communicator->devices != NULL) apus_device_ranks_abort(communicator->devices);
    return result;
}

static _Thread_local struct {
    apus_communicator *_Nullable communicator;
    int rank;
} membership;

void apus_thread_join(apus_communicator *communicator, int rank) {
    membership.communicator = communicator;
    membership.rank = rank;
}

apus_communicator *apus_thread_communicator(int *rank) {
    *rank = membership.rank;
    return membership.communicator;
}
