/* tokenstore/jwt.h - signed JSON Web Tokens: keys, verifying, signing.
 *
 * Purpose:   compact JWS with JSON claims. HS256/384/512 and EdDSA (Ed25519) use libsodium; RS, PS and ES
 *            256/384/512 use OpenSSL, in separate files that are linked only if tks_key_from_pem or tks_jwt_openssl
 *            is called. HMAC then uses OpenSSL too, which is faster.
 * Sources:   RFC 7515 (JWS), 7517 (JWK), 7518 (JWA), 7519 (JWT), 8037 (Ed25519), 8725 (best practice),
 *            9864 (the name Ed25519).
 * Rules:     the key decides which algorithms are possible, and the caller's list which of them are accepted; the
 *            token only chooses among those. "none" does not exist. Keys in a header (jwk, jku, x5u, x5c) are never
 *            used; crit, b64 and zip are rejected. The signature is verified before any claim is trusted. No
 *            message contains a token, a claim or a secret.
 * Lifecycle: a tks_key is immutable and reference counted: from_* returns one reference, tks_key_ref another,
 *            tks_key_free drops one. A tks_keyset is counted too, and owns references to its keys.
 * Threads:   keys and key sets may be used from many threads at once. tks_secret_start must have been
 *            called. Time is an input; nothing here reads a clock. */
#ifndef TOKENSTORE_JWT_H
#define TOKENSTORE_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/json.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

enum {
    TKS_JWT_SIZE_DEFAULT = 8 * 1024, /**< bytes of a token, in and out */
    TKS_JWT_SIZE_MAX = 1024 * 1024,  /**< the limit of `max_size` */
    TKS_JWT_TRIES_MAX = 16,          /**< keys that are tried on one token */
    TKS_JWT_SECRET_MIN = 32,         /**< bytes; HS384 wants 48, HS512 wants 64 (RFC 7518, 3.2) */
    TKS_JWK_SIZE_MAX = 1024 * 1024   /**< bytes of JWK, JWKS and PEM text */
};

/* ---- algorithms ---------------------------------------------------------------------------- */

/** X(enumerator, name in RFC 7518, 8037 or 9864). EdDSA and Ed25519 are one algorithm with two names; a list of
 * accepted algorithms must contain the name in the token. */
#define TKS_JWT_ALG_MAP(X)                                                                         \
    X(TKS_JWT_HS256, "HS256")                                                                      \
    X(TKS_JWT_HS384, "HS384")                                                                      \
    X(TKS_JWT_HS512, "HS512")                                                                      \
    X(TKS_JWT_RS256, "RS256")                                                                      \
    X(TKS_JWT_RS384, "RS384")                                                                      \
    X(TKS_JWT_RS512, "RS512")                                                                      \
    X(TKS_JWT_PS256, "PS256")                                                                      \
    X(TKS_JWT_PS384, "PS384")                                                                      \
    X(TKS_JWT_PS512, "PS512")                                                                      \
    X(TKS_JWT_ES256, "ES256")                                                                      \
    X(TKS_JWT_ES384, "ES384")                                                                      \
    X(TKS_JWT_ES512, "ES512")                                                                      \
    X(TKS_JWT_EDDSA, "EdDSA")                                                                      \
    X(TKS_JWT_ED25519, "Ed25519")

typedef enum tks_jwt_alg {
#define TKS_JWT_ALG_ENUM(name, text) name,
    TKS_JWT_ALG_MAP(TKS_JWT_ALG_ENUM)
#undef TKS_JWT_ALG_ENUM
        TKS_JWT_ALG_COUNT
} tks_jwt_alg;

/** A set of algorithms: the sum of their bits. */
#define TKS_JWT_BIT(alg) (UINT32_C(1) << (unsigned)(alg))

/** Adds the algorithm `name`, case-sensitively, to `*set`. TKS_ERR_CONFIGURATION for an unknown name; the message
 * lists the known ones. */
TKS_MUST_USE tks_status tks_jwt_alg_add(tks_bytes name, uint32_t *set, tks_error *err);

/** The one algorithm named `name`; errors as above. */
TKS_MUST_USE tks_status tks_jwt_alg_find(tks_bytes name, tks_jwt_alg *out, tks_error *err);

/** "RS256" and so on. Never NULL. */
const char *tks_jwt_alg_name(tks_jwt_alg alg);

/* ---- keys ---------------------------------------------------------------------------------- */

typedef struct tks_key tks_key;

typedef enum tks_key_kind {
    TKS_KEY_SECRET, /**< HS */
    TKS_KEY_RSA,    /**< RS, PS; 2048 to 8192 bits */
    TKS_KEY_P256,   /**< ES256 */
    TKS_KEY_P384,   /**< ES384 */
    TKS_KEY_P521,   /**< ES512 */
    TKS_KEY_ED25519 /**< EdDSA, Ed25519 */
} tks_key_kind;

/** What a PEM text or a secret does not contain. */
typedef struct tks_key_options {
    tks_bytes kid;       /**< empty: none */
    uint32_t algorithms; /**< the only ones it may be used for; 0: all that its type allows */
    tks_bytes password;  /**< of an encrypted PEM text; data NULL: none */
} tks_key_options;

/* Functions that create a key return TKS_OK, TKS_ERR_CONFIGURATION (the message says what is wrong with the key and
 * never shows it) or TKS_ERR_MEMORY; the caller owns the reference in `*out`. `options` may be NULL. */

/** The part that needs OpenSSL, as an argument, so that a program that does not pass it does not link it. NULL:
 * JWKs of RSA and EC are not supported, and HMAC uses libsodium, which is slower. */
typedef struct tks_jwt_provider tks_jwt_provider;
const tks_jwt_provider *tks_jwt_openssl(void);

/** A secret of at least TKS_JWT_SECRET_MIN bytes. Other types of keys (PEM, DER, SSH, JWK) are rejected, in any
 * encoding: with a public key as secret anybody could sign. `provider` may be NULL. */
TKS_MUST_USE tks_status tks_key_from_secret(tks_bytes secret, const tks_key_options *options,
                                            const tks_jwt_provider *provider, tks_key **out,
                                            tks_error *err);

/** One key or certificate in PEM: SPKI, PKCS#1, PKCS#8, SEC 1, X.509 (only its key is used: neither dates nor
 * issuer are checked). Private keys may be encrypted, in PKCS#8 (RFC 5958) or traditional PEM encryption (RFC
 * 1421); there is never a password prompt. Calls OpenSSL. */
TKS_MUST_USE tks_status tks_key_from_pem(tks_bytes pem, const tks_key_options *options,
                                         tks_key **out, tks_error *err);

/** One JWK as JSON text: oct, OKP with Ed25519, and with `provider` RSA and EC; public or private.
 * `kid`, `alg`, `use` and `key_ops` count. */
TKS_MUST_USE tks_status tks_key_from_jwk(tks_bytes json, const tks_jwt_provider *provider,
                                         tks_key **out, tks_error *err);

/** Another reference to `key`, which is returned. */
tks_key *tks_key_ref(tks_key *key);

/** Drops one reference; with the last one secrets are wiped. NULL is accepted. */
void tks_key_free(tks_key *key);

tks_key_kind tks_key_get_kind(const tks_key *key);     /**< what it is */
const char *tks_key_get_kind_name(const tks_key *key); /**< "secret", "RSA", "P-256", "Ed25519" … */
tks_bytes tks_key_get_kid(const tks_key *key);         /**< borrowed; empty: none */
uint32_t tks_key_get_algorithms(const tks_key *key);   /**< what it can and may be used for */
bool tks_key_can_sign(const tks_key *key);             /**< is it a private key or a secret? */

/** The key as a JWK (RFC 7517); the caller calls tks_json_free, which wipes it: the public part, or with
 * `private_half` both; kid, and alg if there is only one. TKS_OK; TKS_ERR_CONFIGURATION: it is a secret, which is
 * not kept, or has no private part; TKS_ERR_DATA: its kid cannot be written as JSON; TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_key_to_jwk(const tks_key *key, bool private_half, tks_json **out,
                                       tks_error *err);

enum { TKS_THUMBPRINT_SIZE = 43 };

/** The SHA-256 thumbprint of the public part (RFC 7638, RFC 8037 section 2) in base64url, no NUL. TKS_OK;
 * TKS_ERR_CONFIGURATION: it is a secret; TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_key_thumbprint(const tks_key *key, char out[TKS_THUMBPRINT_SIZE],
                                           tks_error *err);

/* ---- key sets ------------------------------------------------------------------------------ */

typedef struct tks_keyset tks_keyset;

/** A JWKS as JSON text. Entries that cannot be used here (an unknown kty, crv or alg, use "enc", a
 * weak or invalid key) are skipped and counted, as RFC 7517 (section 5) requires. `out` as for keys. */
TKS_MUST_USE tks_status tks_keyset_from_jwks(tks_bytes json, const tks_jwt_provider *provider,
                                             tks_keyset **out, tks_error *err);

/** The public keys of a JWKS or one key in PEM that a server publishes. Secrets and private keys are skipped and
 * counted, since anybody who reads them can sign. Calls OpenSSL. As above; no key at all is TKS_ERR_CONFIGURATION. */
TKS_MUST_USE tks_status tks_keyset_from_published(tks_bytes text, tks_keyset **out, tks_error *err);

/** Another reference to `set`, which is returned. */
tks_keyset *tks_keyset_ref(tks_keyset *set);

/** The number of keys; `*out` points to them, borrowed from the set. */
size_t tks_keyset_get_keys(const tks_keyset *set, tks_key *const **out);

/** The number of skipped entries. */
size_t tks_keyset_get_skipped(const tks_keyset *set);

/** Drops one reference. NULL is accepted. */
void tks_keyset_free(tks_keyset *set);

/* ---- checking ------------------------------------------------------------------------------ */

/** What a token must be. All bytes are borrowed for the call. */
typedef struct tks_jwt_policy {
    uint32_t algorithms;        /**< required */
    const tks_bytes *audiences; /**< `aud` must name one of them; without any, a token with `aud`
                                     is rejected: it is intended for somebody (RFC 7519, 4.1.3) */
    size_t audience_count;
    bool any_audience;        /**< any `aud` is accepted: the caller checks it */
    const tks_bytes *issuers; /**< `iss` must be one of them; none: not checked */
    size_t issuer_count;
    const tks_bytes *required; /**< claims that must be there and not null */
    size_t required_count;
    tks_bytes typ; /**< the header's `typ` must be this, "application/" and case aside; NULL: any */
    double leeway; /**< seconds, 0 … 86400, that exp and nbf may be off */
    bool any_expiry;  /**< `exp` may have passed; it must still be a time */
    double now;       /**< seconds since the epoch; required: 0 is an error */
    size_t max_size;  /**< bytes a token may have; 0: TKS_JWT_SIZE_DEFAULT */
    bool claims_only; /**< the header need not be returned, which saves parsing the usual one */
} tks_jwt_policy;

typedef struct tks_jwt {
    tks_json *header; /**< with claims_only it may be NULL */
    tks_json *claims;
    bool key_unknown; /**< on failure: no key is known to be the token's own, so newer keys of the
                           same server might work */
} tks_jwt;

/** Verifies `token` with those of the `count` keys that match its algorithm and kid (a key without kid matches any
 * token, a token without kid any key; at most TKS_JWT_TRIES_MAX are tried).
 *   TKS_OK                 *out is the caller's to clear
 *   TKS_ERR_INVALID_TOKEN  anything wrong with the token
 *   TKS_ERR_EXPIRED_TOKEN  only `exp` is wrong
 *   TKS_ERR_CONFIGURATION  wrong arguments, whatever the token: no algorithms, an inconsistent policy,
 *                          no key for any of the algorithms
 *   TKS_ERR_MEMORY
 * exp, nbf and iat must be numbers; iat may be in the future (clocks differ). */
TKS_MUST_USE tks_status tks_jwt_decode(tks_bytes token, tks_key *const *keys, size_t count,
                                       const tks_jwt_policy *policy, tks_jwt *out, tks_error *err);

/** The unverified header of `token`, which must have three parts: for choosing a key, and not to be trusted
 * otherwise. The caller owns *out. `max_size` as in tks_jwt_policy. TKS_OK, TKS_ERR_INVALID_TOKEN,
 * TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_jwt_read_header(tks_bytes token, size_t max_size, tks_json **out,
                                            tks_error *err);

/** Frees both trees. */
void tks_jwt_clear(tks_jwt *jwt);

/* ---- making -------------------------------------------------------------------------------- */

/** Appends a token to `out`. `claims`: canonical object text, as tks_json_writer makes it. `headers`:
 * the same, or empty. The header is alg, typ "JWT" and the key's kid; `headers` may change typ or kid, remove them
 * with null, and add others, but not alg, crit, b64 or zip.
 *   TKS_ERR_CONFIGURATION  the key cannot sign, or not with `alg`
 *   TKS_ERR_DATA           tks_jwt_decode would always reject it: exp, nbf or iat that is not a number, aud
 *                          that is neither a string nor strings, a header that is not allowed, a token
 *                          of more than `max_size` bytes
 *   TKS_ERR_MEMORY
 * `max_size` as in tks_jwt_policy. */
TKS_MUST_USE tks_status tks_jwt_encode(tks_bytes claims, const tks_key *key, tks_jwt_alg alg,
                                       tks_bytes headers, size_t max_size, tks_buf *out,
                                       tks_error *err);

TKS_END_DECLS
#endif
