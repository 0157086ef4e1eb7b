/* key.c - keys, tags and digests. */
#include "key.h"

#include "tokenstore/json.h"

int tksp_key_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool carries_tag(tks_bytes token) {
    return token.size > TKS_TAG_SIZE && token.data[0] == TKS_TOKEN_MARKER &&
           is_hex(token.data[1]) && is_hex(token.data[2]) && is_hex(token.data[3]);
}

/* The first field keeps tokens and owners apart where they are spelt alike. */
static void digest(const char *kind, tks_bytes pepper, tks_bytes app, tks_bytes type,
                   tks_bytes name, char *out) {
    const tks_bytes fields[] = {tks_bytes_of(kind, 1), app, type, name};
    tks_digest(pepper, fields, sizeof fields / sizeof fields[0], out);
}

/* Hexadecimal, because those digits are in the alphabet of every token encoding: an owner's tag, and
 * with it the index, stays when an application changes its encoding. */
static void make_tag(tksp_place *place) {
    for (int i = 0; i < TKS_TAG_SIZE; i++) {
        place->tag[i] = "0123456789abcdef"[tksp_key_digit(place->digest[i]) & 15];
    }
}

void tksp_key_place(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes token,
                    tksp_place *out) {
    digest("t", pepper, app, type, token, out->digest);
    if (carries_tag(token)) {
        memcpy(out->tag, token.data + 1, TKS_TAG_SIZE);
    } else {
        make_tag(out);
    }
}

void tksp_key_owner(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes owner,
                    tksp_place *out) {
    digest("o", pepper, app, type, owner, out->digest);
    make_tag(out);
}

/* Appends `<prefix>:{<tag>}:` and `rest`. */
static tks_status append_key(tks_buf *out, tks_bytes prefix, const char *tag, tks_bytes rest) {
    char *at;
    size_t size = prefix.size + 2 + TKS_TAG_SIZE + 2 + rest.size;
    tks_status status = tks_buf_reserve(out, size, &at);
    if (status != TKS_OK) return status;
    if (prefix.size > 0) memcpy(at, prefix.data, prefix.size);
    at += prefix.size;
    *at++ = ':';
    *at++ = '{';
    memcpy(at, tag, TKS_TAG_SIZE);
    at += TKS_TAG_SIZE;
    *at++ = '}';
    *at++ = ':';
    memcpy(at, rest.data, rest.size);
    tks_buf_advance(out, size);
    return TKS_OK;
}

tks_status tksp_key_record(tks_buf *out, tks_bytes prefix, const tksp_place *place) {
    return append_key(out, prefix, place->tag, tks_bytes_of(place->digest, TKS_DIGEST_TEXT_SIZE));
}

tks_status tksp_key_names(tks_buf *out, tks_bytes app, tks_bytes type) {
    tks_json_append_name(out, app);
    tks_buf_append_char(out, ',');
    tks_json_append_name(out, type);
    return tks_buf_append_char(out, ',');
}

tks_status tksp_key_index(tks_buf *out, tks_bytes prefix, const char *tag, tks_bytes app,
                          tks_bytes type, tks_bytes owner) {
    append_key(out, prefix, tag, TKS_LITERAL("o:"));
    tksp_key_names(out, app, type);
    return tks_json_append_name(out, owner);
}
