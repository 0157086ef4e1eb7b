/* tokenstore/spike.h - access tokens by OAuth 2.0 client credentials (RFC 6749, 4.4), as an operation.
 *
 * Purpose:   tks_spike_get_token says what it needs - Redis commands, an HTTP request, a sleep - in the
 *            order that is cheapest and asks least of the server:
 *
 *              Redis HASH ─good─► result
 *                  │ none, or not good
 *                  ▼
 *              lock in Redis ─held by another─► sleep, look again … (bounded)
 *                  │ had
 *                  ▼
 *              POST to the token endpoint ─5xx, lost─► sleep, again … (within the budget)
 *                  │ 200
 *                  ▼
 *              verify ─unknown key─► fetch the public key once more ─► verify
 *                  │ good
 *                  ▼
 *              store and unlock ─► result
 *
 *            Redis is optional: if it fails, the operation continues without it. Caching in memory, and waiting
 *            within a process, are the driver's task (spike_client.h).
 * Lifecycle: operations share a tks_spike and keep it alive.
 * Threads:   a tks_spike may be used from many threads, an operation from one.
 * Source:    RFC 6749 (2.3.1, 4.4, 5.1, 5.2), RFC 6750, RFC 7519, RFC 8707 (resource). */
#ifndef TOKENSTORE_SPIKE_H
#define TOKENSTORE_SPIKE_H

#include "tokenstore/api.h"
#include "tokenstore/jwt.h"
#include "tokenstore/op.h"
#include "tokenstore/option.h"

TKS_BEGIN_DECLS

typedef struct tks_spike tks_spike;

/** What a token is requested for. Empty: not given. */
typedef struct tks_spike_request {
    tks_bytes audience; /**< up to 1024 bytes */
    tks_bytes scope;    /**< as in RFC 6749 (3.3), instead of the options'; up to 4096 bytes */
    tks_bytes resource; /**< URIs as in RFC 8707, separated by blanks; up to 4096 bytes */
} tks_spike_request;

/** Appends it as one text: the `request` of the functions below and of spike_client.h. Two texts are equal only for
 * equal requests; an audience alone is its own text. TKS_OK, TKS_ERR_DATA (a limit, or a NUL), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_spike_request_write(const tks_spike_request *request, tks_buf *out,
                                                tks_error *err);

/** The name under which the audience is sent. X(enumerator, name) */
#define TKS_AUDIENCE_MAP(X)                                                                        \
    X(TKS_AUDIENCE_AS_AUDIENCE, "audience") /**< OSpike, Auth0 */                                  \
    X(TKS_AUDIENCE_AS_RESOURCE, "resource") /**< RFC 8707 */                                       \
    X(TKS_AUDIENCE_UNSENT, "none")          /**< it is in the scope, or nowhere */

typedef enum tks_audience_parameter {
#define TKS_AUDIENCE_ENUM(name, text) name,
    TKS_AUDIENCE_MAP(TKS_AUDIENCE_ENUM)
#undef TKS_AUDIENCE_ENUM
        TKS_AUDIENCE_COUNT
} tks_audience_parameter;

/** A further parameter of the token request (RFC 6749, 4.4.2; RFC 8707). */
typedef tks_pair tks_spike_parameter;

/** Client authentication methods. X(enumerator, name) */
#define TKS_CLIENT_AUTH_MAP(X)                                                                     \
    X(TKS_AUTH_BASIC, "basic")                         /**< RFC 6749, 2.3.1 */                     \
    X(TKS_AUTH_BASIC_RAW, "basic_raw")                 /**< the same, nothing encoded */           \
    X(TKS_AUTH_POST, "post")                           /**< the secret as a parameter */           \
    X(TKS_AUTH_PRIVATE_KEY_JWT, "private_key_jwt")     /**< RFC 7523, signed with `client_key` */  \
    X(TKS_AUTH_CLIENT_SECRET_JWT, "client_secret_jwt") /**< RFC 7523, signed with the secret */    \
    X(TKS_AUTH_ASSERTION, "client_assertion") /**< RFC 7523, made elsewhere: it is given */        \
    X(TKS_AUTH_TLS, "tls")                    /**< RFC 8705, by the certificate alone */           \
    X(TKS_AUTH_AUTO, "auto")                  /**< private_key_jwt with a key, else basic */       \
    X(TKS_AUTH_NONE, "none")                  /**< the id alone */

typedef enum tks_client_auth {
#define TKS_CLIENT_AUTH_ENUM(name, text) name,
    TKS_CLIENT_AUTH_MAP(TKS_CLIENT_AUTH_ENUM)
#undef TKS_CLIENT_AUTH_ENUM
        TKS_AUTH_COUNT
} tks_client_auth;

typedef struct tks_spike_options {
    tks_bytes discover;  /**< the issuer whose metadata (RFC 8414, OpenID Connect Discovery)
                             supplies what is not given: token_url, key_url, issuer, and with
                             "auto" client_auth; empty: none */
    tks_bytes token_url; /**< the token endpoint */
    tks_bytes key_url;   /**< URL of the public keys, PEM or JWKS; empty: only `key_text` */
    tks_bytes key_text;  /**< the first public keys, PEM or JWKS; empty: they will be fetched */
    tks_bytes client_id, client_secret;
    tks_client_auth client_auth;
    bool client_given;   /**< the secret, or the assertion, comes with each tks_spike_get_token */
    tks_key *client_key; /**< of private_key_jwt; NULL: `client_key_text` */
    tks_bytes client_key_text;    /**< PEM or JWK */
    tks_bytes client_certificate; /**< of the key, PEM: assertions name it by x5t#S256; empty:
                                       they do not */
    tks_bytes client_algorithm;   /**< of assertions; empty: the first that the key can do */
    tks_bytes assertion_audience; /**< of those made here; empty: the token endpoint */
    tks_bytes client_file; /**< of client_given: where spike_client.h reads it each time; empty:
                                its host is asked */
    tks_bytes grant_type;  /**< empty: client_credentials */
    tks_bytes scope; /**< empty: none is asked for; "{audience}" in it becomes the request's */
    tks_audience_parameter audience_parameter;
    bool any_audience;         /**< `aud` is not checked; `issuer` is then required */
    tks_bytes expect_audience; /**< what `aud` of its tokens must be, "{audience}" as above;
                                    empty: the requested audience, else a resource */
    const tks_spike_parameter *parameters;
    size_t parameter_count;
    const tks_spike_parameter *headers; /**< further ones of the token request */
    size_t header_count;
    tks_bytes binding;           /**< what its tokens are also bound to: a digest of the client's
                            certificate; empty: nothing */
    tks_bytes host_header;       /**< empty: the URL's */
    bool json_body;              /**< send the request as JSON */
    bool opaque;                 /**< tokens are not JWTs: expires_in is their lifetime */
    tks_bytes redis_key;         /**< the HASH of the tokens; empty: no Redis */
    tks_bytes redis_string;      /**< where spike-get-token keeps its token; empty: nowhere */
    tks_bytes issuer;            /**< `iss` of its tokens; empty: not checked */
    int64_t default_lifetime_ms; /**< of an opaque token without expires_in; 0: that is an error */
    int64_t offset_ms;           /**< a token is not used this close to its expiry */
    uint32_t retries;            /**< after the first try */
    double factor;               /**< between pauses */
    uint32_t pause_ms, pause_max_ms; /**< the first and the longest pause */
    uint32_t budget_ms;              /**< for all tries together */
    uint32_t refusal_ms;             /**< how long a rejected client sends no request */
    tks_bytes faults; /**< errors that the caller has found, to be reported with the rest; empty:
                           none */
} tks_spike_options;

#define TKS_SPIKE_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .offset_ms = 10000, .retries = 3, .factor = 2, .pause_ms = 100, .pause_max_ms = 1000,      \
        .budget_ms = 10000, .refusal_ms = 5000                                                     \
    }

extern const tks_options tks_spike_table; /**< of a tks_spike_options */

/** A server's answer without a token (RFC 6749, 5.2). Strings end with NUL, are empty if absent, truncated to fit,
 * free of control characters, and never contain a secret. */
typedef struct tks_spike_answer {
    int status;             /**< HTTP status; 0: no answer */
    int64_t retry_after_ms; /**< no request for this long; 0: not given */
    bool of_client;         /**< for no request at all; otherwise only not for this one */
    char error[64], description[256], uri[200];
    char location[200]; /**< a redirect's target, without its query */
} tks_spike_answer;

enum {
    TKS_SPIKE_FAILURE_MS = 1000,            /**< how long a failure is remembered */
    TKS_SPIKE_RETRY_AFTER_MAX_MS = 3600000, /**< a longer Retry-After is cut to this */
    TKS_SPIKE_LOCK_MS = 5000,               /**< how long a lock outlives a holder that died */
    TKS_SPIKE_WAIT_MS =
        6000 /**< how long others wait for it: enough for the next holder to fetch */
};

/** Checks and copies the options. TKS_OK, TKS_ERR_CONFIGURATION (the message lists all faults), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_spike_new(const tks_spike_options *options, tks_spike **out,
                                      tks_error *err);

/** Drops the owner's reference; operations in progress keep what they need. NULL is accepted. */
void tks_spike_free(tks_spike *spike);

/** For a forked child, before it uses the spike: another thread of the parent may have been changing it. */
void tks_spike_after_fork(tks_spike *spike);

/** Does the secret, or the assertion, come with each tks_spike_get_token? *file: client_file. */
bool tks_spike_is_given(const tks_spike *spike, tks_bytes *file);

/** The budget of all tries together, in milliseconds. */
uint32_t tks_spike_get_budget(const tks_spike *spike);

/** Result ACCESS. `held_until_ms`: when the caller's current token expires, 0 if it has none; a stored one is used
 * only if it is valid for longer. `given`: the secret or the assertion if the options say so, which is copied and
 * wiped; empty otherwise. */
TKS_MUST_USE tks_status tks_spike_get_token(tks_spike *spike, tks_bytes request,
                                            int64_t held_until_ms, tks_bytes given, tks_op **out,
                                            tks_error *err);

/** After TKS_FAILED of an operation that tks_spike_get_token or tks_spike_load_key made; borrowed from it. */
const tks_spike_answer *tks_spike_get_answer(const tks_op *op);

/** Result BOOL, true: fetches the public key. */
TKS_MUST_USE tks_status tks_spike_load_key(tks_spike *spike, tks_op **out, tks_error *err);

/** Is there a public key, or none needed (opaque tokens)? */
bool tks_spike_is_ready(tks_spike *spike);

/** Result BOOL: removes `token` (which its audience answered with 401) from Redis; false: another one is stored
 * there, or none. */
TKS_MUST_USE tks_status tks_spike_invalidate(tks_spike *spike, tks_bytes request, tks_bytes token,
                                             tks_op **out, tks_error *err);

TKS_END_DECLS
#endif
