// Measures sums between the threads of one process, and checks each of them. Prints one JSON object a line.
//
//     SumBenchmark [RANKS [ROUNDS]]
//
// The last lines are of sums that one rank calls off, each at another place. Built with -fsanitize=thread the program looks for races.

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CApusCollectives.h"

typedef struct Run {
    apus_communicator *communicator;
    int rank, ranks, rounds;
    size_t count;
    /// The round before which this rank calls the whole off; -1 for none.
    int aborts_at;
    long wrong, failed;
} Run;

static float number(int rank, size_t index, int round) { return (float)((index * 31 + (size_t)rank * 7 + (size_t)round) % 1024) / 3; }

static void *work(void *argument) {
    Run *run = argument;
    float *x = malloc(run->count * sizeof *x + 1), *y = malloc(run->count * sizeof *y + 1);
    if (x == NULL || y == NULL) exit(2);
    for (int round = 0; round < run->rounds; round++) {
        // Numbers of a few rounds in turn, made outside of what is measured where there are many.
        if (round < 2 || run->aborts_at >= 0) {
            for (size_t index = 0; index < run->count; index++) x[index] = number(run->rank, index, round % 2);
        }
        if (round == run->aborts_at) apus_communicator_abort(run->communicator, "the benchmark says so");
        if (apus_communicator_sum(run->communicator, run->rank, x, y, run->count) != APUS_SUM_OK) {
            run->failed++;
            continue;
        }
        if (round > 1 && run->aborts_at < 0 && round + 1 < run->rounds) continue;
        int made = run->aborts_at >= 0 ? round % 2 : round > 1 ? 1 : round;
        for (size_t index = 0; index < run->count; index++) {
            float expected = number(0, index, made);
            for (int rank = 1; rank < run->ranks; rank++) expected += number(rank, index, made);
            if (memcmp(&expected, &y[index], sizeof expected) != 0) run->wrong++;
        }
    }
    free(x);
    free(y);
    return NULL;
}

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/// Returns numbers that were wrong.
static long measure(int ranks, int rounds, size_t count, int aborts_at) {
    apus_communicator *communicator = apus_communicator_create(ranks, 30000000000);
    if (communicator == NULL) exit(2);
    pthread_t threads[APUS_MOST_RANKS];
    Run runs[APUS_MOST_RANKS];
    double start = seconds();
    for (int rank = 0; rank < ranks; rank++) {
        runs[rank] = (Run){communicator, rank, ranks, rounds, count, rank == ranks - 1 ? aborts_at : aborts_at >= 0 ? rounds : -1, 0, 0};
        if (pthread_create(&threads[rank], NULL, work, &runs[rank]) != 0) exit(2);
    }
    long wrong = 0, failed = 0;
    for (int rank = 0; rank < ranks; rank++) {
        pthread_join(threads[rank], NULL);
        wrong += runs[rank].wrong;
        failed += runs[rank].failed;
    }
    double each = (seconds() - start) / rounds;
    printf("{\"ranks\":%d,\"floats\":%zu,\"rounds\":%d,\"microseconds\":%.2f,\"failed\":%ld,\"wrong\":%ld}\n", ranks, count, rounds,
           each * 1e6, failed, wrong);
    apus_communicator_release(communicator);
    return wrong;
}

int main(int count, char **arguments) {
    int ranks = count > 1 ? atoi(arguments[1]) : 2, rounds = count > 2 ? atoi(arguments[2]) : 2000;
    if (ranks < 1 || ranks > APUS_MOST_RANKS || rounds < 2) return 2;
    static const size_t sizes[] = {0, 1, 384, 4096, 8192, 16384, 32768, 65536, 147456, 196608};
    long wrong = 0;
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) wrong += measure(ranks, rounds, sizes[index], -1);
    for (int at = 0; at < 40; at++) wrong += measure(ranks, 40, at % 2 == 0 ? 100 : 40000, at);
    return wrong == 0 ? 0 : 1;
}
