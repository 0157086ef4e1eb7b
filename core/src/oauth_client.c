/* oauth_client.c - see oauth_client.h. */
#include "oauth_client.h"

#include "http_text.h"
#include "tokenstore/secret.h"

enum {
    TEXT_MAX = 16 * 1024,
    ASSERTION_S = 60, /* more is refused by some servers */
    JTI_SIZE = 16
};

static const char assertion_type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

tks_client_auth tks_client_auth_find(tks_bytes name) {
    static const char *const names[TKS_AUTH_COUNT] = {
#define NAME(name, text) text,
        TKS_CLIENT_AUTH_MAP(NAME)
#undef NAME
    };
    for (unsigned i = 0; i < TKS_AUTH_COUNT; i++) {
        if (tks_bytes_equal(name, tks_bytes_of(names[i], strlen(names[i]))))
            return (tks_client_auth)i;
    }
    return TKS_AUTH_COUNT;
}

/* ---- making ---- */

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "%s", problem);
}

static bool needs_secret(tks_client_auth auth) {
    return auth == TKS_AUTH_BASIC || auth == TKS_AUTH_BASIC_RAW || auth == TKS_AUTH_POST ||
           auth == TKS_AUTH_CLIENT_SECRET_JWT;
}

static void fault(tks_buf *faults, const char *text) {
    if (faults->size > 0) (void)tks_buf_append(faults, "; ", 2);
    (void)tks_buf_append(faults, text, strlen(text));
}

static tks_status check(const tks_spike_options *o, tks_error *err) {
    const tks_client_auth auth = o->client_auth;
    bool has_key = o->client_key != NULL || o->client_key_text.size > 0;
    tks_status status = TKS_OK;
    tks_buf faults;

    tks_buf_init(&faults, TEXT_MAX);
    if (auth >= TKS_AUTH_COUNT)
        fault(&faults,
              "client_auth must be 'basic', 'basic_raw', 'post', 'private_key_jwt', "
              "'client_secret_jwt', 'tls' or 'none'");
    if (o->client_id.size == 0) fault(&faults, "client_id is missing");
    if (needs_secret(auth) && o->client_secret.size == 0)
        fault(&faults, "client_secret is missing");
    if (auth == TKS_AUTH_PRIVATE_KEY_JWT && !has_key)
        fault(&faults, "client_key is missing: private_key_jwt signs with it");
    if (auth != TKS_AUTH_PRIVATE_KEY_JWT && has_key)
        fault(&faults, "client_key is given, and client_auth is not 'private_key_jwt'");
    if (auth == TKS_AUTH_BASIC_RAW && o->client_id.size > 0 &&
        memchr(o->client_id.data, ':', o->client_id.size) != NULL)
        fault(&faults,
              "client_id holds a ':', which ends it where it is sent raw: take "
              "client_auth 'basic' or 'post'");
    if (faults.status != TKS_OK)
        status = tks_fail_memory(err);
    else if (faults.size > 0)
        status = tks_fail(err, TKS_ERR_CONFIGURATION, "%.*s", (int)faults.size, faults.data);
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
    if (o->client_auth == TKS_AUTH_CLIENT_SECRET_JWT)
        return tks_key_from_secret(o->client_secret, NULL, tks_jwt_openssl(), out, err);
    if (o->client_key != NULL) {
        *out = tks_key_ref(o->client_key);
        return TKS_OK;
    }
    return is_json(o->client_key_text)
               ? tks_key_from_jwk(o->client_key_text, tks_jwt_openssl(), out, err)
               : tks_key_from_pem(o->client_key_text, NULL, out, err);
}

/* The key, and what it signs with. */
static tks_status take_key(tksp_client_credentials *out, const tks_spike_options *o,
                           tks_error *err) {
    tks_status status = load_key(o, &out->key, err);
    if (status != TKS_OK) return status;
    uint32_t can = tks_key_get_algorithms(out->key);
    bool is_secret = tks_key_get_kind(out->key) == TKS_KEY_SECRET;
    if (is_secret != (o->client_auth == TKS_AUTH_CLIENT_SECRET_JWT) || !tks_key_can_sign(out->key))
        return refuse(err, "client_key must be a private key");
    for (unsigned i = TKS_JWT_ALG_COUNT; i > 0; i--) {
        if ((can & TKS_JWT_BIT(i - 1)) != 0) out->algorithm = (tks_jwt_alg)(i - 1);
    }
    if (o->client_algorithm.size == 0) return TKS_OK;
    status = tks_jwt_alg_find(o->client_algorithm, &out->algorithm, err);
    if (status == TKS_OK && (can & TKS_JWT_BIT(out->algorithm)) == 0)
        status = refuse(err, "client_algorithm is none that the key can do");
    return status;
}

static tks_status take_header(tksp_client_credentials *out, const tks_spike_options *o,
                              tks_error *err) {
    tks_buf text;
    tks_buf_init(&text, TEXT_MAX);
    tks_status status = tksp_http_basic(&text, o->client_id, o->client_secret,
                                        o->client_auth == TKS_AUTH_BASIC_RAW);
    out->authorization = tksp_arena_dup(&out->arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    if (status == TKS_ERR_DATA) return refuse(err, "client_id or client_secret is too long");
    return status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

tks_status tksp_client_credentials_init(tksp_client_credentials *out, const tks_spike_options *o,
                                        tks_error *err) {
    *out = (tksp_client_credentials){.auth = o->client_auth};
    tks_status status = check(o, err);
    if (status != TKS_OK) return status;
    out->id = tksp_arena_dup(&out->arena, o->client_id);
    out->token_url = tksp_arena_dup(&out->arena, o->token_url);
    switch (o->client_auth) {
    case TKS_AUTH_BASIC:
    case TKS_AUTH_BASIC_RAW: status = take_header(out, o, err); break;
    case TKS_AUTH_POST: out->secret = tksp_arena_dup(&out->arena, o->client_secret); break;
    case TKS_AUTH_PRIVATE_KEY_JWT:
    case TKS_AUTH_CLIENT_SECRET_JWT: status = take_key(out, o, err); break;
    case TKS_AUTH_TLS:
    case TKS_AUTH_NONE:
    case TKS_AUTH_COUNT: break;
    }
    return status == TKS_OK && out->arena.status != TKS_OK ? tks_fail_memory(err) : status;
}

void tksp_client_credentials_clear(tksp_client_credentials *credentials) {
    tks_key_free(credentials->key);
    tksp_arena_clear(&credentials->arena);
}

/* ---- using ---- */

static tks_status write_claims(const tksp_client_credentials *c, int64_t now_ms, tks_buf *out,
                               tks_error *err) {
    const struct {
        tks_bytes name, value;
    } texts[] = {{TKS_LITERAL("iss"), c->id},
                 {TKS_LITERAL("sub"), c->id},
                 {TKS_LITERAL("aud"), c->token_url}};
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

static tks_status make_assertion(const tksp_client_credentials *c, int64_t now_ms,
                                 tksp_arena *arena, tks_bytes *out, tks_error *err) {
    tks_buf claims, token;
    tks_buf_init(&claims, TEXT_MAX);
    tks_buf_init(&token, 2 * TEXT_MAX);
    tks_status status = write_claims(c, now_ms, &claims, err);
    if (status == TKS_OK)
        status = tks_jwt_encode(tks_buf_bytes(&claims), c->key, c->algorithm, tks_bytes_of(NULL, 0),
                                2 * TEXT_MAX, &token, err);
    *out = tksp_arena_dup(arena, tks_buf_bytes(&token));
    tks_buf_clear(&claims);
    tks_buf_wipe(&token);
    return status == TKS_OK && arena->status != TKS_OK ? tks_fail_memory(err) : status;
}

tks_status tksp_client_parameters(const tksp_client_credentials *c, int64_t now_ms,
                                  tksp_arena *arena, tks_spike_parameter *out, size_t *count,
                                  tks_error *err) {
    *count = 0;
    if (c->authorization.size > 0) return TKS_OK;
    out[(*count)++] = (tks_spike_parameter){TKS_LITERAL("client_id"), c->id};
    if (c->secret.size > 0)
        out[(*count)++] = (tks_spike_parameter){TKS_LITERAL("client_secret"), c->secret};
    if (c->key == NULL) return TKS_OK;
    out[(*count)++] =
        (tks_spike_parameter){TKS_LITERAL("client_assertion_type"),
                              tks_bytes_of(assertion_type, sizeof assertion_type - 1)};
    out[*count].name = TKS_LITERAL("client_assertion");
    return make_assertion(c, now_ms, arena, &out[(*count)++].value, err);
}
