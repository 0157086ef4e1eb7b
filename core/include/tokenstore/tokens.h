/* tokenstore/tokens.h - opaque tokens with an owner and data: RedisTokens and Sessions.
 *
 * Purpose:   one function per operation; each returns a tks_op for a driver to run. The stored format is in
 *            docs/explanation/stored-format.md, the server-side half in core/scripts.
 * Lifecycle: a tks_tokens holds options, is immutable and may be freed while its operations live
 *            (they copy what they need). All bytes given are copied.
 * Threads:   a tks_tokens may be used from many threads.
 * Statuses:  each constructor returns TKS_OK, TKS_ERR_DATA (an argument breaks a limit; the message
 *            names it), TKS_ERR_MEMORY; `*out` is NULL then.
 *            When they run, all that take a presented token may fail with TKS_ERR_REUSED_TOKEN, in a store that
 *            has TKS_REUSE_REVOKE; get_many does not find it then.
 * Limits:    app, type, owner and custom tokens: 1 … 1024 bytes, no NUL. A *presented* token outside these limits
 *            cannot exist: the operation finds nothing, without asking a server. Data: canonical object text as
 *            tks_json_writer makes it, at most `max_data_size` bytes. */
#ifndef TOKENSTORE_TOKENS_H
#define TOKENSTORE_TOKENS_H

#include "tokenstore/api.h"
#include "tokenstore/near.h"
#include "tokenstore/op.h"
#include "tokenstore/secret.h"

TKS_BEGIN_DECLS

enum {
    TKS_NAME_MAX = 1024,     /**< bytes in app, type, owner, a custom token, an id */
    TKS_PREFIX_MAX = 128,    /**< bytes in a key prefix */
    TKS_TOKEN_SIZE_MIN = 16, /**< bytes of entropy */
    TKS_TOKEN_SIZE_MAX = 256 /**< 512 characters as hex: a token is at most TKS_NAME_MAX */
};
#define TKS_DURATION_MAX_MS INT64_C(315360000000) /**< ten years of 365 days */

/** Seconds to milliseconds within 1 … 315360000 s; TKS_ERR_DATA for everything else (0, negative,
 * NaN, infinite, too long). `name` is the argument's name for the message. */
TKS_MUST_USE tks_status tks_duration(double seconds, const char *name, int64_t *out_ms,
                                     tks_error *err);

/** The timeout of a call: seconds to milliseconds, rounded up; more than 0, at most 315360000 s. TKS_ERR_DATA for
 * everything else. */
TKS_MUST_USE tks_status tks_timeout(double seconds, int64_t *out_ms, tks_error *err);

#define TKS_SESSION_TYPE "session" /**< the type of a Sessions' tokens */

typedef struct tks_tokens tks_tokens;

/** What create does where an owner has max_per_owner live tokens. */
typedef enum tks_when_full {
    TKS_FULL_OLDEST, /**< deletes the oldest */
    TKS_FULL_IDLE, /**< deletes the one that was not used for the longest time, as far as touches tell */
    TKS_FULL_REFUSE /**< TKS_ERR_LIMIT when it runs */
} tks_when_full;

/** What happens where a token is presented that was rotated, after its grace. */
typedef enum tks_reuse {
    TKS_REUSE_IGNORE, /**< it is not found */
    TKS_REUSE_REVOKE /**< what became of it is ended, and the operation fails with TKS_ERR_REUSED_TOKEN */
} tks_reuse;

typedef struct tks_tokens_options {
    tks_bytes prefix; /**< "ts" when empty; no '{' or '}' */
    /** They key the digests: the first makes tokens, each finds them. At most TKS_TEXTS_MAX, each of 16 … 64 bytes;
     * none: NULL. */
    const tks_bytes *peppers;
    size_t pepper_count;
    tks_encoding encoding;
    size_t token_size;    /**< bytes of entropy; 0: 32 */
    size_t max_data_size; /**< bytes of JSON; 0: 64 KiB */
    int64_t max_age_ms;   /**< 0: none */
    /** get(refresh) writes at most once in this time, or twice in a duration if that is shorter; -1: min(60 s,
     * duration/10); 0: every time */
    int64_t touch_interval_ms;
    int64_t max_per_owner;   /**< 0: no cap */
    tks_when_full when_full; /**< other than OLDEST only with a cap */
    tks_reuse reuse;
    /** For how long a token is known as rotated; 0: a day. Only with REVOKE */
    int64_t reuse_window_ms;
    bool session; /**< messages call an owner "owner_id", as the methods of Sessions do */
    tks_durability durability; /**< of changes; `timeout_ms` 0: 1000 */
} tks_tokens_options;

#define TKS_TOKENS_OPTIONS_INIT                                                                    \
    {                                                                                              \
        {0}, NULL, 0, TKS_BASE64URL, 0, 0, 0, -1, 0, TKS_FULL_OLDEST, TKS_REUSE_IGNORE, 0, false,  \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/** TKS_OK, TKS_ERR_CONFIGURATION (the message names the option), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_tokens_new(const tks_tokens_options *options, tks_tokens **out,
                                       tks_error *err);
void tks_tokens_free(tks_tokens *tokens);
size_t tks_tokens_get_max_data_size(const tks_tokens *tokens) TKS_ALL_NONNULL;

/** A token to create. */
typedef struct tks_new_token {
    tks_bytes app, type;
    tks_bytes owner; /**< data NULL: nobody's, so in no listing */
    tks_bytes data;
    int64_t duration_ms;    /**< 0: no expiry */
    tks_bytes custom_token; /**< data NULL: a random one */
    int64_t idle_ms; /**< it ends if it is not used for so long; 0: however little it is used */
    /** The request that it is created for: an object with `address` and `user_agent`, each text that may be left out, of
     * which 256 bytes are kept; data NULL: not known. */
    tks_bytes request;
} tks_new_token;

#define TKS_OWN_IDLE INT64_C(-1) /**< as refresh_ms: slide by the token's own idle time */

/** Result TOKEN. When it runs, a custom token that is in use is TKS_ERR_DATA, a full owner may be TKS_ERR_LIMIT. */
TKS_MUST_USE tks_status tks_tokens_create(const tks_tokens *, const tks_new_token *, tks_op **out,
                                          tks_error *);
/** Result TOKENS, in order. All or nothing: if one cannot be created, the others are deleted again. */
TKS_MUST_USE tks_status tks_tokens_create_many(const tks_tokens *, size_t count,
                                               const tks_new_token *, tks_op **out, tks_error *);

/** Result TOKEN. `refresh_ms` 0: do not slide; else the token lives at least that long from now, if the server can
 * write. TKS_OWN_IDLE: its own idle time, of a token that has one. `expiry`: request expires_ms too. */
TKS_MUST_USE tks_status tks_tokens_get(const tks_tokens *, tks_bytes app, tks_bytes type,
                                       tks_bytes token, int64_t refresh_ms, bool expiry,
                                       tks_op **out, tks_error *);
/** Result TOKEN, without the secret, with expires_ms. `id` from a listing; another owner's id is not found. */
TKS_MUST_USE tks_status tks_tokens_get_by_id(const tks_tokens *, tks_bytes app, tks_bytes type,
                                             tks_bytes owner, tks_bytes id, tks_op **out,
                                             tks_error *);
/** Result TOKENS in the order asked. */
TKS_MUST_USE tks_status tks_tokens_get_many(const tks_tokens *, tks_bytes app, tks_bytes type,
                                            size_t count, const tks_bytes *tokens, tks_op **out,
                                            tks_error *);
/** Result BOOL: the token now expires `duration_ms` from now (max_age permitting), earlier or later than before. */
TKS_MUST_USE tks_status tks_tokens_refresh(const tks_tokens *, tks_bytes app, tks_bytes type,
                                           tks_bytes token, int64_t duration_ms, tks_op **out,
                                           tks_error *);

/** What to change in a token's data; all texts are canonical JSON. `unset` and `expect` may be empty. */
typedef struct tks_update {
    tks_bytes data;  /**< an object: the fields to set; a null deletes the field */
    tks_bytes unset; /**< an array of names: further fields to delete */
    bool keep_null;  /**< a null is stored, too */
    bool replace;    /**< `data` becomes the whole data, nulls included */
    /** An object of what fields must have now: else nothing is changed, and the operation fails with
     * TKS_ERR_CONFLICT. Right behind it may stand an array of the names of fields that must be absent. Numbers are
     * compared by value, objects in any order of their members. */
    tks_bytes expect;
    int64_t refresh_ms; /**< as of tks_tokens_get, in the same step; 0: the expiry is unchanged */
} tks_update;

/** Result TOKEN; with expires_ms if it was refreshed. TKS_ERR_DATA also if a field is both set and deleted. */
TKS_MUST_USE tks_status tks_tokens_update(const tks_tokens *, tks_bytes app, tks_bytes type,
                                          tks_bytes token, const tks_update *, tks_op **out,
                                          tks_error *);
/** Result TOKEN, without the secret. `id` from a listing; another owner's id is not found. */
TKS_MUST_USE tks_status tks_tokens_update_by_id(const tks_tokens *, tks_bytes app, tks_bytes type,
                                                tks_bytes owner, tks_bytes id, const tks_update *,
                                                tks_op **out, tks_error *);
/** Result COUNT: how many live tokens of the owner now have the fields in `data`, all in one step, or none if the data
 * of one would be too large. A null deletes the field. The expiries stay. Unreadable records are skipped, and a warning
 * is noted; if there is nothing else, TKS_ERR_DATA. */
TKS_MUST_USE tks_status tks_tokens_update_all(const tks_tokens *, tks_bytes app, tks_bytes type,
                                              tks_bytes owner, tks_bytes data, tks_op **out,
                                              tks_error *);
/** Result TOKEN, which is deleted: of many callers one gets it. TKS_ONCE: if the answer is lost, it may be gone. */
TKS_MUST_USE tks_status tks_tokens_take(const tks_tokens *, tks_bytes app, tks_bytes type,
                                        tks_bytes token, tks_op **out, tks_error *);
/** Result BOOL: it was live. */
TKS_MUST_USE tks_status tks_tokens_delete(const tks_tokens *, tks_bytes app, tks_bytes type,
                                          tks_bytes token, tks_op **out, tks_error *);
/** Result BOOL. `id` from a listing; another owner's id is not found. */
TKS_MUST_USE tks_status tks_tokens_delete_by_id(const tks_tokens *, tks_bytes app, tks_bytes type,
                                                tks_bytes owner, tks_bytes id, tks_op **out,
                                                tks_error *);
/** Result COUNT: how many were live and are deleted. `keep`: a token or an id of this owner that stays; NULL data, or
 * one that is not live: none does. */
TKS_MUST_USE tks_status tks_tokens_delete_all(const tks_tokens *, tks_bytes app, tks_bytes type,
                                              tks_bytes owner, tks_bytes keep, tks_op **out,
                                              tks_error *);
/** Result COUNT: how many are live. */
TKS_MUST_USE tks_status tks_tokens_count(const tks_tokens *, tks_bytes app, tks_bytes type,
                                         tks_bytes owner, tks_op **out, tks_error *);

/** For listings of keys: what the hashes at `keys` hold, which a SCAN found. Result REPLIES: for each key three items, of
 * which the second is how many tokens are live, the third how many of these have no expiry. */
TKS_MUST_USE tks_status tks_tokens_tally(const tks_tokens *, size_t count, const tks_bytes *keys,
                                         tks_op **out, tks_error *);

enum { TKS_PAGE_MAX = 1000000 };

/** A page of an owner's tokens: at most `limit`, 0 for all, following the one whose id is `after`; NULL data: from
 * the newest. */
typedef struct tks_page {
    int64_t limit;
    tks_bytes after;
} tks_page;

/** Result TOKENS, newest first, without the secrets, with expires_ms. When it runs, TKS_ERR_DATA if `after` is no
 * longer live. Unreadable records are skipped, and a warning is noted; if there is nothing else, TKS_ERR_DATA. */
TKS_MUST_USE tks_status tks_tokens_list(const tks_tokens *, tks_bytes app, tks_bytes type,
                                        tks_bytes owner, const tks_page *page, tks_op **out,
                                        tks_error *);

/** How to rotate a token. */
typedef struct tks_rotation {
    int64_t duration_ms; /**< 0: the remaining time is kept */
    /** For so long the old token finds the new one: superseded is set in the result. Rotated again, it gives the same new
     * token. 0: it is invalid at once */
    int64_t grace_ms;
    /** Whose an anonymous token becomes, created now, and without a grace; data NULL: the owner stays */
    tks_bytes owner;
    tks_bytes data; /**< as tks_update.data; data NULL: the data stay */
} tks_rotation;

/** Result TOKEN: a new secret, the same data and sid. When it runs, TKS_ERR_DATA if the token has another owner, or the data
 * would be too large; TKS_ERR_LIMIT if the owner is full. Nothing has changed then. */
TKS_MUST_USE tks_status tks_tokens_rotate(const tks_tokens *, tks_bytes app, tks_bytes type,
                                          tks_bytes token, const tks_rotation *, tks_op **out,
                                          tks_error *);

/** The question that a get of this token asks the near cache about a view (near.h). False: the texts are too long. */
bool tks_tokens_ask(const tks_tokens *, tks_bytes app, tks_bytes type, tks_bytes token,
                    tks_near_question *out) TKS_NONNULL(1, 5);

TKS_END_DECLS
#endif
