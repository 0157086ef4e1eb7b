/* jwt_sessions_reindex.c - reindex: adds the sessions that Node wrote to their users' indexes, by
 * SCAN. */
#include "jwt_sessions_private.h"
#include "scan.h"

/* Each round trip indexes the keys of the last SCAN, and continues the scan. */
typedef struct reindex_op {
    tks_op op;
    tksp_arena words; /* of the current round trip */
    bool indexing;    /* the first command is the script */
    int64_t indexed;
} reindex_op;

static tks_status send_scan(reindex_op *self, tks_bytes cursor) {
    return tksp_scan_add(&self->op, &self->words, cursor, TKS_LITERAL("*:???????????"), 500,
                         TKS_LITERAL(""));
}

static tks_status send_keys(reindex_op *self, const tks_reply *names) {
    size_t count = 0, room = tks_reply_get_size(names);
    tks_bytes *words = tksp_arena_alloc(&self->words, (room + 1) * sizeof *words), id;
    if (words == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < room; i++) {
        tks_bytes name = tks_reply_get_bytes(tks_reply_get_item(names, i));
        if (tksp_rjwt_split(name, &id)) words[++count] = tksp_arena_dup(&self->words, name);
    }
    self->indexing = count > 0;
    if (count == 0) return TKS_OK;
    words[0] = tksp_arena_int(&self->words, (int64_t)count);
    if (self->words.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_op_add(&self->op, &tksp_script_rjwt_index, words, count + 1, words[1]);
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    reindex_op *self = (reindex_op *)op;
    tks_reply *scanned = NULL;
    tks_status status = TKS_OK;
    (void)now_ms;
    if (self->indexing) {
        const tks_reply *reply = op->commands[0].reply;
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
        self->indexed += tks_reply_get_integer(reply);
    }
    if (op->count > self->indexing) scanned = tksp_op_take_reply(op, self->indexing);
    tksp_op_clear_commands(op);
    tksp_arena_clear(&self->words);
    self->indexing = false;
    if (scanned != NULL) {
        const tks_reply *names;
        tks_bytes cursor;
        if (!tksp_scan_read(scanned, &cursor, &names)) {
            tks_reply_free(scanned);
            return tksp_op_fail_foreign(op);
        }
        status = send_keys(self, names);
        if (status == TKS_OK && cursor.size > 0) status = send_scan(self, cursor);
        tks_reply_free(scanned);
    }
    op->result.type = TKS_RESULT_COUNT;
    op->result.integer = self->indexed;
    return status;
}

static void clear(tks_op *op) {
    tksp_arena_clear(&((reindex_op *)op)->words);
}

static const tksp_op_kind reindex_kind = {.finish = finish,
                                          .clear = clear,
                                          .cluster_advice = tksp_rjwt_cluster_advice};

tks_status tks_jwt_sessions_reindex(const tks_jwt_sessions *sessions, tks_op **out,
                                    tks_error *err) {
    (void)sessions;
    *out = NULL;
    reindex_op *self = (reindex_op *)tksp_op_new(sizeof *self, &reindex_kind, TKS_IDEMPOTENT);
    if (self == NULL) return tks_fail_memory(err);
    if (send_scan(self, TKS_LITERAL("0")) != TKS_OK) {
        tks_op_free(&self->op);
        return tks_fail_memory(err);
    }
    *out = &self->op;
    return TKS_OK;
}
