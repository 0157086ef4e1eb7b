/* jwt_keyset.c - sets of keys from JSON (RFC 7517, section 5).
 *
 * Lifecycle: a set is immutable and reference counted; it owns one reference to each of its keys.
 * Threads:   only its reference count changes after creation. */
#include <stdlib.h>

#include "jwt_private.h"

tks_status tksp_keyset_new(size_t size, tks_keyset **out, tks_error *err) {
    tks_keyset *set = calloc(1, sizeof *set + size * sizeof(tks_key *));
    *out = set;
    if (set == NULL) return tks_fail_memory(err);
    atomic_init(&set->references, 1);
    return TKS_OK;
}

tks_keyset *tks_keyset_ref(tks_keyset *set) {
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void tks_keyset_free(tks_keyset *set) {
    if (set == NULL) return;
    if (atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < set->count; i++) tks_key_free(set->keys[i]);
    free(set);
}

static tks_status fill(tks_keyset *set, const tks_json *entries, const tks_jwt_provider *provider,
                       tks_error *err) {
    for (; entries != NULL; entries = tks_json_get_next(entries)) {
        tks_error why = TKS_ERROR_INIT;
        tks_status status = tksp_key_from_json(entries, provider, &set->keys[set->count], &why);
        if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
        if (status == TKS_OK) {
            set->count++;
        } else {
            set->skipped++;
        }
    }
    return TKS_OK;
}

static tks_status make(const tks_json *jwks, const tks_jwt_provider *provider, tks_keyset **out,
                       tks_error *err) {
    if (tks_json_get_type(jwks) != TKS_JSON_OBJECT) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "not a JWKS: it is not a JSON object");
    }
    const tks_json *entries = tks_json_find(jwks, "keys");
    if (entries == NULL || tks_json_get_type(entries) != TKS_JSON_ARRAY) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "not a JWKS: it has no list \"keys\"");
    }
    tks_status status = tksp_keyset_new(tks_json_get_size(entries), out, err);
    return status == TKS_OK ? fill(*out, tks_json_get_child(entries), provider, err) : status;
}

tks_status tks_keyset_from_jwks(tks_bytes json, const tks_jwt_provider *provider, tks_keyset **out,
                                tks_error *err) {
    tks_json *tree = NULL;
    *out = NULL;
    tks_status status = tksp_jwk_parse(json, &tree, err);
    if (status == TKS_OK) status = make(tree, provider, out, err);
    tks_json_free(tree);
    if (status != TKS_OK) {
        tks_keyset_free(*out);
        *out = NULL;
    }
    return status;
}

size_t tks_keyset_get_keys(const tks_keyset *set, tks_key *const **out) {
    *out = set->keys;
    return set->count;
}

size_t tks_keyset_get_skipped(const tks_keyset *set) {
    return set->skipped;
}
