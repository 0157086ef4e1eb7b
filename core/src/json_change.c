/* json_change.c - changes to a tree that was read: what is put together from what was read needs not be
 * written as text and read again.
 *
 * Lifecycle: the tree owns what is added.
 * Threads:   as the tree: nobody else may look at it meanwhile. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tokenstore/json.h"

static cJSON *item_of(tks_json *node) {
    return (cJSON *)(void *)node;
}

/* Puts `item`, which is taken over, in the place of the member of that name, or at the end. */
static tks_status put(tks_json *object, const char *name, cJSON *item) {
    tks_json_remove(object, name);
    if (item == NULL || !cJSON_AddItemToObject(item_of(object), name, item)) {
        cJSON_Delete(item);
        return TKS_ERR_MEMORY;
    }
    return TKS_OK;
}

void tks_json_remove(tks_json *object, const char *name) {
    cJSON_DeleteItemFromObjectCaseSensitive(item_of(object), name);
}

tks_status tks_json_set_string(tks_json *object, const char *name, tks_bytes value) {
    char *text = malloc(value.size + 1); /* cJSON wants a NUL behind it */
    if (text == NULL) return TKS_ERR_MEMORY;
    if (value.size > 0) memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    tks_status status = put(object, name, cJSON_CreateString(text));
    free(text);
    return status;
}

tks_status tks_json_set_integer(tks_json *object, const char *name, int64_t value) {
    cJSON *item = cJSON_CreateNumber((double)value);
    if (item != NULL) item->valueint = 1; /* our mark of an integer: json.c */
    return put(object, name, item);
}

tks_status tks_json_move(tks_json *object, const char *name, tks_json *from) {
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(item_of(from), name);
    if (item != NULL) return put(object, name, item);
    tks_json_remove(object, name);
    return TKS_OK;
}
