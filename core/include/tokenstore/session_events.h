/* tokenstore/session_events.h - the blocking driver of session events: waits for sessions to end.
 *
 * Purpose:   a connection of its own, outside the client's pool, listens to what Redis says about keys.
 *            Redis does not queue events for absent subscribers. A lost connection is re-established, and the
 *            time in between is reported as a gap.
 * Credentials: where the client asks the host for user and password of each connection, open and next come back
 *            for them: tks_session_events_give, and again. The host is asked once more where the server refuses
 *            them.
 * Lifecycle: new, open, next any number of times, close, free after the last user. The client must outlive it.
 * Threads:   next by one thread at a time - a second one gets an error; close from any.
 * Fork:      it belongs to the process that made it; in a child, next says so. */
#ifndef TOKENSTORE_SESSION_EVENTS_H
#define TOKENSTORE_SESSION_EVENTS_H

#include "tokenstore/api.h"
#include "tokenstore/client.h"
#include "tokenstore/session_event.h"

TKS_BEGIN_DECLS

typedef struct tks_session_events tks_session_events;

typedef struct tks_session_events_options {
    bool configure;       /**< run tks_session_notify_new on each new connection */
    int64_t keepalive_ms; /**< PING after this long a silence; 0: 15 s */
} tks_session_events_options;

typedef enum tks_session_notice_type {
    TKS_SESSION_NOTHING, /**< until the timeout */
    TKS_SESSION_ENDED,   /**< `event` */
    TKS_SESSION_ASKS,    /**< user and password are wanted, to connect again */
    TKS_SESSION_LOST,    /**< the connection has ended: `why`; worth a line in a log */
    TKS_SESSION_GAP /**< it is back: ends between `lost_ms` and `restored_ms` may not have been told */
} tks_session_notice_type;

/** Everything borrowed until the next call. Times are milliseconds since 1970 by the clock of this machine. */
typedef struct tks_session_notice {
    tks_session_notice_type type;
    tks_session_event event;
    const tks_error *why;
    int64_t lost_ms, restored_ms;
} tks_session_notice;

/** Connects nothing. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_session_events_new(tks_client *client,
                                               const tks_session_events_options *options,
                                               tks_session_events **out, tks_error *err);

/** Listens, from when this returns, within the client's timeout; or *asks. TKS_OK, TKS_ERR_CONNECTION,
 * TKS_ERR_TIMEOUT, TKS_ERR_SERVER (it does not let us: the message says what to do),
 * TKS_ERR_CONFIGURATION, TKS_ERR_CLOSED (the client is), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
TKS_MUST_USE tks_status tks_session_events_open(tks_session_events *events,
                                                const tks_interrupt *interrupt, bool *asks,
                                                tks_error *err);

/** What it asked for: taken over, leaving nothing in *credentials, and wiped after use. By the thread that opens or
 * waits. */
void tks_session_events_give(tks_session_events *events, tks_credentials *credentials);

/** What comes next. `timeout_ms` 0: what is there already; below 0: for ever. While the server is away a
 * call may take connect_timeout where that is longer. TKS_OK; TKS_ERR_SERVER, TKS_ERR_CONFIGURATION (it
 * cannot come back by itself, though later calls try); TKS_ERR_CLOSED (it, or the client, or this is a
 * forked child), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED (nothing is lost). `interrupt` may be NULL. */
tks_status tks_session_events_next(tks_session_events *events, int64_t timeout_ms,
                                   const tks_interrupt *interrupt, tks_session_notice *out,
                                   tks_error *err);

/** Ends a next under way in another thread within 50 ms. Twice is fine. */
void tks_session_events_close(tks_session_events *events);

/** NULL is accepted. */
void tks_session_events_free(tks_session_events *events);

TKS_END_DECLS
#endif
