/* tokenstore/session_event.h - the end of a session as Redis reports it; without I/O.
 *
 * Purpose:   a session of RedisJWT lives at the key `<id>:<11 of [A-Za-z0-9]>`. Redis publishes the names of keys
 *            that expire or are deleted, if notify-keyspace-events enables that. This header says what to subscribe
 *            to, what a message means, and how to configure the server. Source: redis.io, "Redis keyspace
 *            notifications".
 * Lifecycle: what is read is borrowed from the message.
 * Threads:   no state. */
#ifndef TOKENSTORE_SESSION_EVENT_H
#define TOKENSTORE_SESSION_EVENT_H

#include "tokenstore/api.h"
#include "tokenstore/op.h"

TKS_BEGIN_DECLS

typedef enum tks_session_end {
    TKS_SESSION_EXPIRED,
    TKS_SESSION_DELETED, /**< by DEL, UNLINK, GETDEL or an expiry in the past */
    TKS_SESSION_ENDS
} tks_session_end;

typedef struct tks_session_event {
    tks_session_end kind;
    tks_bytes id;   /**< whose session it was */
    tks_bytes rjwt; /**< which one: the key */
} tks_session_event;

/** "expired" or "del", as in Redis. Never NULL. */
const char *tks_session_end_name(tks_session_end kind);

/** Appends the name of the channel for such events in database `db`. TKS_OK or the buffer's error. */
TKS_MUST_USE tks_status tks_session_channel(tks_session_end kind, uint32_t db, tks_buf *out);

/** Reads a message of one of these channels. False: another channel, or not a session key: an id, one ":" and 11
 * letters and digits. */
bool tks_session_event_read(tks_bytes channel, tks_bytes key, uint32_t db, tks_session_event *out);

/** Appends `current`, the value of notify-keyspace-events, plus the flags that are missing for these channels (E, g
 * and x); none is removed. TKS_OK or the buffer's error. */
TKS_MUST_USE tks_status tks_keyspace_flags(tks_bytes current, tks_buf *out);

/** CONFIG GET notify-keyspace-events and, if flags are missing, CONFIG SET. Result: BOOL, true if it was set. Fails
 * with TKS_ERR_SERVER without permission; the message says what to do. The two are not atomic: flags that another
 * client sets in between are lost. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_session_notify_new(tks_op **out, tks_error *err);

/** Is there a session `rjwt`? Result: BOOL. On a cluster a node tells `del` of keys that have moved to another, too.
 * TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_session_exists_new(tks_bytes rjwt, tks_op **out, tks_error *err);

TKS_END_DECLS
#endif
