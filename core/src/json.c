/* json.c - JSON trees: cJSON behind a strict scan. The only file that sees cJSON.
 *
 * Purpose:   tks_json_parse and the getters. A tks_json is a cJSON node under another name.
 * Lifecycle: a tree lives from tks_json_parse to tks_json_free; all else is borrowed from it.
 * Threads:   a tree may be read from many threads. (cJSON_Parse also writes a process-wide "error
 *            pointer", the same NULL for every text that passed the scan; nobody here reads it.)
 *
 * `valueint` of a number is not its value here - cJSON saturates that at INT_MAX - but our mark: 1
 * when it was written as an integer, else 0. The value is always `valuedouble`, exact up to
 * 2^53-1. */
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "json_private.h"

enum { FEW_MEMBERS = 8 }; /* up to here comparing each with each beats sorting */

static const cJSON *item_of(const tks_json *node) {
    return (const cJSON *)(const void *)node;
}

static const tks_json *node_of(const cJSON *item) {
    return (const tks_json *)(const void *)item;
}

/* ---- unique names ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
    const cJSON *const *x = a;
    const cJSON *const *y = b;

    return strcmp((*x)->string, (*y)->string);
}

static tks_status refuse_duplicate(tks_error *err) {
    return tks_fail(err, TKS_ERR_DATA,
                    "not valid JSON: an object has two members of one name, and readers differ on "
                    "which of them counts");
}

/* O(n log n), for texts made to be slow. */
static tks_status check_many_names(const cJSON *object, size_t count, tks_error *err) {
    const cJSON **sorted = malloc(count * sizeof *sorted);
    tks_status status = TKS_OK;
    size_t i = 0;

    if (sorted == NULL) {
        return tks_fail_memory(err);
    }
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        sorted[i++] = member;
    }
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (i = 1; i < count && status == TKS_OK; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            status = refuse_duplicate(err);
        }
    }
    free(sorted);
    return status;
}

static tks_status check_names(const cJSON *object, tks_error *err) {
    size_t count = tks_json_get_size(node_of(object));

    if (count > FEW_MEMBERS) {
        return check_many_names(object, count, err);
    }
    for (const cJSON *a = object->child; a != NULL; a = a->next) {
        for (const cJSON *b = a->next; b != NULL; b = b->next) {
            if (strcmp(a->string, b->string) == 0) {
                return refuse_duplicate(err);
            }
        }
    }
    return TKS_OK;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* Where the walk through the tree stands in the text's numbers. */
typedef struct numbers {
    bool are_integers; /* all of them */
    tks_bytes text;
    size_t at;
} numbers;

static void mark_number(cJSON *item, numbers *n) {
    item->valueint =
        n->are_integers || tksp_json_is_integer(tksp_json_next_number(n->text, &n->at));
    if (item->valueint && item->valuedouble == 0) {
        item->valuedouble = 0; /* the integer -0 is 0 */
    }
}

/* In document order. Recursion ends where the scan ended it. */
static tks_status finish_item(cJSON *item, numbers *n, tks_error *err) {
    tks_status status = TKS_OK;

    if (cJSON_IsNumber(item)) {
        mark_number(item, n);
    } else if (cJSON_IsObject(item)) {
        status = check_names(item, err);
    }
    for (cJSON *child = item->child; child != NULL && status == TKS_OK; child = child->next) {
        status = finish_item(child, n, err);
    }
    return status;
}

/* cJSON's strtod must find '.' to be the decimal point. */
static cJSON *build(tks_bytes text, bool has_fraction) {
    tksp_c_locale locale;
    cJSON *root = NULL;

    if (!has_fraction) {
        return cJSON_ParseWithLengthOpts(text.data, text.size, NULL, 0);
    }
    if (tksp_c_locale_enter(&locale) == TKS_OK) {
        root = cJSON_ParseWithLengthOpts(text.data, text.size, NULL, 0);
        tksp_c_locale_leave(&locale);
    }
    return root;
}

static tks_status parse(tks_bytes text, size_t max_size, unsigned max_depth, tks_json **out,
                        tks_error *err) {
    tksp_json_facts facts;
    numbers n = {false, text, 0};
    cJSON *root = NULL;
    tks_status status = TKS_OK;

    *out = NULL;
    status = tksp_json_scan(text, max_size, max_depth, &facts, err);
    if (status != TKS_OK) {
        return status;
    }
    n.are_integers = !facts.has_fraction && !facts.has_exponent;
    root = build(text, facts.has_fraction);
    if (root == NULL) {
        return tks_fail_memory(err); /* cJSON takes all that the scan does */
    }
    status = finish_item(root, &n, err);
    if (status != TKS_OK) {
        cJSON_Delete(root);
        return status;
    }
    *out = (tks_json *)(void *)root;
    return TKS_OK;
}

tks_status tks_json_parse(tks_bytes text, size_t max_size, tks_json **out, tks_error *err) {
    return parse(text, max_size, TKS_JSON_DEPTH, out, err);
}

tks_status tks_json_parse_envelope(tks_bytes text, size_t max_size, tks_json **out,
                                   tks_error *err) {
    return parse(text, max_size, TKS_JSON_DEPTH + 1, out, err);
}

void tks_json_free(tks_json *root) {
    cJSON_Delete((cJSON *)(void *)root);
}

/* ---- getting ----------------------------------------------------------------------------------- */

tks_json_type tks_json_get_type(const tks_json *node) {
    const cJSON *item = item_of(node);

    switch (item->type & 0xFF) {
    case cJSON_False:
    case cJSON_True: return TKS_JSON_BOOL;
    case cJSON_Number: return item->valueint ? TKS_JSON_INTEGER : TKS_JSON_DOUBLE;
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
    return (int64_t)item_of(node)->valuedouble;
}

double tks_json_get_double(const tks_json *node) {
    return item_of(node)->valuedouble;
}

tks_bytes tks_json_get_string(const tks_json *node) {
    const char *text = item_of(node)->valuestring;

    return tks_bytes_of(text, strlen(text));
}

size_t tks_json_get_size(const tks_json *node) {
    size_t size = 0;

    for (const cJSON *child = item_of(node)->child; child != NULL; child = child->next) {
        size++;
    }
    return size;
}

const tks_json *tks_json_get_child(const tks_json *node) {
    return node_of(item_of(node)->child);
}

const tks_json *tks_json_get_next(const tks_json *node) {
    return node_of(item_of(node)->next);
}

tks_bytes tks_json_get_name(const tks_json *member) {
    const char *name = item_of(member)->string;

    return tks_bytes_of(name, strlen(name));
}

const tks_json *tks_json_find(const tks_json *node, const char *name) {
    return node_of(cJSON_GetObjectItemCaseSensitive(item_of(node), name));
}
