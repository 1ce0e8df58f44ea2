#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CApusProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int apus_socket_pair(int *pair) {
#ifdef __linux__
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 ? 0 : -errno;
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return -errno;
    for (int i = 0; i < 2; i++) {
        int on = 1;
        fcntl(pair[i], F_SETFD, FD_CLOEXEC);
        setsockopt(pair[i], SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
    }
    return 0;
#endif
}

ptrdiff_t apus_socket_send(int descriptor, const void *bytes, size_t count, int waits) {
    int flags = waits ? 0 : MSG_DONTWAIT;
#ifdef MSG_NOSIGNAL
    flags |= MSG_NOSIGNAL;
#endif
    ssize_t sent = send(descriptor, bytes, count, flags);
    return sent < 0 ? -errno : sent;
}

int apus_socket_is(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}
