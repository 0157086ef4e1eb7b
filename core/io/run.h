/* run.h - runs an operation: executes what each of its steps needs.
 *
 * Threads: any number at a time on one client and one HTTP driver. */
#ifndef TKSP_IO_RUN_H
#define TKSP_IO_RUN_H

#include <sys/types.h>

#include "pools.h"
#include "tokenstore/client.h"
#include "tokenstore/http_client.h"

/* Makes HTTP requests: tks_http_fetch and the function that frees its responses. Pointers, so that only
 * programs that make requests link libcurl. */
typedef struct tksp_requester {
    tks_http *http;
    tks_status (*fetch)(tks_http *http, const tks_http_request *request, int64_t timeout_ms,
                        const tks_interrupt *interrupt, tks_http_response **out, bool *sent,
                        bool *final, tks_error *err);
    void (*free)(tks_http_response *response);
} tksp_requester;

enum { TKSP_REPLIES_INLINE = 4 };

/* An operation in progress; the caller's storage. All zero except for the first three members: `client` for
 * SEND, `requester` for HTTP; NULL if the operation never needs it. */
struct tks_flight {
    tks_client *client;
    const tksp_requester *requester;
    tks_op *op;
    tks_op *interrupted; /* by `op`, a refresh of the map of a cluster; NULL: it is not */
    tks_event_type next; /* the event that the interrupted operation is waiting for */
    tks_need need;
    tks_flight *parts; /* after TKS_NEED_PARTS: `part_count` of them, owned */
    size_t part_count;
    tksp_wait wait;
    tks_status status; /* of the batch in progress; at the end, of the run */
    bool sent;         /* the last batch may have reached the server and has no reply */
    bool begun;        /* the batch is being sent */
    bool lent;         /* `lease` holds a connection of `pool` */
    bool asks;         /* waits for tksp_flight_give; no connection is lent */
    bool given;        /* `credentials` are for the next connection that is opened */
    bool refused;      /* the previous ones were refused */
    bool anew;         /* the previous connection was unresponsive: open a new one */
    tksp_pools *pools;
    tksp_pool *pool;  /* of the batch */
    tksp_lease lease; /* also remembers the previous connection */
    size_t count;     /* expected replies */
    tks_reply **replies;
    tks_reply *few[TKSP_REPLIES_INLINE];
    tks_bytes rest;   /* of the batch, not yet written */
    int64_t deadline; /* the operation's, while the batch has an earlier one */
    tksp_failure failure;
    tks_credentials credentials;
};

/* Makes the first step and sends its batch, if any, without waiting for replies. `pid` is this process's,
 * `timeout_ms` > 0. tksp_flight_end reports the outcome. */
void tksp_flight_begin(tks_flight *flight, pid_t pid, int64_t timeout_ms,
                       const tks_interrupt *interrupt);

/* Continues to the operation's end, or until it needs credentials: then `asks` is set. Statuses as
 * tks_client_run. */
tks_status tksp_flight_proceed(tks_flight *flight, tks_error *err);

/* Supplies the requested credentials; takes ownership of their contents. */
void tksp_flight_give(tks_flight *flight, tks_credentials *credentials);

/* Continues to the operation's end. Fails if credentials are needed.
 * Statuses as tks_client_run. */
tks_status tksp_flight_end(tks_flight *flight, tks_error *err);

/* Ends the run early: closes the connection that is waiting for replies, if any. */
void tksp_flight_abandon(tks_flight *flight);

/* The pools of process `pid`, which must be this one. In a forked child the first caller creates them. Of the
 * inherited ones only the descriptors are closed: a mutex may be held by a thread that does not exist here.
 * NULL: out of memory. */
tksp_pools *tksp_client_pools(tks_client *client, pid_t pid);

bool tksp_client_is_closed(const tks_client *client);

#endif
