/* vectors.c - reads the files of tests/vectors with our own reader. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

enum { VECTORS_SIZE_MAX = 16 * 1024 * 1024 };

void vectors_broken(const char *why, const char *name) {
    printf("vectors: %s: %s\n", name, why);
    exit(1);
}

void vectors_open(vectors *v, const char *name) {
    tks_error err = TKS_ERROR_INIT;
    test_read_vectors(name, &v->text);
    if (tks_json_parse(tks_buf_bytes(&v->text), VECTORS_SIZE_MAX, &v->root, &err) != TKS_OK) {
        vectors_broken(err.message, name);
    }
}

void vectors_close(vectors *v) {
    tks_json_free(v->root);
    tks_buf_clear(&v->text);
}

const tks_json *vectors_get(const tks_json *object, const char *name) {
    const tks_json *member = tks_json_find(object, name);
    if (member == NULL) vectors_broken("is missing", name);
    return member;
}

const char *vectors_text(const tks_json *object, const char *name) {
    const tks_json *member = vectors_get(object, name);
    if (tks_json_get_type(member) != TKS_JSON_STRING) vectors_broken("must be a string", name);
    return tks_json_get_string(member).data; /* NUL-terminated, without a NUL inside */
}

int64_t vectors_integer(const tks_json *object, const char *name) {
    const tks_json *member = vectors_get(object, name);
    if (tks_json_get_type(member) != TKS_JSON_INTEGER) vectors_broken("must be an integer", name);
    return tks_json_get_integer(member);
}

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    if (at == NULL) vectors_broken("wants lower-case hexadecimal digits", "hex");
    return (int)(at - digits);
}

static void append_hex(const char *text, tks_buf *out) {
    while (*text != '\0') {
        if (*text == ' ') {
            text++;
            continue;
        }
        tks_buf_append_char(out, (char)(hex_digit(text[0]) * 16 + hex_digit(text[1])));
        text += 2;
    }
}

void vectors_bytes(const tks_json *node, tks_buf *out) {
    if (tks_json_get_type(node) == TKS_JSON_STRING) {
        tks_buf_append_bytes(out, tks_json_get_string(node));
    } else if (tks_json_get_type(node) != TKS_JSON_OBJECT) {
        vectors_broken("want a string or an object", "bytes");
    } else if (tks_json_find(node, "hex") != NULL) {
        append_hex(vectors_text(node, "hex"), out);
    } else if (tks_json_find(node, "repeat") != NULL) {
        const tks_json *part = tks_json_get_child(vectors_get(node, "repeat"));
        int64_t times = tks_json_get_integer(tks_json_get_next(part));
        for (int64_t i = 0; i < times; i++) vectors_bytes(part, out);
    } else {
        const tks_json *part = tks_json_get_child(vectors_get(node, "join"));
        for (; part != NULL; part = tks_json_get_next(part)) vectors_bytes(part, out);
    }
    if (out->status != TKS_OK) vectors_broken("too large", "bytes");
}
