/* jwt_encode.c - creates a token: header, claims, signature (RFC 7515 section 5.1).
 *
 * Creates only tokens that tks_jwt_decode would accept. */
#include "jwt_private.h"

enum {
    KID_MAX = 8 * 1024,
    SMALL_SIGNATURE = 192 /* characters, with both dots: all algorithms except RSA */
};

static const tks_bytes no_text = {NULL, 0};

/* `text` is JSON with quotes, as returned by tks_json_next_member. */
static bool is_quoted(tks_bytes text, const char *word) {
    size_t size = strlen(word);
    return text.size == size + 2 && memcmp(text.data + 1, word, size) == 0;
}

static tks_status refuse_header(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_DATA, "a header %s", problem);
}

/* True if cty, a JSON string, denotes a nested token. */
static bool is_nested(tks_bytes cty) {
    return tksp_jwt_is_nested(tks_bytes_of(cty.data + 1, cty.size - 2));
}

/* typ and kid of the caller's headers. */
typedef struct given {
    tks_bytes typ, kid; /* JSON texts; empty: not given */
} given;

static tks_status read_headers(tks_bytes headers, given *out, tks_error *err) {
    tks_bytes name, value;
    size_t at = 0;

    out->typ = no_text;
    out->kid = no_text;
    while (headers.size > 0 && tks_json_next_member(headers, &at, &name, &value)) {
        bool is_typ = is_quoted(name, "typ"), is_cty = is_quoted(name, "cty");
        if (is_quoted(name, "alg")) {
            return refuse_header(err, "must not contain alg: use the algorithm argument");
        }
        if (is_quoted(name, "crit") || is_quoted(name, "b64") || is_quoted(name, "zip")) {
            return refuse_header(err, "must not be crit, b64 or zip: they are not supported");
        }
        if (is_cty && (value.data[0] != '"' || is_nested(value))) {
            return refuse_header(
                err, "cty must be a string other than \"JWT\": nested tokens are not supported");
        }
        if (!is_typ && !is_quoted(name, "kid")) continue;
        if (value.data[0] != '"' && value.data[0] != 'n') {
            return refuse_header(err, "typ or kid must be a string, or null to omit it");
        }
        if (is_typ) {
            out->typ = value;
        } else {
            out->kid = value;
        }
    }
    return TKS_OK;
}

static void append_member(tks_buf *out, tks_bytes name, tks_bytes value) {
    (void)tks_buf_append(out, ",", 1);
    (void)tks_buf_append_bytes(out, name);
    (void)tks_buf_append(out, ":", 1);
    (void)tks_buf_append_bytes(out, value);
}

static bool is_null(tks_bytes json) {
    return json.size > 0 && json.data[0] == 'n';
}

/* Appends the key's kid as JSON. It may be any bytes; the writer rejects what JSON cannot represent. */
static tks_status append_kid(tks_buf *out, tks_bytes kid, tks_error *err) {
    tks_json_writer w;
    (void)tks_buf_append(out, ",\"kid\":", 7);
    tks_json_writer_init(&w, out, KID_MAX, "the key's kid", err);
    return tks_json_write_string(&w, kid);
}

/* Appends the header's text: alg, typ, kid, the caller's other members. */
static tks_status make_header(const tks_key *key, tks_jwt_alg alg, tks_bytes headers, tks_buf *out,
                              tks_error *err) {
    const char *alg_name = tks_jwt_alg_name(alg);
    tks_bytes name, value;
    size_t at = 0;
    given g;
    tks_status status = read_headers(headers, &g, err);

    if (status != TKS_OK) return status;
    (void)tks_buf_append(out, "{\"alg\":\"", 8);
    (void)tks_buf_append(out, alg_name, strlen(alg_name));
    (void)tks_buf_append(out, "\"", 1);
    if (!is_null(g.typ)) {
        append_member(out, TKS_LITERAL("\"typ\""), g.typ.size > 0 ? g.typ : TKS_LITERAL("\"JWT\""));
    }
    if (g.kid.size > 0) {
        if (!is_null(g.kid)) append_member(out, TKS_LITERAL("\"kid\""), g.kid);
    } else if (key->kid_size > 0) {
        status = append_kid(out, tks_key_get_kid(key), err);
        if (status != TKS_OK) return status;
    }
    while (headers.size > 0 && tks_json_next_member(headers, &at, &name, &value)) {
        if (!is_quoted(name, "typ") && !is_quoted(name, "kid")) append_member(out, name, value);
    }
    return tks_buf_append(out, "}", 1);
}

/* The claims that decode checks, as JSON; empty if missing. */
typedef struct known {
    tks_bytes exp, nbf, iat, aud;
} known;

static void find_known(tks_bytes claims, known *out) {
    tks_bytes name, value;
    size_t at = 0;

    *out = (known){no_text, no_text, no_text, no_text};
    while (tks_json_next_member(claims, &at, &name, &value)) {
        if (is_quoted(name, "exp")) out->exp = value;
        if (is_quoted(name, "nbf")) out->nbf = value;
        if (is_quoted(name, "iat")) out->iat = value;
        if (is_quoted(name, "aud")) out->aud = value;
    }
}

/* True for a number or a missing claim. */
static bool is_time(tks_bytes json) {
    return json.size == 0 || json.data[0] == '-' || (json.data[0] >= '0' && json.data[0] <= '9');
}

/* A string, or a list of strings, at least one of them non-empty: decode never accepts "" as the expected
 * audience. */
static bool is_audience(const tks_json *aud) {
    bool named = false;
    if (tks_json_get_type(aud) == TKS_JSON_STRING) return tks_json_get_string(aud).size > 0;
    if (tks_json_get_type(aud) != TKS_JSON_ARRAY) return false;
    for (aud = tks_json_get_child(aud); aud != NULL; aud = tks_json_get_next(aud)) {
        if (tks_json_get_type(aud) != TKS_JSON_STRING) return false;
        named = named || tks_json_get_string(aud).size > 0;
    }
    return named;
}

static tks_status check_audience(tks_bytes json, tks_error *err) {
    tks_json *tree = NULL;
    tks_status status = TKS_OK;

    if (json.size == 0 || (json.size > 2 && json.data[0] == '"')) return TKS_OK;
    status = tks_json_parse(json, json.size, &tree, NULL);
    if (status == TKS_OK && !is_audience(tree)) status = TKS_ERR_DATA;
    tks_json_free(tree);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    return status == TKS_OK
               ? TKS_OK
               : tks_fail(err, TKS_ERR_DATA,
                          "claims: aud must be a string or a list of strings, not empty");
}

/* Checks that the token would be valid at some time. */
static tks_status check_span(const known *k, tks_error *err) {
    tks_json *tree = NULL;
    tks_buf text;
    tks_status status = TKS_OK;

    if (k->exp.size > 0 && k->exp.data[0] == '-') {
        return tks_fail(err, TKS_ERR_DATA, "claims: exp is before 1970");
    }
    if (k->exp.size == 0 || k->nbf.size == 0) return TKS_OK;
    tks_buf_init(&text, SIZE_MAX);
    (void)tks_buf_append(&text, "[", 1);
    (void)tks_buf_append_bytes(&text, k->nbf);
    (void)tks_buf_append(&text, ",", 1);
    (void)tks_buf_append_bytes(&text, k->exp);
    status = tks_buf_append(&text, "]", 1);
    if (status == TKS_OK) status = tks_json_parse(tks_buf_bytes(&text), text.size, &tree, NULL);
    if (status == TKS_OK) {
        const tks_json *nbf = tks_json_get_child(tree);
        if (tks_json_get_double(nbf) >= tks_json_get_double(tks_json_get_next(nbf))) {
            status = tks_fail(err, TKS_ERR_DATA,
                              "claims: nbf is not before exp: the token would never be valid");
        }
    }
    tks_json_free(tree);
    tks_buf_clear(&text);
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}

/* Rejects what decode would always reject. */
static tks_status check_claims(tks_bytes claims, tks_error *err) {
    known k;

    if (claims.size < 2 || claims.data[0] != '{') {
        return tks_fail(err, TKS_ERR_DATA, "claims must be a JSON object");
    }
    find_known(claims, &k);
    if (!is_time(k.exp) || !is_time(k.nbf) || !is_time(k.iat)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "claims: exp, nbf and iat must be numbers, seconds since the epoch");
    }
    tks_status status = check_span(&k, err);
    return status == TKS_OK ? check_audience(k.aud, err) : status;
}

static tks_status check_key(const tks_key *key, tks_jwt_alg alg, tks_error *err) {
    if ((unsigned)alg >= TKS_JWT_ALG_COUNT || (key->algorithms & TKS_JWT_BIT(alg)) == 0) {
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "this key (%s) cannot be used for %s: its type, length or alg does not match",
            tks_key_get_kind_name(key), tks_jwt_alg_name(alg));
    }
    if (!key->can_sign) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "this key (%s) cannot sign: it is a public key, or its key_ops lack sign",
                        tks_key_get_kind_name(key));
    }
    return TKS_OK;
}

/* header '.' claims '.' signature, appended to `token`. */
static tks_status assemble(tks_bytes claims, const tks_key *key, tks_jwt_alg alg, tks_bytes header,
                           tks_buf *token, tks_error *err) {
    unsigned char signature[TKSP_SIGNATURE_MAX];
    size_t size = 0;
    char *at = NULL;
    tks_status status = TKS_OK;

    /* Reserves the whole size at once: growing would copy and wipe. */
    if (header.size + claims.size < TKS_JWT_SIZE_DEFAULT / 2) {
        (void)tks_buf_reserve(token, (header.size + claims.size) / 3 * 4 + SMALL_SIGNATURE, &at);
    }
    (void)tksp_base64url_encode(header, token);
    (void)tks_buf_append(token, ".", 1);
    (void)tksp_base64url_encode(claims, token);
    if (token->status != TKS_OK) return token->status;
    status = key->ops->sign(key, alg, tks_buf_bytes(token), signature, &size, err);
    if (status != TKS_OK) return status;
    (void)tks_buf_append(token, ".", 1);
    return tksp_base64url_encode(tks_bytes_of((const char *)signature, size), token);
}

tks_status tks_jwt_encode(tks_bytes claims, const tks_key *key, tks_jwt_alg alg, tks_bytes headers,
                          size_t max_size, tks_buf *out, tks_error *err) {
    tks_buf header, token;
    tks_status status = check_key(key, alg, err);

    if (status == TKS_OK) status = tksp_jwt_check_size(max_size, err);
    if (status == TKS_OK) status = check_claims(claims, err);
    if (status != TKS_OK) return status;
    if (max_size == 0) max_size = TKS_JWT_SIZE_DEFAULT;
    tks_buf_init(&header, max_size);
    tks_buf_init(&token, max_size);
    status = make_header(key, alg, headers, &header, err);
    if (status == TKS_OK) status = assemble(claims, key, alg, tks_buf_bytes(&header), &token, err);
    if (status == TKS_OK) status = tks_buf_append_bytes(out, tks_buf_bytes(&token));
    tks_buf_clear(&header);
    tks_buf_wipe(&token); /* a token is a credential */
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status == TKS_ERR_DATA) {
        return tks_fail(err, TKS_ERR_DATA,
                        "the token would be longer than %zu bytes: shorten the claims, or raise "
                        "max_size here and where it is decoded",
                        max_size);
    }
    return status;
}
