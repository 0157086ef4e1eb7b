/* tokenstore/audit.h - what operations did with tokens and sessions, for whoever keeps an eye on them.
 *
 * Purpose:   an operation that is audited tells each token that it created, rotated, ended or refused to create, each one that
 *            was reused, and each that was presented after its end. Names are those of the OWASP Logging Vocabulary. Ids and
 *            owners are told, never a token or data. Events may be written to a stream, too: on one server in the script that
 *            makes the change, on a cluster, where that has another slot, by an operation of its own.
 * Lifecycle: tks_op_audit before the first step; events are read when the operation has ended, and belong to it.
 * Threads:   those of the operation. */
#ifndef TOKENSTORE_AUDIT_H
#define TOKENSTORE_AUDIT_H

#include "tokenstore/op.h"

TKS_BEGIN_DECLS

enum { TKS_AUDIT_STREAM_MAX = 100 * 1000 * 1000 /**< the most entries of a stream */ };

typedef struct tks_audit_event {
    tks_bytes kind; /**< created, rotated, ended, reused, refused, used_after_end */
    tks_bytes name; /**< of the OWASP Logging Vocabulary: session_created … */
    tks_bytes
        reason; /**< of the kind: logout, revoked, all, others, taken, too_many, reuse, bound; empty: none */
    tks_bytes app, type, owner; /**< empty: not known, or nobody's */
    tks_bytes sid, id;          /**< public; empty: not one token's */
    tks_bytes count;            /**< how many tokens, as decimal digits */
    int64_t
        at_ms; /**< milliseconds since 1970: the server's clock; of used_after_end this machine's */
    bool stored; /**< it belongs into the stream; false: it is told alone */
} tks_audit_event;

/** Before the first step: tells the operation to keep its events. `actor`, who acts, is copied; empty: not known. The stream
 * is kept at about `stream_size` entries; 0: there is none. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_DATA (an actor that is too long). */
TKS_MUST_USE tks_status tks_op_audit(tks_op *op, tks_bytes actor, int64_t stream_size,
                                     tks_error *err);

/** When the operation has ended, well or not: its events, in order. Borrowed. */
size_t tks_op_get_events(const tks_op *op, const tks_audit_event **out) TKS_ALL_NONNULL;

/** When the operation has ended: an operation that writes its events to the stream, which the caller runs, where the change could not
 * do that; else *out is NULL. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_op_write_events(const tks_op *op, tks_op **out, tks_error *err);

TKS_END_DECLS
#endif
