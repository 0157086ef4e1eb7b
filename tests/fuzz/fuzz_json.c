/* fuzz_json.c - a text that is read and written again is equal, and stable from then on; the joined members
 * of an object are the object; any text that is a valid string survives the round trip. */
#include "fuzz.h"
#include "tokenstore/json.h"

enum { SIZE_LIMIT = 4096, WRITTEN_MAX = 1 << 20 };

static void write_tree(const tks_json *tree, tks_buf *out) {
    tks_error err = TKS_ERROR_INIT;
    tks_json_writer w;
    tks_buf_init(out, WRITTEN_MAX);
    tks_json_writer_init(&w, out, WRITTEN_MAX, "data", &err);
    REQUIRE(tks_json_write_tree(&w, tree) == TKS_OK);
}

static void require_same_tree(const tks_json *a, const tks_json *b) {
    double x = 0, y = 0;
    REQUIRE(tks_json_get_type(a) == tks_json_get_type(b));
    switch (tks_json_get_type(a)) {
    case TKS_JSON_NULL: return;
    case TKS_JSON_BOOL: REQUIRE(tks_json_get_bool(a) == tks_json_get_bool(b)); return;
    case TKS_JSON_INTEGER:
        REQUIRE(tks_json_get_integer(a) == tks_json_get_integer(b));
        REQUIRE(llabs(tks_json_get_integer(a)) <= TKS_JSON_INTEGER_MAX);
        return;
    case TKS_JSON_DOUBLE:
        x = tks_json_get_double(a);
        y = tks_json_get_double(b);
        REQUIRE(memcmp(&x, &y, sizeof x) == 0);
        return;
    case TKS_JSON_STRING:
        REQUIRE(tks_bytes_equal(tks_json_get_string(a), tks_json_get_string(b)));
        return;
    case TKS_JSON_BIG: REQUIRE(false); return; /* our own data has none */
    case TKS_JSON_ARRAY:
    case TKS_JSON_OBJECT: break;
    }
    const tks_json *m = tks_json_get_child(a), *n = tks_json_get_child(b);
    for (; m != NULL && n != NULL; m = tks_json_get_next(m), n = tks_json_get_next(n)) {
        if (tks_json_get_type(a) == TKS_JSON_OBJECT) {
            tks_bytes name = tks_json_get_name(m);
            REQUIRE(tks_bytes_equal(name, tks_json_get_name(n)));
            REQUIRE(tks_json_find(a, name.data) == m); /* unique, case-sensitive */
        }
        require_same_tree(m, n);
    }
    REQUIRE(m == NULL && n == NULL);
}

static void require_members(const tks_json *tree, tks_bytes text) {
    tks_buf again;
    tks_bytes name, value;
    size_t at = 0, count = 0;
    tks_buf_init(&again, WRITTEN_MAX);
    while (tks_json_next_member(text, &at, &name, &value)) {
        tks_buf_append_char(&again, count++ == 0 ? '{' : ',');
        tks_buf_append_bytes(&again, name);
        tks_buf_append_char(&again, ':');
        tks_buf_append_bytes(&again, value);
        REQUIRE(tks_json_check(value, SIZE_MAX, NULL) == TKS_OK);
    }
    tks_buf_append(&again, count == 0 ? "{}" : "}", count == 0 ? 2 : 1);
    REQUIRE(count == tks_json_get_size(tree));
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&again), text));
    tks_buf_clear(&again);
}

/* Foreign JSON: a superset of our own data, with the same results; names are unique in it too. */
static void require_sound(const tks_json *node, unsigned depth) {
    tks_json_type type = tks_json_get_type(node);
    size_t size = 0;
    REQUIRE(depth <= TKS_JSON_DEPTH_MAX);
    if (type == TKS_JSON_BIG || type == TKS_JSON_STRING) {
        tks_bytes text = tks_json_get_string(node);
        REQUIRE(text.data[text.size] == '\0');
        REQUIRE(type == TKS_JSON_STRING || text.size >= 19);
        return;
    }
    if (type != TKS_JSON_ARRAY && type != TKS_JSON_OBJECT) return;
    for (const tks_json *m = tks_json_get_child(node); m != NULL; m = tks_json_get_next(m)) {
        size++;
        if (type == TKS_JSON_OBJECT && size <= 50) {
            for (const tks_json *n = tks_json_get_next(m); n != NULL; n = tks_json_get_next(n)) {
                REQUIRE(!tks_bytes_equal(tks_json_get_name(m), tks_json_get_name(n)));
            }
        }
        require_sound(m, depth + 1);
    }
    REQUIRE(size == tks_json_get_size(node));
}

static void try_as_foreign(tks_bytes text) {
    tks_json *tree = NULL, *own = NULL;
    if (tks_json_read_foreign(text, &tree, NULL) == TKS_OK) require_sound(tree, 0);
    if (tks_json_parse(text, SIZE_MAX, &own, NULL) == TKS_OK) {
        REQUIRE(tree != NULL);
        require_same_tree(tree, own);
    }
    tks_json_free(tree);
    tks_json_free(own);
}

static void try_as_text(tks_bytes text) {
    tks_json *tree = NULL;
    tks_buf first, second;

    if (tks_json_parse(text, SIZE_LIMIT, &tree, NULL) != TKS_OK) {
        REQUIRE(tree == NULL);
        return;
    }
    REQUIRE(text.size <= SIZE_LIMIT);
    REQUIRE(tks_json_check(text, SIZE_LIMIT, NULL) == TKS_OK);
    write_tree(tree, &first);
    tks_json *again = NULL;
    REQUIRE(tks_json_parse(tks_buf_bytes(&first), SIZE_MAX, &again, NULL) == TKS_OK);
    require_same_tree(tree, again);
    write_tree(again, &second);
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&first), tks_buf_bytes(&second)));
    if (tks_json_get_type(tree) == TKS_JSON_OBJECT) require_members(tree, tks_buf_bytes(&first));
    tks_json_free(tree);
    tks_json_free(again);
    tks_buf_clear(&first);
    tks_buf_clear(&second);
}

static void try_as_string(tks_bytes text) {
    tks_error err = TKS_ERROR_INIT;
    tks_json_writer w;
    tks_json *tree = NULL;
    tks_buf out;

    tks_buf_init(&out, WRITTEN_MAX);
    tks_json_writer_init(&w, &out, WRITTEN_MAX, "data", &err);
    if (tks_json_write_string(&w, text) == TKS_OK) {
        REQUIRE(tks_json_parse(tks_buf_bytes(&out), SIZE_MAX, &tree, NULL) == TKS_OK);
        REQUIRE(tks_bytes_equal(tks_json_get_string(tree), text));
        tks_json_free(tree);
    }
    tks_buf_clear(&out);
}

static void try_as_double(tks_bytes text) {
    tks_error err = TKS_ERROR_INIT;
    tks_json_writer w;
    tks_json *tree = NULL;
    tks_buf out;
    double value = 0, back = 0;

    if (text.size < sizeof value) return;
    memcpy(&value, text.data, sizeof value);
    tks_buf_init(&out, WRITTEN_MAX);
    tks_json_writer_init(&w, &out, WRITTEN_MAX, "data", &err);
    if (tks_json_write_double(&w, value) == TKS_OK) {
        REQUIRE(tks_json_parse(tks_buf_bytes(&out), SIZE_MAX, &tree, NULL) == TKS_OK);
        REQUIRE(tks_json_get_type(tree) == TKS_JSON_DOUBLE);
        back = tks_json_get_double(tree);
        REQUIRE(memcmp(&value, &back, sizeof value) == 0);
        tks_json_free(tree);
    }
    tks_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_bytes text = fuzz_bytes(data, size);
    tks_bytes name, value;
    size_t at = 0;

    try_as_text(text);
    try_as_foreign(text);
    try_as_string(text);
    try_as_double(text);
    while (tks_json_next_member(text, &at, &name, &value)) REQUIRE(at <= size);
    return 0;
}
