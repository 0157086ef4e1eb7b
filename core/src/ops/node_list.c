/* node_list.c - list: the tokens of an owner in a Tokenstore, in two round trips, for any number of
 * tokens. */
#include <stdio.h>

#include "node_tokens_private.h"

enum {
    IDS_PER_SCRIPT = 500, /* so that no script blocks the server for long */
    SETTLE_MS = 100
};

/* First the ids, then the records. Ids without a record are checked again a little later and then
 * dropped: the Node package stores a new token's id first and its record last, so such a token may
 * just be being added. */
typedef enum list_stage { LISTING, READING, CLEANING } list_stage;

typedef struct list_op {
    tksp_node_op node;
    list_stage stage;
    tks_bytes set;  /* the key of the owner's ids */
    tks_bytes *ids; /* in the arena */
    size_t count;
    tks_bytes *doubtful; /* ids without a token */
    size_t doubtful_count;
    tks_error unread; /* of the first unreadable token */
    size_t unread_count;
} list_op;

/* Adds `script` for `count` ids, split over several commands. `head` words precede the ids. */
static tks_status send_ids(list_op *self, const tksp_script *script, const tks_bytes *head,
                           size_t head_size, const tks_bytes *ids, size_t count) {
    for (size_t at = 0; at < count; at += IDS_PER_SCRIPT) {
        size_t size = count - at < IDS_PER_SCRIPT ? count - at : IDS_PER_SCRIPT;
        tks_bytes *words =
            tksp_arena_alloc(&self->node.op.arena, (head_size + size) * sizeof *words);
        if (words == NULL) return TKS_ERR_MEMORY;
        memcpy(words, head, head_size * sizeof *words);
        memcpy(words + head_size, ids + at, size * sizeof *words);
        tks_status status = tksp_op_add(&self->node.op, script, words, head_size + size, self->set);
        if (status != TKS_OK) return status;
    }
    return TKS_OK;
}

/* True if the set's name could also belong to another prefix: prefix "app" with owner
 * "x:tokens:bob" has the same one as "app:tokens:x" with "bob". Then unknown ids may belong to the
 * other store. */
static bool is_ambiguous(tks_bytes owner) {
    static const char kind[] = "tokens:";
    const size_t size = sizeof kind - 1;
    for (size_t i = 0; i + size <= owner.size; i++) {
        if ((i == 0 || owner.data[i - 1] == ':') && memcmp(owner.data + i, kind, size) == 0) {
            return true;
        }
    }
    return false;
}

static tks_status take_ids(list_op *self) {
    tks_op *op = &self->node.op;
    tks_status status;
    const tks_reply *reply = tksp_node_checked_reply(&self->node, 0, self->set, &status);
    if (reply == NULL) return status;
    const tks_reply *members = tks_reply_get_item(reply, 1);
    if (members == NULL || tks_reply_get_type(members) != TKS_REPLY_ARRAY) {
        return tksp_op_fail_foreign(op);
    }
    size_t count = tks_reply_get_size(members);
    self->ids = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->ids);
    self->doubtful = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->doubtful);
    self->node.values = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->node.values);
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const tks_reply *item = tks_reply_get_item(members, i);
        if (tks_reply_get_type(item) != TKS_REPLY_STRING) return tksp_op_fail_foreign(op);
        self->ids[i] = tksp_arena_dup(&op->arena, tks_reply_get_bytes(item));
    }
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    self->count = count;
    tksp_op_clear_commands(op);
    self->stage = READING;
    const tks_bytes head[] = {
        TKS_LITERAL("1"), self->set, self->node.subject, self->node.base,
        is_ambiguous(self->node.subject) ? TKS_LITERAL("0") : TKS_LITERAL("1")};
    return send_ids(self, &tksp_script_node_list, head, 5, self->ids, count);
}

/* Takes the answer for ids[i]: {key, record}, or the script's verdict on an id without a record. */
static tks_status take_record(list_op *self, size_t i, const tks_reply *answer) {
    enum { HALF = -1, DEAD = 0 };
    tksp_node_op *node = &self->node;
    size_t before = node->size;
    if (answer != NULL && tks_reply_get_type(answer) == TKS_REPLY_INTEGER) {
        int64_t what = tks_reply_get_integer(answer);
        if (what == DEAD) return TKS_OK; /* the script has dropped it */
        if (what != HALF) return tksp_op_fail_foreign(&node->op);
    } else {
        bool is_array = answer != NULL && tks_reply_get_type(answer) == TKS_REPLY_ARRAY;
        const tks_reply *key = is_array ? tks_reply_get_item(answer, 0) : NULL;
        const tks_reply *record = is_array ? tks_reply_get_item(answer, 1) : NULL;
        if (key == NULL || record == NULL || tks_reply_get_type(key) != TKS_REPLY_STRING ||
            tks_reply_get_type(record) != TKS_REPLY_STRING) {
            return tksp_op_fail_foreign(&node->op);
        }
        tks_status status = tksp_node_read(node, self->ids[i], tks_reply_get_bytes(key),
                                           tks_reply_get_bytes(record));
        if (status == TKS_ERR_DATA) {
            tks_error why = tksp_op_take_failure(&node->op);
            if (self->unread_count++ == 0) self->unread = why;
            node->op.refused = false;
            return TKS_OK;
        }
        if (status != TKS_OK) return status;
    }
    if (node->size == before) self->doubtful[self->doubtful_count++] = self->ids[i];
    return TKS_OK;
}

/* An unreadable token does not hide the others, but is reported. If there are no others, it is the
 * result. */
static tks_status report_unread(list_op *self) {
    tks_op *op = &self->node.op;
    char note[TKS_NOTE_MAX];
    if (self->unread_count == 0) return TKS_OK;
    if (self->node.size == 0) {
        op->refused = true;
        return tksp_op_fail(op, TKS_ERR_DATA, "%s", self->unread.message);
    }
    (void)snprintf(note, sizeof note, "list skipped unreadable tokens: %zu; the first: %s",
                   self->unread_count, self->unread.message);
    tks_notes_add(&op->notes, 'w', note);
    return TKS_OK;
}

static tks_status take_records(list_op *self) {
    tks_op *op = &self->node.op;
    for (size_t i = 0; i < self->count; i++) {
        tks_status status = TKS_OK;
        size_t command = i / IDS_PER_SCRIPT;
        const tks_reply *reply =
            tksp_node_checked_reply(&self->node, command, self->node.subject, &status);
        if (reply == NULL) return status;
        status = take_record(self, i, tks_reply_get_item(reply, i % IDS_PER_SCRIPT + 1));
        if (status != TKS_OK) return status;
    }
    tks_status status = report_unread(self);
    if (status != TKS_OK) return status;
    tksp_op_clear_commands(op);
    self->stage = CLEANING;
    op->pause_ms = SETTLE_MS;
    const tks_bytes head[] = {TKS_LITERAL("1"), self->set, self->node.subject, self->node.base};
    return send_ids(self, &tksp_script_node_clean, head, 4, self->doubtful,
                    is_ambiguous(self->node.subject) ? 0 : self->doubtful_count);
}

static tks_status take_cleaned(list_op *self) {
    tks_status status = TKS_OK;
    for (size_t i = 0; i < self->node.op.count; i++) {
        if (tksp_node_checked_reply(&self->node, i, self->node.subject, &status) == NULL) {
            return status;
        }
    }
    return TKS_OK;
}

static tks_status finish_list(tks_op *op, int64_t now_ms) {
    list_op *self = (list_op *)op;
    tks_status status = TKS_OK;
    (void)now_ms;
    switch (self->stage) {
    case LISTING: status = take_ids(self); break;
    case READING: status = take_records(self); break;
    case CLEANING: status = take_cleaned(self); break;
    }
    op->result.type = TKS_RESULT_JSONS;
    op->result.values = self->node.values;
    op->result.size = self->node.size;
    return status;
}

static const tksp_op_kind list_kind = {.finish = finish_list,
                                       .clear = tksp_node_op_clear,
                                       .cluster_advice = tksp_node_cluster_advice};

tks_status tks_node_tokens_list(const tks_node_tokens *store, tks_bytes owner_id, tks_op **out,
                                tks_error *err) {
    tksp_node_op *node;
    *out = NULL;
    tks_status status = tksp_check_name(owner_id, "owner_id", err);
    if (status == TKS_OK) {
        status =
            tksp_node_op_new(store, sizeof(list_op), &list_kind, TKS_READ, owner_id, &node, err);
    }
    if (status != TKS_OK) return status;
    list_op *self = (list_op *)node;
    self->set = tksp_node_word(node, "tokens:", owner_id);
    const tks_bytes words[] = {TKS_LITERAL("1"), self->set};
    status = tksp_node_send(node, &tksp_script_node_ids, 2, words, self->set);
    return tksp_node_op_ready(node, status, out, err);
}
