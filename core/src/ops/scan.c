/* scan.c - see scan.h. */
#include "scan.h"

#include "router.h"

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

tks_status tksp_slot_scan_add(tksp_slot_scan *scan, tks_op *op, tksp_arena *arena, tks_bytes cursor,
                              tks_bytes pattern, uint32_t count) {
    tks_bytes route = scan->next > 0 ? tks_bytes_of(NULL, 0) : scan->route;
    tks_status status = tksp_scan_add(op, arena, cursor, pattern, count, route);
    if (status == TKS_OK) op->commands[op->count - 1].node = scan->next - 1;
    return status;
}

void tksp_slot_scan_note(tksp_slot_scan *scan, const tks_op *op, size_t i) {
    scan->scanned = op->commands[i].from;
}

/* A name of the slot that nobody uses. */
static tks_bytes nobody(tksp_arena *arena, tks_bytes route) {
    static const char rest[] = "}:tokenstore:nobody";
    tks_bytes tag = tksp_slot_tag(route);
    char *name = tksp_arena_alloc(arena, 1 + tag.size + sizeof rest - 1);
    if (name == NULL) return tks_bytes_of(NULL, 0);
    name[0] = '{';
    memcpy(name + 1, tag.data, tag.size);
    memcpy(name + 1 + tag.size, rest, sizeof rest - 1);
    return tks_bytes_of(name, 1 + tag.size + sizeof rest - 1);
}

bool tksp_slot_scan_ask(tksp_slot_scan *scan, tks_op *op, tksp_arena *arena) {
    if (op->router == NULL || !tksp_router_is_cluster(op->router)) return false;
    tks_bytes *words = tksp_arena_alloc(arena, 2 * sizeof *words);
    if (words == NULL) return false;
    words[0] = TKS_LITERAL("GET");
    words[1] = nobody(arena, scan->route);
    if (words[1].data == NULL || tksp_op_add(op, NULL, words, 2, words[1]) != TKS_OK) {
        arena->status = TKS_ERR_MEMORY;
        return false;
    }
    scan->asking = true;
    return true;
}

bool tksp_slot_scan_goes_on(tksp_slot_scan *scan, tks_op *op) {
    int at = op->commands[0].from;
    tksp_op_clear_commands(op);
    scan->asking = false;
    scan->next = at + 1;
    return at != scan->scanned;
}

/* The first node behind `node` that serves slots; -1: none does. */
static int next_node(const tks_router *router, int node) {
    for (node++; node < TKS_NODES_MAX; node++) {
        if (tks_router_serves(router, node)) return node;
    }
    return -1;
}

static bool begin_round(tksp_walk *walk, const tks_op *op) {
    walk->stage = TKSP_WALK_ON;
    walk->version = tks_router_version(op->router);
    walk->node = next_node(op->router, -1);
    return walk->node >= 0;
}

bool tksp_walk_on(tksp_walk *walk, tks_op *op) {
    enum { ROUNDS_MAX = 3 };
    static const tks_bytes ping[] = {{"PING", 4}};
    bool many = op->router != NULL && tksp_router_is_cluster(op->router);
    if (walk->stage == TKSP_WALK_NEW) {
        walk->stage = many ? TKSP_WALK_ASKED : TKSP_WALK_ON;
        walk->node = -1;
        if (many) (void)tksp_op_add(op, NULL, ping, 1, tks_bytes_of(NULL, 0));
        if (many && op->count > 0) op->commands[0].may_be_forbidden = true;
        return !many || op->count > 0;
    }
    if (!many) return false;
    if (walk->stage == TKSP_WALK_ASKED) return begin_round(walk, op);
    walk->node = next_node(op->router, walk->node);
    if (walk->node >= 0) return true;
    bool moved = tks_router_version(op->router) != walk->version;
    return moved && ++walk->rounds < ROUNDS_MAX && begin_round(walk, op);
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
