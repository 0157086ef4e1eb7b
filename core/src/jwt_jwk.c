/* jwt_jwk.c - keys from JSON (RFC 7517, 7518 section 6, 8037 section 2).
 *
 * Purpose:   reads the members of a JWK strictly and passes the numbers to a function that creates the key:
 *            in jwt_sodium.c, or in the provider for RSA and EC, and for secrets if it supports them.
 * Lifecycle: decoded bytes are in buffers that are wiped; a JSON tree wipes its strings. */
#include <stdlib.h>

#include "jwt_private.h"
#include "tokenstore/secret.h"

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "the JWK %s", problem);
}

/* ---- members ------------------------------------------------------------------------------- */

/* The string member `name`; empty if it is missing. False: not a string. */
static bool get_text(const tks_json *jwk, const char *name, tks_bytes *out) {
    const tks_json *member = tks_json_find(jwk, name);
    *out = tks_bytes_of("", 0);
    if (member == NULL) return true;
    if (tks_json_get_type(member) != TKS_JSON_STRING) return false;
    *out = tks_json_get_string(member);
    return true;
}

static bool is_text(tks_bytes text, const char *word) {
    return tks_bytes_equal(text, tks_bytes_of(word, strlen(word)));
}

/* Decodes the member `name` into `out`, which stays empty if it is missing. */
static tks_status get_number(const tks_json *jwk, const char *name, tks_buf *out, tks_error *err) {
    tks_bytes text;
    char *at = NULL;
    size_t size = 0;

    if (!get_text(jwk, name, &text)) return refuse(err, "has a key parameter that is not a string");
    if (tks_json_find(jwk, name) == NULL) return TKS_OK;
    if (text.size == 0) return refuse(err, "has a key parameter that is empty");
    if (tks_buf_reserve(out, text.size, &at) != TKS_OK) {
        return out->status == TKS_ERR_MEMORY ? tks_fail_memory(err)
                                             : refuse(err, "has a key parameter that is too large");
    }
    if (!tksp_base64url_decode(text, (unsigned char *)at, &size)) {
        return refuse(err, "has a key parameter that is not base64url without padding");
    }
    tks_buf_advance(out, size);
    return TKS_OK;
}

/* The numbers `names`, `count` of them, each in its own buffer. */
static tks_status get_numbers(const tks_json *jwk, const char *const *names, size_t count,
                              tks_buf *out, tks_error *err) {
    tks_status status = TKS_OK;
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        status = get_number(jwk, names[i], &out[i], err);
    }
    return status;
}

/* ---- kinds --------------------------------------------------------------------------------- */

enum {
    NUMBER_MAX = 16 * 1024
}; /* bytes; an oct key may be long, the other kinds have their own limits */

static tks_status make_oct(const tks_json *jwk, const tks_jwt_provider *provider, tks_buf *n,
                           tks_key **out, tks_error *err) {
    static const char *const names[] = {"k"};
    tks_status status = get_numbers(jwk, names, 1, n, err);
    if (status == TKS_OK) status = tksp_secret_check(tks_buf_bytes(&n[0]), err);
    if (status != TKS_OK) return status;
    return provider != NULL ? provider->hmac(tks_buf_bytes(&n[0]), out, err)
                            : tksp_key_hmac(tks_buf_bytes(&n[0]), out, err);
}

static tks_status make_okp(const tks_json *jwk, tks_buf *n, tks_key **out, tks_error *err) {
    static const char *const names[] = {"x", "d"};
    tks_status status = TKS_OK;
    tks_bytes crv;

    if (!get_text(jwk, "crv", &crv) || !is_text(crv, "Ed25519")) {
        return refuse(err, "of kty OKP has a curve other than Ed25519");
    }
    status = get_numbers(jwk, names, 2, n, err);
    return status == TKS_OK ? tksp_key_ed25519(tks_buf_bytes(&n[0]), tks_buf_bytes(&n[1]), out, err)
                            : status;
}

static tks_status make_ec(const tks_json *jwk, const tks_jwt_provider *provider, tks_buf *n,
                          tks_key **out, tks_error *err) {
    static const char *const names[] = {"x", "y", "d"};
    tks_key_kind curve = TKS_KEY_P256;
    size_t size = 32;
    tks_status status = TKS_OK;
    tks_bytes crv;

    if (!get_text(jwk, "crv", &crv)) return refuse(err, "has a crv that is not a string");
    if (is_text(crv, "P-384")) {
        curve = TKS_KEY_P384;
        size = 48;
    } else if (is_text(crv, "P-521")) {
        curve = TKS_KEY_P521;
        size = 66;
    } else if (!is_text(crv, "P-256")) {
        return refuse(err, "of kty EC has a curve other than P-256, P-384 and P-521");
    }
    status = get_numbers(jwk, names, 3, n, err);
    if (status != TKS_OK) return status;
    if (n[0].size != size || n[1].size != size || (n[2].size != 0 && n[2].size != size)) {
        return refuse(err, "of kty EC has a key parameter of the wrong length for its curve");
    }
    return provider->ec(curve, tks_buf_bytes(&n[0]), tks_buf_bytes(&n[1]), tks_buf_bytes(&n[2]),
                        out, err);
}

static tks_status make_rsa(const tks_json *jwk, const tks_jwt_provider *provider, tks_buf *n,
                           tks_key **out, tks_error *err) {
    static const char *const names[TKSP_RSA_COUNT] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
    tks_bytes numbers[TKSP_RSA_COUNT];
    size_t factors = 0;
    tks_status status = get_numbers(jwk, names, TKSP_RSA_COUNT, n, err);

    if (status != TKS_OK) return status;
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) {
        numbers[i] = tks_buf_bytes(&n[i]);
        if (i > TKSP_RSA_D && numbers[i].size > 0) factors++;
    }
    if (numbers[TKSP_RSA_N].size == 0 || numbers[TKSP_RSA_E].size == 0) {
        return refuse(err, "of kty RSA lacks n or e");
    }
    if (tks_json_find(jwk, "oth") != NULL) {
        return refuse(err, "of kty RSA has more than two primes, which is not supported");
    }
    if (factors > 0 && (factors != TKSP_RSA_COUNT - TKSP_RSA_P || numbers[TKSP_RSA_D].size == 0)) {
        return refuse(err, "of kty RSA has some but not all of d, p, q, dp, dq and qi");
    }
    return provider->rsa(numbers, out, err);
}

/* ---- permitted uses of a key --------------------------------------------------------------- */

static tks_status apply_ops(const tks_json *jwk, tks_key *key, tks_error *err) {
    const tks_json *ops = tks_json_find(jwk, "key_ops");
    bool sign = false;
    bool verify = false;

    if (ops == NULL) return TKS_OK;
    if (tks_json_get_type(ops) != TKS_JSON_ARRAY) {
        return refuse(err, "has key_ops that are not a list");
    }
    for (ops = tks_json_get_child(ops); ops != NULL; ops = tks_json_get_next(ops)) {
        if (tks_json_get_type(ops) != TKS_JSON_STRING) {
            return refuse(err, "has key_ops that are not strings");
        }
        sign = sign || is_text(tks_json_get_string(ops), "sign");
        verify = verify || is_text(tks_json_get_string(ops), "verify");
    }
    key->can_sign = key->can_sign && sign;
    /* A private key that may sign contains a public key that may verify. */
    key->can_verify = verify || (sign && key->kind != TKS_KEY_SECRET);
    if (!key->can_sign && !key->can_verify) {
        return refuse(err, "is not meant for signatures: its key_ops have neither sign nor verify");
    }
    return TKS_OK;
}

/* kid, alg, use and key_ops. */
static tks_status apply_members(const tks_json *jwk, tks_key *key, tks_error *err) {
    tks_key_options options = {.algorithms = 0};
    tks_bytes use, alg;
    tks_error unknown = TKS_ERROR_INIT;

    if (!get_text(jwk, "kid", &options.kid) || !get_text(jwk, "use", &use) ||
        !get_text(jwk, "alg", &alg)) {
        return refuse(err, "has a kid, use or alg that is not a string");
    }
    if (tks_json_find(jwk, "use") != NULL && !is_text(use, "sig")) {
        return refuse(err, "is not meant for signatures: its use is not \"sig\"");
    }
    if (tks_json_find(jwk, "alg") != NULL &&
        tks_jwt_alg_add(alg, &options.algorithms, &unknown) != TKS_OK) {
        return refuse(err, "is for an unsupported algorithm");
    }
    if (apply_ops(jwk, key, err) != TKS_OK) return TKS_ERR_CONFIGURATION;
    return tksp_key_apply(key, &options, err);
}

/* ---- one JWK --------------------------------------------------------------------------------- */

tks_status tksp_key_from_json(const tks_json *jwk, const tks_jwt_provider *provider, tks_key **out,
                              tks_error *err) {
    tks_buf numbers[TKSP_RSA_COUNT];
    tks_status status = TKS_OK;
    tks_key *key = NULL;
    tks_bytes kty;

    *out = NULL;
    if (tks_json_get_type(jwk) != TKS_JSON_OBJECT) return refuse(err, "is not a JSON object");
    if (!get_text(jwk, "kty", &kty)) return refuse(err, "has a kty that is not a string");
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) tks_buf_init(&numbers[i], NUMBER_MAX);
    if (is_text(kty, "oct")) {
        status = make_oct(jwk, provider, numbers, &key, err);
    } else if (is_text(kty, "OKP")) {
        status = make_okp(jwk, numbers, &key, err);
    } else if (is_text(kty, "EC") && provider != NULL) {
        status = make_ec(jwk, provider, numbers, &key, err);
    } else if (is_text(kty, "RSA") && provider != NULL) {
        status = make_rsa(jwk, provider, numbers, &key, err);
    } else {
        status = refuse(err, provider != NULL ? "has a kty other than RSA, EC, OKP and oct"
                                              : "has a kty that is unknown or needs OpenSSL");
    }
    if (status == TKS_OK) status = apply_members(jwk, key, err);
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) tks_buf_wipe(&numbers[i]);
    if (status != TKS_OK) {
        tks_key_free(key);
        return status;
    }
    *out = key;
    return TKS_OK;
}

tks_status tksp_jwk_parse(tks_bytes json, tks_json **out, tks_error *err) {
    static const tks_json_rules rules = {.max_size = TKS_JWK_SIZE_MAX,
                                         .max_depth = TKS_JSON_DEPTH,
                                         .any = true};
    tks_error why = TKS_ERROR_INIT;
    tks_status status = tks_json_read(json, &rules, out, &why);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    return status == TKS_OK ? TKS_OK
                            : tks_fail(err, TKS_ERR_CONFIGURATION, "the JWK is %s", why.message);
}

tks_status tks_key_from_jwk(tks_bytes json, const tks_jwt_provider *provider, tks_key **out,
                            tks_error *err) {
    tks_json *tree = NULL;
    tks_status status = TKS_OK;

    *out = NULL;
    status = tksp_jwk_parse(json, &tree, err);
    if (status == TKS_OK) status = tksp_key_from_json(tree, provider, out, err);
    tks_json_free(tree);
    return status;
}
