/* jwt_published.c - the keys that a server publishes: a JWKS, or one key in PEM. Calls OpenSSL. */
#include "jwt_private.h"

static tks_bytes skip_byte_order_mark(tks_bytes text) {
    bool has = text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
    return has ? tks_bytes_of(text.data + 3, text.size - 3) : text;
}

static bool is_json(tks_bytes text) {
    size_t i = 0;
    while (i < text.size && strchr(" \t\r\n", text.data[i]) != NULL && text.data[i] != '\0') i++;
    return i < text.size && text.data[i] == '{';
}

static tks_status from_pem(tks_bytes pem, tks_keyset **out, tks_error *err) {
    tks_status status = tksp_keyset_new(1, out, err);
    if (status == TKS_OK) status = tks_key_from_pem(pem, NULL, &(*out)->keys[0], err);
    if (status == TKS_OK) (*out)->count = 1;
    return status;
}

/* Removes secrets and private keys: anyone who can read a published one can sign with it. */
static void keep_public(tks_keyset *set) {
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->keys[i]->can_sign) {
            tks_key_free(set->keys[i]);
            set->skipped++;
        } else {
            set->keys[kept++] = set->keys[i];
        }
    }
    set->count = kept;
}

tks_status tks_keyset_from_published(tks_bytes text, tks_keyset **out, tks_error *err) {
    *out = NULL;
    text = skip_byte_order_mark(text);
    tks_status status = is_json(text) ? tks_keyset_from_jwks(text, tks_jwt_openssl(), out, err)
                                      : from_pem(text, out, err);
    if (status == TKS_OK) {
        keep_public(*out);
        if ((*out)->count == 0) {
            status = tks_fail(err, TKS_ERR_CONFIGURATION, "no usable public key (%zu skipped)",
                              (*out)->skipped);
        }
    }
    if (status != TKS_OK) {
        tks_keyset_free(*out);
        *out = NULL;
    }
    return status;
}
