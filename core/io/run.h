/* run.h - runs an operation: asks what it needs, and does it.
 *
 * Threads: any number at a time on one client and one HTTP driver. */
#ifndef TOKENSTORE_IO_RUN_H
#define TOKENSTORE_IO_RUN_H

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

/* To the operation's end, with what it may need: `client` for SEND, `requester` for HTTP; NULL where
 * the operation never asks for that. Statuses as tks_client_run. `pid` is this process's, `timeout_ms` > 0. */
tks_status tksp_run(tks_client *client, const tksp_requester *requester, tks_op *op, pid_t pid,
                    int64_t timeout_ms, const tks_interrupt *interrupt, tks_error *err);

/* The pool of process `pid`, this one. In a forked child the first to come makes it; the inherited one
 * is left alone but for its descriptors, since its mutex may be held by a thread that is not here.
 * NULL when memory is short. */
tksp_pool *tksp_client_pool(tks_client *client, pid_t pid);

/* The target, for messages; borrowed. */
const char *tksp_client_name(const tks_client *client);

#endif
