/* tokenstore/session_events.h - the blocking driver of session events: waits for sessions to end.
 *
 * Purpose:   a separate connection, outside the client's pool, listens to Redis' key events. Redis does not queue
 *            events for absent subscribers. A lost connection is re-established, and the time in between is
 *            reported as a gap.
 * Credentials: if the host provides user and password for each connection, open and next return for them: call
 *              tks_session_events_give, then open or next again. The host is asked once more if the server rejects
 *              them.
 * Lifecycle: new, open, next any number of times, close, free after the last user. The client must outlive it.
 * Not from:  a signal handler. next blocks until an event, the timeout or close; free, while next runs.
 * Threads:   next from one thread at a time - a second one gets an error; close from any.
 * Fork:      it belongs to the process that created it; in a child, next fails. */
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
    TKS_SESSION_NOTHING, /**< no event within the timeout */
    TKS_SESSION_ENDED,   /**< `event` */
    TKS_SESSION_ASKS,    /**< user and password are needed, to reconnect */
    TKS_SESSION_LOST,    /**< the connection was lost: `why`; to be logged */
    TKS_SESSION_GAP /**< reconnected: events between `lost_ms` and `restored_ms` may be missing */
} tks_session_notice_type;

/** Everything borrowed until the next call. Times are milliseconds since 1970 by the clock of this machine. */
typedef struct tks_session_notice {
    tks_session_notice_type type;
    tks_session_event event;
    const tks_error *why;
    int64_t lost_ms, restored_ms;
} tks_session_notice;

/** Does not connect. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_session_events_new(tks_client *client,
                                               const tks_session_events_options *options,
                                               tks_session_events **out, tks_error *err);

/** Listens, from when this returns, within the client's timeout; or *asks. TKS_OK, TKS_ERR_CONNECTION,
 * TKS_ERR_TIMEOUT, TKS_ERR_SERVER (no permission: the message says what to do), TKS_ERR_CONFIGURATION,
 * TKS_ERR_CLOSED (the client is closed), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
TKS_MUST_USE tks_status tks_session_events_open(tks_session_events *events,
                                                const tks_interrupt *interrupt, bool *asks,
                                                tks_error *err);

/** Provides what it asked for: moved out of *credentials, and wiped after use. For the thread that opens or waits. */
void tks_session_events_give(tks_session_events *events, tks_credentials *credentials);

/** The next notice. `timeout_ms` 0: only what has arrived; below 0: forever. While the server is down a call may
 * take connect_timeout if that is longer. TKS_OK; TKS_ERR_SERVER, TKS_ERR_CONFIGURATION (reconnecting needs a
 * change, though later calls try); TKS_ERR_CLOSED (it or the client is closed, or this is a forked child),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED (no event is lost). `interrupt` may be NULL. */
TKS_MUST_USE tks_status tks_session_events_next(tks_session_events *events, int64_t timeout_ms,
                                                const tks_interrupt *interrupt,
                                                tks_session_notice *out, tks_error *err);

/** Ends a next in progress in another thread within 50 ms. May be called twice. */
void tks_session_events_close(tks_session_events *events);

/** NULL is accepted. */
void tks_session_events_free(tks_session_events *events);

TKS_END_DECLS
#endif
