/* subscription.h - a connection of its own that listens to channels, and comes back when it was lost.
 *
 * Purpose:   Redis publishes only to connected subscribers. So a lost connection is not hidden: it
 *            is reported as LOST, tried again with growing pauses, and reported as GAP when it listens again. A PING
 *            after every `ping_ms` of silence finds out that the server is gone.
 * Credentials: where the target says that the host gives them, open and next come back before they connect:
 *            tksp_subscription_give, and again. Once more where the server refuses them.
 * Lifecycle: new (connects nothing), open, next any number of times, close, free after the last user.
 *            The client must outlive it.
 * Threads:   open and next by one thread at a time - a second one gets an error; close from any.
 * Fork:      it belongs to the process that made it; in a child, next says so. */
#ifndef TKSP_IO_SUBSCRIPTION_H
#define TKSP_IO_SUBSCRIPTION_H

#include "tokenstore/client.h"

typedef struct tksp_subscription tksp_subscription;

typedef struct tksp_subscription_options {
    const tks_bytes *channels; /* copied */
    size_t count;
    /* Makes an operation that is run on each new connection before it listens. NULL: none. */
    tks_status (*prepare)(tks_op **out, tks_error *err);
    /* Is this message one to hand out? Called within next, by its thread. */
    bool (*accept)(void *context, tks_bytes channel, tks_bytes payload);
    void *context;
    int64_t ping_ms;
} tksp_subscription_options;

typedef enum tksp_heard {
    TKSP_HEARD_NOTHING, /* until the timeout */
    TKSP_HEARD_MESSAGE, /* what `accept` took; it may keep what it was given until the next call */
    TKSP_HEARD_LOST,    /* the connection has ended, tksp_subscription_get_error says why */
    TKSP_HEARD_ASKS,    /* it wants credentials to connect again */
    TKSP_HEARD_GAP      /* it listens again; tksp_subscription_get_gap says what may be missing */
} tksp_heard;

/* Milliseconds since 1970, by the clock of this machine. All that was published before `lost_ms` has been
 * heard, and all that is published after `restored_ms` will be, as long as the connection lives. */
typedef struct tksp_gap {
    int64_t lost_ms, restored_ms;
} tksp_gap;

/* TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_subscription_new(tks_client *client, const tksp_subscription_options *options,
                                 tksp_subscription **out, tks_error *err);

/* Connects and listens, after a few tries, within the client's timeout; or *asks. TKS_OK, TKS_ERR_CONNECTION,
 * TKS_ERR_TIMEOUT, TKS_ERR_SERVER (refused), TKS_ERR_CONFIGURATION, TKS_ERR_CLOSED, TKS_ERR_MEMORY,
 * TKS_ERR_INTERRUPTED. */
tks_status tksp_subscription_open(tksp_subscription *sub, const tks_interrupt *interrupt,
                                  bool *asks, tks_error *err);

/* What it asked for: taken over, leaving nothing in *credentials, and wiped after use. By the thread that opens or
 * waits. */
void tksp_subscription_give(tksp_subscription *sub, tks_credentials *credentials);

/* What comes next. `timeout_ms` 0: what is there already; below 0: for ever. While the server is away a
 * call may take connect_timeout where that is longer, so that short calls get there too. TKS_OK;
 * TKS_ERR_SERVER, TKS_ERR_CONFIGURATION: trying again cannot help (but later calls do);
 * TKS_ERR_CLOSED (also: in a forked child), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED (nothing is lost). */
tks_status tksp_subscription_next(tksp_subscription *sub, int64_t timeout_ms,
                                  const tks_interrupt *interrupt, tksp_heard *out, tks_error *err);

const tks_error *tksp_subscription_get_error(const tksp_subscription *sub); /* after LOST */
tksp_gap tksp_subscription_get_gap(const tksp_subscription *sub);           /* after GAP */

/* Ends a next() under way in another thread within TKSP_SLICE_MS. Twice is fine. */
void tksp_subscription_close(tksp_subscription *sub);

/* NULL is accepted. */
void tksp_subscription_free(tksp_subscription *sub);

#endif
