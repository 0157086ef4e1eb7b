/* subscription.h - dedicated connections that listen to channels and reconnect: one to the server, or to each primary of a cluster.
 *
 * Purpose:   Redis publishes only to connected subscribers, so a lost connection is not hidden: it is reported
 *            as LOST, retried with growing pauses, and reported as GAP when it listens again. A PING after
 *            every `ping_ms` of silence detects a dead server. Where Sentinels or the nodes of a cluster say which the primaries
 *            are, they are asked every `look_ms`, and a change is a GAP, too.
 * Credentials: if the host supplies them, open and next return before they connect. The caller calls
 *            tksp_subscription_give and repeats the call; once more if the server refuses them.
 * Lifecycle: new (does not connect), open, next any number of times, close, free when no thread uses it. The
 *            client must outlive it.
 * Threads:   open and next from one thread at a time (a second one gets an error); close from any.
 * Fork:      belongs to the process that created it; in a child, next returns an error. */
#ifndef TKSP_IO_SUBSCRIPTION_H
#define TKSP_IO_SUBSCRIPTION_H

#include "tokenstore/client.h"
#include "waker.h"

typedef struct tksp_subscription tksp_subscription;

/* What becomes of a connection to a primary. */
typedef enum tksp_link {
    TKSP_LINK_OPEN,
    TKSP_LINK_PROVEN, /* PING was answered */
    TKSP_LINK_LOST
} tksp_link;

/* The functions are called in open and next, by their thread. */
typedef struct tksp_subscription_options {
    const tks_bytes *channels; /* copied */
    size_t count;              /* 0: the operation of `prepare` does what is needed to be told */
    const char *rights;        /* what the ACL calls them */
    /* Creates an operation that runs on each new connection before it subscribes. NULL: none. */
    tks_status (*prepare)(void *context, tks_op **out, tks_error *err);
    bool prepares_replicas; /* also at each replica */
    /* Returns true for a message to deliver. */
    bool (*accept)(void *context, tks_bytes channel, const tks_reply *payload);
    /* `node` is -1 where there is one server; PROVEN: PING was sent at `sent_ms`, as tks_event's boot_ms. NULL: nobody asks. */
    void (*link)(void *context, int node, tksp_link event, int64_t sent_ms);
    /* Without channels: takes a reply that is a message. False: it is another one. */
    bool (*hear)(void *context, const tks_reply *reply);
    /* What a primary is asked before each PING, and at once when there is something: appends the commands, few enough to be written without
     * waiting; `*count` answers follow. NULL: nothing. */
    bool (*wants)(void *context, int node);
    tks_status (*ask)(void *context, int node, tks_buf *out, size_t *count);
    void (*answer)(void *context, int node, const tks_reply *reply);
    const tksp_waker *waker; /* wakes `next` when there is; NULL: nobody does */
    void *context;
    /* On a cluster: creates an operation whose BOOL is true if the last message that was accepted is not. *out NULL: it is. */
    tks_status (*doubt)(void *context, tks_op **out, tks_error *err);
    int64_t ping_ms; /* of silence; or, if `pings_always`, also while there are messages */
    bool pings_always;
    int64_t look_ms; /* Sentinels, or nodes, are asked which the primaries are; ± a third */
} tksp_subscription_options;

typedef enum tksp_heard {
    TKSP_HEARD_NOTHING, /* until the timeout */
    TKSP_HEARD_MESSAGE, /* `accept` returned true; its arguments stay valid until the next call */
    TKSP_HEARD_LOST,    /* the connection has ended; tksp_subscription_get_error says why */
    TKSP_HEARD_ASKS,    /* credentials are needed to reconnect */
    TKSP_HEARD_GAP      /* it listens again; tksp_subscription_get_gap says what may be missing */
} tksp_heard;

/* Milliseconds since 1970, by the clock of this machine. Everything published before `lost_ms` has been
 * delivered, or will be, and everything published after `restored_ms` will be, as long as the connections live. */
typedef struct tksp_gap {
    int64_t lost_ms, restored_ms;
} tksp_gap;

/* TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_subscription_new(tks_client *client, const tksp_subscription_options *options,
                                 tksp_subscription **out, tks_error *err);

/* Connects and subscribes, with a few retries, within the client's timeout; or sets *asks. TKS_OK,
 * TKS_ERR_CONNECTION,
 * TKS_ERR_TIMEOUT, TKS_ERR_SERVER (refused), TKS_ERR_CONFIGURATION, TKS_ERR_CLOSED, TKS_ERR_MEMORY,
 * TKS_ERR_INTERRUPTED. */
tks_status tksp_subscription_open(tksp_subscription *sub, const tks_interrupt *interrupt,
                                  bool *asks, tks_error *err);

/* Supplies the requested credentials. Takes ownership, empties *credentials, and wipes them after use. Called
 * by the thread that calls open or next. */
void tksp_subscription_give(tksp_subscription *sub, tks_credentials *credentials);

/* They are requested: were the last ones refused? */
bool tksp_subscription_was_refused(const tksp_subscription *sub);

/* Returns the next event. `timeout_ms` 0: only what has already arrived; below 0: waits forever. While the
 * server is unreachable a call may take connect_timeout if that is longer, so that short calls can reconnect
 * too. TKS_OK; TKS_ERR_SERVER, TKS_ERR_CONFIGURATION: retrying is unlikely to help (later calls do retry);
 * TKS_ERR_CLOSED (also: in a forked child), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED (nothing is lost). */
tks_status tksp_subscription_next(tksp_subscription *sub, int64_t timeout_ms,
                                  const tks_interrupt *interrupt, tksp_heard *out, tks_error *err);

const tks_error *tksp_subscription_get_error(const tksp_subscription *sub); /* after LOST */
tksp_gap tksp_subscription_get_gap(const tksp_subscription *sub);           /* after GAP */

/* Ends a next() in progress in another thread within TKSP_SLICE_MS. May be called twice. */
void tksp_subscription_close(tksp_subscription *sub);

/* In a forked child: closes its copies of the connections, and nothing else. */
void tksp_subscription_drop_inherited(tksp_subscription *sub);

/* NULL is accepted. */
void tksp_subscription_free(tksp_subscription *sub);

#endif
