/* conn.h - one connection to a Redis server: socket, TLS, greeting, and one exchange at a time.
 *
 * Purpose:   enforces the rules of client.h for one connection. It is usable once open, and again after each
 *            exchange that ended with exactly one complete reply per command and no extra byte. Anything else
 *            makes it permanently unusable. After SUBSCRIBE it is never used for an exchange again: it only
 *            receives pushed messages.
 * Lifecycle: open, exchange any number of times, close - or drop in a forked child.
 * Threads:   one thread at a time. Only tksp_conn_drop_inherited may be called for another thread's connection.
 * */
#ifndef TKSP_IO_CONN_H
#define TKSP_IO_CONN_H

#include "endpoint.h"
#include "tokenstore/greeting.h"
#include "tokenstore/resp.h"
#include "wait.h"

typedef struct tksp_conn tksp_conn;

/* Details of a failed attempt, beyond its status. */
typedef struct tksp_failure {
    tks_error error;
    bool sent;  /* a byte of the batch may have reached the server */
    bool final; /* retrying cannot help */
    bool heard; /* a byte of a reply has arrived */
} tksp_failure;

#define TKSP_FAILURE_INIT                                                                          \
    { TKS_ERROR_INIT, false, false, false }

/* A connection that is not open yet. `endpoint` is borrowed and must outlive it. NULL: out of memory. */
tksp_conn *tksp_conn_new(const tksp_endpoint *endpoint);

bool tksp_conn_is_open(const tksp_conn *conn);

/* Opens it: connect, TLS, AUTH, SELECT, CLIENT SETNAME. `credentials` NULL: the target's. TKS_OK;
 * TKS_ERR_TIMEOUT (the deadline of `wait` passed), TKS_ERR_CONNECTION, TKS_ERR_SERVER (it refused),
 * TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. After a failure, close it. */
tks_status tksp_conn_open(tksp_conn *conn, tks_credentials *credentials, tksp_wait *wait,
                          tksp_failure *failure);

/* Begins an exchange: writes as much of `bytes` as possible without waiting. *rest is the remainder, for
 * tksp_conn_end. TKS_OK, TKS_ERR_CONNECTION. */
tks_status tksp_conn_begin(tksp_conn *conn, tks_bytes bytes, tks_bytes *rest,
                           tksp_failure *failure);

/* Ends an exchange: writes `rest` and reads `count` replies into `replies`, whose entries must be NULL. On
 * failure it contains the replies read so far. The caller frees them all. Waits for the first byte until
 * `silence`, for the rest until the deadline of `wait`. More than `count` replies is a failure: replies can
 * no longer be matched to commands. TKS_OK, TKS_ERR_TIMEOUT (either deadline), TKS_ERR_CONNECTION,
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_conn_end(tksp_conn *conn, tks_bytes rest, size_t count, tks_reply **replies,
                         int64_t silence, tksp_wait *wait, tksp_failure *failure);

/* tksp_conn_begin and tksp_conn_end. */
tks_status tksp_conn_exchange(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                              int64_t silence, tksp_wait *wait, tksp_failure *failure);

/* When the last exchange succeeded, by the coarse clock. */
int64_t tksp_conn_get_used_at(const tksp_conn *conn);

/* Reads the next value on a connection on which tksp_conn_begin has sent SUBSCRIBE; the caller frees it.
 * *waited: it was not available at once. Looks at least once, even after the deadline. The connection remains
 * usable after TKS_ERR_TIMEOUT and TKS_ERR_INTERRUPTED, but not after TKS_ERR_CONNECTION and TKS_ERR_MEMORY.
 * */
tks_status tksp_conn_receive(tksp_conn *conn, tks_reply **out, bool *waited, tksp_wait *wait,
                             tksp_failure *failure);

/* To wait for several connections at a time: there may be something to receive when this is ready. Only after a receive that found
 * nothing: what has been read already cannot be seen there. */
struct pollfd tksp_conn_get_poll(const tksp_conn *conn);

/* The replies belonged to other requests: the connection is out of sync and must not be used again. */
void tksp_conn_distrust(tksp_conn *conn);

/* May another exchange begin? Costs no system call. */
bool tksp_conn_is_usable(const tksp_conn *conn);

/* True if nothing arrived while it was idle, neither stray bytes nor EOF, and it has not reached
 * max_connection_age. One system call. */
bool tksp_conn_is_fresh(tksp_conn *conn);

/* Closes and frees. NULL is accepted. */
void tksp_conn_close(tksp_conn *conn);

/* In a forked child: closes this process's copy of the socket; the peer notices nothing. The memory is not
 * freed: its owner may have been changing it during the fork. */
void tksp_conn_drop_inherited(tksp_conn *conn);

#endif
