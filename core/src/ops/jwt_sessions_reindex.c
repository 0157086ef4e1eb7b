/* jwt_sessions_reindex.c - reindex: adds the sessions that Node wrote to their users' indexes, by
 * SCAN. */
#include <stdlib.h>

#include "jwt_sessions_private.h"
#include "router.h"
#include "scan.h"
#include "slot.h"

/* Each round trip indexes the keys of the last SCAN, and continues the scan. */
typedef struct reindex_op {
    tks_op op;
    tksp_arena words; /* of the current round trip */
    size_t users;     /* the first commands are their scripts */
    tksp_walk walk;
    int64_t indexed;
} reindex_op;

static tks_status send_scan(reindex_op *self, tks_bytes cursor) {
    tks_status status = tksp_scan_add(&self->op, &self->words, cursor, TKS_LITERAL("*:???????????"),
                                      500, TKS_LITERAL(""));
    if (status == TKS_OK) self->op.commands[self->op.count - 1].node = self->walk.node;
    return status;
}

/* Begins with the first node, or with the next one; adds nothing at the end. */
static tks_status walk_on(reindex_op *self) {
    size_t before = self->op.count;
    if (!tksp_walk_on(&self->walk, &self->op) || self->op.count > before) return TKS_OK;
    return send_scan(self, TKS_LITERAL("0"));
}

static int compare(const void *a, const void *b) {
    const tks_bytes *one = a, *other = b;
    size_t size = one->size < other->size ? one->size : other->size;
    int order = memcmp(one->data, other->data, size);
    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

/* Adds the script for `count` sessions of the user `id`. */
static tks_status send_user(reindex_op *self, tks_bytes id, const tks_bytes *sessions,
                            size_t count) {
    tks_bytes *words = tksp_arena_alloc(&self->words, (2 + count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = tksp_arena_int(&self->words, (int64_t)count + 1);
    words[1] = tksp_rjwt_index(&self->words, id);
    memcpy(words + 2, sessions, count * sizeof *words);
    if (self->words.status != TKS_OK) return TKS_ERR_MEMORY;
    self->users++;
    return tksp_op_add(&self->op, &tksp_script_rjwt_index, words, 2 + count, words[1]);
}

/* On a cluster, a user whose key has no braces has none of our sessions: the index would be elsewhere. */
static bool has_a_place(reindex_op *self, tks_bytes name, tks_bytes id) {
    if (self->op.router == NULL || !tksp_router_is_cluster(self->op.router)) return true;
    tks_bytes index = tksp_rjwt_index(&self->words, id);
    return tksp_slot_of(index) == tksp_slot_of(name);
}

/* A script for each user, whose keys alone are in one slot of a cluster. */
static tks_status send_users(reindex_op *self, const tks_reply *names) {
    size_t count = 0, room = tks_reply_get_size(names);
    tks_bytes *sessions = tksp_arena_alloc(&self->words, (room + 1) * sizeof *sessions), id, next;
    if (sessions == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < room; i++) {
        tks_bytes name = tks_reply_get_bytes(tks_reply_get_item(names, i));
        if (tksp_rjwt_split(name, &id) && has_a_place(self, name, id)) {
            sessions[count++] = tksp_arena_dup(&self->words, name);
        }
    }
    if (self->words.status != TKS_OK) return TKS_ERR_MEMORY;
    qsort(sessions, count, sizeof *sessions, compare); /* a user's are neighbours */
    for (size_t first = 0, at = 0; at < count; first = at) {
        (void)tksp_rjwt_split(sessions[first], &id);
        while (at < count && tksp_rjwt_split(sessions[at], &next) && tks_bytes_equal(id, next)) {
            at++;
        }
        tks_status status = send_user(self, id, sessions + first, at - first);
        if (status != TKS_OK) return status;
    }
    return TKS_OK;
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    reindex_op *self = (reindex_op *)op;
    tks_reply *scanned = NULL;
    tks_status status = TKS_OK;
    (void)now_ms;
    for (size_t i = 0; i < self->users; i++) {
        const tks_reply *reply = op->commands[i].reply;
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
        self->indexed += tks_reply_get_integer(reply);
    }
    bool asked = self->walk.stage == TKSP_WALK_ON && op->count > self->users;
    if (asked) scanned = tksp_op_take_reply(op, self->users);
    tksp_op_clear_commands(op);
    tksp_arena_clear(&self->words);
    self->users = 0;
    if (scanned != NULL) {
        const tks_reply *names;
        tks_bytes cursor;
        if (!tksp_scan_read(scanned, &cursor, &names)) {
            tks_reply_free(scanned);
            return tksp_op_fail_foreign(op);
        }
        status = send_users(self, names);
        if (status == TKS_OK) status = cursor.size > 0 ? send_scan(self, cursor) : walk_on(self);
        tks_reply_free(scanned);
    } else if (self->walk.stage != TKSP_WALK_ON) {
        status = walk_on(self);
    }
    op->result.type = TKS_RESULT_COUNT;
    op->result.integer = self->indexed;
    return status;
}

static void clear(tks_op *op) {
    tksp_arena_clear(&((reindex_op *)op)->words);
}

static const tksp_op_kind reindex_kind = {.finish = finish, .clear = clear};

tks_status tks_jwt_sessions_reindex(const tks_jwt_sessions *sessions, tks_op **out,
                                    tks_error *err) {
    *out = NULL;
    reindex_op *self = (reindex_op *)tksp_op_new(sizeof *self, &reindex_kind, TKS_IDEMPOTENT);
    if (self == NULL) return tks_fail_memory(err);
    self->op.durability = sessions->durability;
    *out = &self->op;
    return TKS_OK;
}
