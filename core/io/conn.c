/* conn.c - see conn.h. */
#define _GNU_SOURCE

#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "greeting.h"
#include "sock.h"
#include "tokenstore/secret.h"

enum { BUFFER_SIZE = 64 * 1024 };

struct tksp_conn {
    const tks_target *target;
    tksp_tls_context *context;
    const char *name;
    tksp_sock sock;
    tksp_tls *tls; /* NULL: plain */
    tks_reader *reader;
    bool usable;
    char buffer[BUFFER_SIZE];
};

tksp_conn *tksp_conn_new(const tks_target *target, tksp_tls_context *tls, const char *name) {
    tksp_conn *conn = malloc(sizeof(*conn)); /* the buffer's pages are touched when they are used */
    if (conn == NULL) {
        return NULL;
    }
    conn->target = target;
    conn->context = tls;
    conn->name = name;
    tksp_sock_init(&conn->sock);
    conn->tls = NULL;
    conn->reader = NULL;
    conn->usable = false;
    return conn;
}

bool tksp_conn_is_open(const tksp_conn *conn) {
    return atomic_load_explicit(&conn->sock.fd, memory_order_relaxed) >= 0;
}

bool tksp_conn_is_usable(const tksp_conn *conn) {
    return conn->usable;
}

void tksp_conn_distrust(tksp_conn *conn) {
    conn->usable = false;
}

static int descriptor(const tksp_conn *conn) {
    return atomic_load_explicit(&conn->sock.fd, memory_order_relaxed);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

static tksp_io plain_failure(tks_error *err) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return TKSP_IO_WANT_READ;
    }
    tks_fail(err, TKS_ERR_CONNECTION, "%s", strerror(errno));
    return TKSP_IO_FAILED;
}

static tksp_io write_some(tksp_conn *conn, const char *data, size_t size, size_t *moved,
                          tks_error *err) {
    if (conn->tls != NULL) {
        return tksp_tls_write(conn->tls, data, size, moved, err);
    }
    ssize_t n = send(descriptor(conn), data, size, MSG_NOSIGNAL);
    *moved = n > 0 ? (size_t)n : 0;
    if (n >= 0) {
        return TKSP_IO_DONE;
    }
    tksp_io io = plain_failure(err);
    return io == TKSP_IO_WANT_READ ? TKSP_IO_WANT_WRITE : io;
}

static tksp_io read_some(tksp_conn *conn, size_t *moved, tks_error *err) {
    if (conn->tls != NULL) {
        return tksp_tls_read(conn->tls, conn->buffer, BUFFER_SIZE, moved, err);
    }
    ssize_t n = recv(descriptor(conn), conn->buffer, BUFFER_SIZE, 0);
    *moved = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        return TKSP_IO_DONE;
    }
    if (n < 0) {
        return plain_failure(err);
    }
    tks_fail(err, TKS_ERR_CONNECTION, "the server closed the connection");
    return TKSP_IO_FAILED;
}

/* ---- an exchange ------------------------------------------------------------------------------- */

/* Gives what was read to the reader and takes out the replies that are whole. */
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

/* Writes and reads side by side, so that a server that does not take the end of a large batch before
 * its first replies are fetched cannot lock up with us. */
static tks_status move_bytes(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                             tksp_wait *wait, tksp_failure *failure, tks_error *err) {
    size_t written = 0, got = 0, moved;
    bool read_wants_write = false;
    bool read_first = false; /* TLS holds bytes that poll() does not see */
    while (got < count) {
        short events = (short)(POLLIN | (read_wants_write ? POLLOUT : 0));
        if (written < bytes.size) {
            tksp_io io = write_some(conn, bytes.data + written, bytes.size - written, &moved, err);
            written += moved;
            failure->sent = failure->sent || moved > 0;
            if (io == TKSP_IO_FAILED || io == TKSP_IO_REFUSED) {
                failure->final = io == TKSP_IO_REFUSED;
                return err->status;
            }
            if (io == TKSP_IO_DONE && written < bytes.size) {
                continue;
            }
            events = (short)(events | (io == TKSP_IO_WANT_WRITE ? POLLOUT : 0));
        }
        if (!read_first) {
            tks_status status = tksp_wait_fd(wait, descriptor(conn), events, err);
            if (status != TKS_OK) {
                return status;
            }
        }
        tksp_io io = read_some(conn, &moved, err);
        if (io == TKSP_IO_FAILED || io == TKSP_IO_REFUSED) {
            failure->final = io == TKSP_IO_REFUSED;
            return err->status;
        }
        read_wants_write = io == TKSP_IO_WANT_WRITE;
        read_first = io == TKSP_IO_DONE && conn->tls != NULL && tksp_tls_has_pending(conn->tls);
        if (io == TKSP_IO_DONE) {
            tks_status status = take_replies(conn, moved, count, replies, &got, err);
            if (status != TKS_OK) {
                return status;
            }
        }
    }
    conn->usable = written == bytes.size && !read_first && tks_reader_is_idle(conn->reader);
    if (!conn->usable) {
        /* One of the answers belongs to something else, perhaps to a request before this one. */
        return tks_fail(err, TKS_ERR_CONNECTION, "more answers came than were asked for");
    }
    return TKS_OK;
}

tks_status tksp_conn_exchange(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                              tksp_wait *wait, tksp_failure *failure) {
    tks_error err = TKS_ERROR_INIT;
    conn->usable = false;
    if (conn->tls != NULL) {
        (void)tksp_tls_take_sent(conn->tls);
    }
    tks_status status = move_bytes(conn, bytes, count, replies, wait, failure, &err);
    if (status == TKS_OK) {
        return TKS_OK;
    }
    failure->sent = failure->sent || (conn->tls != NULL && tksp_tls_take_sent(conn->tls));
    return tks_fail(&failure->error, status, "%s",
                    status == TKS_ERR_TIMEOUT ? "no answer within the timeout" : err.message);
}

bool tksp_conn_is_fresh(tksp_conn *conn) {
    char byte;
    if (conn->tls != NULL) {
        /* Not a peek at the socket: TLS has messages of its own, such as session tickets. */
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
    tks_status status =
        tksp_tls_new(conn->context, conn->target, descriptor(conn), &conn->tls, err);
    while (status == TKS_OK) {
        tksp_io io = tksp_tls_handshake(conn->tls, err);
        if (io == TKSP_IO_DONE) {
            return TKS_OK;
        }
        if (io == TKSP_IO_FAILED || io == TKSP_IO_REFUSED) {
            failure->final = io == TKSP_IO_REFUSED;
            return err->status;
        }
        status =
            tksp_wait_fd(wait, descriptor(conn), io == TKSP_IO_WANT_READ ? POLLIN : POLLOUT, err);
    }
    return status;
}

/* How far the opening came, for messages: what failed, and what may be behind it. */
typedef struct stage {
    const char *name, *hint;
} stage;

static const stage CONNECTING = {"cannot connect: ", ""};
static const stage HANDSHAKE = {"TLS handshake: ", " (does the server speak TLS on this port?)"};
static const stage GREETING = {"", ""};
static const stage GREETING_TLS = {"", " (does the server take our certificate, cert= and key=?)"};

static tks_status open_session(tksp_conn *conn, tksp_wait *wait, const stage **at,
                               tksp_failure *failure, tks_error *err) {
    bool tls = conn->context != NULL;
    tks_status status = tks_reader_new(conn->target->max_reply_size, &conn->reader, err);
    if (status == TKS_OK && tls) {
        *at = &HANDSHAKE;
        status = start_tls(conn, wait, failure, err);
    }
    if (status == TKS_OK) {
        *at = tls ? &GREETING_TLS : &GREETING;
        conn->usable = true;
        status = tksp_greet(conn, conn->target, wait, failure);
        *err = failure->error;
    }
    return status;
}

tks_status tksp_conn_open(tksp_conn *conn, tksp_wait *wait, tksp_failure *failure) {
    tks_error err = TKS_ERROR_INIT;
    const stage *at = &CONNECTING;
    tks_status status = tksp_sock_connect(&conn->sock, conn->target, wait, &err);
    if (status == TKS_OK) {
        int64_t deadline = tksp_wait_narrow(wait, conn->target->connect_timeout_ms);
        status = open_session(conn, wait, &at, failure, &err);
        wait->deadline = deadline;
    }
    failure->sent = false; /* of the caller's batch nothing was */
    if (status == TKS_OK) {
        return TKS_OK;
    }
    conn->usable = false;
    const char *why = err.message;
    if (status == TKS_ERR_TIMEOUT && tksp_wait_is_over(wait)) {
        why = "no connection within the timeout";
    } else if (status == TKS_ERR_TIMEOUT) {
        why = "no answer within connect_timeout";
        status = TKS_ERR_CONNECTION;
    }
    bool known = failure->final || (status != TKS_ERR_CONNECTION && status != TKS_ERR_TIMEOUT);
    failure->final = failure->final || status == TKS_ERR_CONFIGURATION;
    failure->error = (tks_error)TKS_ERROR_INIT;
    return tks_fail(&failure->error, status, "%.120s: %s%.150s%s", conn->name, at->name, why,
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
}
