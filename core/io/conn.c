/* conn.c - see conn.h. */
#define _GNU_SOURCE

#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conn_greet.h"
#include "connect.h"
#include "tokenstore/secret.h"

enum { BUFFER_SIZE = 64 * 1024 };

struct tksp_conn {
    const tksp_endpoint *endpoint;
    tksp_sock sock;
    tksp_attempts attempts; /* the attempts that `sock` came from */
    tksp_tls *tls;          /* NULL: plain */
    tks_reader *reader;
    int64_t expires; /* by tksp_clock(): not lent after this time */
    int64_t used_at; /* by the coarse clock */
    bool usable;
    bool pending; /* TLS: decrypted bytes are buffered, invisible to poll() */
    short wanted; /* TLS: the further event that the last read needs */
    char buffer[BUFFER_SIZE];
};

tksp_conn *tksp_conn_new(const tksp_endpoint *endpoint) {
    tksp_conn *conn = malloc(sizeof *conn); /* not calloc: untouched pages stay free */
    if (conn == NULL) {
        return NULL;
    }
    conn->endpoint = endpoint;
    tksp_sock_init(&conn->sock);
    tksp_attempts_init(&conn->attempts);
    conn->tls = NULL;
    conn->reader = NULL;
    conn->expires = INT64_MAX;
    conn->used_at = 0;
    conn->usable = false;
    conn->pending = false;
    conn->wanted = 0;
    return conn;
}

bool tksp_conn_is_open(const tksp_conn *conn) {
    return atomic_load_explicit(&conn->sock.fd, memory_order_relaxed) >= 0;
}

bool tksp_conn_is_usable(const tksp_conn *conn) {
    return conn->usable;
}

int64_t tksp_conn_get_used_at(const tksp_conn *conn) {
    return conn->used_at;
}

void tksp_conn_distrust(tksp_conn *conn) {
    conn->usable = false;
}

static int descriptor(const tksp_conn *conn) {
    return atomic_load_explicit(&conn->sock.fd, memory_order_relaxed);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

static bool is_for_later(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static tks_status fail_io(tksp_io io, tksp_failure *failure, tks_error *err) {
    failure->final = io == TKSP_IO_REFUSED;
    return err->status;
}

/* Writes as much as possible without waiting; `events`: what to wait for before writing the rest. */
static tks_status write_some(tksp_conn *conn, tks_bytes bytes, size_t *moved, short *events,
                             tksp_failure *failure, tks_error *err) {
    *events = 0;
    *moved = 0;
    if (conn->tls != NULL) {
        tksp_io io = tksp_tls_write(conn->tls, bytes.data, bytes.size, moved, err);
        *events = io == TKSP_IO_WANT_WRITE ? POLLOUT : 0;
        return io == TKSP_IO_FAILED || io == TKSP_IO_REFUSED ? fail_io(io, failure, err) : TKS_OK;
    }
    ssize_t n = send(descriptor(conn), bytes.data, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
        *moved = (size_t)n;
    } else if (is_for_later(errno)) {
        *events = POLLOUT;
    } else {
        return tks_fail(err, TKS_ERR_CONNECTION, "%s", strerror(errno));
    }
    return TKS_OK;
}

/* Reads what is available, possibly nothing; `flags` as in recv(). */
static tks_status take_plain(tksp_conn *conn, int flags, tksp_wait *wait, size_t *moved,
                             tks_error *err) {
    ssize_t n = recv(descriptor(conn), conn->buffer, BUFFER_SIZE, flags);
    *moved = n > 0 ? (size_t)n : 0;
    if (n == 0) {
        return tks_fail(err, TKS_ERR_CONNECTION, "the server closed the connection");
    }
    if (n < 0 && !is_for_later(errno)) {
        return tks_fail(err, TKS_ERR_CONNECTION, "%s", strerror(errno));
    }
    if (n < 0 && errno == EINTR) {
        tksp_wait_signalled(wait);
    }
    return TKS_OK;
}

static tks_status take_tls(tksp_conn *conn, size_t *moved, tksp_failure *failure, tks_error *err) {
    tksp_io io = tksp_tls_read(conn->tls, conn->buffer, BUFFER_SIZE, moved, err);
    conn->wanted = io == TKSP_IO_WANT_WRITE ? POLLOUT : 0;
    conn->pending = io == TKSP_IO_DONE && tksp_tls_has_pending(conn->tls);
    return io == TKSP_IO_FAILED || io == TKSP_IO_REFUSED ? fail_io(io, failure, err) : TKS_OK;
}

/* Waits for bytes or `events`, then reads what is available, possibly nothing. */
static tks_status read_plain(tksp_conn *conn, short events, tksp_wait *wait, size_t *moved,
                             tks_error *err) {
    tks_status status = TKS_OK;
    bool block = false;
    *moved = 0;
    /* A blocking recv() with SO_RCVTIMEO saves a poll() per operation. */
    if (events == 0) {
        status = tksp_wait_slice(wait, &block, err);
    }
    if (status == TKS_OK && !block) {
        status = tksp_wait_fd(wait, descriptor(conn), (short)(events | POLLIN), err);
    }
    return status == TKS_OK ? take_plain(conn, block ? 0 : MSG_DONTWAIT, wait, moved, err) : status;
}

static tks_status read_tls(tksp_conn *conn, short events, tksp_wait *wait, size_t *moved,
                           tksp_failure *failure, tks_error *err) {
    *moved = 0;
    if (!conn->pending) {
        short wanted = (short)(events | conn->wanted | POLLIN);
        tks_status status = tksp_wait_fd(wait, descriptor(conn), wanted, err);
        if (status != TKS_OK) {
            return status;
        }
    }
    return take_tls(conn, moved, failure, err);
}

/* ---- an exchange ------------------------------------------------------------------------------- */

/* Feeds what was read to the reader and takes the complete replies. */
static tks_status take_replies(tksp_conn *conn, size_t size, size_t count, tks_reply **replies,
                               size_t *got, tks_error *err) {
    tks_status status = tks_reader_feed(conn->reader, conn->buffer, size, err);
    while (status == TKS_OK && *got < count) {
        status = tks_reader_next(conn->reader, &replies[*got], err);
        if (status != TKS_OK || replies[*got] == NULL) {
            break;
        }
        (*got)++;
    }
    return status;
}

/* Writes and reads concurrently: a server may stop reading a large batch until its first replies are read,
 * which would otherwise deadlock. The deadline of `wait` applies to the first byte, `deadline` to the rest.
 * */
static tks_status move_bytes(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                             int64_t deadline, tksp_wait *wait, tksp_failure *failure,
                             tks_error *err) {
    tks_error too_large;
    size_t got = 0, moved;
    tks_error_init(&too_large);
    while (got < count) {
        tks_status status = TKS_OK;
        short events = 0;
        if (bytes.size > 0) {
            status = write_some(conn, bytes, &moved, &events, failure, err);
            if (status != TKS_OK) {
                return status;
            }
            failure->sent = failure->sent || moved > 0;
            bytes = tks_bytes_of(bytes.data + moved, bytes.size - moved);
            if (moved > 0 && bytes.size > 0) {
                continue;
            }
        }
        status = conn->tls != NULL ? read_tls(conn, events, wait, &moved, failure, err)
                                   : read_plain(conn, events, wait, &moved, err);
        if (status == TKS_OK && moved > 0) {
            wait->deadline = deadline;
            failure->heard = true;
            status = take_replies(conn, moved, count, replies, &got, err);
        }
        if (status == TKS_ERR_TIMEOUT && tks_reader_check(conn->reader, &too_large) != TKS_OK) {
            *err = too_large;
            return too_large.status;
        }
        if (status != TKS_OK) {
            return status;
        }
    }
    conn->usable = bytes.size == 0 && !conn->pending && tks_reader_is_idle(conn->reader);
    if (!conn->usable) {
        /* One of the replies belongs to another request, perhaps to an earlier one. */
        return tks_fail(err, TKS_ERR_CONNECTION, "received more replies than requested");
    }
    return TKS_OK;
}

tks_status tksp_conn_begin(tksp_conn *conn, tks_bytes bytes, tks_bytes *rest,
                           tksp_failure *failure) {
    tks_error err;
    size_t moved;
    short events;
    tks_error_init(&err);
    conn->usable = false;
    if (conn->tls != NULL) {
        (void)tksp_tls_take_sent(conn->tls);
    }
    tks_status status = write_some(conn, bytes, &moved, &events, failure, &err);
    failure->sent = moved > 0 || (conn->tls != NULL && tksp_tls_take_sent(conn->tls));
    *rest = tks_bytes_of(bytes.data + moved, bytes.size - moved);
    return status == TKS_OK ? TKS_OK : tks_fail(&failure->error, status, "%s", err.message);
}

tks_status tksp_conn_end(tksp_conn *conn, tks_bytes rest, size_t count, tks_reply **replies,
                         int64_t silence, tksp_wait *wait, tksp_failure *failure) {
    tks_error err;
    int64_t deadline = wait->deadline;
    tks_error_init(&err);
    wait->deadline = silence < deadline ? silence : deadline;
    failure->heard = false;
    tks_status status = move_bytes(conn, rest, count, replies, deadline, wait, failure, &err);
    wait->deadline = deadline;
    if (status == TKS_OK) {
        conn->used_at = tksp_clock_coarse();
        return TKS_OK;
    }
    failure->sent = failure->sent || (conn->tls != NULL && tksp_tls_take_sent(conn->tls));
    const char *late = silence < deadline && !failure->heard ? "the connection was unresponsive"
                                                             : "no answer within the timeout";
    return tks_fail(&failure->error, status, "%s", status == TKS_ERR_TIMEOUT ? late : err.message);
}

tks_status tksp_conn_exchange(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                              int64_t silence, tksp_wait *wait, tksp_failure *failure) {
    tks_status status = tksp_conn_begin(conn, bytes, &bytes, failure);
    return status == TKS_OK ? tksp_conn_end(conn, bytes, count, replies, silence, wait, failure)
                            : status;
}

/* ---- unsolicited messages ---------------------------------------------------------------------- */

static tks_status receive_some(tksp_conn *conn, bool *waited, tksp_wait *wait,
                               tksp_failure *failure, tks_error *err) {
    size_t moved = 0;
    bool tls = conn->tls != NULL;
    tks_status status = tls ? take_tls(conn, &moved, failure, err)
                            : take_plain(conn, MSG_DONTWAIT, wait, &moved, err);
    if (status == TKS_OK && moved == 0) {
        *waited = true;
        status = tls ? read_tls(conn, 0, wait, &moved, failure, err)
                     : read_plain(conn, 0, wait, &moved, err);
    }
    return status == TKS_OK && moved > 0 ? tks_reader_feed(conn->reader, conn->buffer, moved, err)
                                         : status;
}

tks_status tksp_conn_receive(tksp_conn *conn, tks_reply **out, bool *waited, tksp_wait *wait,
                             tksp_failure *failure) {
    tks_error err = TKS_ERROR_INIT;
    *waited = false;
    tks_status status = tks_reader_next(conn->reader, out, &err);
    while (status == TKS_OK && *out == NULL) {
        status = receive_some(conn, waited, wait, failure, &err);
        if (status == TKS_OK) {
            status = tks_reader_next(conn->reader, out, &err);
        }
    }
    return status == TKS_OK ? TKS_OK : tks_fail(&failure->error, status, "%s", err.message);
}

struct pollfd tksp_conn_get_poll(const tksp_conn *conn) {
    return (struct pollfd){descriptor(conn), (short)(POLLIN | conn->wanted), 0};
}

/* ---- between exchanges --------------------------------------------------------------------------- */

bool tksp_conn_is_fresh(tksp_conn *conn) {
    char byte;
    if (conn->expires != INT64_MAX && tksp_clock() >= conn->expires) {
        return false;
    }
    if (conn->tls != NULL) {
        /* Reads instead of peeking at the socket: TLS sends its own messages, such as session tickets. */
        tks_error ignored = TKS_ERROR_INIT;
        size_t moved;
        return tksp_tls_read(conn->tls, &byte, 1, &moved, &ignored) == TKSP_IO_WANT_READ;
    }
    return recv(descriptor(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* ---- opening and closing ----------------------------------------------------------------------- */

static tks_status start_tls(tksp_conn *conn, tksp_wait *wait, tksp_failure *failure,
                            tks_error *err) {
    const tksp_endpoint *endpoint = conn->endpoint;
    tksp_tls_context *context = tksp_tls_source_get(endpoint->tls);
    tks_status status = tksp_tls_new(context, endpoint->target, descriptor(conn), &conn->tls, err);
    while (status == TKS_OK) {
        tksp_io io = tksp_tls_handshake(conn->tls, err);
        if (io == TKSP_IO_DONE) {
            tksp_tls_source_trust(endpoint->tls, context);
            break;
        }
        if (io == TKSP_IO_WANT_READ || io == TKSP_IO_WANT_WRITE) {
            short events = io == TKSP_IO_WANT_READ ? POLLIN : POLLOUT;
            status = tksp_wait_fd(wait, descriptor(conn), events, err);
            continue;
        }
        status = err->status;
        failure->final = io == TKSP_IO_REFUSED || (io == TKSP_IO_UNTRUSTED &&
                                                   !tksp_tls_source_doubt(endpoint->tls, context));
    }
    tksp_tls_context_release(context);
    return status;
}

/* The stage at which opening failed and a hint at the cause, for messages. */
typedef struct stage {
    const char *name, *hint;
} stage;

static const stage CONNECTING = {"cannot connect: ", ""};
static const stage HANDSHAKE = {"TLS handshake: ", " (does the server speak TLS on this port?)"};
static const stage GREETING = {"", ""};

static tks_status open_session(tksp_conn *conn, tks_credentials *credentials, tksp_wait *wait,
                               const stage **at, tksp_failure *failure, tks_error *err) {
    const tks_target *target = conn->endpoint->target;
    bool tls = conn->endpoint->tls != NULL;
    tks_status status = tks_reader_new(target->max_reply_size, &conn->reader, err);
    if (status == TKS_OK && tls) {
        *at = &HANDSHAKE;
        status = start_tls(conn, wait, failure, err);
    }
    if (status == TKS_OK) {
        *at = &GREETING;
        conn->usable = true;
        status = tksp_greet(conn, target, credentials, wait, failure);
        *err = failure->error;
    }
    return status;
}

tks_status tksp_conn_open(tksp_conn *conn, tks_credentials *credentials, tksp_wait *wait,
                          tksp_failure *failure) {
    tks_error err = TKS_ERROR_INIT;
    const stage *at = &CONNECTING;
    const tksp_endpoint *endpoint = conn->endpoint;
    tks_status status = tksp_connect(endpoint, &conn->sock, &conn->attempts, wait, &err);
    if (status == TKS_OK) {
        int64_t deadline = tksp_wait_narrow(wait, endpoint->target->connect_timeout_ms);
        status = open_session(conn, credentials, wait, &at, failure, &err);
        wait->deadline = deadline;
    }
    failure->sent = false; /* nothing of the caller's batch was sent */
    if (status == TKS_OK) {
        int64_t age_ms = tks_target_draw_age(endpoint->target);
        conn->expires = age_ms == INT64_MAX ? age_ms : tksp_clock() + age_ms * TKSP_MS;
        if (endpoint->resolver != NULL) {
            tksp_resolver_note(endpoint->resolver, descriptor(conn));
        }
        return TKS_OK;
    }
    conn->usable = false;
    const char *why = err.message;
    if (status == TKS_ERR_TIMEOUT && tksp_wait_is_over(wait)) {
        why = *why != '\0' ? why : "could not connect within the timeout";
    } else if (status == TKS_ERR_TIMEOUT) {
        why = "no answer within connect_timeout";
        status = TKS_ERR_CONNECTION;
    }
    bool known = failure->final || (status != TKS_ERR_CONNECTION && status != TKS_ERR_TIMEOUT);
    failure->final = failure->final || status == TKS_ERR_CONFIGURATION;
    failure->error = (tks_error)TKS_ERROR_INIT;
    return tks_fail(&failure->error, status, "%.120s: %s%.150s%s", endpoint->name, at->name, why,
                    known ? "" : at->hint);
}

void tksp_conn_close(tksp_conn *conn) {
    if (conn == NULL) {
        return;
    }
    if (conn->usable && conn->tls != NULL && tksp_conn_is_open(conn)) {
        tksp_tls_goodbye(conn->tls);
    }
    tksp_sock_close(&conn->sock);
    tksp_tls_free(conn->tls);
    tks_reader_free(conn->reader);
    tks_wipe(conn->buffer, BUFFER_SIZE);
    free(conn);
}

void tksp_conn_drop_inherited(tksp_conn *conn) {
    tksp_sock_drop_inherited(&conn->sock);
    tksp_attempts_drop_inherited(&conn->attempts);
}
