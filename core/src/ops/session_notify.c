/* session_notify.c - enables key events on the server: notify-keyspace-events. */
#include "op_private.h"
#include "tokenstore/session_event.h"

enum { FLAGS_MAX = 256 };

#define NAME TKS_LITERAL("notify-keyspace-events")

typedef struct notify_op {
    tks_op base;
    bool setting; /* CONFIG SET has been sent */
} notify_op;

/* CONFIG GET, or with flags CONFIG SET. */
static tks_status send(tks_op *op, tks_bytes flags) {
    bool set = flags.size > 0;
    tks_bytes *words = tksp_arena_alloc(&op->arena, 4 * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = TKS_LITERAL("CONFIG");
    words[1] = set ? TKS_LITERAL("SET") : TKS_LITERAL("GET");
    words[2] = NAME;
    words[3] = tksp_arena_dup(&op->arena, flags);
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_op_add(op, NULL, words, set ? 4 : 3, tks_bytes_of(NULL, 0)); /* it is no key */
}

/* {name, flags} */
static bool is_setting(const tks_reply *reply) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY || tks_reply_get_size(reply) != 2) {
        return false;
    }
    const tks_reply *name = tks_reply_get_item(reply, 0), *flags = tks_reply_get_item(reply, 1);
    return tks_reply_get_type(name) == TKS_REPLY_STRING &&
           tks_bytes_equal(tks_reply_get_bytes(name), NAME) &&
           tks_reply_get_type(flags) == TKS_REPLY_STRING;
}

static tks_status take_flags(notify_op *self) {
    tks_op *op = &self->base;
    const tks_reply *reply = op->commands[0].reply;
    if (tks_reply_get_type(reply) == TKS_REPLY_ARRAY && tks_reply_get_size(reply) == 0) {
        return tksp_op_fail(
            op, TKS_ERR_SERVER,
            "the server does not support notify-keyspace-events: it cannot report ended sessions");
    }
    if (!is_setting(reply)) return tksp_op_fail_foreign(op);
    tks_bytes current = tks_reply_get_bytes(tks_reply_get_item(reply, 1));
    tks_buf flags;
    tks_buf_init(&flags, FLAGS_MAX);
    tks_status status = tks_keyspace_flags(current, &flags);
    self->setting = status == TKS_OK && flags.size > current.size;
    tksp_op_clear_commands(op);
    if (self->setting) status = send(op, tks_buf_bytes(&flags));
    tks_buf_clear(&flags);
    return status;
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    notify_op *self = (notify_op *)op;
    (void)now_ms;
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = self->setting;
    if (!self->setting) return take_flags(self);
    if (tks_reply_get_type(op->commands[0].reply) != TKS_REPLY_STATUS) {
        return tksp_op_fail_foreign(op);
    }
    return TKS_OK;
}

static const tksp_op_kind notify_kind = {
    .finish = finish,
    .advice =
        "to report ended sessions, this user needs +config|get and +config|set (before Redis 7 "
        "+config); or set notify-keyspace-events to \"gxE\" or more in the server's configuration, "
        "and omit kea here",
};

tks_status tks_session_notify_new(tks_op **out, tks_error *err) {
    *out = NULL;
    tks_op *op = tksp_op_new(sizeof(notify_op), &notify_kind, TKS_IDEMPOTENT);
    if (op == NULL) return tks_fail_memory(err);
    if (send(op, TKS_LITERAL("")) != TKS_OK) {
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    *out = op;
    return TKS_OK;
}
