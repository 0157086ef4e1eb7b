/* jwt.c - verifies a compact JWS with JSON claims (RFC 7515 section 5.2, RFC 7519 section 7.2).
 *
 * Purpose:   checks, in this order, the caller's arguments, the three parts, the header, a matching
 *            key, the signature, and only then the claims.
 * Lifecycle: the parts are decoded in turn into one buffer, on the stack for a token of usual size.
 * Threads:   no state. */
#include <stdlib.h>

#include "jwt_private.h"

typedef struct parts {
    tks_bytes header, claims, signature;
    tks_bytes input; /* the signed text: header '.' claims */
} parts;

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token is not valid: %s", problem);
}

/* Takes the bytes up to the next '.', and the '.'; false: there is none. */
static bool next_part(tks_bytes *rest, tks_bytes *part) {
    const char *dot = rest->size > 0 ? memchr(rest->data, '.', rest->size) : NULL;
    if (dot == NULL) return false;
    *part = tks_bytes_of(rest->data, (size_t)(dot - rest->data));
    *rest = tks_bytes_of(dot + 1, rest->size - part->size - 1);
    return true;
}

static tks_status split(tks_bytes token, size_t max_size, parts *out, tks_error *err) {
    tks_bytes rest = token;

    if (max_size == 0) max_size = TKS_JWT_SIZE_DEFAULT;
    if (token.size > max_size) {
        return tks_fail(err, TKS_ERR_INVALID_TOKEN,
                        "the token is not valid: it has %zu bytes, and max_size is %zu", token.size,
                        max_size);
    }
    if (token.size == 0) return refuse(err, "it is empty");
    if (!next_part(&rest, &out->header) || !next_part(&rest, &out->claims) ||
        memchr(rest.data, '.', rest.size) != NULL) {
        return refuse(err, "it does not have the three parts of a compact JWS");
    }
    if (out->header.size == 0 || out->claims.size == 0 || rest.size == 0) {
        return refuse(err, "one of its three parts is empty");
    }
    out->signature = rest;
    out->input = tks_bytes_of(token.data, out->header.size + 1 + out->claims.size);
    return TKS_OK;
}

static tks_status decode_part(tks_bytes part, unsigned char *room, const char *what, tks_bytes *out,
                              tks_error *err) {
    size_t size = 0;
    bool good = tksp_base64url_decode(part, room, &size);

    *out = tks_bytes_of((const char *)room, size);
    if (good) return TKS_OK;
    return tks_fail(err, TKS_ERR_INVALID_TOKEN,
                    "the token is not valid: its %s is not base64url without padding", what);
}

/* Parses one part, which must be a JSON object. `what` is its name in messages; `any`: accepts all
 * that JSON allows, nested as deeply as other programs' data, but no duplicate names. */
static tks_status parse_part(tks_bytes text, const char *what, bool any, tks_json **out,
                             tks_error *err) {
    const tks_json_rules rules = {.max_size = SIZE_MAX,
                                  .max_depth = any ? TKS_JSON_DEPTH_MAX : TKS_JSON_DEPTH,
                                  .any = any};
    tks_error why = TKS_ERROR_INIT;
    tks_status status = tks_json_read(text, &rules, out, &why);

    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status != TKS_OK) {
        return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token is not valid: its %s is %s", what,
                        why.message);
    }
    if (tks_json_get_type(*out) != TKS_JSON_OBJECT) {
        return tks_fail(err, TKS_ERR_INVALID_TOKEN,
                        "the token is not valid: its %s is not a JSON object", what);
    }
    return TKS_OK;
}

static bool is_wanted(tks_bytes name, uint32_t wanted, tks_jwt_alg *out) {
    return tks_jwt_alg_find(name, out, NULL) == TKS_OK && (wanted & TKS_JWT_BIT(*out)) != 0;
}

/* The header's algorithm, if it is one of `wanted`. */
static tks_status get_alg(const tks_json *header, uint32_t wanted, tks_jwt_alg *out,
                          tks_error *err) {
    const tks_json *alg = tks_json_find(header, "alg");

    if (alg == NULL || tks_json_get_type(alg) != TKS_JSON_STRING) {
        return refuse(err, "its header has no algorithm (alg)");
    }
    if (!is_wanted(tks_json_get_string(alg), wanted, out)) {
        return refuse(err, "its algorithm (alg) is not one of those allowed");
    }
    return TKS_OK;
}

/* Recognises the most common headers, which contain only alg and typ, without a parser. */
static bool is_plain(tks_bytes header, uint32_t wanted, tks_jwt_alg *out) {
    static const char begin[] = "{\"alg\":\"", end[] = "\",\"typ\":\"JWT\"}";
    const size_t begin_size = sizeof begin - 1, end_size = sizeof end - 1;

    if (header.size <= begin_size + end_size) return false;
    size_t size = header.size - begin_size - end_size;
    return memcmp(header.data, begin, begin_size) == 0 &&
           memcmp(header.data + begin_size + size, end, end_size) == 0 &&
           is_wanted(tks_bytes_of(header.data + begin_size, size), wanted, out);
}

/* *tree stays NULL for a plain header that is not requested. */
static tks_status read_header(tks_bytes text, const tks_jwt_policy *policy, tks_json **tree,
                              tks_jwt_alg *alg, tks_error *err) {
    tks_status status;

    if (policy->claims_only && policy->typ.size == 0 && is_plain(text, policy->algorithms, alg)) {
        return TKS_OK;
    }
    status = parse_part(text, "header", false, tree, err);
    if (status == TKS_OK) status = get_alg(*tree, policy->algorithms, alg, err);
    if (status == TKS_OK) status = tksp_jwt_check_header(*tree, policy, err);
    return status;
}

/* Checks that a key exists for one of the wanted algorithms. Otherwise no token can be valid: a configuration
 * error, not an invalid token. */
static tks_status check_keys(tks_key *const *keys, size_t count, uint32_t wanted, tks_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (keys[i]->can_verify && (keys[i]->algorithms & wanted) != 0) return TKS_OK;
    }
    if (count == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "no key was given, or the key set is empty");
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "no key can be used with the given algorithms: check each key's type, alg and "
                    "use, and for HS the length of the secret");
}

static bool fits(const tks_key *key, tks_jwt_alg alg, const tks_json *kid) {
    if (!key->can_verify || (key->algorithms & TKS_JWT_BIT(alg)) == 0) return false;
    return kid == NULL || key->kid_size == 0 ||
           tks_bytes_equal(tks_key_get_kid(key), tks_json_get_string(kid));
}

/* *key_unknown stays false if a key has the token's kid: then the signature is wrong. */
static tks_status check_signature(const tks_json *header, tks_jwt_alg alg, tks_key *const *keys,
                                  size_t count, tks_bytes input, tks_bytes signature,
                                  bool *key_unknown, tks_error *err) {
    const tks_json *kid = header != NULL ? tks_json_find(header, "kid") : NULL;
    bool named = false;
    unsigned tries = 0;

    for (size_t i = 0; i < count; i++) {
        tks_status status = TKS_OK;
        if (!fits(keys[i], alg, kid)) continue;
        named = named || (kid != NULL && keys[i]->kid_size > 0);
        if (tries++ == TKS_JWT_TRIES_MAX) {
            *key_unknown = !named;
            return tks_fail(err, TKS_ERR_INVALID_TOKEN,
                            "the token is not valid: its signature matches none of the first %d "
                            "suitable keys, and no more are tried: %s",
                            TKS_JWT_TRIES_MAX,
                            kid == NULL ? "it has no key id (kid)"
                                        : "the keys have no key id (kid), or share one");
        }
        status = keys[i]->ops->verify(keys[i], alg, input, signature);
        if (status == TKS_OK) return TKS_OK;
        if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    }
    *key_unknown = !named;
    return refuse(err, tries == 0 ? "no key matches its algorithm (alg) and key id (kid)"
                                  : "its signature is invalid");
}

void tksp_jwt_room_clear(tksp_jwt_room *room) {
    free(room->large);
}

tks_status tksp_jwt_open(tks_bytes token, tks_key *const *keys, size_t count,
                         const tks_jwt_policy *policy, tksp_jwt_room *room, tks_jwt *out,
                         tks_bytes *payload, tks_error *err) {
    unsigned char *at = room->usual;
    tks_jwt_alg alg = TKS_JWT_ALG_COUNT;
    tks_bytes text, signature;
    parts p;
    tks_status status = tksp_jwt_check_policy(policy, err);

    *out = (tks_jwt){.header = NULL};
    room->large = NULL;
    if (status == TKS_OK) {
        status = check_keys(keys, count, policy->algorithms, err);
        out->key_unknown = status != TKS_OK;
    }
    if (status == TKS_OK) status = split(token, policy->max_size, &p, err);
    if (status == TKS_OK && token.size > TKS_JWT_SIZE_DEFAULT) {
        at = room->large = malloc(token.size);
        if (at == NULL) status = tks_fail_memory(err);
    }
    if (status == TKS_OK) status = decode_part(p.header, at, "header", &text, err);
    if (status == TKS_OK) status = read_header(text, policy, &out->header, &alg, err);
    if (status == TKS_OK) status = decode_part(p.signature, at, "signature", &signature, err);
    if (status == TKS_OK) {
        status = check_signature(out->header, alg, keys, count, p.input, signature,
                                 &out->key_unknown, err);
    }
    if (status == TKS_OK) status = decode_part(p.claims, at, "payload", payload, err);
    if (status != TKS_OK) {
        tks_json_free(out->header);
        out->header = NULL;
    }
    return status;
}

tks_status tksp_jwt_read_claims(tks_bytes payload, const tks_jwt_policy *policy, tks_json **out,
                                tks_error *err) {
    tks_status status = parse_part(payload, "payload", true, out, err);
    if (status == TKS_OK) status = tksp_jwt_check_claims(*out, policy, err);
    if (status != TKS_OK) {
        tks_json_free(*out);
        *out = NULL;
    }
    return status;
}

tks_status tks_jwt_decode(tks_bytes token, tks_key *const *keys, size_t count,
                          const tks_jwt_policy *policy, tks_jwt *out, tks_error *err) {
    tksp_jwt_room room;
    tks_bytes payload;

    tks_status status = tksp_jwt_open(token, keys, count, policy, &room, out, &payload, err);
    if (status == TKS_OK) status = tksp_jwt_read_claims(payload, policy, &out->claims, err);
    tksp_jwt_room_clear(&room);
    if (status != TKS_OK) tks_jwt_clear(out);
    return status;
}

tks_status tks_jwt_read_header(tks_bytes token, size_t max_size, tks_json **out, tks_error *err) {
    unsigned char *room = NULL;
    tks_bytes text;
    parts p;
    *out = NULL;
    tks_status status = tksp_jwt_check_size(max_size, err);
    if (status == TKS_OK) status = split(token, max_size, &p, err);
    if (status == TKS_OK && (room = malloc(p.header.size)) == NULL) status = tks_fail_memory(err);
    if (status == TKS_OK) status = decode_part(p.header, room, "header", &text, err);
    if (status == TKS_OK) status = parse_part(text, "header", false, out, err);
    free(room);
    if (status != TKS_OK) {
        tks_json_free(*out);
        *out = NULL;
    }
    return status;
}

void tks_jwt_clear(tks_jwt *jwt) {
    tks_json_free(jwt->header);
    tks_json_free(jwt->claims);
    jwt->header = NULL;
    jwt->claims = NULL;
}
