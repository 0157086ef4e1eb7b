/* tokenstore/spike_client.h - access tokens for a whole process: memory, one fetch for all, renewal ahead.
 *
 * Purpose:   runs the operations of spike.h. A token in memory costs a look-up. When there is none, one
 *            thread fetches it and the others wait for that one; when it nears its end, it is renewed
 *            by a thread in the background while the old one is still given out. A renewal that fails
 *            leaves the old token in use until its end.
 * Lifecycle: new, get any number of times, close, free. The Redis client is borrowed and must outlive
 *            this; the rest is owned. close waits for a renewal under way, at most for one slice (50 ms)
 *            of what it waits for.
 * Threads:   everything but free is safe from many threads; readers do not wait for each other. In a
 *            forked child the memory begins empty. */
#ifndef TOKENSTORE_SPIKE_CLIENT_H
#define TOKENSTORE_SPIKE_CLIENT_H

#include "tokenstore/api.h"
#include "tokenstore/client.h"
#include "tokenstore/http_client.h"
#include "tokenstore/spike.h"

TKS_BEGIN_DECLS

typedef struct tks_spike_client tks_spike_client;

/** Takes `spike` and `http` over, on failure too. `redis` may be NULL. TKS_OK, TKS_ERR_MEMORY. */
tks_status tks_spike_client_new(tks_spike *spike, tks_http *http, tks_client *redis,
                                tks_spike_client **out, tks_error *err);

/** Makes all of it: tks_spike_new, tks_http_new and the above; the faults of both halves come in one message.
 * TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tks_spike_client_open(const tks_spike_options *options, const tks_http_options *http,
                                 tks_client *redis, tks_spike_client **out, tks_error *err);

/** Appends the token for `request` to `out` if there is a good one in memory; false where there is not.
 * Never waits; may start a renewal. */
bool tks_spike_client_peek(tks_spike_client *client, tks_bytes request, tks_buf *out);

/** Is `token` what tks_spike_client_peek would give? For a language that has kept it as a string of its
 * own: nothing is copied. Never waits; may start a renewal. */
bool tks_spike_client_is_current(tks_spike_client *client, tks_bytes request, tks_bytes token);

/** For how many milliseconds the token in memory for `request` is good, and in how many the next one should be asked
 * for. For a host that keeps tokens of its own. False where there is none. */
bool tks_spike_client_get_times(tks_spike_client *client, tks_bytes request, int64_t *good_for_ms,
                                int64_t *renew_in_ms);

/** Appends the token for `request` to `out`, from memory, Redis or the server. `timeout_ms` 0: the retry budget
 * and what waiting for another process may take. TKS_OK, TKS_ERR_SPIKE, TKS_ERR_SPIKE_AUTH, TKS_ERR_TIMEOUT, TKS_ERR_DATA (the
 * request breaks a limit, or was not made by tks_spike_request_write), TKS_ERR_INTERRUPTED, TKS_ERR_CLOSED, TKS_ERR_MEMORY.
 * TKS_ERR_SPIKE and TKS_ERR_SPIKE_AUTH are given again, without asking, for TKS_SPIKE_FAILURE_MS, or as long as the
 * server said. `answer` (may be NULL): what it said; all empty where it did not. */
tks_status tks_spike_client_get(tks_spike_client *client, tks_bytes request, int64_t timeout_ms,
                                tks_bytes given, const tks_interrupt *interrupt, bool *asks,
                                tks_buf *out, tks_spike_answer *answer, tks_error *err);

/** Where the options let the host give the client's secret or assertion: with `given` empty, *asks may be true
 * afterwards, and TKS_OK have come without a token: one is needed. The host gets it, and calls again. Several threads
 * may be asked at a time. A token is not renewed by itself then: after a peek the host asks tks_spike_client_wants,
 * which is true for one caller in 5 s where it is time, and hands what it got to tks_spike_client_renew, whose
 * thread goes on alone. */
bool tks_spike_client_wants(tks_spike_client *client, tks_bytes request);
void tks_spike_client_renew(tks_spike_client *client, tks_bytes request, tks_bytes given);

/** Fetches the public key unless there is one. Tokens are fetched without it too; this tells early that
 * the server can be reached. Statuses as above. */
tks_status tks_spike_client_initialize(tks_spike_client *client, const tks_interrupt *interrupt,
                                       tks_spike_answer *answer, tks_error *err);

/** Is there a public key, or none needed? */
bool tks_spike_client_is_initialized(const tks_spike_client *client);

/** Its audience answered `token` with 401: forgets it, and that its last fetch failed, here and in Redis, unless it has been replaced
 * meanwhile. TKS_OK; TKS_ERR_CONNECTION and the like when Redis could not be told: it is forgotten
 * here, but other processes may still hand it out. */
tks_status tks_spike_client_invalidate(tks_spike_client *client, tks_bytes request, tks_bytes token,
                                       const tks_interrupt *interrupt, tks_error *err);

/** Nobody waits for the fetch for `request` any more: it ends within 50 ms, with TKS_ERR_CLOSED. Those who wait for
 * it all the same begin another. */
void tks_spike_client_abandon(tks_spike_client *client, tks_bytes request);

/** Is there something for the log? */
bool tks_spike_client_has_notes(const tks_spike_client *client);

/** Moves the notes that have gathered to `out`, as tks_notes_take does. Cheap when there are none. TKS_OK
 * or TKS_ERR_MEMORY. */
tks_status tks_spike_client_take_notes(tks_spike_client *client, tks_buf *out);

/** Ends what is under way, at the next look of each thread after its interrupt (50 ms): its callers get
 * TKS_ERR_CLOSED, as later calls do. Twice is fine. */
void tks_spike_client_close(tks_spike_client *client);

/** tks_spike_client_close, then frees and wipes. NULL is accepted. */
void tks_spike_client_free(tks_spike_client *client);

TKS_END_DECLS
#endif
