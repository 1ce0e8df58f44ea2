#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CApusProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <dirent.h>
#include <sched.h>
#include <sys/prctl.h>
#endif

// The worker's ends are first moved above all targets, so that no mapping overwrites a descriptor that is still to be mapped.
static int move_above(const int *descriptors, int *moved, int count) {
    for (int i = 0; i < count; i++) {
        moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, APUS_FIRST_DESCRIPTOR + count);
        if (moved[i] < 0) {
            int error = errno;
            while (i-- > 0) close(moved[i]);
            return -error;
        }
    }
    return 0;
}

// Everything else is closed in the child, whatever the rest of the process forgot to mark close-on-exec.
static int describe_files(posix_spawn_file_actions_t *files, const int *moved, int count) {
    int error = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
#ifdef __APPLE__
    if (!error) error = posix_spawn_file_actions_addinherit_np(files, STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_addinherit_np(files, STDERR_FILENO);
#endif
    for (int i = 0; i < count && !error; i++)
        error = posix_spawn_file_actions_adddup2(files, moved[i], APUS_FIRST_DESCRIPTOR + i);
    // musl has no such action: there the close-on-exec flags of all rooms must do.
#ifdef __GLIBC__
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(files, APUS_FIRST_DESCRIPTOR + count);
#endif
    return error;
}

static int describe_signals(posix_spawnattr_t *attributes, short *flags) {
    sigset_t blocked, defaults;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    sigemptyset(&defaults);
    const int reset[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++) sigaddset(&defaults, reset[i]);
    *flags |= POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int error = posix_spawnattr_setsigmask(attributes, &blocked);
    return error ? error : posix_spawnattr_setsigdefault(attributes, &defaults);
}

static int spawn_with(const char *path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment, const int *moved, int count) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&files);
    if (error) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&files);
        return -error;
    }
    short flags = 0;
#ifdef __APPLE__
    flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    pid_t pid = 0;
    error = describe_files(&files, moved, count);
    if (!error) error = describe_signals(&attributes, &flags);
    if (!error) error = posix_spawnattr_setflags(&attributes, flags);
    if (!error) error = posix_spawn(&pid, path, &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error ? -error : pid;
}

int apus_process_spawn(const char *path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment, const int *descriptors, int count) {
    if (count < 0) return -EINVAL;
    int *moved = calloc((size_t)count + 1, sizeof *moved);
    if (!moved) return -ENOMEM;
    int result = move_above(descriptors, moved, count);
    if (result == 0) {
        result = spawn_with(path, arguments, environment, moved, count);
        for (int i = 0; i < count; i++) close(moved[i]);
    }
    free(moved);
    return result;
}

apus_process_state apus_process_reap(int pid, int *detail) {
    int status = 0;
    pid_t result = waitpid(pid, &status, WNOHANG);
    if (result == 0 || (result < 0 && errno == EINTR)) return ApusProcessRunning;
    if (result < 0) return ApusProcessUnknown;
    if (WIFSIGNALED(status)) {
        *detail = WTERMSIG(status);
        return ApusProcessSignalled;
    }
    *detail = WEXITSTATUS(status);
    return ApusProcessExited;
}

int apus_process_become_worker(void) {
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    int error = pthread_sigmask(SIG_SETMASK, &none, NULL);
    // A limit of 0 would still feed a core to a handler program (core(5)); 1 byte does neither.
    struct rlimit cores;
    if (getrlimit(RLIMIT_CORE, &cores) == 0 && cores.rlim_max != 0) {
        cores.rlim_cur = 1;
        setrlimit(RLIMIT_CORE, &cores);
    }
#ifdef __linux__
    if (!error && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) error = errno;
#endif
    return -error;
}

#ifdef __linux__
static int core_set(const int *cores, int count, cpu_set_t *set) {
    CPU_ZERO(set);
    for (int i = 0; i < count; i++) {
        if (cores[i] < 0 || cores[i] >= CPU_SETSIZE) return -EINVAL;
        CPU_SET(cores[i], set);
    }
    return 0;
}
#endif

int apus_thread_set_cores(const int *cores, int count) {
#ifdef __linux__
    cpu_set_t set;
    int error = core_set(cores, count, &set);
    if (error) return error;
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
#else
    (void)cores;
    (void)count;
    return 0;
#endif
}

void apus_thread_leave(apus_thread_place *place) {
    place->has_left = 0;
#ifdef __linux__
    cpu_set_t own, first;
    _Static_assert(sizeof own <= sizeof place->cores, "a set of cores must have room");
    if (sched_getaffinity(0, sizeof own, &own) != 0 || sched_getaffinity(getpid(), sizeof first, &first) != 0) return;
    if (CPU_EQUAL(&own, &first) || sched_setaffinity(0, sizeof first, &first) != 0) return;
    memcpy(place->cores, &own, sizeof own);
    place->has_left = 1;
#endif
}

void apus_thread_return(const apus_thread_place *place) {
#ifdef __linux__
    if (!place->has_left) return;
    cpu_set_t own;
    memcpy(&own, place->cores, sizeof own);
    (void)sched_setaffinity(0, sizeof own, &own);
#else
    (void)place;
#endif
}

int apus_process_set_cores(const int *cores, int count) {
#ifdef __linux__
    cpu_set_t set;
    int unusable = core_set(cores, count, &set);
    if (unusable) return unusable;
    // Threads that run already are put there too; twice, for one that started while the first round was under way.
    for (int round = 0; round < 2; round++) {
        DIR *tasks = opendir("/proc/self/task");
        if (!tasks) return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
        for (struct dirent *task; (task = readdir(tasks));) {
            int thread = atoi(task->d_name);
            if (thread > 0 && sched_setaffinity(thread, sizeof set, &set) != 0 && errno != ESRCH) {
                int error = errno;
                closedir(tasks);
                return -error;
            }
        }
        closedir(tasks);
    }
    return 0;
#else
    (void)cores;
    (void)count;
    return 0;
#endif
}

_Noreturn void apus_process_crash(void) {
    signal(SIGSEGV, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGSEGV);
    abort();
}
