/* key_source.h - the public keys of a server, as long as they are good, and when to ask for newer ones.
 *
 * Purpose:   what Spike's operations and tks_remote_keys (core/io/remote_keys.c) have in common. Nothing here talks HTTP:
 *            the user of a source fetches, and reports the result.
 * Rules:     a token whose key is unknown is a reason to fetch - once in `interval_ms`, since anybody can make up
 *            such tokens. A fetch that helped, so that the token is good now, does not count: nobody can
 *            make that up, and a server may change its keys twice in a row.
 * Lifecycle: the caller's storage: init, use, clear.
 * Threads:   all but init and clear may be called from many threads: the lock is held for a few
 *            instructions. In a forked child tksp_key_source_after_fork comes first.
 * Clocks:    `now_ms` is whatever clock the caller has, always the same; one that was set back costs a fetch. */
#ifndef TKSP_KEY_SOURCE_H
#define TKSP_KEY_SOURCE_H

#include <stdatomic.h>

#include "tokenstore/jwt.h"

enum { TKSP_KEY_INTERVAL_MS = 10000 }; /* the usual one */

typedef struct tksp_key_source {
    atomic_flag busy; /* guards the rest */
    tks_keyset *set;  /* NULL: none yet */
    uint64_t version; /* of the set: 0 is none */
    int64_t interval_ms;
    int64_t asked_ms; /* when the last fetch began that may be the last for an interval */
    bool asked;
} tksp_key_source;

void tksp_key_source_init(tksp_key_source *source, int64_t interval_ms);
void tksp_key_source_clear(tksp_key_source *source);
void tksp_key_source_after_fork(tksp_key_source *source);

/* The keys of the moment, one reference; NULL: none yet. `version` may be NULL. */
tks_keyset *tksp_key_source_get(tksp_key_source *source, uint64_t *version);

/* Puts `set`, which is taken over, in place of the keys there are. */
void tksp_key_source_put(tksp_key_source *source, tks_keyset *set);

/* May the keys be asked for now, for a token whose key is unknown? Then the interval begins. */
bool tksp_key_source_ask(tksp_key_source *source, int64_t now_ms);

/* A token was good only with the keys that were fetched: the interval is over. */
void tksp_key_source_helped(tksp_key_source *source);

#endif
