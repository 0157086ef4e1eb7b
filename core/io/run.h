/* run.h - runs an operation: asks what it needs, and does it.
 *
 * Threads: any number at a time on one client and one HTTP driver. */
#ifndef TKSP_IO_RUN_H
#define TKSP_IO_RUN_H

#include <sys/types.h>

#include "pool.h"
#include "tokenstore/client.h"
#include "tokenstore/http_client.h"

/* Who makes HTTP requests: tks_http_fetch and what frees its answers. By pointers, so that libcurl is
 * linked where requests are made, and not wherever operations are run. */
typedef struct tksp_requester {
    tks_http *http;
    tks_status (*fetch)(tks_http *http, const tks_http_request *request, int64_t timeout_ms,
                        const tks_interrupt *interrupt, tks_http_response **out, bool *sent,
                        bool *final, tks_error *err);
    void (*free)(tks_http_response *response);
} tksp_requester;

enum { TKSP_REPLIES_INLINE = 4 };

/* An operation on its way: the caller's storage. Zeroed but for the first three, which say what it may
 * need: `client` for SEND, `requester` for HTTP; NULL where the operation never asks for that. */
struct tks_flight {
    tks_client *client;
    const tksp_requester *requester;
    tks_op *op;
    tks_need need;
    tksp_wait wait;
    tks_status status; /* of the batch under way; at the end, of the run */
    bool sent;         /* the last batch may have reached the server, and was not answered */
    bool begun;        /* the batch is being sent */
    bool lent;         /* `lease` holds a connection of `pool` */
    bool asks;         /* waits for tksp_flight_give; nothing is lent, and nothing under way */
    bool given;        /* `credentials` are for the next connection that is opened */
    bool refused;      /* those before them were */
    bool anew;         /* the connection before had fallen silent: the next one is a new one */
    tksp_pool *pool;
    tksp_lease lease; /* remembers the connection before, too */
    size_t count;     /* replies that are due */
    tks_reply **replies;
    tks_reply *few[TKSP_REPLIES_INLINE];
    tks_bytes rest;   /* of the batch, to be written yet */
    int64_t deadline; /* the operation's, where the batch has a nearer one */
    tksp_failure failure;
    tks_credentials credentials;
};

/* Makes the first step, and sends the batch that it asks for, if any, without waiting for replies. `pid`
 * is this process's, `timeout_ms` > 0. How that went, tksp_flight_end says. */
void tksp_flight_begin(tks_flight *flight, pid_t pid, int64_t timeout_ms,
                       const tks_interrupt *interrupt);

/* To the operation's end, or until it asks for credentials: then r->asks. Statuses as tks_client_run. */
tks_status tksp_flight_proceed(tks_flight *flight, tks_error *err);

/* What it asked for: taken over. */
void tksp_flight_give(tks_flight *flight, tks_credentials *credentials);

/* To the operation's end; where nobody can be asked for credentials, that they are needed is an error.
 * Statuses as tks_client_run. */
tks_status tksp_flight_end(tks_flight *flight, tks_error *err);

/* Instead of the end: closes the connection that is waiting for replies, if any. */
void tksp_flight_abandon(tks_flight *flight);

/* The pool of process `pid`, this one. In a forked child the first to come makes it; the inherited one
 * is left alone but for its descriptors, since its mutex may be held by a thread that is not here.
 * NULL when memory is short. */
tksp_pool *tksp_client_pool(tks_client *client, pid_t pid);

/* The target, for messages; borrowed. */
const char *tksp_client_name(const tks_client *client);

bool tksp_client_is_closed(const tks_client *client);

#endif
