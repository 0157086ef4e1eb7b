/* json.c - JSON trees: cJSON's nodes, read-only.
 *
 * Purpose:   a tks_json is a cJSON node. json_scan.c validates a text, cJSON or json_build.c builds its tree,
 *            json_finish.c marks integers and checks names.
 * Lifecycle: tks_json_parse and tks_json_read create a tree, tks_json_free frees it; everything else is
 *            borrowed from it. Freeing wipes its strings: they may be session data.
 * Threads:   a tree may be read from many threads. (cJSON also writes a global "error pointer", always NULL
 *            for a text that passed the scan; it is never read here.) */
#include <stdlib.h>

#include "json_private.h"
#include "tokenstore/secret.h"

/* cJSON's own limit on nesting. */
_Static_assert((int)TKS_JSON_DEPTH_MAX <= (int)CJSON_NESTING_LIMIT, "cJSON reads less deep");

/* ---- reading ----------------------------------------------------------------------------------- */

/* cJSON reads plain texts, but its strtod needs '.' as the decimal point. */
static cJSON *make_tree(tks_bytes text, const tksp_json_facts *facts) {
    tksp_c_locale locale;
    cJSON *root;
    if (facts->is_plain && !facts->has_fraction) {
        return cJSON_ParseWithLengthOpts(text.data, text.size, NULL, 0);
    }
    if (tksp_c_locale_enter(&locale) != TKS_OK) return NULL;
    root = facts->is_plain ? cJSON_ParseWithLengthOpts(text.data, text.size, NULL, 0)
                           : tksp_json_build(text);
    tksp_c_locale_leave(&locale);
    return root;
}

tks_status tks_json_read(tks_bytes text, const tks_json_rules *rules, tks_json **out,
                         tks_error *err) {
    tksp_json_facts facts;
    *out = NULL;
    tks_status status = tksp_json_scan(text, rules, &facts, err);
    if (status != TKS_OK) return status;
    cJSON *root = make_tree(text, &facts);
    if (root == NULL) return tks_fail_memory(err);
    status = tksp_json_finish(root, text, &facts, rules, err);
    if (status != TKS_OK) {
        tksp_json_free(root);
        return status;
    }
    *out = (tks_json *)(void *)root;
    return TKS_OK;
}

tks_status tks_json_read_foreign(tks_bytes text, tks_json **out, tks_error *err) {
    static const tks_json_rules rules = {.max_size = SIZE_MAX,
                                         .max_depth = TKS_JSON_DEPTH_MAX,
                                         .any = true,
                                         .last_counts = true};
    return tks_json_read(text, &rules, out, err);
}

tks_status tks_json_parse(tks_bytes text, size_t max_size, tks_json **out, tks_error *err) {
    const tks_json_rules rules = {.max_size = max_size, .max_depth = TKS_JSON_DEPTH};
    return tks_json_read(text, &rules, out, err);
}

tks_status tks_json_check(tks_bytes text, size_t max_size, tks_error *err) {
    tks_json *tree;
    tks_status status = tks_json_parse(text, max_size, &tree, err);
    tks_json_free(tree);
    return status;
}

/* ---- freeing ----------------------------------------------------------------------------------- */

/* The scan has limited the depth of recursion. */
static void wipe(cJSON *item) {
    for (; item != NULL; item = item->next) {
        tks_wipe(item->valuestring, tksp_json_text(item).size);
        tks_wipe(item->string, tksp_json_name(item).size);
        wipe(item->child);
    }
}

void tksp_json_free(cJSON *root) {
    wipe(root);
    cJSON_Delete(root);
}

void tks_json_free(tks_json *root) {
    tksp_json_free((cJSON *)(void *)root);
}

/* ---- getting ----------------------------------------------------------------------------------- */

static const cJSON *item_of(const tks_json *node) {
    return (const cJSON *)(const void *)node;
}

static const tks_json *node_of(const cJSON *item) {
    return (const tks_json *)(const void *)item;
}

tks_json_type tks_json_get_type(const tks_json *node) {
    bool is_integer = item_of(node)->type & TKSP_JSON_IS_INTEGER;
    switch (item_of(node)->type & 0xFF) {
    case cJSON_False:
    case cJSON_True: return TKS_JSON_BOOL;
    case cJSON_Number: return is_integer ? TKS_JSON_INTEGER : TKS_JSON_DOUBLE;
    case cJSON_Raw: return is_integer ? TKS_JSON_INTEGER : TKS_JSON_BIG;
    case cJSON_String: return TKS_JSON_STRING;
    case cJSON_Array: return TKS_JSON_ARRAY;
    case cJSON_Object: return TKS_JSON_OBJECT;
    default: return TKS_JSON_NULL;
    }
}

bool tks_json_get_bool(const tks_json *node) {
    return cJSON_IsTrue(item_of(node));
}

int64_t tks_json_get_integer(const tks_json *node) {
    const cJSON *item = item_of(node);
    return cJSON_IsRaw(item) ? strtoll(item->valuestring, NULL, 10) : (int64_t)item->valuedouble;
}

bool tks_json_is_number(const tks_json *node) {
    return cJSON_IsNumber(item_of(node)) || cJSON_IsRaw(item_of(node));
}

double tks_json_get_double(const tks_json *node) {
    return item_of(node)->valuedouble;
}

tks_bytes tks_json_get_string(const tks_json *node) {
    return tksp_json_text(item_of(node));
}

size_t tks_json_get_size(const tks_json *node) {
    size_t size = 0;
    for (const cJSON *child = item_of(node)->child; child != NULL; child = child->next) size++;
    return size;
}

const tks_json *tks_json_get_child(const tks_json *node) {
    return node_of(item_of(node)->child);
}

const tks_json *tks_json_get_next(const tks_json *node) {
    return node_of(item_of(node)->next);
}

tks_bytes tks_json_get_name(const tks_json *member) {
    return tksp_json_name(item_of(member));
}

/* cJSON's own lookup treats names as NUL-terminated. */
const tks_json *tks_json_find(const tks_json *node, const char *name) {
    tks_bytes wanted = tks_bytes_of(name, strlen(name));
    if (!cJSON_IsObject(item_of(node))) return NULL;
    for (const cJSON *member = item_of(node)->child; member != NULL; member = member->next) {
        if (tks_bytes_equal(tksp_json_name(member), wanted)) return node_of(member);
    }
    return NULL;
}
