/* sock.c - see sock.h. */
#define _GNU_SOURCE

#include "sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void tksp_sock_init(tksp_sock *sock) {
    atomic_init(&sock->fd, -1);
    sock->device = 0;
    sock->inode = 0;
}

/* The descriptor is forgotten first: between the two calls another thread may fork, and a child must
 * never close a number that is not its own. */
void tksp_sock_close(tksp_sock *sock) {
    int fd = atomic_exchange(&sock->fd, -1);
    if (fd >= 0) {
        (void)close(fd);
    }
}

void tksp_sock_drop_inherited(tksp_sock *sock) {
    struct stat info;
    int fd = atomic_exchange(&sock->fd, -1);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_dev == sock->device &&
        info.st_ino == sock->inode) {
        (void)close(fd);
    }
}

/* A new socket in `sock`; 0 or errno. */
static int make_socket(tksp_sock *sock, int family) {
    struct stat info;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &info) == 0) {
        sock->device = info.st_dev;
        sock->inode = info.st_ino;
    }
    atomic_store(&sock->fd, fd);
    if (family != AF_UNIX) {
        /* Where the system does not take these, the connection works all the same. */
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return 0;
}

/* From now on recv() blocks, for a slice at most; whoever must not wait says MSG_DONTWAIT. */
static bool set_blocking(int fd) {
    struct timeval slice = {.tv_usec = TKSP_SLICE_MS * 1000L};
    int off = 0;
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice)) == 0 &&
           ioctl(fd, FIONBIO, &off) == 0;
}

/* The outcome of a connect() that was under way: 0 or errno. */
static int pending_error(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static int start_connect(int fd, const struct sockaddr *address, socklen_t size) {
    return connect(fd, address, size) == 0 ? 0 : errno;
}

/* Waits for the connect() that answered `*error`; what came of it is in *error then. A unix socket
 * whose queue is full says EAGAIN and has to be asked again. */
static tks_status finish_connect(int fd, const struct sockaddr *address, socklen_t size,
                                 tksp_wait *wait, int *error, tks_error *err) {
    while (*error == EAGAIN) {
        int64_t deadline = tksp_wait_narrow(wait, 1);
        tks_status status = tksp_wait_fd(wait, -1, 0, err);
        wait->deadline = deadline;
        if (status != TKS_ERR_TIMEOUT || tksp_wait_is_over(wait)) {
            return status;
        }
        *error = start_connect(fd, address, size);
    }
    if (*error == EINPROGRESS || *error == EINTR) {
        tks_status status = tksp_wait_fd(wait, fd, POLLOUT, err);
        if (status != TKS_OK) {
            return status;
        }
        *error = pending_error(fd);
    }
    return TKS_OK;
}

/* One address. TKS_ERR_CONNECTION leaves errno's number in *error and notes nothing in `err`. */
static tks_status connect_address(tksp_sock *sock, const struct sockaddr *address, socklen_t size,
                                  int64_t timeout_ms, tksp_wait *wait, int *error, tks_error *err) {
    *error = make_socket(sock, address->sa_family);
    if (*error != 0) {
        return TKS_ERR_CONNECTION;
    }
    int fd = atomic_load(&sock->fd);
    int64_t deadline = tksp_wait_narrow(wait, timeout_ms);
    *error = start_connect(fd, address, size);
    tks_status status = finish_connect(fd, address, size, wait, error, err);
    wait->deadline = deadline;
    if (status == TKS_ERR_TIMEOUT && !tksp_wait_is_over(wait)) {
        *error = ETIMEDOUT;
        status = TKS_ERR_CONNECTION;
    } else if (status == TKS_OK && *error != 0) {
        status = TKS_ERR_CONNECTION;
    }
    if (status == TKS_OK && !set_blocking(fd)) {
        *error = errno;
        status = TKS_ERR_CONNECTION;
    }
    if (status != TKS_OK) {
        tksp_sock_close(sock);
    }
    return status;
}

static tks_status connect_unix(tksp_sock *sock, const tks_target *target, tksp_wait *wait,
                               tks_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error;
    if (strlen(target->path) >= sizeof(address.sun_path)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the path of the unix socket is too long");
    }
    memcpy(address.sun_path, target->path, strlen(target->path) + 1);
    tks_status status = connect_address(sock, (const struct sockaddr *)&address, sizeof(address),
                                        target->connect_timeout_ms, wait, &error, err);
    if (status == TKS_ERR_CONNECTION) {
        return tks_fail(err, status, "%s", strerror(error));
    }
    return status;
}

/* An address in brackets that the system does not take: it has a zone that there is not, or it is none. */
static tks_status refuse_ipv6(const char *host, tks_error *err) {
    char address[INET6_ADDRSTRLEN] = "";
    struct in6_addr parsed;
    const char *zone = strchr(host, '%');
    if (zone != NULL && (size_t)(zone - host) < sizeof(address)) {
        memcpy(address, host, (size_t)(zone - host));
        if (inet_pton(AF_INET6, address, &parsed) == 1) {
            return tks_fail(
                err, TKS_ERR_CONFIGURATION,
                "the IPv6 address in the URL has the zone \"%.40s\", and this machine has "
                "no network interface of that name",
                zone + 1);
        }
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "the host in brackets is not an IPv6 address: correct the URL");
}

/* The addresses of the target's host. An address as text asks no name server. */
static tks_status resolve(const tks_target *target, struct addrinfo **out, tks_error *err) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", (unsigned)target->port);
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    int code = getaddrinfo(target->host, port, &hints, out);
    if (code == EAI_NONAME && strchr(target->host, ':') != NULL) {
        return refuse_ipv6(target->host, err);
    }
    if (code == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV;
        code = getaddrinfo(target->host, port, &hints, out);
    }
    if (code == EAI_MEMORY) {
        return tks_fail_memory(err);
    }
    if (code != 0) {
        return tks_fail(err, TKS_ERR_CONNECTION, "the host name cannot be resolved: %s",
                        code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
    }
    return TKS_OK;
}

static tks_status connect_tcp(tksp_sock *sock, const tks_target *target, tksp_wait *wait,
                              tks_error *err) {
    struct addrinfo *list = NULL;
    int error = 0;
    tks_status status = resolve(target, &list, err);
    if (status != TKS_OK) {
        return status;
    }
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        status = connect_address(sock, a->ai_addr, a->ai_addrlen, target->connect_timeout_ms, wait,
                                 &error, err);
        if (status != TKS_ERR_CONNECTION) {
            break;
        }
    }
    freeaddrinfo(list);
    if (status == TKS_ERR_CONNECTION) {
        return tks_fail(err, status, "%s", strerror(error));
    }
    return status;
}

tks_status tksp_sock_connect(tksp_sock *sock, const tks_target *target, tksp_wait *wait,
                             tks_error *err) {
    return target->transport == TKS_UNIX ? connect_unix(sock, target, wait, err)
                                         : connect_tcp(sock, target, wait, err);
}
