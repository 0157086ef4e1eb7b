/* conn.h - one connection to a Redis server: socket, TLS, greeting, and one exchange at a time.
 *
 * Purpose:   keeps the rules of client.h for one connection. It is usable from the moment it is open
 *            until an exchange begins, and again when that ended with exactly one whole reply per
 *            command and not a byte more. Everything else makes it unusable for good. One that has sent
 *            SUBSCRIBE is never used for an exchange again: it receives what the server says by itself.
 * Lifecycle: open, exchange any number of times, close - or drop in a forked child.
 * Threads:   one thread at a time. Only tksp_conn_drop_inherited is for another one's connection. */
#ifndef TKSP_IO_CONN_H
#define TKSP_IO_CONN_H

#include "endpoint.h"
#include "tokenstore/greeting.h"
#include "tokenstore/resp.h"
#include "wait.h"

typedef struct tksp_conn tksp_conn;

/* Why an attempt failed, beyond its status. */
typedef struct tksp_failure {
    tks_error error;
    bool sent;  /* might a byte of the batch have reached the server? */
    bool final; /* trying again cannot help */
    bool heard; /* has a byte of an answer come? */
} tksp_failure;

#define TKSP_FAILURE_INIT                                                                          \
    { TKS_ERROR_INIT, false, false, false }

/* A connection that is not open yet. `endpoint` is borrowed for its life. NULL when memory is out. */
tksp_conn *tksp_conn_new(const tksp_endpoint *endpoint);

bool tksp_conn_is_open(const tksp_conn *conn);

/* Connects, TLS, AUTH, SELECT, CLIENT SETNAME. `credentials` NULL: the target's. TKS_OK; TKS_ERR_TIMEOUT when the deadline of `wait`
 * passed; TKS_ERR_CONNECTION, TKS_ERR_SERVER (it refused), TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY,
 * TKS_ERR_INTERRUPTED. After a failure: close it. */
tks_status tksp_conn_open(tksp_conn *conn, tks_credentials *credentials, tksp_wait *wait,
                          tksp_failure *failure);

/* Begins an exchange: writes as much of `bytes` as goes without waiting. What is left of them is in
 * *rest, for tksp_conn_end. TKS_OK, TKS_ERR_CONNECTION. */
tks_status tksp_conn_begin(tksp_conn *conn, tks_bytes bytes, tks_bytes *rest,
                           tksp_failure *failure);

/* Ends it: writes `rest`, reads `count` replies into `replies`, whose entries must be NULL; on failure
 * those read so far stand there. All are the caller's to free. The first byte of an answer is waited for
 * until `silence`, the rest until the deadline of `wait`. More than `count` replies is a failure: nobody
 * knows then which of them was meant. TKS_OK, TKS_ERR_TIMEOUT (the one or the other), TKS_ERR_CONNECTION,
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_conn_end(tksp_conn *conn, tks_bytes rest, size_t count, tks_reply **replies,
                         int64_t silence, tksp_wait *wait, tksp_failure *failure);

/* Both, one after the other. */
tks_status tksp_conn_exchange(tksp_conn *conn, tks_bytes bytes, size_t count, tks_reply **replies,
                              int64_t silence, tksp_wait *wait, tksp_failure *failure);

/* When the last exchange ended well, by the coarse clock. */
int64_t tksp_conn_get_used_at(const tksp_conn *conn);

/* The next value that came in, the caller's to free: for a connection on which tksp_conn_begin has sent
 * SUBSCRIBE. *waited: it was not there already. After TKS_ERR_TIMEOUT (there was nothing until the
 * deadline, looked for once even where that has passed) and TKS_ERR_INTERRUPTED the connection is as good
 * as before; not after TKS_ERR_CONNECTION and TKS_ERR_MEMORY. */
tks_status tksp_conn_receive(tksp_conn *conn, tks_reply **out, bool *waited, tksp_wait *wait,
                             tksp_failure *failure);

/* The replies turned out to answer something else: the connection is out of step, and never used
 * again. */
void tksp_conn_distrust(tksp_conn *conn);

/* May another exchange begin? Costs no system call. */
bool tksp_conn_is_usable(const tksp_conn *conn);

/* Has nothing come in while it was idle - neither stray bytes nor the end - and has it not reached its
 * max_connection_age? One system call. */
bool tksp_conn_is_fresh(tksp_conn *conn);

/* Closes and frees. NULL is accepted. */
void tksp_conn_close(tksp_conn *conn);

/* In a forked child: gives up this process's copy of the socket; the peer notices nothing. The
 * memory stays, for its owner may have been in the middle of changing it. */
void tksp_conn_drop_inherited(tksp_conn *conn);

#endif
