/* jwt_export.c - keys as JWKs, and their thumbprints (RFC 7517, 7518 section 6, 7638, 8037 section 2).
 *
 * Lifecycle: numbers and text are in buffers that are wiped; a JSON tree wipes its strings. */
#include "jwt_private.h"

/* The members of a kind of key in a JWK: `names` of its numbers, the public ones first. */
typedef struct shape {
    const char *kty, *crv; /* crv NULL: none */
    size_t public_count, count;
    const char *names[TKSP_RSA_COUNT];
} shape;

static const shape shapes[] = {
    [TKS_KEY_RSA] = {"RSA", NULL, 2, TKSP_RSA_COUNT, {"n", "e", "d", "p", "q", "dp", "dq", "qi"}},
    [TKS_KEY_P256] = {"EC", "P-256", 2, 3, {"x", "y", "d"}},
    [TKS_KEY_P384] = {"EC", "P-384", 2, 3, {"x", "y", "d"}},
    [TKS_KEY_P521] = {"EC", "P-521", 2, 3, {"x", "y", "d"}},
    [TKS_KEY_ED25519] = {"OKP", "Ed25519", 1, 2, {"x", "d"}},
};

enum { NUMBER_MAX = TKSP_SIGNATURE_MAX + 1, TEXT_MAX = 64 * 1024 };

/* The key's numbers in base64url; empty if it does not have them. The buffers must be cleared in any case. */
static tks_status get_numbers(const tks_key *key, bool private_half, tks_buf *out, tks_error *err) {
    tks_buf raw[TKSP_RSA_COUNT];
    tks_status status = TKS_OK;
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) {
        tks_buf_init(&raw[i], NUMBER_MAX);
        tks_buf_init(&out[i], 2 * NUMBER_MAX);
    }
    if (key->ops->export == NULL) {
        status = tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "a secret cannot be exported as a JWK: it is not kept, and has no public part");
    } else if (private_half && !key->can_sign) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION, "the key has no private part (%s)",
                          tks_key_get_kind_name(key));
    } else if (key->ops->export(key, private_half, raw) != TKS_OK) {
        status = tks_fail_memory(err);
    }
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) {
        if (status == TKS_OK && tksp_base64url_encode(tks_buf_bytes(&raw[i]), &out[i]) != TKS_OK) {
            status = tks_fail_memory(err);
        }
        tks_buf_wipe(&raw[i]);
    }
    return status;
}

static void clear_numbers(tks_buf *numbers) {
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) tks_buf_wipe(&numbers[i]);
}

static tks_status write_member(tks_json_writer *w, const char *name, tks_bytes value) {
    if (value.size == 0) return TKS_OK;
    tks_status status = tks_json_write_name(w, tks_bytes_of(name, strlen(name)));
    return status == TKS_OK ? tks_json_write_string(w, value) : status;
}

static tks_bytes text_of(const char *text) {
    return tks_bytes_of(text, text != NULL ? strlen(text) : 0);
}

/* The only algorithm that the key may be used with; empty: there are several. */
static tks_bytes only_algorithm(const tks_key *key) {
    for (unsigned i = 0; i < TKS_JWT_ALG_COUNT; i++) {
        if (key->algorithms == TKS_JWT_BIT(i)) return text_of(tks_jwt_alg_name((tks_jwt_alg)i));
    }
    return text_of(NULL);
}

static tks_status write_jwk(const tks_key *key, const tks_buf *numbers, tks_buf *out,
                            tks_error *err) {
    const shape *form = &shapes[key->kind];
    tks_json_writer w;
    tks_json_writer_init(&w, out, TEXT_MAX, "the JWK", err);
    tks_status status = tks_json_begin_object(&w);
    if (status == TKS_OK) status = write_member(&w, "kty", text_of(form->kty));
    if (status == TKS_OK) status = write_member(&w, "crv", text_of(form->crv));
    for (size_t i = 0; i < form->count && status == TKS_OK; i++) {
        status = write_member(&w, form->names[i], tks_buf_bytes(&numbers[i]));
    }
    if (status == TKS_OK) status = write_member(&w, "alg", only_algorithm(key));
    if (status == TKS_OK) status = write_member(&w, "kid", tks_key_get_kid(key));
    return status == TKS_OK ? tks_json_end_object(&w) : status;
}

tks_status tks_key_to_jwk(const tks_key *key, bool private_half, tks_json **out, tks_error *err) {
    tks_buf numbers[TKSP_RSA_COUNT];
    tks_buf text;
    *out = NULL;
    tks_buf_init(&text, TEXT_MAX);
    tks_status status = get_numbers(key, private_half, numbers, err);
    if (status == TKS_OK) status = write_jwk(key, numbers, &text, err);
    if (status == TKS_OK) status = tks_json_parse(tks_buf_bytes(&text), TEXT_MAX, out, err);
    clear_numbers(numbers);
    tks_buf_wipe(&text);
    return status;
}

/* Appends a member after the '{' or another member. No value needs an escape. */
static void append_member(tks_buf *out, const char *name, tks_bytes value) {
    if (value.size == 0) return;
    if (out->size > 1) (void)tks_buf_append_char(out, ',');
    (void)tks_buf_append_char(out, '"');
    (void)tks_buf_append(out, name, strlen(name));
    (void)tks_buf_append(out, "\":\"", 3);
    (void)tks_buf_append_bytes(out, value);
    (void)tks_buf_append_char(out, '"');
}

/* The required members, sorted by name, without whitespace (RFC 7638, section 3.2). */
static tks_status write_canonical(const tks_key *key, const tks_buf *numbers, tks_buf *out) {
    static const char *const order[] = {"crv", "e", "kty", "n", "x", "y"};
    const shape *form = &shapes[key->kind];
    (void)tks_buf_append_char(out, '{');
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (strcmp(order[i], "kty") == 0) append_member(out, "kty", text_of(form->kty));
        if (strcmp(order[i], "crv") == 0) append_member(out, "crv", text_of(form->crv));
        for (size_t j = 0; j < form->public_count; j++) {
            if (strcmp(order[i], form->names[j]) == 0) {
                append_member(out, order[i], tks_buf_bytes(&numbers[j]));
            }
        }
    }
    return tks_buf_append_char(out, '}');
}

tks_status tks_key_thumbprint(const tks_key *key, char out[TKS_THUMBPRINT_SIZE], tks_error *err) {
    tks_buf numbers[TKSP_RSA_COUNT];
    unsigned char digest[TKSP_SHA256_SIZE];
    tks_buf text;
    memset(out, 0, TKS_THUMBPRINT_SIZE);
    tks_buf_init(&text, TEXT_MAX);
    tks_status status = get_numbers(key, false, numbers, err);
    if (status == TKS_OK && write_canonical(key, numbers, &text) != TKS_OK) {
        status = tks_fail_memory(err);
    }
    if (status == TKS_OK) {
        tksp_sha256(tks_buf_bytes(&text), digest);
        tks_buf_reset(&text);
        if (tksp_base64url_encode(tks_bytes_of((const char *)digest, sizeof digest), &text) !=
            TKS_OK) {
            status = tks_fail_memory(err);
        } else {
            memcpy(out, text.data, TKS_THUMBPRINT_SIZE);
        }
    }
    clear_numbers(numbers);
    tks_buf_clear(&text);
    return status;
}
