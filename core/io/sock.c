/* sock.c - see sock.h. */
#define _GNU_SOURCE

#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tokenstore/connecting.h"
#include "wait.h"

void tksp_sock_init(tksp_sock *sock) {
    atomic_init(&sock->fd, -1);
    sock->device = 0;
    sock->inode = 0;
}

/* The descriptor is cleared before it is closed: another thread may fork in between, and a child must never
 * close a number that has been reused. */
void tksp_sock_close(tksp_sock *sock) {
    int fd = atomic_exchange(&sock->fd, -1);
    if (fd >= 0) {
        (void)close(fd);
    }
}

void tksp_sock_move(tksp_sock *to, tksp_sock *from) {
    to->device = from->device;
    to->inode = from->inode;
    atomic_store(&to->fd,
                 atomic_load(&from->fd)); /* briefly in both: a child still closes it only once */
    atomic_store(&from->fd, -1);
}

void tksp_sock_drop_inherited(tksp_sock *sock) {
    struct stat info;
    int fd = atomic_exchange(&sock->fd, -1);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_dev == sock->device &&
        info.st_ino == sock->inode) {
        (void)close(fd);
    }
}

/* These options are not essential: errors are ignored. */
static void set_option(int fd, int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_tcp_options(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, TKS_KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, TKS_KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, TKS_KEEPALIVE_COUNT);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, TKS_UNACKNOWLEDGED_MS);
}

static void adopt(tksp_sock *sock, int fd) {
    struct stat info;
    if (fstat(fd, &info) == 0) {
        sock->device = info.st_dev;
        sock->inode = info.st_ino;
    }
    atomic_store(&sock->fd, fd);
}

int tksp_sock_open_pair(tksp_sock *one, tksp_sock *other) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        return errno;
    }
    adopt(one, fds[0]);
    adopt(other, fds[1]);
    return 0;
}

int tksp_sock_open(tksp_sock *sock, int family) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    adopt(sock, fd);
    if (family != AF_UNIX) {
        set_tcp_options(fd);
    }
    return 0;
}

int tksp_sock_set_blocking(const tksp_sock *sock) {
    struct timeval slice = {.tv_usec = TKSP_SLICE_MS * 1000L};
    int fd = atomic_load(&sock->fd), off = 0;
    bool set = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice) == 0 &&
               ioctl(fd, FIONBIO, &off) == 0;
    return set ? 0 : errno;
}
