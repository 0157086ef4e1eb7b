/* lua_probe.c - see lua_probe.h.
 *
 * nginx logs each connection that the kernel refuses at once, and no directive turns this off. So if a server
 * was unreachable a moment ago, the driver probes it here first. This never waits: only immediate errors are
 * detected. */
#define _POSIX_C_SOURCE 200809L

#include "lua_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The error with which a connection to `address` fails at once; 0: it may succeed. */
static int try_connect(const struct sockaddr *address, socklen_t size) {
    int problem = 0;
    socklen_t length = sizeof problem;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return 0;
    if (connect(fd, address, size) != 0) problem = errno;
    if (problem == EINPROGRESS) {
        struct pollfd refused = {.fd = fd, .events = POLLOUT};
        problem = 0;
        if (poll(&refused, 1, 0) == 1) {
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length);
        }
    }
    (void)close(fd);
    return problem == EINTR ? 0 : problem;
}

static int try_path(const char *path, size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (size >= sizeof address.sun_path) return ENAMETOOLONG;
    memcpy(address.sun_path, path, size);
    return try_connect((const struct sockaddr *)&address, sizeof address);
}

/* A host name is not resolved: that would wait. */
static int try_address(const char *host, const char *port) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int problem = 0;
    if (getaddrinfo(host, port, &hints, &found) != 0) return 0;
    problem = try_connect(found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return problem;
}

/* probe(path) or probe(host, port): why a connection fails at once; nil: it may succeed. */
static int probe(lua_State *L) {
    size_t size = 0;
    const char *place = luaL_checklstring(L, 1, &size);
    int problem =
        lua_isnoneornil(L, 2) ? try_path(place, size) : try_address(place, luaL_checkstring(L, 2));
    if (problem == 0) return 0;
    lua_pushstring(L, strerror(problem));
    return 1;
}

void tksp_lua_open_probe(lua_State *L) {
    static const luaL_Reg functions[] = {{"probe", probe}, {NULL, NULL}};
    tksp_lua_set_functions(L, functions);
}
