/* jwt_private.h - shared by the jwt*.c files: keys, base64url, rules for claims.
 *
 * Lifecycle: a kind of key is a struct that begins with a tks_key. tksp_key_new allocates it zeroed,
 *            ops->clear clears it, tks_key_free frees it.
 * Threads:   only a key's reference count changes after creation. */
#ifndef TKSP_JWT_PRIVATE_H
#define TKSP_JWT_PRIVATE_H

#include <stdatomic.h>

#include "tokenstore/jwt.h"

enum { TKSP_SIGNATURE_MAX = 1024 }; /* bytes: RSA with 8192 bits */

/* The functions of a kind of key. The algorithm is always one of key->algorithms. */
typedef struct tksp_key_ops {
    /* TKS_OK: `signature` is valid. TKS_ERR_INVALID_TOKEN, TKS_ERR_MEMORY. */
    tks_status (*verify)(const tks_key *key, tks_jwt_alg alg, tks_bytes input, tks_bytes signature);
    /* Writes up to TKSP_SIGNATURE_MAX bytes; only for keys with can_sign. TKS_ERR_CONFIGURATION,
     * TKS_ERR_MEMORY. */
    tks_status (*sign)(const tks_key *key, tks_jwt_alg alg, tks_bytes input, unsigned char *out,
                       size_t *size, tks_error *err);
    /* Frees and wipes the members after the tks_key. */
    void (*clear)(tks_key *key);
    /* Appends each number to its buffer, in the order of jwt_export.c; with `private_half` all that exist,
     * else the public ones. NULL: not exportable. TKS_OK, TKS_ERR_MEMORY. */
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

/* A zeroed struct of `size` bytes with the fields of tks_key set, and one reference. NULL: out of memory. */
void *tksp_key_new(size_t size, const tksp_key_ops *ops, tks_key_kind kind, uint32_t algorithms,
                   bool can_sign);

/* Restricts a new key to `options` (may be NULL). TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tksp_key_apply(tks_key *key, const tks_key_options *options, tks_error *err);

/* The HMAC algorithms for a secret of this length. TKS_OK; TKS_ERR_CONFIGURATION: none. */
tks_status tksp_secret_algorithms(tks_bytes secret, uint32_t *out, tks_error *err);

/* ---- jwt_jwk.c, jwt_keyset.c ---------------------------------------------------------------- */

/* As tks_json_read, but an invalid text is TKS_ERR_CONFIGURATION. */
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

/* Rejects a key of another kind. TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tksp_secret_check(tks_bytes secret, tks_error *err);

/* True if `text` begins with a key or certificate in DER. */
bool tksp_is_der(tks_bytes text);

/* ---- jwt_pem.c ----------------------------------------------------------------------------- */

/* Appends the PEM blocks of `text` in the form that OpenSSL requires. TKS_OK or the buffer's error. */
tks_status tksp_pem_tidy(tks_bytes text, tks_buf *out);

/* Why `text` is not PEM: the end of a message that begins with "the key". */
const char *tksp_pem_explain(tks_bytes text);

/* ---- jwt_sodium.c -------------------------------------------------------------------------- */

enum { TKSP_ED25519_SIZE = 32 };

enum { TKSP_SHA256_SIZE = 32 };
void tksp_sha256(tks_bytes text, unsigned char out[TKSP_SHA256_SIZE]);

/* A key from a secret, without tksp_secret_check. */
tks_status tksp_key_hmac(tks_bytes secret, tks_key **out, tks_error *err);

/* `public_key` is TKSP_ED25519_SIZE bytes; `seed`, the private key, has the same size or is empty, and must
 * match the public key. */
tks_status tksp_key_ed25519(tks_bytes public_key, tks_bytes seed, tks_key **out, tks_error *err);

/* ---- jwt_openssl.c, jwt_openssl_load.c, jwt_openssl_hmac.c ----------------------------------- */

/* Makes a key from OpenSSL's `pkey`. Takes ownership, on failure too. `is_private`: it has the private half.
 * */
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
    /* n and e; and either none of the others, only d, or all. Missing ones are empty. */
    tks_status (*rsa)(const tks_bytes numbers[TKSP_RSA_COUNT], tks_key **out, tks_error *err);
    /* x, y and d (may be empty), each as long as the curve requires. */
    tks_status (*ec)(tks_key_kind curve, tks_bytes x, tks_bytes y, tks_bytes d, tks_key **out,
                     tks_error *err);
};

/* ---- jwt.c --------------------------------------------------------------------------------- */

/* Memory for the decoded parts of a token: on the stack, unless it is unusually long. */
typedef struct tksp_jwt_room {
    unsigned char *large; /* NULL: `usual` is large enough */
    unsigned char usual[TKS_JWT_SIZE_DEFAULT / 4 * 3 + 3];
} tksp_jwt_room;

void tksp_jwt_room_clear(tksp_jwt_room *room);

/* 0 is the default. TKS_ERR_CONFIGURATION: larger than TKS_JWT_SIZE_MAX. */
tks_status tksp_jwt_check_size(size_t max_size, tks_error *err);

/* The two halves of tks_jwt_decode, with its errors. This one does everything except the claims: *payload, in
 * `room`, is the signed text. The caller clears the room, on failure too, and frees out->header, which stays
 * NULL for a plain header that is not requested. */
tks_status tksp_jwt_open(tks_bytes token, tks_key *const *keys, size_t count,
                         const tks_jwt_policy *policy, tksp_jwt_room *room, tks_jwt *out,
                         tks_bytes *payload, tks_error *err);

/* Checks the claims; the caller frees them. */
tks_status tksp_jwt_read_claims(tks_bytes payload, const tks_jwt_policy *policy, tks_json **out,
                                tks_error *err);

/* ---- jwt_base64.c -------------------------------------------------------------------------- */

/* Decodes base64url without padding, canonical: no other characters, unused bits zero. `out` has room
 * for text.size * 3 / 4 bytes. */
bool tksp_base64url_decode(tks_bytes text, unsigned char *out, size_t *size);

/* Appends base64url without padding. */
tks_status tksp_base64url_encode(tks_bytes bytes, tks_buf *out);

/* ---- jwt_claims.c -------------------------------------------------------------------------- */

/* Checks that the policy is valid. TKS_OK, TKS_ERR_CONFIGURATION. */
tks_status tksp_jwt_check_policy(const tks_jwt_policy *policy, tks_error *err);

/* The header's rules that need no key: crit, b64, zip, typ, cty, the type of kid. TKS_OK,
 * TKS_ERR_INVALID_TOKEN. */
tks_status tksp_jwt_check_header(const tks_json *header, const tks_jwt_policy *policy,
                                 tks_error *err);

/* True if this value of cty denotes a nested token. */
bool tksp_jwt_is_nested(tks_bytes cty);

/* The claims' rules. TKS_OK, TKS_ERR_INVALID_TOKEN, TKS_ERR_EXPIRED_TOKEN if only exp is wrong. */
tks_status tksp_jwt_check_claims(const tks_json *claims, const tks_jwt_policy *policy,
                                 tks_error *err);

/* True if they are equal, ignoring the case of A-Z. */
bool tksp_equal_nocase(tks_bytes a, tks_bytes b);

#endif
