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
 *            Redis is a help, not a need: whenever it fails, the operation goes on without it. What is
 *            kept in memory, and who waits for whom within a process, is the driver's business
 *            (spike_client.h).
 * Lifecycle: a tks_spike is shared by its operations, which keep it alive.
 * Threads:   a tks_spike may be used from many threads, an operation from one.
 * Source:    RFC 6749 (2.3.1, 4.4, 5.1, 5.2), RFC 6750, RFC 7519, RFC 8707 (resource). */
#ifndef TOKENSTORE_SPIKE_H
#define TOKENSTORE_SPIKE_H

#include "tokenstore/api.h"
#include "tokenstore/jwt.h"
#include "tokenstore/op.h"

TKS_BEGIN_DECLS

typedef struct tks_spike tks_spike;

/** What a token is asked for. An empty text: it is not given. */
typedef struct tks_spike_request {
    tks_bytes audience; /**< up to 1024 bytes */
    tks_bytes scope;    /**< as RFC 6749 (3.3) has it, in place of the options'; up to 4096 bytes */
    tks_bytes resource; /**< URIs as RFC 8707 has them, a blank between two; up to 4096 bytes */
} tks_spike_request;

/** Appends it as one text, which is what `request` is in the functions below and in spike_client.h. Two texts are
 * equal only where the same is asked for; an audience alone is its own text. TKS_OK, TKS_ERR_DATA (a limit, or a
 * NUL), TKS_ERR_MEMORY. */
tks_status tks_spike_request_write(const tks_spike_request *request, tks_buf *out, tks_error *err);

/** What tokens are asked for by. X(enumerator, name) */
#define TKS_AUDIENCE_MAP(X)                                                                        \
    X(TKS_AUDIENCE_AS_AUDIENCE, "audience") /**< OSpike, Auth0 */                                  \
    X(TKS_AUDIENCE_AS_RESOURCE, "resource") /**< RFC 8707 */                                       \
    X(TKS_AUDIENCE_UNSENT, "")              /**< it stands in the scope, or nowhere */

typedef enum tks_audience_parameter {
#define TKS_AUDIENCE_ENUM(name, text) name,
    TKS_AUDIENCE_MAP(TKS_AUDIENCE_ENUM)
#undef TKS_AUDIENCE_ENUM
        TKS_AUDIENCE_COUNT
} tks_audience_parameter;

/** The one named `name`; TKS_AUDIENCE_COUNT, which tks_spike_new refuses: there is none. */
tks_audience_parameter tks_audience_parameter_find(tks_bytes name);

/** A further parameter of the token request (RFC 6749, 4.4.2; RFC 8707). */
typedef struct tks_spike_parameter {
    tks_bytes name, value;
} tks_spike_parameter;

/** How the client shows who it is. X(enumerator, name) */
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

/** The one named `name`; TKS_AUTH_COUNT, which tks_spike_new refuses: there is none. */
tks_client_auth tks_client_auth_find(tks_bytes name);

typedef struct tks_spike_options {
    tks_bytes
        discover; /**< the issuer whose metadata (RFC 8414, OpenID Connect Discovery) says what is not
                            given: token_url, key_url, issuer, and by "auto" client_auth; empty: none */
    tks_bytes token_url; /**< the token endpoint */
    tks_bytes key_url; /**< where public keys are, PEM or JWKS; empty: `key_text` is all there is */
    tks_bytes key_text; /**< the first public keys, PEM or JWKS; empty: they will be fetched */
    tks_bytes client_id, client_secret;
    tks_client_auth client_auth;
    bool client_given;   /**< the secret, or the assertion, comes with each tks_spike_get_token */
    tks_key *client_key; /**< of private_key_jwt; NULL: `client_key_text` */
    tks_bytes client_key_text; /**< PEM or JWK */
    tks_bytes
        client_certificate; /**< of the key, PEM: assertions name it by x5t#S256; empty: they do not */
    tks_bytes client_algorithm;   /**< of assertions; empty: the first that the key can do */
    tks_bytes assertion_audience; /**< of those made here; empty: the token endpoint */
    tks_bytes
        client_file; /**< of client_given: where spike_client.h reads it each time; empty: its host is asked */
    tks_bytes grant_type; /**< empty: client_credentials */
    tks_bytes scope;      /**< empty: none is asked for; "{audience}" in it becomes the request's */
    tks_audience_parameter audience_parameter;
    bool any_audience; /**< `aud` is not looked at; `issuer` is wanted then */
    tks_bytes
        expect_audience; /**< what `aud` of its tokens must be, "{audience}" as above; empty: the
                                  audience, else a resource, that was asked for */
    const tks_spike_parameter *parameters;
    size_t parameter_count;
    const tks_spike_parameter *headers; /**< further ones of the token request */
    size_t header_count;
    tks_bytes
        binding; /**< what its tokens are bound to besides: a digest of the client's certificate;
                          empty: nothing */
    tks_bytes host_header;       /**< empty: the URL's */
    bool json_body;              /**< the request as JSON, where the server wants that */
    bool opaque;                 /**< tokens are not JWTs: expires_in says how long they are good */
    tks_bytes redis_key;         /**< the HASH of the tokens; empty: no Redis */
    tks_bytes redis_string;      /**< where spike-get-token keeps its token; empty: nowhere */
    tks_bytes issuer;            /**< `iss` of its tokens; empty: not looked at */
    int64_t default_lifetime_ms; /**< of an opaque token without expires_in; 0: that is an error */
    int64_t offset_ms;           /**< a token is not used this close to its end */
    uint32_t retries;            /**< after the first try */
    double factor;               /**< between pauses */
    uint32_t pause_ms, pause_max_ms; /**< the first and the longest pause */
    uint32_t budget_ms;              /**< for all tries together */
    uint32_t refusal_ms;             /**< how long a refused client is not sent again */
    tks_bytes
        faults; /**< what the caller found wrong already, to be reported with the rest; empty: nothing */
} tks_spike_options;

#define TKS_SPIKE_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .offset_ms = 10000, .retries = 3, .factor = 2, .pause_ms = 100, .pause_max_ms = 1000,      \
        .budget_ms = 10000, .refusal_ms = 5000                                                     \
    }

/** What a server said when it gave no token (RFC 6749, 5.2). Texts end with NUL, are empty where it did not say it, cut to
 * fit, free of control characters, and never hold a secret. */
typedef struct tks_spike_answer {
    int status;             /**< of HTTP; 0: there was no answer */
    int64_t retry_after_ms; /**< for so long it is not asked again; 0: nobody said */
    bool of_client;         /**< for nothing at all; otherwise for this request alone */
    char error[64], description[256], uri[200];
    char location[200]; /**< where a redirect leads, without its query */
} tks_spike_answer;

enum {
    TKS_SPIKE_FAILURE_MS = 1000,            /**< how long a failure is remembered */
    TKS_SPIKE_RETRY_AFTER_MAX_MS = 3600000, /**< no server is obeyed for longer */
    TKS_SPIKE_LOCK_MS = 5000,               /**< how long a lock outlives a holder that died */
    TKS_SPIKE_WAIT_MS = 6000 /**< how long others wait for it: time for the next holder to fetch */
};

/** Checks and copies the options. TKS_OK, TKS_ERR_CONFIGURATION (the message names every fault there
 * is), TKS_ERR_MEMORY. */
tks_status tks_spike_new(const tks_spike_options *options, tks_spike **out, tks_error *err);

/** The owner's end; operations under way keep what they need. NULL is accepted. */
void tks_spike_free(tks_spike *spike);

/** For the child of a fork, before it uses the spike: another thread of the parent may have been in the
 * middle of a change. */
void tks_spike_after_fork(tks_spike *spike);

/** Does the secret, or the assertion, come with each tks_spike_get_token? *file: client_file. */
bool tks_spike_is_given(const tks_spike *spike, tks_bytes *file);

/** The budget of all tries together, in milliseconds. */
uint32_t tks_spike_get_budget(const tks_spike *spike);

/** Result ACCESS. `held_until_ms`: when the token that the caller has already stops being good, 0
 * where it has none; one that is stored is taken only if it is good for longer. `given`: the secret or the
 * assertion where the options say so, which is copied and wiped; empty otherwise. */
tks_status tks_spike_get_token(tks_spike *spike, tks_bytes request, int64_t held_until_ms,
                               tks_bytes given, tks_op **out, tks_error *err);

/** After TKS_FAILED of an operation that tks_spike_get_token or tks_spike_load_key made; borrowed from it. */
const tks_spike_answer *tks_spike_get_answer(const tks_op *op);

/** Result BOOL, true: fetches the public key. */
tks_status tks_spike_load_key(tks_spike *spike, tks_op **out, tks_error *err);

/** Is there a public key, or none needed (opaque tokens)? */
bool tks_spike_is_ready(tks_spike *spike);

/** Result BOOL: takes `token` (which its audience answered with 401) out of Redis;
 * false: another one is stored there, or none. */
tks_status tks_spike_invalidate(tks_spike *spike, tks_bytes request, tks_bytes token, tks_op **out,
                                tks_error *err);

TKS_END_DECLS
#endif
