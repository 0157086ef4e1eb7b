/* oauth_certificate.c - the header x5t#S256 of an assertion, the thumbprint of its key's certificate (RFC
 * 7515, 4.1.8). */
#include "jwt_private.h"
#include "oauth_client.h"
#include "tokenstore/secret.h"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[] = "-----END CERTIFICATE-----";

static const char *find(tks_bytes text, const char *line) {
    size_t size = strlen(line);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, line, size) == 0) return text.data + i;
    }
    return NULL;
}

/* Converts the first certificate's base64 to base64url, without whitespace and padding. */
static bool take_base64(tks_bytes pem, tks_buf *out) {
    const char *begin = find(pem, begin_line), *end = find(pem, end_line);
    if (begin == NULL || end == NULL || end < begin) return false;
    for (const char *c = begin + sizeof begin_line - 1; c < end; c++) {
        if (strchr(" \t\r\n=", *c) != NULL && *c != '\0') continue;
        (void)tks_buf_append_char(out, *c == '+' ? '-' : *c == '/' ? '_' : *c);
    }
    return out->size > 0;
}

/* With the thumbprint of another key's certificate the server would not find the right key. */
static tks_status check_key(tks_bytes pem, const tks_key *key, tks_error *err) {
    char ours[TKS_THUMBPRINT_SIZE], its[TKS_THUMBPRINT_SIZE];
    tks_key *other = NULL;
    tks_status status = tks_key_from_pem(pem, NULL, &other, NULL);
    if (status == TKS_OK) status = tks_key_thumbprint(other, its, NULL);
    if (status == TKS_OK) status = tks_key_thumbprint(key, ours, NULL);
    tks_key_free(other);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status != TKS_OK) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "client_certificate is not a readable PEM certificate");
    }
    return memcmp(ours, its, sizeof ours) == 0
               ? TKS_OK
               : tks_fail(err, TKS_ERR_CONFIGURATION,
                          "client_certificate does not match client_key");
}

tks_status tksp_certificate_header(tks_bytes pem, const tks_key *key, tksp_arena *arena,
                                   tks_bytes *out, tks_error *err) {
    unsigned char digest[TKSP_SHA256_SIZE];
    tks_buf text, header;
    size_t size = 0;
    tks_status status = check_key(pem, key, err);
    if (status != TKS_OK) return status;
    tks_buf_init(&text, SIZE_MAX);
    tks_buf_init(&header, SIZE_MAX);
    bool found = take_base64(pem, &text);
    unsigned char *der = tksp_arena_alloc(arena, text.size + 1);
    if (der != NULL && text.status == TKS_OK && found &&
        tksp_base64url_decode(tks_buf_bytes(&text), der, &size)) {
        tksp_sha256(tks_bytes_of((const char *)der, size), digest);
        (void)tks_buf_append_bytes(&header, TKS_LITERAL("{\"x5t#S256\":\""));
        (void)tksp_base64url_encode(tks_bytes_of((const char *)digest, sizeof digest), &header);
        (void)tks_buf_append_bytes(&header, TKS_LITERAL("\"}"));
        *out = tksp_arena_dup(arena, tks_buf_bytes(&header));
    }
    if (der == NULL || text.status != TKS_OK || header.status != TKS_OK ||
        arena->status != TKS_OK) {
        status = tks_fail_memory(err);
    } else if (size == 0) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION,
                          "client_certificate must contain one PEM certificate");
    }
    tks_buf_clear(&text);
    tks_buf_clear(&header);
    return status;
}
