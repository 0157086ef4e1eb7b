/* near_track.c - switches on what a near cache listens to: CLIENT TRACKING, in broadcasting mode, told to the connection itself by a
 * channel; or in default mode, of the keys that this connection reads, and told to it by RESP3's push messages, in one order with its answers.
 * Source: redis.io, "Client-side caching reference". */
#include "near.h"
#include "op_private.h"

enum { WORDS = 6, NUMBER_MAX = 24 };

typedef struct track_op {
    tks_op base;
    const tks_bytes *prefixes;
    size_t prefix_count;
    bool by_key;
    bool tracking; /* CLIENT TRACKING has been sent */
} track_op;

static tks_status send_words(track_op *self, const tks_bytes *words, size_t count) {
    tksp_op_clear_commands(&self->base);
    return tksp_op_add(&self->base, NULL, words, count, tks_bytes_of(NULL, 0));
}

/* What must be known, or done, before. */
static tks_status begin(track_op *self) {
    static const tks_bytes hello[] = {{"HELLO", 5}, {"3", 1}},
                           ask_id[] = {{"CLIENT", 6}, {"ID", 2}};
    return send_words(self, self->by_key ? hello : ask_id, 2);
}

static tks_status track_keys(track_op *self) {
    static const tks_bytes words[] = {{"CLIENT", 6}, {"TRACKING", 8}, {"ON", 2}};
    self->tracking = true;
    return send_words(self, words, 3);
}

static tks_status track_prefixes(track_op *self, int64_t id) {
    tks_op *op = &self->base;
    tks_bytes *words =
        tksp_arena_alloc(&op->arena, (WORDS + 2 * self->prefix_count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    size_t count = 0;
    words[count++] = TKS_LITERAL("CLIENT");
    words[count++] = TKS_LITERAL("TRACKING");
    words[count++] = TKS_LITERAL("ON");
    words[count++] = TKS_LITERAL("REDIRECT");
    words[count++] = tksp_arena_int(&op->arena, id);
    words[count++] = TKS_LITERAL("BCAST");
    for (size_t i = 0; i < self->prefix_count; i++) {
        words[count++] = TKS_LITERAL("PREFIX");
        words[count++] = self->prefixes[i];
    }
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    self->tracking = true;
    return send_words(self, words, count);
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    track_op *self = (track_op *)op;
    const tks_reply *reply = op->commands[0].reply;
    (void)now_ms;
    if (!self->tracking && self->by_key) {
        if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY) return tksp_op_fail_foreign(op);
        return track_keys(self);
    }
    if (!self->tracking) {
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
        return track_prefixes(self, tks_reply_get_integer(reply));
    }
    if (tks_reply_get_type(reply) != TKS_REPLY_STATUS) return tksp_op_fail_foreign(op);
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = 1;
    return TKS_OK;
}

static const tksp_op_kind keys_kind = {
    .finish = finish,
    .advice =
        "near_cache_tracking=keys needs a server with HELLO 3 and CLIENT TRACKING, and the "
        "rights +client|tracking, +pttl and +ping",
};

static const tksp_op_kind prefixes_kind = {
    .finish = finish,
    .advice =
        "near_cache needs a server with CLIENT TRACKING, and the rights +client|id, "
        "+client|tracking, "
        "+subscribe, +ping and &" TKS_NEAR_CHANNEL,
};

tks_status tks_near_track_new(tks_near *near, unsigned *version, tks_op **out, tks_error *err) {
    bool by_key = tks_near_get_tracking(near) == TKS_NEAR_KEYS;
    track_op *self =
        (track_op *)tksp_op_new(sizeof *self, by_key ? &keys_kind : &prefixes_kind, TKS_IDEMPOTENT);
    *out = NULL;
    if (self == NULL) return tks_fail_memory(err);
    self->by_key = by_key;
    self->prefixes = tksp_near_prefixes(near, &self->base.arena, &self->prefix_count, version);
    if (self->prefixes == NULL || begin(self) != TKS_OK) {
        tks_op_free(&self->base);
        return tks_fail_memory(err);
    }
    *out = &self->base;
    return TKS_OK;
}
