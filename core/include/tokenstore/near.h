/* tokenstore/near.h - the near cache: records in memory, until the server takes them back.
 *
 * Purpose:   an operation that only reads is answered from here, without a system call. What a record says may change at the server at any
 *            time; so a link, a connection of each server that CLIENT TRACKING tells of every change, drops what was changed, and is
 *            proved alive again and again. While it is not, nothing from here counts.
 *
 *                operations:  find ── miss ──► reserve, ask the server ──► put (unless it was invalidated since)
 *                links:       open ──► take (messages), prove (PING was answered) … ──► lose
 *
 * Tracking:  a server tells of all keys with prefixes that it was given (broadcasting mode), or of those that the link read (default
 *            mode, TKS_NEAR_KEYS). Then the link asks, with each PING, for what operations want: tks_near_ask, tks_near_answer. The
 *            first answer that an operation gets makes it wanted, one that was asked for after the server knows of it is kept.
 *
 * Rules:     an entry counts while the link that it came under is open, and was proved alive within `staleness_ms`. A proof counts from
 *            the moment at which the question was sent: all that changed before has been heard then. So nothing that is served was
 *            changed more than `staleness_ms` ago, whatever breaks.
 * Secrets:   keys and fields are digests of tokens; what is dropped is wiped.
 * Lifecycle: a counted handle; operations hold it.
 * Threads:   any number; a lock is held for microseconds.
 * Fork:      a near cache belongs to the process that made it: a child makes its own.
 * Times:     milliseconds of a clock that cannot be set and includes the machine's sleep (tks_event's boot_ms). */
#ifndef TOKENSTORE_NEAR_H
#define TOKENSTORE_NEAR_H

#include "tokenstore/op.h"
#include "tokenstore/router.h"

TKS_BEGIN_DECLS

typedef struct tks_near tks_near;

#define TKS_NEAR_CHANNEL "__redis__:invalidate"

enum { TKS_NEAR_ENTRIES_MAX = 10000000, TKS_NEAR_STALENESS_MIN_MS = 100 };

/** At most `entries` records, and 1 KiB for each. NULL: out of memory. */
tks_near *tks_near_new(size_t entries, int64_t staleness_ms, tks_near_tracking tracking);

/** As it was made. */
tks_near_tracking tks_near_get_tracking(const tks_near *near) TKS_ALL_NONNULL;

tks_near *tks_near_hold(tks_near *near) TKS_ALL_NONNULL; /**< counts one more holder; returns it */
void tks_near_free(tks_near *near); /**< one holder fewer, the last frees it; NULL is accepted */

/** Before the first step: where the operation may find what it reads. It holds the cache. */
void tks_op_set_near(tks_op *op, tks_near *near) TKS_ALL_NONNULL;

/** Before the first step: it asks the server even so. */
void tks_op_set_fresh(tks_op *op) TKS_ALL_NONNULL;

/* ---- views: what a binding has made of a record, found by the question itself ----
 *
 * Most of what a hit costs is the way there and back: the token's digests, an operation, reading the record. So a binding may leave its
 * own value with the record of an operation's result. The next one who asks the same finds that, while the record counts. Views are the
 * binding's to free: those whose records are gone are handed back to it. One near cache has views of one runtime. */

/** What was asked, of which store: a keyed fingerprint, so that neither tokens are kept nor anybody can make two alike. */
typedef struct tks_near_question {
    uint64_t words[2];
} tks_near_question;

/** The view under this question, where its record counts; NULL: none. Valid until tks_near_reap is called next. `router` NULL: there is
 * one server. */
void *tks_near_find_view(tks_near *near, const tks_router *router,
                         const tks_near_question *question, int64_t now_ms) TKS_NONNULL(1, 3);

/** The near cache that the operation looks into; NULL: none. Borrowed from it. */
tks_near *tks_op_get_near(const tks_op *op) TKS_ALL_NONNULL;

/** May a view be left with what this operation has found? Only where the same question finds just that record, as long as it counts. */
bool tks_op_is_viewable(const tks_op *op) TKS_ALL_NONNULL;

/** Leaves a view with it, in place of an earlier one. False: not possible any more, or out of memory; then `view` stays the caller's. */
bool tks_op_leave_view(tks_op *op, const tks_near_question *question, void *view) TKS_ALL_NONNULL;

/** Takes back a view whose record is gone, or with `all` any; NULL: there is none. */
void *tks_near_reap(tks_near *near, bool all) TKS_ALL_NONNULL;

/* ---- links: one for each server, by its number in the router; -1: there is one server ---- */

/** The operation that switches CLIENT TRACKING on for a connection, which then subscribes to TKS_NEAR_CHANNEL; with TKS_NEAR_KEYS it speaks
 * RESP3 from then on, and subscribes to nothing. `*version` is that of the prefixes that it names; once it is not the near cache's any more,
 * all links begin anew. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_near_track_new(tks_near *near, unsigned *version, tks_op **out,
                                           tks_error *err);

/** That of the prefixes of all keys that operations have asked for; 0: none has. */
unsigned tks_near_get_version(const tks_near *near) TKS_ALL_NONNULL;

/** The server tells of all changes that it makes from `now_ms` on to keys with the prefixes of this version. */
void tks_near_open(tks_near *near, int node, unsigned version, int64_t now_ms) TKS_ALL_NONNULL;

/** The answer to a question that was sent at `sent_ms` has arrived at `now_ms`: all that the server changed before it has been told. Where
 * `router` (NULL: there is one server) names the primaries, it counts only as far as that has named this node: one that was replaced
 * answers, too, and may not know it. `clock_ms`: now, by the router's clock. */
void tks_near_prove(tks_near *near, const tks_router *router, int node, int64_t sent_ms,
                    int64_t now_ms, int64_t clock_ms) TKS_NONNULL(1);

/** A message of the channel: a list of keys that were changed; anything else, such as nil, is for all. */
void tks_near_take(tks_near *near, const tks_reply *payload) TKS_ALL_NONNULL;

/** With TKS_NEAR_KEYS: takes a reply that is a message. False: it is another one. */
bool tks_near_hear(tks_near *near, const tks_reply *reply) TKS_ALL_NONNULL;

/** Is there something to ask this server? */
bool tks_near_wants(tks_near *near, int node) TKS_ALL_NONNULL;

/** Appends the commands to ask with, at most some kilobytes, as many as `*count`. Not while earlier ones are unanswered. TKS_OK,
 * TKS_ERR_MEMORY: lose the link. */
TKS_MUST_USE tks_status tks_near_ask(tks_near *near, int node, tks_buf *out,
                                     size_t *count) TKS_ALL_NONNULL;

/** The answer to the next of them. */
void tks_near_answer(tks_near *near, int node, const tks_reply *reply) TKS_ALL_NONNULL;

/** `wake` is called when a link has something to ask, in the middle of an operation and perhaps by another thread: it does nothing but let
 * the owner of the links know. NULL: nobody waits. It is not called any more when this returns. */
void tks_near_set_waker(tks_near *near, void (*wake)(void *context), void *context) TKS_NONNULL(1);

/** Messages may be missing from now on. */
void tks_near_lose(tks_near *near, int node) TKS_ALL_NONNULL;

/** No link can be opened, and why; NULL: one is again. The next operation logs it. */
void tks_near_fail(tks_near *near, const char *why) TKS_NONNULL(1);

/** Drops all entries. */
void tks_near_flush(tks_near *near) TKS_ALL_NONNULL;

/** Since it was made, but for the last four. */
typedef struct tks_near_stats {
    uint64_t hits, misses;
    uint64_t invalidations; /**< entries that a change dropped */
    uint64_t evictions;     /**< entries that others displaced */
    uint64_t flushes;       /**< links lost, and orders to drop all */
    size_t entries, bytes;
    bool alive; /**< is any link proved alive? */
    int64_t
        oldest_ms; /**< how long ago the open link was proved alive that was proved first; 0: none is open */
} tks_near_stats;

/** At `now_ms`. */
tks_near_stats tks_near_get_stats(tks_near *near, int64_t now_ms) TKS_ALL_NONNULL;

TKS_END_DECLS
#endif
