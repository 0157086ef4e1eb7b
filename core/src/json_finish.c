/* json_finish.c - completes a new tree: marks integers and makes names unique.
 *
 * Threads:   no state. */
#include <math.h>
#include <stdlib.h>

#include "json_private.h"

enum { FEW_MEMBERS = 8 }; /* up to this, comparing all pairs is faster than sorting */

/* ---- names ------------------------------------------------------------------------------------- */

/* Handles a member with the same name as a later one. */
static tks_status meet_double(cJSON *object, cJSON *member, bool last_counts, tks_error *err) {
    if (!last_counts) {
        return tks_fail(err, TKS_ERR_DATA,
                        "not valid JSON: an object has two members with the same name");
    }
    tksp_json_free(cJSON_DetachItemViaPointer(object, member));
    return TKS_OK;
}

typedef struct entry {
    cJSON *member;
    size_t index;
} entry;

/* Orders by name, then by position in the text. */
static int compare(const void *a, const void *b) {
    const entry *x = a, *y = b;
    tks_bytes m = tksp_json_name(x->member), n = tksp_json_name(y->member);
    int order = memcmp(m.data, n.data, m.size < n.size ? m.size : n.size);
    if (order != 0) return order;
    if (m.size != n.size) return m.size < n.size ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* O(n log n), against texts crafted to be slow. */
static tks_status check_many(cJSON *object, size_t count, bool last_counts, tks_error *err) {
    entry *sorted = malloc(count * sizeof *sorted);
    tks_status status = TKS_OK;
    size_t i = 0;
    if (sorted == NULL) return tks_fail_memory(err);
    for (cJSON *member = object->child; member != NULL; member = member->next, i++) {
        sorted[i] = (entry){member, i};
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (i = 1; i < count && status == TKS_OK; i++) {
        cJSON *before = sorted[i - 1].member;
        if (tks_bytes_equal(tksp_json_name(before), tksp_json_name(sorted[i].member))) {
            status = meet_double(object, before, last_counts, err);
        }
    }
    free(sorted);
    return status;
}

static bool has_later(const cJSON *member) {
    tks_bytes name = tksp_json_name(member);
    for (member = member->next; member != NULL; member = member->next) {
        if (tks_bytes_equal(tksp_json_name(member), name)) return true;
    }
    return false;
}

static tks_status check_few(cJSON *object, bool last_counts, tks_error *err) {
    tks_status status = TKS_OK;
    cJSON *next;
    for (cJSON *member = object->child; member != NULL && status == TKS_OK; member = next) {
        next = member->next;
        if (has_later(member)) status = meet_double(object, member, last_counts, err);
    }
    return status;
}

static tks_status check_names(cJSON *object, bool last_counts, tks_error *err) {
    size_t count = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) count++;
    return count > FEW_MEMBERS ? check_many(object, count, last_counts, err)
                               : check_few(object, last_counts, err);
}

/* ---- the walk ---------------------------------------------------------------------------------- */

typedef struct walk {
    const tksp_json_facts *facts;
    const tks_json_rules *rules;
    tks_bytes text;
    size_t at; /* position in the text, after the last number */
    tks_error *err;
} walk;

/* cJSON does not record how a number was written, so look in the text. */
static tks_status finish_number(cJSON *item, walk *w) {
    if (w->facts->has_double) {
        tks_bytes number = tksp_json_next_number(w->text, &w->at);
        if (!tksp_json_is_integer(number)) {
            size_t place = (size_t)(number.data - w->text.data);
            if (w->rules->any || isfinite(item->valuedouble)) return TKS_OK;
            return tks_fail(w->err, TKS_ERR_DATA,
                            "not valid JSON at byte %zu: a number too large for a double",
                            place - (item->valuedouble < 0));
        }
    }
    if (cJSON_IsRaw(item)) return TKS_OK; /* marked by json_build.c */
    item->type |= TKSP_JSON_IS_INTEGER;
    if (item->valuedouble == 0) item->valuedouble = 0; /* the integer -0 is 0 */
    return TKS_OK;
}

/* In document order. The scan has limited the depth of recursion. */
static tks_status finish_item(cJSON *item, walk *w) {
    tks_status status = TKS_OK;
    if (tks_json_is_number((const tks_json *)(const void *)item)) return finish_number(item, w);
    for (cJSON *child = item->child; child != NULL && status == TKS_OK; child = child->next) {
        status = finish_item(child, w);
    }
    if (status == TKS_OK && cJSON_IsObject(item)) {
        status = check_names(item, w->rules->last_counts, w->err);
    }
    return status;
}

tks_status tksp_json_finish(cJSON *root, tks_bytes text, const tksp_json_facts *facts,
                            const tks_json_rules *rules, tks_error *err) {
    walk w = {facts, rules, text, 0, err};
    return finish_item(root, &w);
}
