#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CApusProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int apus_memory_create(void) {
#ifdef __linux__
    int descriptor = memfd_create("apus-tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    // A file that shrinks under a mapping kills whoever touches the missing pages. F_SEAL_SEAL: nobody may add seals against growing.
    if (fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
#else
    // Not shm_open: elsewhere such an object cannot grow.
    const char *folder = getenv("TMPDIR");
    char path[1024];
    if (strlcpy(path, folder ? folder : "/tmp", sizeof path) >= sizeof path
        || strlcat(path, "/apus-tensors-XXXXXX", sizeof path) >= sizeof path) return -ENAMETOOLONG;
    int descriptor = mkstemp(path);
    if (descriptor < 0) return -errno;
    unlink(path);
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
#endif
}

int apus_memory_release(void *address, size_t count) {
#ifdef __linux__
    return madvise(address, count, MADV_REMOVE) == 0 ? 0 : -errno;
#else
    (void)address;
    (void)count;
    return 0;
#endif
}
