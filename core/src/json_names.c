/* json_names.c - members of one name in an object: refused, or all but the last dropped.
 *
 * Threads: nothing here keeps state. */
#include <stdlib.h>

#include "json_private.h"

enum { FEW_MEMBERS = 8 }; /* up to here comparing each with each beats sorting */

static tks_status refuse(tks_error *err) {
    return tks_fail(err, TKS_ERR_DATA,
                    "not valid JSON: an object has two members of one name, and readers differ on "
                    "which of them counts");
}

/* Takes the members out whose `dropped` is set. */
static void drop(tks_json *object) {
    tks_json **link = &object->child;
    while (*link != NULL) {
        if ((*link)->dropped) {
            *link = (*link)->next;
            object->u.size--;
        } else {
            link = &(*link)->next;
        }
    }
}

/* By name; those of one name in the order of the text, in which their names were written. */
static int compare(const void *a, const void *b) {
    const tks_json *x = *(tks_json *const *)a, *y = *(tks_json *const *)b;
    size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
    int order = memcmp(x->name.data, y->name.data, size);
    if (order != 0) return order;
    if (x->name.size != y->name.size) return x->name.size < y->name.size ? -1 : 1;
    return x->name.data < y->name.data ? -1 : x->name.data > y->name.data;
}

/* Marks each member of which there is a later one. O(n log n), for texts made to be slow. */
static tks_status mark_many(tks_json *object, bool *found, tks_error *err) {
    size_t count = object->u.size, i = 0;
    tks_json **sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) return tks_fail_memory(err);
    for (tks_json *member = object->child; member != NULL; member = member->next)
        sorted[i++] = member;
    qsort(sorted, count, sizeof *sorted, compare);
    for (i = 1; i < count; i++) {
        if (!tks_bytes_equal(sorted[i - 1]->name, sorted[i]->name)) continue;
        *found = sorted[i - 1]->dropped = true;
    }
    free(sorted);
    return TKS_OK;
}

static bool mark_few(tks_json *object) {
    bool found = false;
    for (tks_json *a = object->child; a != NULL; a = a->next) {
        for (const tks_json *b = a->next; b != NULL; b = b->next) {
            if (tks_bytes_equal(a->name, b->name)) found = a->dropped = true;
        }
    }
    return found;
}

tks_status tksp_json_check_names(tks_json *object, bool last_counts, tks_error *err) {
    bool found = false;
    tks_status status = TKS_OK;
    if (object->u.size > FEW_MEMBERS)
        status = mark_many(object, &found, err);
    else
        found = mark_few(object);
    if (status != TKS_OK || !found) return status;
    if (!last_counts) return refuse(err);
    drop(object);
    return TKS_OK;
}
