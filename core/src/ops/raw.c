/* raw.c - commands sent unchanged: execute and pipeline. */
#include "meter.h"
#include "op_private.h"
#include "raw_key.h"
#include "raw_nodes.h"
#include "raw_refused.h"

typedef struct raw_op {
    tks_op base;
    tks_bytes node; /* all go to it; data NULL: each to the node of its key */
    bool placed;    /* they are added */
    size_t count;
    const size_t *argc;
    const tks_bytes *argv;
    const tks_bytes *routes;
    const tks_reply **replies;
} raw_op;

static tks_status add(raw_op *self, int node);

/* Once the map is known: their node. */
static tks_status find_node(raw_op *self) {
    tks_op *op = &self->base;
    int node = -1;
    if (!tksp_raw_knows_nodes(op)) return tksp_raw_ask_nodes(op);
    tksp_op_clear_commands(op);
    op->safety = TKS_ONCE;
    self->placed = true;
    tks_status status = tksp_raw_find_node(op, self->node, &node);
    return status == TKS_OK ? add(self, node) : status;
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    raw_op *self = (raw_op *)op;
    (void)now_ms;
    if (!self->placed) return find_node(self);
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        self->replies[i] = command->reply;
        /* The user may be allowed MULTI but not EXEC: then the next command would be queued. */
        if (tks_reply_is_error(command->reply, "NOPERM") && op->trust == TKS_TRUST_KEEP &&
            tksp_raw_ends_multi(command->argc, command->argv)) {
            op->trust = TKS_TRUST_CLOSE;
        }
    }
    op->result.type = TKS_RESULT_REPLIES;
    op->result.size = op->count;
    op->result.replies = self->replies;
    return TKS_OK;
}

static const tksp_op_kind raw_kind = {.finish = finish};

/* Each command of a transaction to the one before it, and WAIT to the write before it. */
static void tie(tks_op *op) {
    bool open = false;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        tks_bytes name = command->argv[0];
        if (open) {
            command->tie = TKSP_WITH;
        } else if (i > 0 && (tksp_raw_is(name, "WAIT") || tksp_raw_is(name, "WAITAOF"))) {
            command->tie = TKSP_AFTER;
        }
        open = tksp_raw_is(name, "MULTI") ||
               (open && !tksp_raw_ends_multi(command->argc, command->argv));
    }
}

/* Adds the commands: all to `node`, or if that is -1, each to the node of its key. */
static tks_status add(raw_op *self, int node) {
    tks_op *op = &self->base;
    const tks_bytes *argv = self->argv;
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < self->count; argv += self->argc[i++]) {
        tks_bytes route = self->node.data == NULL ? self->routes[i] : tks_bytes_of(NULL, 0);
        status = tksp_op_add(op, NULL, argv, self->argc[i], route);
        if (status != TKS_OK) return status;
        op->commands[i].raw = true;
        op->commands[i].node = node;
    }
    tie(op);
    return status;
}

/* Copies of the commands, with the key that routes each. */
static tks_status copy(raw_op *self, size_t count, const size_t *argc, const tks_bytes *argv,
                       const tks_bytes *key) {
    tksp_arena *arena = &self->base.arena;
    size_t words = 0;
    for (size_t i = 0; i < count; i++) words += argc[i];
    size_t *sizes = tksp_arena_alloc(arena, count * sizeof *sizes);
    tks_bytes *copies = tksp_arena_alloc(arena, words * sizeof *copies);
    tks_bytes *routes = tksp_arena_alloc(arena, count * sizeof *routes);
    self->replies = tksp_arena_alloc(arena, count * sizeof *self->replies);
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    memcpy(sizes, argc, count * sizeof *sizes);
    for (size_t i = 0; i < words; i++) copies[i] = tksp_arena_dup(arena, argv[i]);
    self->count = count;
    self->argc = sizes;
    self->argv = copies;
    self->routes = routes;
    if (key == NULL) {
        tksp_raw_routes(count, sizes, copies, routes);
    } else {
        routes[0] = tksp_arena_dup(arena, *key);
        for (size_t i = 1; i < count; i++) routes[i] = routes[0];
    }
    return arena->status;
}

static tks_status check_place(const tks_bytes *key, const tks_bytes *node, tks_error *err) {
    if (key != NULL && node != NULL) {
        return tks_fail(err, TKS_ERR_DATA, "give key or node, not both");
    }
    if (key != NULL && key->size == 0) {
        return tks_fail(err, TKS_ERR_DATA, "key is empty: leave it out, or name a key of the node");
    }
    if (node != NULL && node->size == 0) {
        return tks_fail(err, TKS_ERR_DATA, "node is empty: leave it out, or give host:port");
    }
    return TKS_OK;
}

tks_status tks_raw_new(size_t count, const size_t *argc, const tks_bytes *argv,
                       const tks_bytes *key, const tks_bytes *node, tks_op **out, tks_error *err) {
    *out = NULL;
    tks_status status = check_place(key, node, err);
    if (status == TKS_OK) status = tksp_raw_check(count, argc, argv, err);
    if (status != TKS_OK) return status;
    raw_op *self = (raw_op *)tksp_op_new(sizeof *self, &raw_kind, TKS_ONCE);
    if (self == NULL) return tks_fail_memory(err);
    status = copy(self, count, argc, argv, key);
    if (node == NULL) {
        self->placed = true;
        if (status == TKS_OK) status = add(self, -1);
    } else {
        self->node = tksp_arena_dup(&self->base.arena, *node);
        if (self->node.data == NULL) status = TKS_ERR_MEMORY;
    }
    if (status != TKS_OK) {
        tks_op_free(&self->base);
        return tks_fail_memory(err);
    }
    tksp_op_name(&self->base, &tksp_plain_rows[count == 1 ? TKSP_EXECUTE : TKSP_PIPELINE]);
    *out = &self->base;
    return TKS_OK;
}
