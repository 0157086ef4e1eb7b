/* jwt_encode.c - making a token: header, claims, signature (RFC 7515 section 5.1).
 *
 * Only what tks_jwt_decode would take is made. */
#include "jwt_private.h"

enum {
    HEADER_MAX = TKS_JWT_SIZE_MAX,
    SMALL_SIGNATURE = 192 /* characters: all but RSA's, with both dots */
};

static const tks_bytes no_text = {NULL, 0};

/* `text` is JSON with its quotes, as tks_json_next_member gives names and values. */
static bool is_quoted(tks_bytes text, const char *word) {
    size_t size = strlen(word);
    return text.size == size + 2 && memcmp(text.data + 1, word, size) == 0;
}

static tks_status refuse_header(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_DATA, "a header %s", problem);
}

/* What the caller's headers say of typ and kid; `*others` tells whether there is more. */
typedef struct given {
    tks_bytes typ, kid; /* JSON texts; empty: not said */
} given;

static tks_status read_headers(tks_bytes headers, given *out, tks_error *err) {
    tks_bytes name, value;
    size_t at = 0;

    out->typ = no_text;
    out->kid = no_text;
    while (headers.size > 0 && tks_json_next_member(headers, &at, &name, &value)) {
        bool is_typ = is_quoted(name, "typ");
        if (is_quoted(name, "alg"))
            return refuse_header(err, "may not give alg: it is the algorithm argument's");
        if (is_quoted(name, "crit") || is_quoted(name, "b64") || is_quoted(name, "zip"))
            return refuse_header(err, "may not be crit, b64 or zip: no reader here would take it");
        if (!is_typ && !is_quoted(name, "kid")) continue;
        if (value.data[0] != '"' && value.data[0] != 'n')
            return refuse_header(err, "typ or kid must be a string, or null to leave it out");
        if (is_typ)
            out->typ = value;
        else
            out->kid = value;
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

/* The key's kid as JSON. It may be any bytes; the writer refuses what JSON cannot hold. */
static tks_status append_kid(tks_buf *out, tks_bytes kid, tks_error *err) {
    tks_json_writer w;
    (void)tks_buf_append(out, ",\"kid\":", 7);
    tks_json_writer_init(&w, out, HEADER_MAX, "the key's kid", err);
    return tks_json_write_string(&w, kid);
}

/* Appends the header's text: alg, typ, kid, the caller's others. */
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
    if (!is_null(g.typ))
        append_member(out, TKS_LITERAL("\"typ\""), g.typ.size > 0 ? g.typ : TKS_LITERAL("\"JWT\""));
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

/* The times must be numbers: a token that says otherwise is good for nobody. */
static tks_status check_claims(tks_bytes claims, tks_error *err) {
    tks_bytes name, value;
    size_t at = 0;

    if (claims.size < 2 || claims.data[0] != '{')
        return tks_fail(err, TKS_ERR_DATA, "claims must be a JSON object");
    while (tks_json_next_member(claims, &at, &name, &value)) {
        bool is_number = value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9');
        if (is_number) continue;
        if (is_quoted(name, "exp") || is_quoted(name, "nbf") || is_quoted(name, "iat"))
            return tks_fail(err, TKS_ERR_DATA,
                            "claims: exp, nbf and iat are numbers, seconds since the epoch");
    }
    return TKS_OK;
}

static tks_status check_key(const tks_key *key, tks_jwt_alg alg, tks_error *err) {
    if ((unsigned)alg >= TKS_JWT_ALG_COUNT || (key->algorithms & TKS_JWT_BIT(alg)) == 0)
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "this key (%s) cannot do %s: its kind, its length or its alg is another one",
            tks_key_get_kind_name(key), tks_jwt_alg_name(alg));
    if (!key->can_sign)
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "this key (%s) cannot sign: it is a public key, or its key_ops lack sign",
                        tks_key_get_kind_name(key));
    return TKS_OK;
}

/* header '.' claims '.' signature, appended to `token`. */
static tks_status assemble(tks_bytes claims, const tks_key *key, tks_jwt_alg alg, tks_bytes header,
                           tks_buf *token, tks_error *err) {
    unsigned char signature[TKSP_SIGNATURE_MAX];
    size_t size = 0;
    char *at = NULL;
    tks_status status = TKS_OK;

    /* Room for it all at once: a buffer that grows wipes what it leaves. */
    if (header.size + claims.size < TKS_JWT_SIZE_MAX / 2)
        (void)tks_buf_reserve(token, (header.size + claims.size) / 3 * 4 + SMALL_SIGNATURE, &at);
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
                          tks_buf *out, tks_error *err) {
    tks_buf header, token;
    tks_status status = check_key(key, alg, err);

    if (status == TKS_OK) status = check_claims(claims, err);
    if (status != TKS_OK) return status;
    tks_buf_init(&header, HEADER_MAX);
    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    status = make_header(key, alg, headers, &header, err);
    if (status == TKS_OK) status = assemble(claims, key, alg, tks_buf_bytes(&header), &token, err);
    if (status == TKS_OK) status = tks_buf_append_bytes(out, tks_buf_bytes(&token));
    tks_buf_clear(&header);
    tks_buf_wipe(&token); /* a token opens doors */
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status == TKS_ERR_DATA)
        return tks_fail(err, TKS_ERR_DATA,
                        "the token would be longer than 8 KiB, which no reader here takes: put "
                        "less into it");
    return status;
}
