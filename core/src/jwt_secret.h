/* jwt_secret.h - shared by jwt_secret.c and jwt_secret_spellings.c; oauth_said.c uses its decoders,
 * too. */
#ifndef TKSP_JWT_SECRET_H
#define TKSP_JWT_SECRET_H

#include <stdbool.h>
#include <string.h>

#include "tokenstore/buf.h"

static inline bool begins_with(tks_bytes text, const char *part) {
    size_t size = strlen(part);
    return text.size >= size && memcmp(text.data, part, size) == 0;
}

static inline tks_bytes skip(tks_bytes text, size_t size) {
    return size == 0 ? text
                     : tks_bytes_of(text.data + size, text.size - size); /* data may be NULL */
}

static inline bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

static inline bool is_quote(char c) {
    return c == '"' || c == '\'';
}

/* Decodes base64 of either alphabet up to the first other character, and returns the rest. Skips
 * blanks. `out` has room for all of `text`. */
tks_bytes tksp_decode_64(tks_bytes text, char *out, size_t *size);

/* Decodes escapes of JSON, C, Python, URLs, HTML and XML. `out` has room for all of `text`; 0:
 * there are none. */
size_t tksp_unescape(tks_bytes text, char *out);

/* Decodes `text` into `out`, which is as large as the text, and returns the size; 0: another
 * encoding. */
typedef size_t (*tksp_spelling)(tks_bytes text, char *out);

extern const tksp_spelling tksp_spellings[]; /* NULL-terminated */

#endif
