/* oauth_metadata.c - see oauth_metadata.h. */
#include "oauth_metadata.h"

#include <stdlib.h>

#include "tokenstore/json.h"
#include "tokenstore/secret.h"

enum { BODY_MAX = 1024 * 1024, SHOWN = 120 };

/* ---- URLs ---- */

static bool begins(tks_bytes text, const char *with) {
    size_t size = strlen(with);
    return text.size > size && memcmp(text.data, with, size) == 0;
}

/* Host and port of a URL; empty: not a URL. *path: the index of the path. */
static tks_bytes authority_of(tks_bytes url, size_t *path) {
    size_t at = begins(url, "https://") ? 8 : begins(url, "http://") ? 7 : 0, end = at;
    while (at > 0 && end < url.size && strchr("/?#", url.data[end]) == NULL) end++;
    *path = end;
    return tks_bytes_of(url.data + at, end - at);
}

/* True for a name or address of this machine. */
static bool is_loopback(tks_bytes authority) {
    const char *colon = memchr(authority.data, ':', authority.size);
    tks_bytes host = authority;
    if (begins(authority, "[::1]")) return authority.data[5] == ':';
    if (tks_bytes_equal(authority, TKS_LITERAL("[::1]"))) return true;
    if (colon != NULL) host.size = (size_t)(colon - host.data);
    if (tks_bytes_equal(host, TKS_LITERAL("localhost"))) return true;
    if (!begins(host, "127.")) return false;
    for (size_t i = 0; i < host.size; i++) {
        if ((host.data[i] < '0' || host.data[i] > '9') && host.data[i] != '.') return false;
    }
    return true;
}

/* True for https, or http on this machine, without user, control characters and fragment. */
static bool is_safe(tks_bytes url) {
    size_t path;
    tks_bytes authority = authority_of(url, &path);
    if (authority.size == 0 || memchr(authority.data, '@', authority.size) != NULL ||
        memchr(url.data, '#', url.size) != NULL) {
        return false;
    }
    for (size_t i = 0; i < url.size; i++) {
        if ((unsigned char)url.data[i] <= ' ' || (unsigned char)url.data[i] >= 0x7F) return false;
    }
    return begins(url, "https://") || is_loopback(authority);
}

bool tksp_metadata_is_issuer(tks_bytes issuer) {
    return issuer.size > 0 && is_safe(issuer) && memchr(issuer.data, '?', issuer.size) == NULL;
}

tks_status tksp_metadata_url(tks_bytes issuer, unsigned place, tks_buf *out) {
    size_t path;
    (void)authority_of(issuer, &path);
    tks_bytes host = tks_bytes_of(issuer.data, path);
    tks_bytes behind = tks_bytes_of(issuer.data + path, issuer.size - path);
    if (behind.size > 0 && behind.data[behind.size - 1] == '/') behind.size--;
    (void)tks_buf_append_bytes(out, host);
    if (place == 0) {
        (void)tks_buf_append_bytes(out, behind);
        return tks_buf_append_bytes(out, TKS_LITERAL("/.well-known/openid-configuration"));
    }
    (void)tks_buf_append_bytes(out, TKS_LITERAL("/.well-known/oauth-authorization-server"));
    return tks_buf_append_bytes(out, behind);
}

/* ---- reading ---- */

static tks_status refuse(tks_error *err, const char *why) {
    return tks_fail(err, TKS_ERR_SPIKE, "the issuer's metadata: %s", why);
}

static tks_bytes text_of(const tks_json *tree, const char *name) {
    const tks_json *value = tks_json_find(tree, name);
    return value != NULL && tks_json_get_type(value) == TKS_JSON_STRING ? tks_json_get_string(value)
                                                                        : tks_bytes_of(NULL, 0);
}

/* RFC 8414: the default is client_secret_basic. */
static uint32_t methods_of(const tks_json *tree) {
    static const struct {
        const char *name;
        tks_client_auth auth;
    } known[] = {{"client_secret_basic", TKS_AUTH_BASIC},
                 {"client_secret_post", TKS_AUTH_POST},
                 {"client_secret_jwt", TKS_AUTH_CLIENT_SECRET_JWT},
                 {"private_key_jwt", TKS_AUTH_PRIVATE_KEY_JWT},
                 {"tls_client_auth", TKS_AUTH_TLS},
                 {"self_signed_tls_client_auth", TKS_AUTH_TLS},
                 {"none", TKS_AUTH_NONE}};
    const tks_json *list = tks_json_find(tree, "token_endpoint_auth_methods_supported");
    uint32_t methods = 0;
    if (list == NULL || tks_json_get_type(list) != TKS_JSON_ARRAY) {
        return UINT32_C(1) << TKS_AUTH_BASIC;
    }
    for (const tks_json *one = tks_json_get_child(list); one != NULL;
         one = tks_json_get_next(one)) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (tks_json_get_type(one) == TKS_JSON_STRING &&
                tks_bytes_equal(tks_json_get_string(one),
                                tks_bytes_of(known[i].name, strlen(known[i].name)))) {
                methods |= UINT32_C(1) << known[i].auth;
            }
        }
    }
    return methods;
}

static tks_status check(const tks_json *tree, tks_bytes issuer, tks_error *err) {
    tks_bytes named = text_of(tree, "issuer"), key_url = text_of(tree, "jwks_uri");
    if (named.size == 0) return refuse(err, "it has no issuer");
    if (!tks_bytes_equal(named, issuer)) { /* RFC 8414, 3.3: must be identical */
        bool shown = is_safe(named);
        return tks_fail(err, TKS_ERR_SPIKE,
                        "the issuer's metadata: it is for another issuer%s%.*s: write the issuer "
                        "exactly as the server does, including any trailing slash",
                        shown ? ", " : "",
                        shown ? (named.size < SHOWN ? (int)named.size : SHOWN) : 0, named.data);
    }
    if (!is_safe(text_of(tree, "token_endpoint"))) {
        return refuse(err, "its token_endpoint is missing or not an https URL");
    }
    if (key_url.size > 0 && !is_safe(key_url)) {
        return refuse(err, "its jwks_uri is not an https URL");
    }
    return TKS_OK;
}

tks_status tksp_metadata_read(tks_bytes issuer, tks_bytes body, int64_t now_ms, tksp_metadata **out,
                              tks_error *err) {
    static const tks_json_rules rules = {.max_size = BODY_MAX,
                                         .max_depth = TKS_JSON_DEPTH_MAX,
                                         .any = true};
    tks_json *tree = NULL;
    *out = NULL;
    tks_status status = tks_json_read(body, &rules, &tree, NULL);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status != TKS_OK || tks_json_get_type(tree) != TKS_JSON_OBJECT) {
        tks_json_free(tree);
        return tks_fail(err, TKS_ERR_DATA, "the issuer's metadata: it is not a JSON object");
    }
    status = check(tree, issuer, err);
    tksp_metadata *made = status == TKS_OK ? calloc(1, sizeof *made) : NULL;
    if (made != NULL) {
        atomic_init(&made->users, 1);
        made->token_url = tksp_arena_dup(&made->arena, text_of(tree, "token_endpoint"));
        made->key_url = tksp_arena_dup(&made->arena, text_of(tree, "jwks_uri"));
        made->methods = methods_of(tree);
        made->read_ms = now_ms;
    }
    tks_json_free(tree);
    if (status != TKS_OK) return status;
    if (made == NULL || made->arena.status != TKS_OK) {
        tksp_metadata_leave(made);
        return tks_fail_memory(err);
    }
    *out = made;
    return TKS_OK;
}

void tksp_metadata_leave(tksp_metadata *metadata) {
    if (metadata == NULL || atomic_fetch_sub(&metadata->users, 1) != 1) return;
    tksp_arena_clear(&metadata->arena);
    free(metadata);
}

/* ---- the current metadata ----- */

static void enter(tksp_metadata_place *place) {
    while (atomic_flag_test_and_set_explicit(&place->busy, memory_order_acquire)) {
        ;
    }
}

static void leave(tksp_metadata_place *place) {
    atomic_flag_clear_explicit(&place->busy, memory_order_release);
}

void tksp_metadata_place_init(tksp_metadata_place *place) {
    atomic_flag_clear(&place->busy);
    place->now = NULL;
}

void tksp_metadata_place_clear(tksp_metadata_place *place) {
    tksp_metadata_leave(place->now);
}

void tksp_metadata_place_after_fork(tksp_metadata_place *place) {
    leave(place);
}

tksp_metadata *tksp_metadata_get(tksp_metadata_place *place) {
    enter(place);
    tksp_metadata *metadata = place->now;
    if (metadata != NULL) atomic_fetch_add(&metadata->users, 1);
    leave(place);
    return metadata;
}

void tksp_metadata_put(tksp_metadata_place *place, tksp_metadata *metadata) {
    atomic_fetch_add(&metadata->users, 1);
    enter(place);
    tksp_metadata *before = place->now;
    place->now = metadata;
    leave(place);
    tksp_metadata_leave(before);
}
