/* tokenstore/remote_keys.h - public keys published at a URL, for a whole process.
 *
 * Purpose:   keys are fetched when first needed and cached. When they are older than `max_age_ms`, or than the
 *            server's Cache-Control allows, they are fetched again in the background while the old ones are still
 *            used. If that fails, they are used for up to `max_stale_ms` more, and a note says so. A token with an
 *            unknown key triggers a fetch at once, at most once in `interval_ms`, unless that helped. However many
 *            threads want keys, only one fetch is in progress.
 * Rules:     those of http_client.h: certificates are verified, redirects rejected, 1 MiB at most, one deadline.
 *            http is allowed for localhost only, unless `insecure` is set. Only public keys are used.
 * Lifecycle: new fetches nothing. The caller owns a reference to each set returned, which stays valid as long as it
 *            is held. close ends a fetch within 50 ms; free after the last user is gone.
 * Not from:  a signal handler. free waits for the thread that fetches.
 * Threads:   all functions but free are thread-safe; a fetch runs in its own thread, which never calls back.
 *            A forked child keeps the current keys, and restarts a fetch. */
#ifndef TOKENSTORE_REMOTE_KEYS_H
#define TOKENSTORE_REMOTE_KEYS_H

#include "tokenstore/http_client.h"
#include "tokenstore/jwt.h"

TKS_BEGIN_DECLS

typedef struct tks_remote_keys tks_remote_keys;

typedef struct tks_remote_keys_options {
    tks_bytes url;        /**< a JWKS, or one key or certificate in PEM */
    int64_t max_age_ms;   /**< 1 s … a year */
    int64_t max_stale_ms; /**< 0 … a year */
    int64_t interval_ms;  /**< 1 s … a day */
    int64_t timeout_ms;   /**< of a fetch: 1 ms … 10 minutes */
} tks_remote_keys_options;

#define TKS_REMOTE_KEYS_OPTIONS_INIT                                                               \
    { .max_age_ms = 600000, .max_stale_ms = 3600000, .interval_ms = 10000, .timeout_ms = 5000 }

/** TKS_OK, TKS_ERR_CONFIGURATION (the message says which option), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_remote_keys_new(const tks_remote_keys_options *options,
                                            const tks_http_options *http, tks_remote_keys **out,
                                            tks_error *err);

/** The current keys; NULL: there are none that may be used. Never waits; may start a fetch in the background.
 * `version` (may be NULL) identifies them: 0 is none. */
tks_keyset *tks_remote_keys_peek(tks_remote_keys *keys, uint64_t *version);

/** The current keys; if there are none, or `seen` is their version (keys that lack a token's), they are fetched if
 * allowed. With `pending` it does not wait: true means that a fetch is in progress; call again for its outcome.
 * TKS_OK; *out NULL: pending, or none newer than `seen`. Other statuses say nothing about any token:
 * TKS_ERR_CONNECTION, TKS_ERR_TIMEOUT, TKS_ERR_DATA (the answer has no keys), TKS_ERR_CONFIGURATION (a file of the
 * options), TKS_ERR_INTERRUPTED, TKS_ERR_CLOSED, TKS_ERR_MEMORY. A failure is not retried for a second, nor for an
 * unknown key before `interval_ms`. */
TKS_MUST_USE tks_status tks_remote_keys_get(tks_remote_keys *keys, uint64_t seen,
                                            const tks_interrupt *interrupt, bool *pending,
                                            tks_keyset **out, uint64_t *version, tks_error *err);

/** A token was valid with newer keys: the next one may trigger a fetch at once. */
void tks_remote_keys_helped(tks_remote_keys *keys);

/** Fetches once, regardless of cached keys, and appends the text unchanged: for a host that caches it for several
 * processes. *fresh_ms: how long it is fresh. Statuses as for get. */
TKS_MUST_USE tks_status tks_remote_keys_download(tks_remote_keys *keys,
                                                 const tks_interrupt *interrupt, tks_buf *text,
                                                 int64_t *fresh_ms, tks_error *err);

/** Notes for the log; see spike_client.h. */
bool tks_remote_keys_has_notes(const tks_remote_keys *keys);
tks_status tks_remote_keys_take_notes(tks_remote_keys *keys, tks_buf *out);

/** Later calls return TKS_ERR_CLOSED, and no keys. May be called twice. */
void tks_remote_keys_close(tks_remote_keys *keys);

/** tks_remote_keys_close, then frees. NULL is accepted. */
void tks_remote_keys_free(tks_remote_keys *keys);

TKS_END_DECLS
#endif
