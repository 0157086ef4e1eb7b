/* tokenstore/spike_client.h - access tokens for a whole process: memory, one fetch for all, renewal ahead.
 *
 * Purpose:   runs the operations of spike.h. A token in memory costs a look-up. If there is none, one thread
 *            fetches it and the others wait; when it nears its expiry, a background thread renews it while the old
 *            one is still returned. If a renewal fails, the old token stays in use until its expiry.
 * Lifecycle: new, get any number of times, close, free. The Redis client is borrowed and must outlive this; the
 *            rest is owned. close waits for a renewal in progress, at most 50 ms.
 * Not from:  a signal handler. get blocks while it fetches; free waits for the thread that renews tokens.
 * Threads:   all functions but free are thread-safe; readers do not wait for each other. In a forked child
 *            the memory starts empty. */
#ifndef TOKENSTORE_SPIKE_CLIENT_H
#define TOKENSTORE_SPIKE_CLIENT_H

#include "tokenstore/api.h"
#include "tokenstore/client.h"
#include "tokenstore/http_client.h"
#include "tokenstore/spike.h"

TKS_BEGIN_DECLS

typedef struct tks_spike_client tks_spike_client;

/** Takes ownership of `spike` and `http`, also on failure. `redis` may be NULL. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_spike_client_new(tks_spike *spike, tks_http *http, tks_client *redis,
                                             tks_spike_client **out, tks_error *err);

/** Combines tks_spike_new, tks_http_new and the above; one message lists the faults of both.
 * TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_spike_client_open(const tks_spike_options *options,
                                              const tks_http_options *http, tks_client *redis,
                                              tks_spike_client **out, tks_error *err);

/** Appends the token for `request` to `out` if there is a valid one in memory; false if not. Never waits; may start
 * a renewal. */
bool tks_spike_client_peek(tks_spike_client *client, tks_bytes request, tks_buf *out);

/** Is `token` what tks_spike_client_peek would return? For a language that caches it as a string: nothing is
 * copied. Never waits; may start a renewal. */
bool tks_spike_client_is_current(tks_spike_client *client, tks_bytes request, tks_bytes token);

/** For how many milliseconds the token in memory for `request` is valid, and in how many the next one should be
 * requested. For a host with its own cache. False if there is none. */
bool tks_spike_client_get_times(tks_spike_client *client, tks_bytes request, int64_t *good_for_ms,
                                int64_t *renew_in_ms);

/** Appends the token for `request` to `out`, from memory, Redis or the server. `timeout_ms` 0: the retry budget
 * plus the longest wait for another process. TKS_OK, TKS_ERR_SPIKE, TKS_ERR_SPIKE_AUTH, TKS_ERR_TIMEOUT,
 * TKS_ERR_DATA (the request breaks a limit, or was not made by tks_spike_request_write), TKS_ERR_INTERRUPTED,
 * TKS_ERR_CLOSED, TKS_ERR_MEMORY. TKS_ERR_SPIKE and TKS_ERR_SPIKE_AUTH are returned again, without a request, for
 * TKS_SPIKE_FAILURE_MS, or as long as the server said. `answer` (may be NULL): the server's answer; empty if there
 * was none. */
TKS_MUST_USE tks_status tks_spike_client_get(tks_spike_client *client, tks_bytes request,
                                             int64_t timeout_ms, tks_bytes given,
                                             const tks_interrupt *interrupt, bool *asks,
                                             tks_buf *out, tks_spike_answer *answer,
                                             tks_error *err);

/** If the host provides the client's secret or assertion: with `given` empty, *asks may be true on return, with
 * TKS_OK and no token: a secret is needed. The host obtains it and calls again. Several threads may be asked at
 * once. A token is then not renewed by itself: after a peek the host calls tks_spike_client_wants, which is true
 * for one caller in 5 s if a renewal is due, and passes the secret to tks_spike_client_renew, whose thread does the
 * rest. */
bool tks_spike_client_wants(tks_spike_client *client, tks_bytes request);
void tks_spike_client_renew(tks_spike_client *client, tks_bytes request, tks_bytes given);

/** Fetches the public key unless there is one. Optional: it shows early that the server can be reached. Statuses as
 * above. */
TKS_MUST_USE tks_status tks_spike_client_initialize(tks_spike_client *client,
                                                    const tks_interrupt *interrupt,
                                                    tks_spike_answer *answer, tks_error *err);

/** Is there a public key, or none needed? */
bool tks_spike_client_is_initialized(const tks_spike_client *client);

/** Its audience answered `token` with 401: forgets it, and that its last fetch failed, here and in Redis, unless it
 * has been replaced meanwhile. TKS_OK; TKS_ERR_CONNECTION and similar if Redis could not be updated: it is
 * forgotten here, but other processes may still return it. */
TKS_MUST_USE tks_status tks_spike_client_invalidate(tks_spike_client *client, tks_bytes request,
                                                    tks_bytes token, const tks_interrupt *interrupt,
                                                    tks_error *err);

/** Cancels the fetch for `request`, for which no caller waits: it ends within 50 ms, with TKS_ERR_CLOSED. Any
 * remaining callers start another. */
void tks_spike_client_abandon(tks_spike_client *client, tks_bytes request);

/** Are there notes for the log? */
bool tks_spike_client_has_notes(const tks_spike_client *client);

/** Moves the notes to `out`, as tks_notes_take does. Cheap if there are none. TKS_OK
 * or TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_spike_client_take_notes(tks_spike_client *client, tks_buf *out);

/** Cancels everything in progress, within 50 ms: callers get TKS_ERR_CLOSED, as later calls do. May be called
 * twice. */
void tks_spike_client_close(tks_spike_client *client);

/** tks_spike_client_close, then frees and wipes. NULL is accepted. */
void tks_spike_client_free(tks_spike_client *client);

TKS_END_DECLS
#endif
