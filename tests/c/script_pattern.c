/* script_pattern.c - matching and expanding patterns. */
#include "script_pattern.h"

#include "vectors.h"

static tks_bytes value_of(const pattern_variables *v, const tks_json *node) {
    const char *name = vectors_text(node, "var");
    for (int i = 0; i < v->count; i++) {
        if (strcmp(v->all[i].name, name) == 0) {
            size_t size = v->all[i].size;
            if (tks_json_find(node, "first") != NULL) size = (size_t)vectors_integer(node, "first");
            return tks_bytes_of(v->all[i].value, size);
        }
    }
    vectors_broken("is used before it is captured", name);
}

static bool capture(pattern_variables *v, const tks_json *node, tks_bytes got, size_t *at) {
    size_t size = (size_t)vectors_integer(node, "size");
    if (v->count == PATTERN_VARIABLES || size > PATTERN_VALUE_MAX) {
        vectors_broken("too many or too large", "capture");
    }
    if (got.size - *at < size) return false;
    v->all[v->count].name = vectors_text(node, "capture");
    memcpy(v->all[v->count].value, got.data + *at, size);
    v->all[v->count].size = size;
    v->count++;
    *at += size;
    return true;
}

static bool is_word(const tks_json *node, const char *name) {
    return tks_json_get_type(node) == TKS_JSON_OBJECT && tks_json_find(node, name) != NULL;
}

void pattern_expand(const pattern_variables *v, const tks_json *pattern, tks_buf *out) {
    if (is_word(pattern, "join")) {
        const tks_json *part = tks_json_get_child(vectors_get(pattern, "join"));
        for (; part != NULL; part = tks_json_get_next(part)) pattern_expand(v, part, out);
    } else if (is_word(pattern, "var")) {
        tks_buf_append_bytes(out, value_of(v, pattern));
    } else {
        vectors_bytes(pattern, out);
    }
}

bool pattern_match(pattern_variables *v, const tks_json *pattern, tks_bytes got, size_t *at) {
    tks_buf want;
    bool held = true;

    if (is_word(pattern, "capture")) return capture(v, pattern, got, at);
    if (is_word(pattern, "join")) {
        const tks_json *part = tks_json_get_child(vectors_get(pattern, "join"));
        for (; part != NULL && held; part = tks_json_get_next(part)) {
            held = pattern_match(v, part, got, at);
        }
        return held;
    }
    tks_buf_init(&want, 1 << 24);
    pattern_expand(v, pattern, &want);
    held = got.size - *at >= want.size &&
           (want.size == 0 || memcmp(got.data + *at, want.data, want.size) == 0);
    *at += want.size;
    tks_buf_clear(&want);
    return held;
}
