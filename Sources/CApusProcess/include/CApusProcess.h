// System calls that Swift cannot make: macros, feature-test guarded functions and calls whose arguments differ by platform.
// Functions return 0 or a non-negative result, or the negated errno.

#ifndef CAPUSPROCESS_H
#define CAPUSPROCESS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The first descriptor that `apus_process_spawn` maps; 0 to 2 are the standard streams.
#define APUS_FIRST_DESCRIPTOR 3

/// Starts the program at `path` with `descriptors[i]` as its descriptor 3 + i, an empty standard input, the caller's standard output and
/// error and no other descriptor. SIGINT, SIGTERM and SIGHUP are blocked in it until it unblocks them. Returns the process id.
int apus_process_spawn(const char *path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment,
                       const int *descriptors, int count);

typedef enum : int { ApusProcessRunning, ApusProcessExited, ApusProcessSignalled, ApusProcessUnknown } apus_process_state;

/// Reaps the child when it has ended; never waits. `detail` is set to the exit status or the signal. `ApusProcessUnknown`: somebody
/// else has reaped it.
apus_process_state apus_process_reap(int pid, int *detail);

/// For the inside of a worker: ignores the signals that end a group of processes (the front decides when a worker ends) and SIGPIPE,
/// writes no core files (they delay the end of the process, which the front waits for), and on Linux dies with the thread that started it,
/// even when stopped.
int apus_process_become_worker(void);

/// Keeps this process on these cores. Systems without affinity: does nothing.
int apus_process_set_cores(const int *cores, int count);

/// Keeps the calling thread, and those that it starts, on these cores. Systems without affinity: does nothing.
int apus_thread_set_cores(const int *cores, int count);

/// Where a thread was kept.
typedef struct {
    unsigned char cores[128];
    int has_left;
} apus_thread_place;

/// Lets the calling thread run where the process's first thread may, so that threads which it starts are not kept on its own cores; `place` is for
/// apus_thread_return. Does nothing for a thread that is kept where the first is.
void apus_thread_leave(apus_thread_place *place);
void apus_thread_return(const apus_thread_place *place);

/// Makes the calling thread, which works much and is not waited for, give its core to any that wakes and wants it, and lowers its share where
/// all are busy: each step of nice (0...19) by a factor of 1.25 (sched(7)). It cannot be taken back. Systems other than Linux: does nothing.
int apus_thread_stand_back(int nice);

/// Ends the process by SIGSEGV with its default action.
_Noreturn void apus_process_crash(void);

/// Two connected stream sockets, closed on exec.
int apus_socket_pair(int *pair);

/// Sends without a SIGPIPE. `waits` 0: -EAGAIN instead of waiting.
ptrdiff_t apus_socket_send(int descriptor, const void *bytes, size_t count, int waits);

/// Whether the descriptor is a socket.
int apus_socket_is(int descriptor);

/// An anonymous file in memory, closed on exec, which can grow and, on Linux, never shrink.
int apus_memory_create(void);

/// Gives the pages of a shared mapping back to the system; they read as zeros afterwards.
int apus_memory_release(void *address, size_t count);

#pragma clang assume_nonnull end

#endif
