/* key_source.h - the current public keys of a server, and when to fetch newer ones.
 *
 * Purpose:   shared by Spike's operations and tks_remote_keys (core/io/remote_keys.c). It does no HTTP: the
 *            user of a source fetches the keys and reports the result.
 * Rules:     a token with an unknown key causes a fetch, but only once per `interval_ms`, because anyone can
 *            create such tokens. A fetch after which the token is valid does not count: that cannot be
 *            forged, and a server may change its keys twice in a row.
 * Lifecycle: the caller's storage: init, use, clear.
 * Threads:   all functions except init and clear may be called from many threads. In a forked child, call
 *            tksp_key_source_after_fork first.
 * Clocks:    `now_ms` may be of any clock, but always of the same one. If it is set back, one extra fetch may
 * follow. */
#ifndef TKSP_KEY_SOURCE_H
#define TKSP_KEY_SOURCE_H

#include <stdatomic.h>

#include "tokenstore/jwt.h"

enum { TKSP_KEY_INTERVAL_MS = 10000 }; /* the default */

typedef struct tksp_key_source {
    atomic_flag busy; /* guards the rest */
    tks_keyset *set;  /* NULL: none yet */
    uint64_t version; /* of the set; 0: none */
    int64_t interval_ms;
    int64_t asked_ms; /* when the last fetch that counts for the interval began */
    bool asked;
} tksp_key_source;

void tksp_key_source_init(tksp_key_source *source, int64_t interval_ms);
void tksp_key_source_clear(tksp_key_source *source);
void tksp_key_source_after_fork(tksp_key_source *source);

/* A reference to the current keys; NULL: none yet. `version` may be NULL. */
tks_keyset *tksp_key_source_get(tksp_key_source *source, uint64_t *version);

/* Replaces the current keys by `set`; takes ownership. */
void tksp_key_source_put(tksp_key_source *source, tks_keyset *set);

/* True if the keys may be fetched now for a token with an unknown key. Then the interval begins. */
bool tksp_key_source_ask(tksp_key_source *source, int64_t now_ms);

/* A token was valid only with the fetched keys: ends the interval. */
void tksp_key_source_helped(tksp_key_source *source);

#endif
