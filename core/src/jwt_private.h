/* jwt_private.h - what the jwt*.c files share: the key as an object, base64url, the claims' rules.
 *
 * Lifecycle: a kind of key is a struct that begins with a tks_key; tksp_key_new makes it zeroed,
 *            ops->clear empties it, tks_key_free frees it.
 * Threads:   after it was made, a key changes only in its count of references. */
#ifndef TKSP_JWT_PRIVATE_H
#define TKSP_JWT_PRIVATE_H

#include <stdatomic.h>

#include "tokenstore/jwt.h"

enum { TKSP_SIGNATURE_MAX = 1024 }; /* bytes: RSA with 8192 bits */

/* What a kind of key does. The algorithm is always one of key->algorithms. */
typedef struct tksp_key_ops {
    /* TKS_OK: `signature` is good. TKS_ERR_INVALID_TOKEN, TKS_ERR_MEMORY. */
    tks_status (*verify)(const tks_key *key, tks_jwt_alg alg, tks_bytes input, tks_bytes signature);
    /* Writes up to TKSP_SIGNATURE_MAX bytes; only of keys with can_sign. TKS_ERR_CONFIGURATION,
     * TKS_ERR_MEMORY. */
    tks_status (*sign)(const tks_key *key, tks_jwt_alg alg, tks_bytes input, unsigned char *out,
                       size_t *size, tks_error *err);
    /* Frees and wipes what lies behind the tks_key. */
    void (*clear)(tks_key *key);
    /* Appends its numbers, each to its buffer, in the order of a JWK (jwt_export.c); with `private_half` what there
     * is of them, else the public ones. NULL: it has none. TKS_OK, TKS_ERR_MEMORY. */
    tks_status (*export)(const tks_key *key, bool private_half, tks_buf *numbers);
} tksp_key_ops;

struct tks_key {
    const tksp_key_ops *ops;
    size_t size; /* of the whole struct, for wiping */
    atomic_uint references;
    tks_key_kind kind;
    uint32_t algorithms;
    bool can_sign;
    bool can_verify;
    char *kid; /* NULL: none */
    size_t kid_size;
};

/* ---- jwt_key.c ----------------------------------------------------------------------------- */

/* A zeroed struct of `size` bytes with the fields of tks_key filled in, one reference. NULL: no
 * memory. */
void *tksp_key_new(size_t size, const tksp_key_ops *ops, tks_key_kind kind, uint32_t algorithms,
                   bool can_sign);

/* Narrows a new key to `options` (may be NULL). TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tksp_key_apply(tks_key *key, const tks_key_options *options, tks_error *err);

/* What HMAC with a secret of this length can do. TKS_OK; TKS_ERR_CONFIGURATION: nothing. */
tks_status tksp_secret_algorithms(tks_bytes secret, uint32_t *out, tks_error *err);

/* ---- jwt_jwk.c, jwt_keyset.c ---------------------------------------------------------------- */

/* As tks_json_read; what is wrong with the text is a wrong configuration here. */
tks_status tksp_jwk_parse(tks_bytes json, tks_json **out, tks_error *err);

/* As tks_key_from_jwk. */
tks_status tksp_key_from_json(const tks_json *jwk, const tks_jwt_provider *provider, tks_key **out,
                              tks_error *err);

struct tks_keyset {
    atomic_uint references;
    size_t count, skipped;
    tks_key *keys[];
};

/* An empty set with room for `size` keys. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_keyset_new(size_t size, tks_keyset **out, tks_error *err);

/* ---- jwt_secret.c -------------------------------------------------------------------------- */

/* Refuses what is no secret but a key of another kind. TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tksp_secret_check(tks_bytes secret, tks_error *err);

/* Does a key or certificate in DER begin here? */
bool tksp_is_der(tks_bytes text);

/* ---- jwt_pem.c ----------------------------------------------------------------------------- */

/* Appends the PEM blocks of `text` as OpenSSL wants them. TKS_OK or the buffer's error. */
tks_status tksp_pem_tidy(tks_bytes text, tks_buf *out);

/* What `text` is, where it is no PEM: the end of a message that begins with "the key". */
const char *tksp_pem_explain(tks_bytes text);

/* ---- jwt_sodium.c -------------------------------------------------------------------------- */

enum { TKSP_ED25519_SIZE = 32 };

enum { TKSP_SHA256_SIZE = 32 };
void tksp_sha256(tks_bytes text, unsigned char out[TKSP_SHA256_SIZE]);

/* A secret as it is, without a look at what it might be. */
tks_status tksp_key_hmac(tks_bytes secret, tks_key **out, tks_error *err);

/* `public_key` is TKSP_ED25519_SIZE bytes; `seed`, the private key, is as many or empty, and must
 * belong to the public one. */
tks_status tksp_key_ed25519(tks_bytes public_key, tks_bytes seed, tks_key **out, tks_error *err);

/* ---- jwt_openssl.c, jwt_openssl_load.c, jwt_openssl_hmac.c ----------------------------------- */

/* Makes a key of OpenSSL's `pkey`, which is taken over, on failure too. `is_private`: it has the
 * private half. */
struct evp_pkey_st;
tks_status tksp_key_evp(struct evp_pkey_st *pkey, bool is_private, tks_key **out, tks_error *err);

/* The numbers of an RSA JWK, big-endian. */
enum {
    TKSP_RSA_N,
    TKSP_RSA_E,
    TKSP_RSA_D,
    TKSP_RSA_P,
    TKSP_RSA_Q,
    TKSP_RSA_DP,
    TKSP_RSA_DQ,
    TKSP_RSA_QI,
    TKSP_RSA_COUNT
};

/* As tksp_key_hmac. */
tks_status tksp_key_hmac_openssl(tks_bytes secret, tks_key **out, tks_error *err);

struct tks_jwt_provider {
    /* As tksp_key_hmac. */
    tks_status (*hmac)(tks_bytes secret, tks_key **out, tks_error *err);
    /* n and e; and d, or d with all that follow, or none of these. Others are empty. */
    tks_status (*rsa)(const tks_bytes numbers[TKSP_RSA_COUNT], tks_key **out, tks_error *err);
    /* x, y and d (may be empty) of the curve's full size. */
    tks_status (*ec)(tks_key_kind curve, tks_bytes x, tks_bytes y, tks_bytes d, tks_key **out,
                     tks_error *err);
};

/* ---- jwt.c --------------------------------------------------------------------------------- */

/* Where the parts of a token are decoded: on the stack, unless it is longer than usual. */
typedef struct tksp_jwt_room {
    unsigned char *large; /* NULL: `usual` is enough */
    unsigned char usual[TKS_JWT_SIZE_DEFAULT / 4 * 3 + 3];
} tksp_jwt_room;

void tksp_jwt_room_clear(tksp_jwt_room *room);

/* 0 is the default. TKS_ERR_CONFIGURATION: larger than TKS_JWT_SIZE_MAX. */
tks_status tksp_jwt_check_size(size_t max_size, tks_error *err);

/* The two halves of tks_jwt_decode, with its errors. First all but the claims: *payload, in `room`, is what
 * was signed; the room is the caller's to clear, on failure too. out->header, the caller's to free, stays
 * NULL for a plain one that is not needed. */
tks_status tksp_jwt_open(tks_bytes token, tks_key *const *keys, size_t count,
                         const tks_jwt_policy *policy, tksp_jwt_room *room, tks_jwt *out,
                         tks_bytes *payload, tks_error *err);

/* Then the claims, which are the caller's to free. */
tks_status tksp_jwt_read_claims(tks_bytes payload, const tks_jwt_policy *policy, tks_json **out,
                                tks_error *err);

/* ---- jwt_base64.c -------------------------------------------------------------------------- */

/* Decodes base64url without padding, canonical: no other character, no bits left over. `out` has room
 * for text.size * 3 / 4 bytes. */
bool tksp_base64url_decode(tks_bytes text, unsigned char *out, size_t *size);

/* Appends base64url without padding. */
tks_status tksp_base64url_encode(tks_bytes bytes, tks_buf *out);

/* ---- jwt_claims.c -------------------------------------------------------------------------- */

/* Is the policy one that makes sense? TKS_OK, TKS_ERR_CONFIGURATION. */
tks_status tksp_jwt_check_policy(const tks_jwt_policy *policy, tks_error *err);

/* The header's rules that need no key: crit, b64, zip, typ, cty, the type of kid. TKS_OK,
 * TKS_ERR_INVALID_TOKEN. */
tks_status tksp_jwt_check_header(const tks_json *header, const tks_jwt_policy *policy,
                                 tks_error *err);

/* Does this value of cty say that the token holds another token? */
bool tksp_jwt_is_nested(tks_bytes cty);

/* The claims' rules. TKS_OK, TKS_ERR_INVALID_TOKEN, TKS_ERR_EXPIRED_TOKEN when only exp is wrong. */
tks_status tksp_jwt_check_claims(const tks_json *claims, const tks_jwt_policy *policy,
                                 tks_error *err);

/* Are these the same, but for the case of A-Z? */
bool tksp_equal_nocase(tks_bytes a, tks_bytes b);

#endif
