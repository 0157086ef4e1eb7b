/* scan.c - see scan.h. */
#include "scan.h"

#include <string.h>

tks_bytes tksp_scan_pattern(tksp_arena *arena, tks_bytes literal, const char *rest) {
    size_t rest_size = strlen(rest), size = 0;
    char *pattern = tksp_arena_alloc(arena, 2 * literal.size + rest_size);
    if (pattern == NULL) return tks_bytes_of(NULL, 0);
    for (size_t i = 0; i < literal.size; i++) {
        if (literal.data[i] != '\0' && strchr("*?[]\\", literal.data[i]) != NULL) {
            pattern[size++] = '\\';
        }
        pattern[size++] = literal.data[i];
    }
    memcpy(pattern + size, rest, rest_size);
    return tks_bytes_of(pattern, size + rest_size);
}

tks_status tksp_scan_add(tks_op *op, tksp_arena *arena, tks_bytes cursor, tks_bytes pattern,
                         uint32_t count, tks_bytes route) {
    const tks_bytes words[] = {
        TKS_LITERAL("SCAN"),  tksp_arena_dup(arena, cursor), TKS_LITERAL("MATCH"), pattern,
        TKS_LITERAL("COUNT"), tksp_arena_int(arena, count),
    };
    enum { COUNT = sizeof words / sizeof *words };
    tks_bytes *kept = tksp_arena_alloc(arena, sizeof words);
    if (kept == NULL || arena->status != TKS_OK) return TKS_ERR_MEMORY;
    memcpy(kept, words, sizeof words);
    return tksp_op_add(op, NULL, kept, COUNT, route);
}

bool tksp_scan_read(const tks_reply *reply, tks_bytes *cursor, const tks_reply **names) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY || tks_reply_get_size(reply) != 2) {
        return false;
    }
    const tks_reply *at = tks_reply_get_item(reply, 0);
    *names = tks_reply_get_item(reply, 1);
    if (tks_reply_get_type(at) != TKS_REPLY_STRING ||
        tks_reply_get_type(*names) != TKS_REPLY_ARRAY) {
        return false;
    }
    for (size_t i = 0; i < tks_reply_get_size(*names); i++) {
        if (tks_reply_get_type(tks_reply_get_item(*names, i)) != TKS_REPLY_STRING) return false;
    }
    *cursor = tks_reply_get_bytes(at);
    if (cursor->size == 0) return false;
    if (tks_bytes_equal(*cursor, TKS_LITERAL("0"))) cursor->size = 0;
    return true;
}
