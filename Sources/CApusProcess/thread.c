#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CApusProcess.h"

#ifdef __linux__

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// As in linux/sched/types.h, whose name for it glibc 2.41 took.
typedef struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
} thread_schedule;

int apus_thread_stand_back(int nice) {
    // The longest slice that may be asked for (Linux 6.12): whoever asks for less, as all do by default, has the core at once when it wakes.
    // Kernels before take no notice of it.
    thread_schedule schedule = {.size = sizeof schedule, .policy = SCHED_BATCH, .nice = nice, .runtime = 100000000};
    if (syscall(SYS_sched_setattr, 0, &schedule, 0) == 0) return 0;
    // Of the calling thread alone, against POSIX.
    return setpriority(PRIO_PROCESS, 0, nice) == 0 ? 0 : -errno;
}

#else

int apus_thread_stand_back(int nice) {
    (void)nice;
    return 0;
}

#endif
