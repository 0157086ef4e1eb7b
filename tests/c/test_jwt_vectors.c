/* test_jwt_vectors.c - tests/vectors/jwt.json: keys, tokens, encode. See tests/vectors/README.md. */
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/jwt.h"
#include "tokenstore/secret.h"
#include "vectors.h"

enum { ROOM = 4 * 1024 * 1024, MANY = 256 };

/* The keys of a case, from one or several entries of "keys". */
typedef struct ring {
    tks_key *keys[MANY];
    size_t count;
} ring;

static tks_bytes text_of(const tks_json *node) {
    return tks_json_get_string(node);
}

static void append_json(const tks_json *node, tks_buf *out) {
    tks_json_writer w;
    tks_json_writer_init(&w, out, ROOM, "case", NULL);
    if (tks_json_write_tree(&w, node) != TKS_OK) vectors_broken("cannot be written", "jwt.json");
}

static tks_status status_of(const tks_json *test) {
    const char *verdict = vectors_text(test, "verdict");
    for (int i = 0; i < TKS_STATUS_COUNT; i++) {
        if (strcmp(verdict, tks_status_code((tks_status)i)) == 0) return (tks_status)i;
    }
    vectors_broken("unknown verdict", verdict);
}

static void check_message(const tks_json *test, const tks_error *err) {
    const tks_json *message = tks_json_find(test, "message");
    if (message != NULL) CHECK_CONTAINS(err->message, text_of(message).data);
}

/* The option `name`; data NULL: not given. */
static tks_bytes option_of(const tks_json *entry, const char *name) {
    const tks_json *node = tks_json_find(entry, name);
    return node != NULL ? text_of(node) : tks_bytes_of(NULL, 0);
}

/* The options of a "keys" or "load" entry. */
static tks_status read_options(const tks_json *entry, tks_key_options *out, tks_error *err) {
    const tks_json *algorithm = tks_json_find(entry, "algorithm");
    *out =
        (tks_key_options){.kid = option_of(entry, "kid"), .password = option_of(entry, "password")};
    return algorithm != NULL ? tks_jwt_alg_add(text_of(algorithm), &out->algorithms, err) : TKS_OK;
}

/* Loads an entry: *key or *set. The text is copied to an exact-size block. */
static tks_status load(const tks_json *entry, tks_key **key, tks_keyset **set, tks_error *err) {
    const char *how = vectors_text(entry, "load");
    const tks_json *value = vectors_get(entry, "value");
    bool is_set = strncmp(how, "jwks", 4) == 0;
    tks_key_options options;
    tks_buf buf;
    tks_bytes text;
    tks_status status = read_options(entry, &options, err);
    char *copy = NULL;

    *key = NULL;
    *set = NULL;
    tks_buf_init(&buf, ROOM);
    if (strcmp(how, "secret") == 0) {
        vectors_bytes(value, &buf);
    } else if (tks_json_get_type(value) == TKS_JSON_STRING) {
        tks_buf_append_bytes(&buf, text_of(value));
    } else {
        append_json(value, &buf);
    }
    copy = malloc(buf.size + (buf.size == 0));
    if (buf.size > 0) memcpy(copy, buf.data, buf.size);
    text = tks_bytes_of(copy, buf.size);
    if (status == TKS_OK) {
        if (is_set) {
            status = tks_keyset_from_jwks(text, tks_jwt_openssl(), set, err);
        } else if (strncmp(how, "jwk", 3) == 0) {
            status = tks_key_from_jwk(text, tks_jwt_openssl(), key, err);
        } else if (strcmp(how, "pem") == 0) {
            status = tks_key_from_pem(text, &options, key, err);
        } else {
            status = tks_key_from_secret(text, &options, NULL, key, err);
        }
    }
    free(copy);
    tks_buf_clear(&buf);
    return status;
}

static uint32_t algorithms_of(const tks_json *list, tks_status *status, tks_error *err) {
    uint32_t set = 0;
    *status = TKS_OK;
    for (list = tks_json_get_child(list); list != NULL && *status == TKS_OK;
         list = tks_json_get_next(list)) {
        *status = tks_jwt_alg_add(text_of(list), &set, err);
    }
    return set;
}

/* ---- load ------------------------------------------------------------------------------------ */

static void check_key(const tks_json *test, const tks_key *key) {
    const tks_json *kid = tks_json_find(test, "kid");
    tks_status status = TKS_OK;
    uint32_t want = algorithms_of(vectors_get(test, "algorithms"), &status, NULL);

    CHECK_INT(tks_key_get_algorithms(key), want);
    CHECK_INT(tks_key_can_sign(key), tks_json_get_bool(vectors_get(test, "can_sign")));
    CHECK_BYTES(tks_key_get_kid(key), kid != NULL ? text_of(kid) : TKS_LITERAL(""));
}

static void run_load(const tks_json *test) {
    tks_status want = status_of(test);
    tks_error err = TKS_ERROR_INIT;
    tks_key *key = NULL;
    tks_keyset *set = NULL;
    tks_status got = load(test, &key, &set, &err);

    test_context("load: %s: %s", vectors_text(test, "name"), err.message);
    if (CHECK_STATUS(got, want)) {
        CHECK_STATUS(err.status, want);
        check_message(test, &err);
        CHECK((key != NULL || set != NULL) == (want == TKS_OK));
        if (key != NULL) check_key(test, key);
        if (set != NULL) {
            tks_key *const *keys = NULL;
            CHECK_INT(tks_keyset_get_keys(set, &keys), vectors_integer(test, "count"));
            CHECK(keys != NULL);
            CHECK_INT(tks_keyset_get_skipped(set), vectors_integer(test, "skipped"));
        }
    }
    tks_key_free(key);
    tks_keyset_free(set);
}

/* ---- keys of cases --------------------------------------------------------------------------- */

static void ring_add(ring *r, const tks_json *root, tks_bytes name) {
    const tks_json *entry = tks_json_find(vectors_get(root, "keys"), name.data);
    tks_error err = TKS_ERROR_INIT;
    tks_key *key = NULL;
    tks_keyset *set = NULL;

    if (entry == NULL) vectors_broken("is no key", name.data);
    if (load(entry, &key, &set, &err) != TKS_OK) vectors_broken(err.message, name.data);
    if (set != NULL) {
        tks_key *const *keys = NULL;
        size_t count = tks_keyset_get_keys(set, &keys);
        for (size_t i = 0; i < count; i++) r->keys[r->count++] = tks_key_ref(keys[i]);
        tks_keyset_free(set); /* the references outlive it */
    } else {
        r->keys[r->count++] = key;
    }
}

static void ring_init(ring *r, const tks_json *root, const tks_json *names) {
    r->count = 0;
    if (tks_json_get_type(names) == TKS_JSON_STRING) {
        ring_add(r, root, text_of(names));
        return;
    }
    for (names = tks_json_get_child(names); names != NULL; names = tks_json_get_next(names)) {
        ring_add(r, root, text_of(names));
    }
}

static void ring_clear(ring *r) {
    for (size_t i = 0; i < r->count; i++) tks_key_free(r->keys[i]);
}

/* ---- decode ---------------------------------------------------------------------------------- */

/* Reads a text or a list of texts; returns their number. */
static size_t read_texts(const tks_json *test, const char *name, tks_bytes *out) {
    const tks_json *node = tks_json_find(test, name);
    size_t count = 0;
    if (node == NULL) return 0;
    if (tks_json_get_type(node) == TKS_JSON_STRING) {
        out[0] = text_of(node);
        return 1;
    }
    for (node = tks_json_get_child(node); node != NULL; node = tks_json_get_next(node)) {
        out[count++] = text_of(node);
    }
    return count;
}

static double read_number(const tks_json *test, const char *name, double otherwise) {
    const tks_json *node = tks_json_find(test, name);
    return node != NULL ? tks_json_get_double(node) : otherwise;
}

static bool read_bool(const tks_json *test, const char *name, bool otherwise) {
    const tks_json *node = tks_json_find(test, name);
    return node != NULL ? tks_json_get_bool(node) : otherwise;
}

static void check_claims(const tks_json *test, const tks_jwt *jwt) {
    const tks_json *want = tks_json_find(test, "claims");
    tks_buf a, b;

    CHECK(jwt->header != NULL && tks_json_find(jwt->header, "alg") != NULL);
    if (want == NULL) return;
    tks_buf_init(&a, ROOM);
    tks_buf_init(&b, ROOM);
    append_json(want, &a);
    append_json(jwt->claims, &b);
    CHECK_BYTES(tks_buf_bytes(&b), tks_buf_bytes(&a));
    tks_buf_clear(&a);
    tks_buf_clear(&b);
}

/* No message contains eight consecutive characters of the token. */
static void check_silent(tks_bytes token, const tks_error *err) {
    for (size_t i = 0; i + 8 <= token.size && i < 20000; i++) {
        char part[9] = {0};
        memcpy(part, token.data + i, 8);
        if (strlen(part) == 8 && !CHECK(strstr(err->message, part) == NULL)) return;
    }
}

/* Claims may contain values that our writer rejects. */
static void check_same(const tks_json *a, const tks_json *b) {
    tks_json_type type = tks_json_get_type(a);
    if (!CHECK_INT(type, tks_json_get_type(b))) return;
    if (type == TKS_JSON_STRING || type == TKS_JSON_BIG) {
        CHECK_BYTES(tks_json_get_string(a), tks_json_get_string(b));
    }
    if (tks_json_is_number(a)) CHECK(tks_json_get_double(a) == tks_json_get_double(b));
    if (type == TKS_JSON_BOOL) CHECK_INT(tks_json_get_bool(a), tks_json_get_bool(b));
    if (type != TKS_JSON_ARRAY && type != TKS_JSON_OBJECT) return;
    CHECK_INT(tks_json_get_size(a), tks_json_get_size(b));
    a = tks_json_get_child(a);
    b = tks_json_get_child(b);
    for (; a != NULL && b != NULL; a = tks_json_get_next(a), b = tks_json_get_next(b)) {
        CHECK_BYTES(tks_json_get_name(a), tks_json_get_name(b));
        check_same(a, b);
    }
}

/* Without the header, the claims or the error are the same. */
static void check_claims_only(tks_bytes token, const ring *r, const tks_jwt_policy *policy,
                              const tks_jwt *whole, const tks_error *whole_err) {
    tks_jwt_policy claims_only = *policy;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt jwt = {.header = NULL};

    claims_only.claims_only = true;
    CHECK_STATUS(tks_jwt_decode(token, r->keys, r->count, &claims_only, &jwt, &err),
                 whole_err->status);
    CHECK_TEXT(err.message, whole_err->message);
    CHECK((whole->claims != NULL) == (jwt.claims != NULL));
    if (whole->claims != NULL && jwt.claims != NULL) check_same(jwt.claims, whole->claims);
    tks_jwt_clear(&jwt);
}

static void run_decode(const tks_json *root, const tks_json *test) {
    tks_bytes audiences[8], issuers[8], required[8];
    tks_jwt_policy policy = {0};
    tks_status want = status_of(test);
    tks_status got = TKS_OK;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt jwt = {.header = NULL};
    tks_buf token;
    ring r;
    char *copy = NULL;

    tks_buf_init(&token, ROOM);
    vectors_bytes(vectors_get(test, "token"), &token);
    copy = malloc(token.size + (token.size == 0));
    if (token.size > 0) memcpy(copy, token.data, token.size);
    ring_init(&r, root, vectors_get(test, "key"));
    policy.algorithms = algorithms_of(vectors_get(test, "algorithms"), &got, &err);
    policy.audiences = audiences;
    policy.audience_count = read_texts(test, "audience", audiences);
    policy.issuers = issuers;
    policy.issuer_count = read_texts(test, "issuer", issuers);
    policy.required = required;
    policy.required_count = read_texts(test, "require", required);
    (void)read_texts(test, "typ", &policy.typ);
    policy.leeway = read_number(test, "leeway", 0);
    policy.max_size = (size_t)read_number(test, "max_size", 0);
    policy.any_audience = read_bool(test, "any_audience", false);
    policy.any_expiry = !read_bool(test, "verify_exp", true);
    policy.now = read_number(test, "now", (double)vectors_integer(root, "now"));
    bool asked = got == TKS_OK;
    if (asked) {
        got = tks_jwt_decode(tks_bytes_of(copy, token.size), r.keys, r.count, &policy, &jwt, &err);
    }
    test_context("decode: %s: %s", vectors_text(test, "name"), err.message);
    if (asked) check_claims_only(tks_bytes_of(copy, token.size), &r, &policy, &jwt, &err);
    if (CHECK_STATUS(got, want)) {
        CHECK_STATUS(err.status, want);
        CHECK((jwt.claims != NULL) == (want == TKS_OK));
        if (want == TKS_OK) check_claims(test, &jwt);
        check_message(test, &err);
        check_silent(tks_buf_bytes(&token), &err);
    }
    tks_jwt_clear(&jwt);
    ring_clear(&r);
    free(copy);
    tks_buf_clear(&token);
}

/* ---- headers ----------------------------------------------------------------------------------- */

static void check_equal(const tks_json *got, const tks_json *want);

static void run_header(const tks_json *test) {
    tks_bytes token = text_of(vectors_get(test, "token"));
    size_t max_size = (size_t)read_number(test, "max_size", 0);
    tks_error err = TKS_ERROR_INIT;
    tks_json *header;
    tks_status got = tks_jwt_read_header(token, max_size, &header, &err);

    test_context("header: %s: %s", vectors_text(test, "name"), err.message);
    if (CHECK_STATUS(got, status_of(test))) {
        check_message(test, &err);
        check_silent(token, &err);
        CHECK((header != NULL) == (got == TKS_OK));
        if (header != NULL) check_equal(header, vectors_get(test, "header"));
    }
    tks_json_free(header);
}

/* ---- export ------------------------------------------------------------------------------------ */

/* The same members, in any order. */
static void check_equal(const tks_json *got, const tks_json *want) {
    CHECK_INT(tks_json_get_size(got), tks_json_get_size(want));
    for (want = tks_json_get_child(want); want != NULL; want = tks_json_get_next(want)) {
        const tks_json *node = tks_json_find(got, tks_json_get_name(want).data);
        if (CHECK(node != NULL)) check_same(node, want);
    }
}

/* The export equals the input and can be loaded again. */
static void check_export(const tks_key *key, bool private_half, const tks_json *want) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *jwk;
    tks_key *again = NULL;
    tks_buf text;

    tks_buf_init(&text, ROOM);
    if (CHECK_STATUS(tks_key_to_jwk(key, private_half, &jwk, &err), TKS_OK)) {
        check_equal(jwk, want);
        append_json(jwk, &text);
        CHECK_STATUS(tks_key_from_jwk(tks_buf_bytes(&text), tks_jwt_openssl(), &again, &err),
                     TKS_OK);
        if (again != NULL) CHECK(tks_key_can_sign(again) == private_half);
    }
    tks_json_free(jwk);
    tks_key_free(again);
    tks_buf_clear(&text);
}

static void run_export(const tks_json *test) {
    const tks_json *private_half = tks_json_find(test, "private");
    char thumbprint[TKS_THUMBPRINT_SIZE];
    tks_error err = TKS_ERROR_INIT;
    tks_status want = status_of(test);
    tks_json *jwk = NULL;
    tks_key *key = NULL;
    tks_keyset *set = NULL;

    test_context("export: %s", vectors_text(test, "name"));
    if (!CHECK_STATUS(load(test, &key, &set, &err), TKS_OK)) return;
    CHECK_STATUS(tks_key_thumbprint(key, thumbprint, &err), want);
    if (want == TKS_OK) {
        CHECK_BYTES(tks_bytes_of(thumbprint, sizeof thumbprint),
                    text_of(vectors_get(test, "thumbprint")));
        check_export(key, false, vectors_get(test, "public"));
        if (private_half != NULL) check_export(key, true, private_half);
    } else {
        check_message(test, &err);
        CHECK_STATUS(tks_key_to_jwk(key, false, &jwk, NULL), want);
        CHECK(jwk == NULL);
    }
    if (private_half == NULL) {
        CHECK_STATUS(tks_key_to_jwk(key, true, &jwk, NULL), TKS_ERR_CONFIGURATION);
    }
    CHECK(jwk == NULL);
    tks_key_free(key);
}

/* ---- encode ---------------------------------------------------------------------------------- */

/* The token must verify with `check`, or with the key itself. */
static void check_made(const tks_json *root, const tks_json *test, const ring *own,
                       tks_bytes token) {
    const tks_json *exact = tks_json_find(test, "token");
    const tks_json *check = tks_json_find(test, "check");
    tks_jwt_policy policy = {0};
    tks_error err = TKS_ERROR_INIT;
    tks_jwt jwt = {.header = NULL};
    ring r = {{NULL}, 0};

    if (exact != NULL) CHECK_BYTES(token, text_of(exact));
    if (check != NULL) ring_init(&r, root, check);
    tks_bytes name = text_of(vectors_get(test, "algorithm"));
    CHECK_STATUS(tks_jwt_alg_add(name, &policy.algorithms, NULL), TKS_OK);
    policy.now = (double)vectors_integer(root, "now");
    policy.max_size = (size_t)read_number(test, "max_size", 0);
    CHECK_STATUS(tks_jwt_decode(token, check != NULL ? r.keys : own->keys, 1, &policy, &jwt, &err),
                 TKS_OK);
    if (CHECK_TEXT(err.message, "")) check_claims(test, &jwt);
    tks_jwt_clear(&jwt);
    ring_clear(&r);
}

static void run_encode(const tks_json *root, const tks_json *test) {
    const tks_json *given = tks_json_find(test, "headers");
    tks_status want = status_of(test);
    tks_error err = TKS_ERROR_INIT;
    tks_jwt_alg alg = TKS_JWT_ALG_COUNT;
    tks_buf claims, headers, token;
    tks_status got = TKS_OK;
    ring r = {{NULL}, 0};

    tks_buf_init(&claims, ROOM);
    tks_buf_init(&headers, ROOM);
    tks_buf_init(&token, ROOM);
    append_json(vectors_get(test, "claims"), &claims);
    if (given != NULL) append_json(given, &headers);
    ring_init(&r, root, vectors_get(test, "key"));
    got = tks_jwt_alg_find(text_of(vectors_get(test, "algorithm")), &alg, &err);
    if (got == TKS_OK) {
        got = tks_jwt_encode(tks_buf_bytes(&claims), r.keys[0], alg, tks_buf_bytes(&headers),
                             (size_t)read_number(test, "max_size", 0), &token, &err);
    }
    test_context("encode: %s: %s", vectors_text(test, "name"), err.message);
    if (CHECK_STATUS(got, want)) {
        CHECK_STATUS(err.status, want);
        check_message(test, &err);
        if (want == TKS_OK) {
            check_made(root, test, &r, tks_buf_bytes(&token));
        } else {
            CHECK_INT(token.size, 0);
        }
    }
    ring_clear(&r);
    tks_buf_clear(&claims);
    tks_buf_clear(&headers);
    tks_buf_clear(&token);
}

TEST(jwt_vectors) {
    const tks_json *test = NULL;
    size_t cases = 0;
    vectors v;

    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    vectors_open(&v, "jwt.json");
    for (test = tks_json_get_child(vectors_get(v.root, "load")); test != NULL;
         test = tks_json_get_next(test), cases++) {
        run_load(test);
    }
    for (test = tks_json_get_child(vectors_get(v.root, "decode")); test != NULL;
         test = tks_json_get_next(test), cases++) {
        run_decode(v.root, test);
    }
    for (test = tks_json_get_child(vectors_get(v.root, "header")); test != NULL;
         test = tks_json_get_next(test), cases++) {
        run_header(test);
    }
    for (test = tks_json_get_child(vectors_get(v.root, "export")); test != NULL;
         test = tks_json_get_next(test), cases++) {
        run_export(test);
    }
    for (test = tks_json_get_child(vectors_get(v.root, "encode")); test != NULL;
         test = tks_json_get_next(test), cases++) {
        run_encode(v.root, test);
    }
    test_context("all of them");
    CHECK(cases > 200);
    vectors_close(&v);
}
