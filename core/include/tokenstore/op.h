/* tokenstore/op.h - an operation is a value, not a procedure.
 *
 * Purpose:   an operation says what it needs next - send these commands, sleep this long - and is given the
 *            outcome. It owns no socket, clock or thread; a driver (core/io/client.h, the asyncio and the nginx
 *            ones) owns those.
 *
 *                  tks_op_step(START) ──► SEND ──► step(REPLIES | LOST) ──► … ──► DONE
 *                                     ├─► HTTP ──► step(RESPONSE | LOST) ─►         FAILED
 *                                     ├─► PARTS ─► step(PARTS) ───────────►
 *                                     └─► SLEEP ─► step(AWAKE) ───────────►
 *
 * Rules:     NOSCRIPT, temporary errors (LOADING, BUSY, READONLY …) and lost connections are states of the
 *            operation, never code in a driver. DONE and FAILED are final: later steps return the same. To cancel,
 *            free the operation. What it needs belongs to the operation until its next step.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_OP_H
#define TOKENSTORE_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/json.h"
#include "tokenstore/notes.h"
#include "tokenstore/resp.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

typedef struct tks_op tks_op;
typedef struct tks_http_request tks_http_request; /**< tokenstore/http.h */
typedef struct tks_http_response tks_http_response;

/** What a lost connection means for the commands sent. */
typedef enum tks_safety {
    TKS_READ,       /**< changes nothing: send again */
    TKS_IDEMPOTENT, /**< twice is the same as once: send again */
    TKS_ONCE        /**< must not be repeated: the outcome is unknown */
} tks_safety;

/** What the operation wants next. */
typedef enum tks_need {
    TKS_NEED_SEND,  /**< tks_op_get_batch */
    TKS_NEED_HTTP,  /**< tks_op_get_request */
    TKS_NEED_SLEEP, /**< tks_op_get_sleep */
    TKS_NEED_PARTS, /**< tks_op_get_parts */
    TKS_DONE,       /**< tks_op_get_result */
    TKS_FAILED      /**< tks_op_get_error */
} tks_need;

/** Commands to be sent together on one connection; exactly `replies` replies are due. */
typedef struct tks_batch {
    tks_bytes bytes; /**< RESP, ready to be written */
    size_t replies;
    tks_safety safety;
    int node; /**< of a cluster, by its number in the router; -1: there is one server */
    bool
        blocks; /**< the answers may come late, and until then the server reads nothing else on this
                               connection: others must not share it */
    uint32_t patience_ms; /**< not 0: the answers are optional, and the operation waits this long
                               for them, connecting included; then they count as LOST */
} tks_batch;

typedef enum tks_event_type {
    TKS_EVENT_START,    /**< the first step */
    TKS_EVENT_REPLIES,  /**< all replies of the batch, in order */
    TKS_EVENT_RESPONSE, /**< to the HTTP request, whatever its status */
    TKS_EVENT_LOST,     /**< no connection could be opened, or it ended before the last reply */
    TKS_EVENT_AWAKE,    /**< the sleep is over */
    TKS_EVENT_PARTS,    /**< all parts have ended, well or not */
    TKS_EVENT_DEADLINE  /**< the driver's deadline has passed, or would pass during the sleep */
} tks_event_type;

/** What is known of a server beyond its answers, such as commands that it lacks: hints, which operations learn and use.
 * One for each client, counted; from any thread. */
typedef struct tks_server tks_server;

tks_server *tks_server_new(void);                /**< NULL: out of memory */
tks_server *tks_server_hold(tks_server *server); /**< counts one more holder; returns it */
void tks_server_free(
    tks_server *server); /**< one holder fewer, the last frees it; NULL is accepted */

typedef struct tks_event {
    tks_event_type type;
    int64_t now_ms; /**< wall clock: milliseconds since 1970 */
    int64_t
        boot_ms; /**< a clock that cannot be set and includes the machine's sleep: milliseconds since
                          some moment. Needed where tks_op_reads_boot is true, else it may be 0 */
    tks_reply **replies; /**< REPLIES: `batch.replies` of them; the operation takes each and
                                  leaves NULL in its place */
    const tks_http_response *response; /**< RESPONSE: borrowed during the step */
    bool sent;            /**< LOST, DEADLINE: may a byte of the batch have reached the server? */
    bool final;           /**< LOST: a retry cannot help (certificate or password rejected) */
    const tks_error *why; /**< LOST: what happened; borrowed */
} tks_event;

/** Before the first step: what is known of the server that the operation runs on, which it then holds. Without it, nothing
 * is known, and nothing learned. */
void tks_op_set_server(tks_op *op, tks_server *server) TKS_ALL_NONNULL;

/** When a change counts as done. By default, as soon as the primary has made it. */
typedef struct tks_durability {
    int64_t replicas; /**< when so many replicas have it, too */
    bool fsync;       /**< when it is on the primary's disk, and on those of `replicas` replicas */
    int64_t
        timeout_ms; /**< to wait for that; then the operation fails with TKS_ERR_NOT_REPLICATED */
} tks_durability;

enum { TKS_REPLICAS_MAX = 1000 };

/** Before the first step: a change is to reach at least so many replicas, if its store asks for fewer. */
void tks_op_set_replicas(tks_op *op, int64_t replicas) TKS_ALL_NONNULL;

/** After TKS_ERR_NOT_REPLICATED: how many replicas have the change; its result is set as after TKS_DONE. */
int64_t tks_op_get_replicas(const tks_op *op) TKS_ALL_NONNULL;

/** Does the operation need `boot_ms` in its events? It costs drivers a system call on some machines. */
bool tks_op_reads_boot(const tks_op *op) TKS_ALL_NONNULL;

/** Advances the operation. After START each event must answer the last need. Never blocks. */
tks_need tks_op_step(tks_op *op, const tks_event *event);

const tks_batch *tks_op_get_batch(const tks_op *op) TKS_ALL_NONNULL; /**< after TKS_NEED_SEND */
const tks_http_request *tks_op_get_request(const tks_op *op)
    TKS_ALL_NONNULL;                         /**< after TKS_NEED_HTTP */
uint32_t tks_op_get_sleep(const tks_op *op); /**< after TKS_NEED_SLEEP: milliseconds */
const tks_error *tks_op_get_error(const tks_op *op) TKS_ALL_NONNULL; /**< after TKS_FAILED */

/** After TKS_NEED_PARTS: the number of its parts, and them: operations, each about one node of a cluster, in the order of the nodes' numbers. The driver runs each to its end,
 * all at the same time if it can, under the deadline of the whole, and then steps with TKS_EVENT_PARTS. They belong to the operation until
 * then. Those who lease connections one after the other do so in this order. */
size_t tks_op_get_parts(const tks_op *op, tks_op ***out) TKS_ALL_NONNULL;

typedef struct tks_token tks_token;

/** After TKS_FAILED with TKS_ERR_REUSED_TOKEN: `owner` and `sid` of the family that was ended; else NULL. Borrowed. */
const tks_token *tks_op_get_reused(const tks_op *op) TKS_ALL_NONNULL;

/** Whether a connection may be used after its replies. */
typedef enum tks_trust {
    TKS_TRUST_KEEP,  /**< it may be reused */
    TKS_TRUST_CLOSE, /**< close it: the replies may belong to other commands */
    TKS_TRUST_LEAVE /**< close it and all that are open now: the server has become a replica (READONLY), or
                         requires another login (NOAUTH) */
} tks_trust;

/** After a step with REPLIES, whatever is needed next. */
tks_trust tks_op_get_trust(const tks_op *op) TKS_ALL_NONNULL;

/* ---- results -------------------------------------------------------------------------------- */

/** A token as the caller sees it; everything borrowed from the operation. */
struct tks_token {
    bool found; /**< false: not found; the other fields are unset */
    tks_bytes app, type;
    tks_bytes owner;      /**< empty: nobody's */
    tks_bytes token;      /**< the secret; data NULL in a listing */
    tks_bytes id;         /**< public */
    int64_t created_us;   /**< microseconds since 1970, by the server's clock */
    int64_t expires_ms;   /**< milliseconds since 1970; 0: no expiry, or not requested */
    const tks_json *data; /**< an OBJECT */
    tks_bytes sid;        /**< public; rotations keep it */
    int64_t idle_ms;      /**< the time after which it ends unused; 0: none */
    int64_t seen_ms; /**< milliseconds since 1970: its last use that was written; 0: none was */
    tks_bytes address, user_agent; /**< of the request that created it; empty: not known */
    bool superseded; /**< it was found by a token that was rotated, within its grace */
};

/** An access token from an authorization server; borrowed from the operation. */
typedef struct tks_access {
    tks_bytes token;
    int64_t good_until_ms; /**< by tks_event's boot_ms: not valid from then on */
    int64_t renew_at_ms;   /**< likewise: the next one should be fetched from then on */
} tks_access;

/** The contents of a JWT, and its session in Redis, which takes precedence; borrowed from the operation. */
typedef struct tks_session {
    /** An OBJECT, whose id, ttl and dataSession are ignored; NULL: there are only rjwt and iat. */
    const tks_json *claims;
    tks_bytes rjwt, id;
    int64_t iat;          /**< seconds since 1970; only without `claims`; -1: not known */
    int64_t ttl;          /**< seconds; -1: no expiry */
    const tks_json *data; /**< NULL: not requested, or none */
} tks_session;

/** What one node of a cluster answered; borrowed from the operation. */
typedef struct tks_node_reply {
    /** host:port as the nodes announce it; of one server as in its URL, or the path of its socket, or "embedded:". */
    tks_bytes node;
    const tks_reply *reply;
} tks_node_reply;

typedef enum tks_result_type {
    TKS_RESULT_BOOL,    /**< `integer` is 0 or 1 */
    TKS_RESULT_COUNT,   /**< `integer` */
    TKS_RESULT_TOKEN,   /**< `tokens[0]`, found or not */
    TKS_RESULT_TOKENS,  /**< `tokens[0 … size-1]`: in get_many some may be not found */
    TKS_RESULT_REPLIES, /**< `replies[0 … size-1]`: raw commands */
    TKS_RESULT_NODES,   /**< `nodes[0 … size-1]`: tks_raw_each_new */
    TKS_RESULT_ACCESS,  /**< `access` */
    TKS_RESULT_TEXT,    /**< `text`; its data is NULL when there is none */
    TKS_RESULT_TEXTS,   /**< `texts[0 … size-1]` */
    TKS_RESULT_JSON,    /**< `values[0]`; NULL when there is none */
    TKS_RESULT_JSONS,   /**< `values[0 … size-1]`; NULL where there is none */
    TKS_RESULT_SESSION, /**< `sessions[0]` */
    TKS_RESULT_SESSIONS /**< `sessions[0 … size-1]` */
} tks_result_type;

typedef struct tks_result {
    tks_result_type type; /**< says which of the others are set */
    size_t size;
    union {
        int64_t integer;
        const tks_token *tokens;
        const tks_reply *const *replies;
        const tks_node_reply *nodes;
        const tks_access *access;
        const tks_json *const *values;
        const tks_session *sessions;
        tks_bytes text;
        const tks_bytes *texts;
    };
} tks_result;

/** Log lines for the driver to take, in any state; never a token or a secret. They are freed with the operation. */
tks_notes *tks_op_get_notes(tks_op *op) TKS_ALL_NONNULL;

/** After TKS_DONE or TKS_ERR_NOT_REPLICATED; borrowed, valid until the operation is freed. */
const tks_result *tks_op_get_result(const tks_op *op) TKS_ALL_NONNULL;

/** What is known about a result of type TKS_RESULT_TOKEN before the answer arrives: its app, type, token and id,
 * for callers that want to use the time until then. The result has everything else, and whether it was found; if
 * its id differs, the result's counts. NULL: nothing is known. Borrowed like the result. */
const tks_token *tks_op_get_expected(const tks_op *op) TKS_ALL_NONNULL;

/** Frees an operation in any state, wiping its secrets. NULL is accepted. */
void tks_op_free(tks_op *op);

/* ---- raw commands ---------------------------------------------------------------------------- */

/** `count` commands to be sent unchanged, in order: execute and pipeline. Command i has the next argc[i] entries of
 * `argv`. On a cluster `key` selects the node for all, or `node` names it, host:port: then MOVED is a reply as any
 * other. If both are NULL, each goes by its first key, and one without a key with its neighbour. All are copied. They
 * are TKS_ONCE: their effect is not known here. Error replies are results, not failures. TKS_OK, TKS_ERR_MEMORY,
 * TKS_ERR_DATA (no command, an empty one, an empty key or node, both, or a command that would change a shared
 * connection, such as SELECT: core/src/ops/raw_refused.c). When it runs: TKS_ERR_CONFIGURATION, no primary is `node`. */
TKS_MUST_USE tks_status tks_raw_new(size_t count, const size_t *argc, const tks_bytes *argv,
                                    const tks_bytes *key, const tks_bytes *node, tks_op **out,
                                    tks_error *err);

/** One command to be sent unchanged to every primary of a cluster that serves slots, to all at the same time; else to
 * the one server. TKS_RESULT_NODES: the reply of each, or the operation fails, with a message that names the node.
 * Commands that are known to read, or to be repeatable (INFO, SCAN, CONFIG SET …), are sent again where a replica takes
 * over; others are TKS_ONCE. Statuses as of tks_raw_new. */
TKS_MUST_USE tks_status tks_raw_each_new(size_t argc, const tks_bytes *argv, tks_op **out,
                                         tks_error *err);

/** Does the server answer? TKS_RESULT_BOOL, true: it does, and has accepted the login. A NOPERM for PING itself,
 * which an ACL need not allow, counts as an answer. TKS_READ. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_ping_new(tks_op **out, tks_error *err);

TKS_END_DECLS
#endif
