/* tokenstore/jwt_sessions.h - RedisJWT: the client holds a signed JWT, Redis its session.
 *
 * Purpose:   the signature alone is not enough, the session must be live. The format is that of the Node package
 *            redis-jwt 1.4.0, so both can share a database: the key `<id>:<11 of [A-Za-z0-9]>` holds {"rjwt": <that
 *            key>, "dataSession": …}, and the JWT contains rjwt, dataToken and iat. In addition:
 *            `rjwt-sessions/<id>`, a ZSET of the user's sessions, so that nothing needs KEYS.
 * Rules:     verify and access by key find sessions written by Node at once; operations on all of a user's sessions
 *            find them after reindex, or with `node_writers`, by SCAN: O(keys). A user's keys are in different
 *            slots: clusters are not supported.
 * Lifecycle: a tks_jwt_sessions is immutable; each function creates an operation (tokenstore/op.h), which the
 *            caller runs and frees. It copies its arguments.
 * Threads:   a tks_jwt_sessions may be used from many threads at once. */
#ifndef TOKENSTORE_JWT_SESSIONS_H
#define TOKENSTORE_JWT_SESSIONS_H

#include "tokenstore/api.h"
#include "tokenstore/jwt.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

TKS_BEGIN_DECLS

typedef struct tks_jwt_sessions tks_jwt_sessions;

typedef struct tks_jwt_sessions_options {
    tks_key *const *keys; /**< the first signs, all verify; references are taken */
    size_t key_count;     /**< at least 1 */
    tks_jwt_alg algorithm;
    int64_t
        max_sessions;  /**< a user has at most; signing ends the oldest beyond it. 0: any number */
    bool node_writers; /**< Node signs into the same database: look for its sessions by SCAN */
    size_t max_data_size;      /**< bytes of a session's data as JSON; 0: 64 KiB */
    size_t max_size;           /**< bytes of a token; 0: TKS_JWT_SIZE_DEFAULT */
    tks_durability durability; /**< of changes; `timeout_ms` 0: 1000 */
} tks_jwt_sessions_options;

/** TKS_OK, TKS_ERR_CONFIGURATION (no key, a key that cannot sign with `algorithm`), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_jwt_sessions_new(const tks_jwt_sessions_options *options,
                                             tks_jwt_sessions **out, tks_error *err);

/** NULL is accepted. Existing operations may still run. */
void tks_jwt_sessions_free(tks_jwt_sessions *sessions);

/** `max_data_size`, for callers that write the data's text. */
size_t tks_jwt_sessions_get_max_data_size(const tks_jwt_sessions *sessions) TKS_ALL_NONNULL;

/** A duration as in the Node package: "50 seconds", "15 minutes", "5h", "3 days", "1 year" (365.25
 * days), in milliseconds. `name` is its name in messages. TKS_OK, TKS_ERR_DATA: not such a text, no unit, or not 1
 * second to ten years. Source: the grammar of the npm package ms. */
TKS_MUST_USE tks_status tks_duration_text(tks_bytes text, const char *name, int64_t *out_ms,
                                          tks_error *err);

/* Every function below returns TKS_OK and an operation, TKS_ERR_DATA (an argument outside its limits) or
 * TKS_ERR_MEMORY. An id is a name without ':'. */

/** What is to be signed. Texts are canonical JSON objects, as tks_json_writer makes them. */
typedef struct tks_jwt_session_new {
    tks_bytes id;
    tks_bytes data_token;   /**< readable by every holder of the token; empty: none */
    tks_bytes data_session; /**< stays in Redis; empty: none */
    int64_t ttl_ms;         /**< 0: no expiry */
    double now;             /**< seconds since the epoch, for iat */
} tks_jwt_session_new;

/** Result TEXT: the token. Signing and ending others is one script. With max_sessions it asks once a minute whether
 * the server evicts keys (INFO memory, DBSIZE). If it does, the user's sessions are found by SCAN if there are at
 * most 100 000 keys, else by the index. A warning is noted. */
TKS_MUST_USE tks_status tks_jwt_sessions_sign(const tks_jwt_sessions *, const tks_jwt_session_new *,
                                              tks_op **out, tks_error *);

/** Result SESSION: all claims of the token, id, ttl (seconds; -1: no expiry), and with
 * `value_session` dataSession, if there is one. One round trip. TKS_ERR_INVALID_TOKEN, here or when it runs: the
 * signature, the format or the session is not valid. `now`: seconds since the epoch. */
TKS_MUST_USE tks_status tks_jwt_sessions_verify(const tks_jwt_sessions *, tks_bytes token,
                                                bool value_session, double now, tks_op **out,
                                                tks_error *);

/* list, count, get_values, destroy_all ask the server whether it evicts keys (INFO memory). If it does, the index
 * may be gone: they use SCAN, O(keys), and note a warning. If it does not say, they note that. */

/** Result SESSIONS: the user's live sessions, the newest first. */
TKS_MUST_USE tks_status tks_jwt_sessions_list(const tks_jwt_sessions *, tks_bytes id, tks_op **out,
                                              tks_error *);

/** Result COUNT: how many sessions there are. */
TKS_MUST_USE tks_status tks_jwt_sessions_count(const tks_jwt_sessions *, tks_bytes id, tks_op **out,
                                               tks_error *);

/** Result TEXTS: the stored value of each session. */
TKS_MUST_USE tks_status tks_jwt_sessions_get_values(const tks_jwt_sessions *, tks_bytes id,
                                                    tks_op **out, tks_error *);

/** Result COUNT: how many sessions were live. */
TKS_MUST_USE tks_status tks_jwt_sessions_destroy_all(const tks_jwt_sessions *, tks_bytes id,
                                                     tks_op **out, tks_error *);

/* By the session's key, which verify returns as rjwt. Any other key is not found, whatever it contains; nor is a
 * value of another program under a key of that form. */

/** Result BOOL: it was live. */
TKS_MUST_USE tks_status tks_jwt_sessions_destroy(const tks_jwt_sessions *, tks_bytes rjwt,
                                                 tks_op **out, tks_error *);
/** Result BOOL. */
TKS_MUST_USE tks_status tks_jwt_sessions_exists(const tks_jwt_sessions *, tks_bytes rjwt,
                                                tks_op **out, tks_error *);
/** Result COUNT: seconds; -1: no expiry, -2: no such session. */
TKS_MUST_USE tks_status tks_jwt_sessions_ttl(const tks_jwt_sessions *, tks_bytes rjwt, tks_op **out,
                                             tks_error *);
/** Result TEXT: the stored value, or none. */
TKS_MUST_USE tks_status tks_jwt_sessions_get_value(const tks_jwt_sessions *, tks_bytes rjwt,
                                                   tks_op **out, tks_error *);
/** Stores `value` as the session `rjwt`, also where there is one already; others end as with sign. Result
 * BOOL: true. TKS_ERR_DATA also for a key that is not a session key, for a value that does not name it, and if
 *       another program's value is stored there. */
TKS_MUST_USE tks_status tks_jwt_sessions_put(const tks_jwt_sessions *, tks_bytes rjwt,
                                             tks_bytes value, int64_t ttl_ms, tks_op **out,
                                             tks_error *);

/** Result COUNT: the number of sessions added to the index. By SCAN over all keys. */
TKS_MUST_USE tks_status tks_jwt_sessions_reindex(const tks_jwt_sessions *, tks_op **out,
                                                 tks_error *);

/** Result TEXT: "PONG". */
TKS_MUST_USE tks_status tks_jwt_sessions_ping(const tks_jwt_sessions *, tks_op **out, tks_error *);

/** Result TEXT: Redis' INFO on `section` (empty: all), of a cluster that of any node; or for "DBSIZE" COUNT, of a
 * cluster that of all its primaries. */
TKS_MUST_USE tks_status tks_jwt_sessions_get_info(const tks_jwt_sessions *, tks_bytes section,
                                                  tks_op **out, tks_error *);

TKS_END_DECLS
#endif
