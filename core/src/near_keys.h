/* near_keys.h - the keys of which servers tell one by one: CLIENT TRACKING in its default mode.
 *
 * A server remembers the keys that a connection reads, and sends it one message when such a key is changed; then it has forgotten the key.
 * So a key is
 *
 *     wanted ── question ──► asked ── answer ──► idle ◄──► held         message, own change, loss of the link: ──► nothing
 *
 * idle: its changes are told; held: there are records of it, too. The link asks, with a command that only reads. Its questions, answers and
 * messages are on one connection, in the order in which the server acted: what is told before the answer is from before the question, and
 * the server remembers the key all the same.
 *
 * Bounds:  as many keys as there may be records, and a quarter more. Those without records go first, the oldest of them.
 * Threads: one at a time. Pure. */
#ifndef TKSP_NEAR_KEYS_H
#define TKSP_NEAR_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/buf.h"

typedef struct tksp_near_key tksp_near_key;

typedef struct tksp_near_queue {
    tksp_near_key *first, *last;
} tksp_near_queue;

/* Of one link. */
typedef struct tksp_near_asking {
    tksp_near_queue wanted, asked;
    bool refused; /* the server does not let this user ask: nothing is wanted any more */
} tksp_near_asking;

/* Which server: a link, and which opening of it. */
typedef struct tksp_near_place {
    int node;
    unsigned opening;
} tksp_near_place;

typedef struct tksp_near_keys {
    tksp_near_key **buckets; /* `mask` + 1 */
    size_t mask;
    tksp_near_queue idle, held;
    size_t count, count_max;
} tksp_near_keys;

/* A key with its hash, which the caller always computes in the same way. */
typedef struct tksp_near_name {
    tks_bytes text;
    uint64_t hash;
} tksp_near_name;

/* For `records` records. False: out of memory. */
bool tksp_near_keys_init(tksp_near_keys *keys, size_t records);
void tksp_near_keys_clear(tksp_near_keys *keys); /* zero-initialised ones are accepted */

/* The key, if this server tells of its changes; else NULL, and it is wanted, if there is room. */
tksp_near_key *tksp_near_keys_want(tksp_near_keys *keys, tksp_near_name name, tksp_near_place place,
                                   tksp_near_asking *asking);

/* There are records of it now. */
void tksp_near_keys_hold(tksp_near_keys *keys, tksp_near_key *key);

/* There are none any more. */
void tksp_near_keys_release(tksp_near_keys *keys, tksp_near_name name);

/* It may have been changed: what was known of it is forgotten, but not that it is wanted or asked for. */
void tksp_near_keys_forget(tksp_near_keys *keys, tksp_near_name name);
void tksp_near_keys_forget_all(tksp_near_keys *keys);

/* The link begins, or ends. */
void tksp_near_keys_reset(tksp_near_keys *keys, tksp_near_asking *asking);

/* Appends the commands that ask for what is wanted, as many as one write takes; `*count`: so many. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_near_keys_ask(tksp_near_asking *asking, tks_buf *out, size_t *count);

/* The next answer has come from this server; `good`: it is one. True: of the key with `*hash`, changes are told from now on. */
bool tksp_near_keys_answer(tksp_near_keys *keys, tksp_near_asking *asking, tksp_near_place place,
                           bool good, uint64_t *hash);

#endif
