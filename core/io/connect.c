/* connect.c - see connect.h. */
#define _POSIX_C_SOURCE 200809L

#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tokenstore/connecting.h"

void tksp_attempts_init(tksp_attempts *attempts) {
    for (size_t i = 0; i < TKSP_ATTEMPTS_MAX; i++) {
        tksp_sock_init(&attempts->socks[i]);
    }
}

void tksp_attempts_drop_inherited(tksp_attempts *attempts) {
    for (size_t i = 0; i < TKSP_ATTEMPTS_MAX; i++) {
        tksp_sock_drop_inherited(&attempts->socks[i]);
    }
}

static int descriptor(const tksp_sock *sock) {
    return atomic_load(&sock->fd);
}

static tks_status fail_connect(int error, tks_error *err) {
    return tks_fail(err, TKS_ERR_CONNECTION, "%s",
                    error == ETIMEDOUT ? "no answer within connect_timeout" : strerror(error));
}

static int start_connect(const tksp_sock *sock, const struct sockaddr *address, socklen_t size) {
    return connect(descriptor(sock), address, size) == 0 ? 0 : errno;
}

/* ---- unix sockets ------------------------------------------------------------------------------ */

/* A socket whose backlog is full returns EAGAIN: connect() must be retried. *error: the outcome. */
static tks_status knock(const tksp_sock *sock, const struct sockaddr_un *address, tksp_wait *wait,
                        int *error, tks_error *err) {
    const struct sockaddr *to = (const struct sockaddr *)address;
    *error = start_connect(sock, to, sizeof *address);
    while (*error == EAGAIN) {
        int64_t deadline = tksp_wait_narrow(wait, 1);
        tks_status status = tksp_wait_fd(wait, -1, 0, err);
        wait->deadline = deadline;
        if (status != TKS_ERR_TIMEOUT || tksp_wait_is_over(wait)) {
            return status;
        }
        *error = start_connect(sock, to, sizeof *address);
    }
    return TKS_OK;
}

static tks_status connect_unix(const tks_target *target, tksp_sock *sock, tksp_wait *wait,
                               tks_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(target->path) >= sizeof address.sun_path) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the path of the unix socket is too long");
    }
    memcpy(address.sun_path, target->path, strlen(target->path) + 1);
    int error = tksp_sock_open(sock, AF_UNIX);
    tks_status status = TKS_OK;
    if (error == 0) {
        int64_t deadline = tksp_wait_narrow(wait, target->connect_timeout_ms);
        status = knock(sock, &address, wait, &error, err);
        wait->deadline = deadline;
        if (status == TKS_ERR_TIMEOUT && !tksp_wait_is_over(wait)) {
            error = ETIMEDOUT;
            status = TKS_OK;
        }
    }
    return status == TKS_OK && error != 0 ? fail_connect(error, err) : status;
}

/* ---- TCP --------------------------------------------------------------------------------------- */

/* Staggered attempts to connect to several addresses, in the order given. */
typedef struct race {
    const struct addrinfo *addresses[TKSP_ADDRESSES_MAX];
    size_t count, next; /* next: the index to try next */
    int64_t next_at;    /* monotonic */
    int64_t patience;   /* nanoseconds, of each attempt */
    size_t under_way;
    int error; /* errno of the first failed attempt, to the preferred address */
    tksp_attempts *attempts;
    tksp_sock *winner; /* NULL: none yet */
} race;

/* Records a failed attempt; the next one starts at once. */
static void note_failure(race *r, int error) {
    if (r->error == 0) {
        r->error = error;
    }
    r->next_at = 0;
}

static void give_up(race *r, size_t i, int error) {
    tksp_sock_close(&r->attempts->socks[i]);
    r->under_way--;
    note_failure(r, error);
}

static size_t free_place(const race *r) {
    size_t i = 0;
    while (descriptor(&r->attempts->socks[i]) >= 0) {
        i++;
    }
    return i;
}

static void begin_next(race *r, int64_t now) {
    const struct addrinfo *a = r->addresses[r->next++];
    size_t i = free_place(r);
    tksp_sock *sock = &r->attempts->socks[i];
    int error = tksp_sock_open(sock, a->ai_family);
    if (error == 0) {
        r->under_way++;
        r->next_at = now + TKS_STAGGER_MS * TKSP_MS;
        r->attempts->until[i] = now + r->patience;
        error = start_connect(sock, a->ai_addr, a->ai_addrlen);
        if (error == 0) {
            r->winner = sock;
        } else if (error != EINPROGRESS && error != EINTR) {
            give_up(r, i, error);
        }
    } else {
        note_failure(r, error);
    }
}

static void begin_due(race *r) {
    int64_t now = tksp_clock();
    while (r->winner == NULL && r->next < r->count && r->under_way < TKSP_ATTEMPTS_MAX &&
           (r->under_way == 0 || now >= r->next_at)) {
        begin_next(r, now);
    }
}

/* When the next attempt starts or an attempt times out. */
static int64_t next_event(const race *r) {
    bool can_begin = r->next < r->count && r->under_way < TKSP_ATTEMPTS_MAX;
    int64_t at = can_begin ? r->next_at : INT64_MAX;
    for (size_t i = 0; i < TKSP_ATTEMPTS_MAX; i++) {
        if (descriptor(&r->attempts->socks[i]) >= 0 && r->attempts->until[i] < at) {
            at = r->attempts->until[i];
        }
    }
    return at;
}

/* The outcome of a connect() in progress. */
static int outcome(const tksp_sock *sock) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor(sock), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static void look_at(race *r, size_t i, bool ready, int64_t now) {
    tksp_sock *sock = &r->attempts->socks[i];
    int error = ready ? outcome(sock) : 0;
    if (error != 0) {
        give_up(r, i, error);
    } else if (ready && r->winner == NULL) {
        r->winner = sock;
    } else if (!ready && now >= r->attempts->until[i]) {
        give_up(r, i, ETIMEDOUT);
    }
}

/* Waits until an attempt has ended or the next one is due. */
static tks_status watch(race *r, tksp_wait *wait, tks_error *err) {
    struct pollfd fds[TKSP_ATTEMPTS_MAX];
    int64_t deadline = wait->deadline, at = next_event(r);
    for (size_t i = 0; i < TKSP_ATTEMPTS_MAX; i++) {
        fds[i] = (struct pollfd){descriptor(&r->attempts->socks[i]), POLLOUT, 0};
    }
    wait->deadline = at < deadline ? at : deadline;
    tks_status status = tksp_wait_fds(wait, fds, TKSP_ATTEMPTS_MAX, err);
    wait->deadline = deadline;
    if (status == TKS_ERR_TIMEOUT && at < deadline) {
        status = TKS_OK;
    }
    int64_t now = tksp_clock();
    for (size_t i = 0; status == TKS_OK && i < TKSP_ATTEMPTS_MAX; i++) {
        if (fds[i].fd >= 0) {
            look_at(r, i, fds[i].revents != 0, now);
        }
    }
    return status;
}

static tks_status run_race(race *r, tksp_wait *wait, tks_error *err) {
    tks_status status = TKS_OK;
    begin_due(r);
    while (status == TKS_OK && r->winner == NULL && r->under_way > 0) {
        status = watch(r, wait, err);
        if (status == TKS_OK) {
            begin_due(r);
        }
    }
    return status == TKS_OK && r->winner == NULL ? fail_connect(r->error, err) : status;
}

static tks_status connect_tcp(const tksp_endpoint *endpoint, tksp_sock *sock,
                              tksp_attempts *attempts, tksp_wait *wait, tks_error *err) {
    tksp_lookup *lookup = NULL;
    tks_status status = tksp_resolve(endpoint->resolver, wait, &lookup, err);
    if (status == TKS_ERR_TIMEOUT) {
        tks_fail(err, status, "the host name was not resolved within the timeout");
    }
    if (status != TKS_OK) {
        return status;
    }
    race r = {.attempts = attempts, .patience = endpoint->target->connect_timeout_ms * TKSP_MS};
    r.count = tksp_resolver_sort(endpoint->resolver, lookup, r.addresses);
    status = run_race(&r, wait, err);
    tksp_lookup_release(lookup);
    if (status == TKS_OK) {
        tksp_sock_move(sock, r.winner);
    }
    for (size_t i = 0; i < TKSP_ATTEMPTS_MAX; i++) {
        tksp_sock_close(&attempts->socks[i]);
    }
    return status;
}

tks_status tksp_connect(const tksp_endpoint *endpoint, tksp_sock *sock, tksp_attempts *attempts,
                        tksp_wait *wait, tks_error *err) {
    tks_status status = endpoint->target->transport == TKS_UNIX
                            ? connect_unix(endpoint->target, sock, wait, err)
                            : connect_tcp(endpoint, sock, attempts, wait, err);
    int error = status == TKS_OK ? tksp_sock_set_blocking(sock) : 0;
    if (error != 0) {
        status = fail_connect(error, err);
    }
    if (status != TKS_OK) {
        tksp_sock_close(sock);
    }
    return status;
}
