/* fuzz_jws.c - any token is accepted or rejected, and only with a status that blames the token; a header and
 * claims signed with our key are accepted only if they are equal when written again; and the claims that
 * verify reads without the parser equal those of the parser.
 * Input: a token; or, with a newline in it, a header and a payload that are signed here. */
#include "fuzz.h"
#include "jwt_private.h"
#include "ops/jwt_sessions_private.h"

enum { ROOM = 1 << 20 };

static const double now = 1700000000;

/* A key of each half: a secret, and P-256 of RFC 7515 A.3. */
static size_t make_keys(tks_key **keys) {
    static const char jwk[] =
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
    char secret[64];
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (char)i;
    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    REQUIRE(tks_key_from_secret(tks_bytes_of(secret, sizeof secret), NULL, NULL, &keys[0], NULL) ==
            TKS_OK);
    REQUIRE(tks_key_from_jwk(tks_bytes_of(jwk, sizeof jwk - 1), tks_jwt_openssl(), &keys[1],
                             NULL) == TKS_OK);
    return 2;
}

static void append_signed(const tks_key *key, tks_bytes header, tks_bytes claims, tks_buf *out) {
    unsigned char signature[TKSP_SIGNATURE_MAX];
    size_t size = 0;
    tksp_base64url_encode(header, out);
    tks_buf_append_char(out, '.');
    tksp_base64url_encode(claims, out);
    REQUIRE(key->ops->sign(key, TKS_JWT_HS256, tks_buf_bytes(out), signature, &size, NULL) ==
            TKS_OK);
    tks_buf_append_char(out, '.');
    tksp_base64url_encode(tks_bytes_of((const char *)signature, size), out);
}

/* False: values that our writer rejects. */
static bool write_tree(const tks_json *tree, tks_buf *out) {
    tks_json_writer w;
    tks_buf_init(out, ROOM);
    tks_json_writer_init(&w, out, ROOM, "claims", NULL);
    tks_status status = tks_json_write_tree(&w, tree);
    REQUIRE(status == TKS_OK || status == TKS_ERR_DATA);
    return status == TKS_OK;
}

/* Accepted claims can be encoded again, if the writer accepts them and they still fit. */
static void require_round_trip(const tks_jwt *jwt, tks_key *key, const tks_jwt_policy *policy) {
    tks_buf claims, again, token;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt second;

    if (!write_tree(jwt->claims, &claims)) {
        tks_buf_clear(&claims);
        return;
    }
    tks_buf_init(&token, ROOM);
    tks_status status = tks_jwt_encode(tks_buf_bytes(&claims), key, TKS_JWT_HS256,
                                       tks_bytes_of(NULL, 0), 0, &token, &err);
    if (status == TKS_OK) {
        REQUIRE(tks_jwt_decode(tks_buf_bytes(&token), &key, 1, policy, &second, &err) == TKS_OK);
        REQUIRE(write_tree(second.claims, &again));
        REQUIRE(tks_bytes_equal(tks_buf_bytes(&claims), tks_buf_bytes(&again)));
        tks_buf_clear(&again);
        tks_jwt_clear(&second);
    } else {
        REQUIRE(status == TKS_ERR_DATA); /* longer than before, by \u escapes or digits */
    }
    tks_buf_clear(&claims);
    tks_buf_clear(&token);
}

/* Requesting the header makes no difference. */
static void require_same(tks_bytes token, tks_key *const *keys, size_t count, tks_jwt_policy policy,
                         const tks_error *whole) {
    tks_error err = TKS_ERROR_INIT;
    tks_jwt jwt;
    policy.claims_only = true;
    tks_status status = tks_jwt_decode(token, keys, count, &policy, &jwt, &err);
    REQUIRE(status == err.status);
    REQUIRE(err.status == whole->status && strcmp(err.message, whole->message) == 0);
    tks_jwt_clear(&jwt);
}

/* The header of an unverified token can be read, or is not a token's. */
static void require_header(tks_bytes token, bool good) {
    tks_json *header;
    tks_status status = tks_jwt_read_header(token, 0, &header, NULL);
    REQUIRE(status == TKS_OK || (!good && status == TKS_ERR_INVALID_TOKEN));
    REQUIRE((status == TKS_OK) == (header != NULL));
    tks_json_free(header);
}

/* The operation of verify for these claims; NULL: rejected. */
static tksp_rjwt_op *verify(const tks_jwt_sessions *sessions, const tks_key *key, tks_bytes claims,
                            tks_error *err) {
    tks_op *op;
    tks_buf token;
    tks_buf_init(&token, ROOM);
    append_signed(key, TKS_LITERAL("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), claims, &token);
    tks_status status =
        tks_jwt_sessions_verify(sessions, tks_buf_bytes(&token), false, now, &op, err);
    REQUIRE(status == err->status && (status == TKS_OK) == (op != NULL));
    tks_buf_clear(&token);
    return (tksp_rjwt_op *)op;
}

static void require_same_session(const tksp_rjwt_op *plain, const tksp_rjwt_op *parsed) {
    const tks_json *claims = parsed->claims;
    REQUIRE(claims != NULL);
    REQUIRE(tks_json_get_size(claims) == 2);
    REQUIRE(tks_bytes_equal(plain->key, tks_json_get_string(tks_json_find(claims, "rjwt"))));
    REQUIRE(tks_bytes_equal(plain->id, parsed->id));
    REQUIRE(tks_json_get_type(tks_json_find(claims, "iat")) == TKS_JSON_INTEGER);
    REQUIRE(plain->session.iat == tks_json_get_integer(tks_json_find(claims, "iat")));
}

/* With a leading space, plain claims go to the parser and must have the same result. */
static void require_plain_as_parsed(tks_key *key, tks_bytes claims) {
    const tks_jwt_sessions_options options = {.keys = &key,
                                              .key_count = 1,
                                              .algorithm = TKS_JWT_HS256};
    tks_error err = TKS_ERROR_INIT, why = TKS_ERROR_INIT;
    tks_jwt_sessions *sessions;
    tks_buf spaced;
    tks_buf_init(&spaced, ROOM);
    tks_buf_append_char(&spaced, ' ');
    tks_buf_append_bytes(&spaced, claims);
    REQUIRE(tks_jwt_sessions_new(&options, &sessions, NULL) == TKS_OK);
    tksp_rjwt_op *op = verify(sessions, key, claims, &err);
    tksp_rjwt_op *parsed = verify(sessions, key, tks_buf_bytes(&spaced), &why);
    REQUIRE(err.status == why.status);
    if (op != NULL && op->claims == NULL) require_same_session(op, parsed);
    tks_op_free((tks_op *)op);
    tks_op_free((tks_op *)parsed);
    tks_jwt_sessions_free(sessions);
    tks_buf_clear(&spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line = memchr(data, '\n', size);
    const tks_bytes audience = TKS_LITERAL("a");
    tks_jwt_policy policy = {0};
    tks_error err = TKS_ERROR_INIT;
    tks_key *keys[2];
    size_t count = make_keys(keys);
    tks_jwt jwt;
    tks_buf token;

    tks_buf_init(&token, ROOM);
    policy.algorithms = TKS_JWT_BIT(TKS_JWT_HS256) | TKS_JWT_BIT(TKS_JWT_ES256);
    policy.now = now;
    policy.audiences = &audience;
    policy.audience_count = size % 2; /* with and without */
    if (line != NULL) {
        size_t header = (size_t)(line - data);
        tks_bytes claims = fuzz_bytes(line + 1, size - header - 1);
        append_signed(keys[0], fuzz_bytes(data, header), claims, &token);
        require_plain_as_parsed(keys[0], claims);
    } else {
        tks_buf_append(&token, data, size);
    }
    tks_status status = tks_jwt_decode(tks_buf_bytes(&token), keys, count, &policy, &jwt, &err);
    REQUIRE(err.status == status);
    REQUIRE((status == TKS_OK) == (jwt.claims != NULL));
    REQUIRE((status == TKS_OK) == (jwt.header != NULL));
    if (status == TKS_OK) {
        require_round_trip(&jwt, keys[0], &policy);
    } else {
        REQUIRE(status == TKS_ERR_INVALID_TOKEN || status == TKS_ERR_EXPIRED_TOKEN);
    }
    tks_jwt_clear(&jwt);
    require_header(tks_buf_bytes(&token), status == TKS_OK);
    require_same(tks_buf_bytes(&token), keys, count, policy, &err);
    for (size_t i = 0; i < count; i++) tks_key_free(keys[i]);
    tks_buf_clear(&token);
    return 0;
}
