/* oauth_client.c - see oauth_client.h. */
#include "oauth_client.h"

#include "http_text.h"
#include "tokenstore/secret.h"

enum {
    TEXT_MAX = 16 * 1024,
    SECRET_MAX = 64 * 1024,
    ASSERTION_S = 60, /* some servers reject longer ones */
    JTI_SIZE = 16
};

static const char assertion_type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/* ---- making ---- */

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "%s", problem);
}

static bool needs_secret(tks_client_auth auth) {
    return auth == TKS_AUTH_BASIC || auth == TKS_AUTH_BASIC_RAW || auth == TKS_AUTH_POST ||
           auth == TKS_AUTH_CLIENT_SECRET_JWT || auth == TKS_AUTH_AUTO;
}

static bool has_key(const tks_spike_options *o) {
    return o->client_key != NULL || o->client_key_text.size > 0;
}

/* The method of "auto", if the options determine it. */
static tks_client_auth chosen(const tks_spike_options *o) {
    if (o->client_auth != TKS_AUTH_AUTO) return o->client_auth;
    if (has_key(o)) return TKS_AUTH_PRIVATE_KEY_JWT;
    if (o->client_secret.size == 0 && !o->client_given && o->binding.size > 0) return TKS_AUTH_TLS;
    return o->discover.size > 0 ? TKS_AUTH_AUTO : TKS_AUTH_BASIC;
}

static tks_status check(const tks_spike_options *o, tks_error *err) {
    const tks_client_auth auth = chosen(o);
    bool has_secret = o->client_secret.size > 0 || (o->client_given && auth != TKS_AUTH_ASSERTION);
    tks_status status = TKS_OK;
    tks_buf faults;

    tks_buf_init(&faults, TEXT_MAX);
    if (o->client_id.size == 0) tks_faults_add(&faults, "client_id is missing");
    if (needs_secret(auth) && !has_secret) tks_faults_add(&faults, "client_secret is missing");
    if (o->client_secret.size > 0 && o->client_given) {
        tks_faults_add(&faults,
                       "the client's secret or assertion is given twice: give one of them");
    }
    if (auth == TKS_AUTH_ASSERTION && !o->client_given) {
        tks_faults_add(&faults,
                       "client_assertion is missing: give a function, or client_assertion_file");
    }
    if (o->client_given && !needs_secret(auth) && auth != TKS_AUTH_ASSERTION) {
        tks_faults_add(
            &faults, "this client_auth sends neither a secret nor an assertion, and one is given");
    }
    if (auth == TKS_AUTH_PRIVATE_KEY_JWT && !has_key(o)) {
        tks_faults_add(&faults, "client_key is missing: private_key_jwt signs with it");
    }
    if (o->client_auth == TKS_AUTH_AUTO && has_key(o) && has_secret) {
        tks_faults_add(&faults,
                       "client_key and client_secret are both given: choose one with client_auth");
    }
    if (auth != TKS_AUTH_PRIVATE_KEY_JWT && has_key(o)) {
        tks_faults_add(&faults, "client_key is given, and client_auth is not 'private_key_jwt'");
    }
    if (o->client_certificate.size > 0 && !has_key(o)) {
        tks_faults_add(
            &faults,
            "client_certificate is given without client_key: give the certificate's key too");
    }
    if (auth == TKS_AUTH_BASIC_RAW && o->client_id.size > 0 &&
        memchr(o->client_id.data, ':', o->client_id.size) != NULL) {
        tks_faults_add(
            &faults,
            "client_id contains a ':', which basic_raw cannot send: use client_auth 'basic' or "
            "'post'");
    }
    if (faults.status != TKS_OK) {
        status = tks_fail_memory(err);
    } else if (faults.size > 0) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION, "%.*s", (int)faults.size, faults.data);
    }
    tks_buf_clear(&faults);
    return status;
}

static bool is_json(tks_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL) return text.data[i] == '{';
    }
    return false;
}

static tks_status load_key(const tks_spike_options *o, tks_key **out, tks_error *err) {
    if (o->client_key != NULL) {
        *out = tks_key_ref(o->client_key);
        return TKS_OK;
    }
    return is_json(o->client_key_text)
               ? tks_key_from_jwk(o->client_key_text, tks_jwt_openssl(), out, err)
               : tks_key_from_pem(o->client_key_text, NULL, out, err);
}

/* The algorithm of `key`: the requested one, else the first that it supports. */
static tks_status choose_algorithm(const tks_key *key, tks_bytes wanted, tks_jwt_alg *out,
                                   tks_error *err) {
    uint32_t can = tks_key_get_algorithms(key);
    for (unsigned i = TKS_JWT_ALG_COUNT; i > 0; i--) {
        if ((can & TKS_JWT_BIT(i - 1)) != 0) *out = (tks_jwt_alg)(i - 1);
    }
    if (wanted.size == 0) return TKS_OK;
    tks_status status = tks_jwt_alg_find(wanted, out, err);
    if (status == TKS_OK && (can & TKS_JWT_BIT(*out)) == 0) {
        status = refuse(err, "client_algorithm cannot be used with this key");
    }
    return status;
}

static tks_status take_key(tksp_client_credentials *out, const tks_spike_options *o,
                           tks_error *err) {
    tks_jwt_alg algorithm = TKS_JWT_ALG_COUNT;
    tks_status status = load_key(o, &out->key, err);
    if (status != TKS_OK) return status;
    if (tks_key_get_kind(out->key) == TKS_KEY_SECRET || !tks_key_can_sign(out->key)) {
        return refuse(err, "client_key must be a private key");
    }
    status = choose_algorithm(out->key, o->client_algorithm, &algorithm, err);
    if (status != TKS_OK || o->client_certificate.size == 0) return status;
    return tksp_certificate_header(o->client_certificate, out->key, &out->arena, &out->headers,
                                   err);
}

/* The key of client_secret_jwt. */
static tks_status key_of_secret(tks_bytes secret, tks_bytes wanted, tks_key **out,
                                tks_jwt_alg *algorithm, tks_error *err) {
    tks_status status = tks_key_from_secret(secret, NULL, tks_jwt_openssl(), out, err);
    if (status == TKS_OK) status = choose_algorithm(*out, wanted, algorithm, err);
    return status;
}

/* Reports now what would fail for each request. */
static tks_status try_secret(const tks_spike_options *o, tks_error *err) {
    tks_jwt_alg algorithm = TKS_JWT_ALG_COUNT;
    tks_key *key = NULL;
    tks_status status = key_of_secret(o->client_secret, o->client_algorithm, &key, &algorithm, err);
    tks_key_free(key);
    return status;
}

tks_status tksp_client_hide(const tksp_client_credentials *c, tks_bytes given, tksp_arena *arena,
                            tks_bytes *out) {
    tks_bytes secret = given.size > 0 ? given : c->secret;
    tks_buf text;
    tks_buf_init(&text, 3 * secret.size + 1);
    (void)tksp_http_form_encode(&text, secret);
    out[0] = secret;
    out[1] = tksp_arena_dup(arena, tks_buf_bytes(&text));
    tks_status status = text.status == TKS_OK ? arena->status : TKS_ERR_MEMORY;
    tks_buf_wipe(&text);
    return status;
}

tks_status tksp_client_credentials_init(tksp_client_credentials *out, const tks_spike_options *o,
                                        tks_error *err) {
    *out = (tksp_client_credentials){.auth = chosen(o),
                                     .given = o->client_given,
                                     .has_certificate = o->binding.size > 0};
    tks_status status = check(o, err);
    if (status != TKS_OK) return status;
    out->id = tksp_arena_dup(&out->arena, o->client_id);
    out->secret = tksp_arena_dup(&out->arena, o->client_secret);
    out->algorithm = tksp_arena_dup(&out->arena, o->client_algorithm);
    out->audience = tksp_arena_dup(&out->arena, o->assertion_audience);
    if (o->client_id.size + o->client_secret.size > SECRET_MAX) {
        status = refuse(err, "client_id or client_secret is too long");
    } else if (out->auth == TKS_AUTH_PRIVATE_KEY_JWT) {
        status = take_key(out, o, err);
    } else if (out->auth == TKS_AUTH_CLIENT_SECRET_JWT && !o->client_given) {
        status = try_secret(o, err);
    }
    return status == TKS_OK && out->arena.status != TKS_OK ? tks_fail_memory(err) : status;
}

void tksp_client_credentials_clear(tksp_client_credentials *credentials) {
    tks_key_free(credentials->key);
    tksp_arena_clear(&credentials->arena);
}

/* ---- requests ---- */

static tks_status write_claims(tks_bytes id, tks_bytes audience, int64_t now_ms, tks_buf *out,
                               tks_error *err) {
    const struct {
        tks_bytes name, value;
    } texts[] = {{TKS_LITERAL("iss"), id},
                 {TKS_LITERAL("sub"), id},
                 {TKS_LITERAL("aud"), audience}};
    char random[JTI_SIZE];
    tks_buf jti;
    tks_json_writer w;

    tks_random(random, sizeof random);
    tks_buf_init(&jti, TEXT_MAX);
    tks_json_writer_init(&w, out, TEXT_MAX, "the client's assertion", err);
    tks_status status = tks_encode(TKS_HEX, random, sizeof random, &jti);
    if (status == TKS_OK) status = tks_json_begin_object(&w);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == TKS_OK; i++) {
        status = tks_json_write_name(&w, texts[i].name);
        if (status == TKS_OK) status = tks_json_write_string(&w, texts[i].value);
    }
    if (status == TKS_OK) status = tks_json_write_name(&w, TKS_LITERAL("jti"));
    if (status == TKS_OK) status = tks_json_write_string(&w, tks_buf_bytes(&jti));
    if (status == TKS_OK) status = tks_json_write_name(&w, TKS_LITERAL("iat"));
    if (status == TKS_OK) status = tks_json_write_integer(&w, now_ms / 1000);
    if (status == TKS_OK) status = tks_json_write_name(&w, TKS_LITERAL("exp"));
    if (status == TKS_OK) status = tks_json_write_integer(&w, now_ms / 1000 + ASSERTION_S);
    if (status == TKS_OK) status = tks_json_end_object(&w);
    tks_buf_clear(&jti);
    return status;
}

static tks_status sign(const tksp_client_credentials *c, const tks_key *key, tks_jwt_alg algorithm,
                       tks_bytes token_url, int64_t now_ms, tksp_arena *arena, tks_bytes *out,
                       tks_error *err) {
    tks_buf claims, token;
    tks_buf_init(&claims, TEXT_MAX);
    tks_buf_init(&token, 2 * TEXT_MAX);
    tks_bytes audience = c->audience.size > 0 ? c->audience : token_url;
    tks_status status = write_claims(c->id, audience, now_ms, &claims, err);
    if (status == TKS_OK) {
        status = tks_jwt_encode(tks_buf_bytes(&claims), key, algorithm, c->headers, 2 * TEXT_MAX,
                                &token, err);
    }
    *out = tksp_arena_dup(arena, tks_buf_bytes(&token));
    tks_buf_clear(&claims);
    tks_buf_wipe(&token);
    return status == TKS_OK && arena->status != TKS_OK ? tks_fail_memory(err) : status;
}

static tks_status assert_by_key(const tksp_client_credentials *c, tks_bytes token_url,
                                int64_t now_ms, tksp_arena *arena, tks_bytes *out, tks_error *err) {
    tks_jwt_alg algorithm = TKS_JWT_ALG_COUNT;
    tks_status status = choose_algorithm(c->key, c->algorithm, &algorithm, err);
    return status == TKS_OK ? sign(c, c->key, algorithm, token_url, now_ms, arena, out, err)
                            : status;
}

static tks_status assert_by_secret(const tksp_client_credentials *c, tks_bytes secret,
                                   tks_bytes token_url, int64_t now_ms, tksp_arena *arena,
                                   tks_bytes *out, tks_error *err) {
    tks_jwt_alg algorithm = TKS_JWT_ALG_COUNT;
    tks_key *key = NULL;
    tks_status status = key_of_secret(secret, c->algorithm, &key, &algorithm, err);
    if (status == TKS_OK) status = sign(c, key, algorithm, token_url, now_ms, arena, out, err);
    tks_key_free(key);
    return status;
}

static tks_status write_basic(const tksp_client_credentials *c, tks_bytes secret, bool raw,
                              tksp_arena *arena, tks_bytes *out, tks_error *err) {
    tks_buf text;
    tks_buf_init(&text, 8 * SECRET_MAX);
    tks_status status = tksp_http_basic(&text, c->id, secret, raw);
    *out = tksp_arena_dup(arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return status == TKS_OK && arena->status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

tks_status tksp_client_choose(const tksp_client_credentials *c, uint32_t methods,
                              tks_client_auth *out, tks_error *err) {
    static const tks_client_auth order[] = {TKS_AUTH_BASIC, TKS_AUTH_POST,
                                            TKS_AUTH_CLIENT_SECRET_JWT};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if ((methods & UINT32_C(1) << order[i]) == 0) continue;
        *out = order[i];
        return TKS_OK;
    }
    if (c->has_certificate && (methods & UINT32_C(1) << TKS_AUTH_TLS) != 0) {
        *out = TKS_AUTH_TLS;
        return TKS_OK;
    }
    return refuse(err,
                  "the issuer's metadata lists no client authentication with a secret: set "
                  "client_auth, or give client_key or client_assertion");
}

static void add(tksp_client_shown *out, tks_bytes name, tks_bytes value) {
    out->parameters[out->count++] = (tks_spike_parameter){name, value};
}

tks_status tksp_client_show(const tksp_client_credentials *c, tks_client_auth auth, tks_bytes given,
                            tks_bytes token_url, int64_t now_ms, tksp_arena *arena,
                            tksp_client_shown *out, tks_error *err) {
    tks_bytes secret = c->given ? given : c->secret, assertion = tks_bytes_of(NULL, 0);
    tks_status status = TKS_OK;

    *out = (tksp_client_shown){0};
    if (c->given && (given.size == 0 || given.size > SECRET_MAX)) {
        return refuse(err, given.size == 0 ? "the client's secret or assertion is empty"
                                           : "the client's secret or assertion is too long");
    }
    switch (auth) {
    case TKS_AUTH_BASIC:
    case TKS_AUTH_BASIC_RAW:
        return write_basic(c, secret, auth == TKS_AUTH_BASIC_RAW, arena, &out->authorization, err);
    case TKS_AUTH_PRIVATE_KEY_JWT:
        status = assert_by_key(c, token_url, now_ms, arena, &assertion, err);
        break;
    case TKS_AUTH_CLIENT_SECRET_JWT:
        status = assert_by_secret(c, secret, token_url, now_ms, arena, &assertion, err);
        break;
    case TKS_AUTH_ASSERTION: assertion = given; break;
    default: break;
    }
    add(out, TKS_LITERAL("client_id"), c->id);
    if (auth == TKS_AUTH_POST) add(out, TKS_LITERAL("client_secret"), secret);
    if (assertion.size == 0) return status;
    add(out, TKS_LITERAL("client_assertion_type"),
        tks_bytes_of(assertion_type, sizeof assertion_type - 1));
    add(out, TKS_LITERAL("client_assertion"), assertion);
    return status;
}
