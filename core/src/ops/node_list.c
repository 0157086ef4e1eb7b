/* node_list.c - list: the tokens of an owner in a Tokenstore, in three round trips, for any number of
 * tokens. */
#include <stdio.h>

#include "node_tokens_private.h"

enum {
    NAMES_PER_COMMAND = 500, /* so that none blocks the server for long */
    SETTLE_MS = 100
};

/* First the ids, then their keys, then the records. Ids without a record are checked again a little later and then
 * dropped: the Node package stores a new token's id first, then its member in the set, then its record, so such a token
 * may just be being added; but a member without an id is dead for sure. */
typedef enum list_stage { LISTING, FINDING, READING, CLEANING } list_stage;

typedef struct list_op {
    tksp_node_op node;
    list_stage stage;
    tks_bytes set;     /* the key of the owner's ids */
    tks_bytes said;    /* the last ECHO */
    tksp_node_id *ids; /* in the arena, as the others */
    size_t count;
    tksp_node_id *gone; /* ids without a token */
    size_t gone_count;
    tks_error unread; /* of the first unreadable token */
    size_t unread_count;
} list_op;

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

/* ---- commands ---- */

/* A round trip begins with an ECHO of what is read and of the owner: the values name neither, and an answer may come twice. */
static tks_status send_echo(list_op *self, const char *what) {
    size_t size = strlen(what);
    char *said = tksp_arena_alloc(&self->node.op.arena, size + self->node.subject.size);
    if (said == NULL) return TKS_ERR_MEMORY;
    memcpy(said, what, size);
    memcpy(said + size, self->node.subject.data, self->node.subject.size);
    self->said = tks_bytes_of(said, size + self->node.subject.size);
    const tks_bytes echo[] = {TKS_LITERAL("ECHO"), self->said};
    return tksp_node_send(&self->node, NULL, 2, echo, self->set);
}

/* Reads all ids, or all their records, split over several commands. */
static tks_status send_reads(list_op *self, bool records) {
    tks_op *op = &self->node.op;
    tksp_op_clear_commands(op);
    tks_status status = self->count > 0 ? send_echo(self, records ? "key:" : "id:") : TKS_OK;
    for (size_t at = 0; status == TKS_OK && at < self->count; at += NAMES_PER_COMMAND) {
        size_t size = self->count - at < NAMES_PER_COMMAND ? self->count - at : NAMES_PER_COMMAND;
        tks_bytes *words = tksp_arena_alloc(&op->arena, (1 + size) * sizeof *words);
        if (words == NULL) return TKS_ERR_MEMORY;
        words[0] = TKS_LITERAL("MGET");
        for (size_t i = 0; i < size; i++) {
            const tksp_node_id *one = &self->ids[at + i];
            words[1 + i] =
                tksp_node_word(&self->node, records ? "key:" : "id:", records ? one->key : one->id);
        }
        if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
        status = tksp_op_add(op, NULL, words, 1 + size, self->set);
    }
    return status;
}

/* The values that were read must be strings or nil, one a name. */
static tks_status check_reads(list_op *self) {
    tks_op *op = &self->node.op;
    if (self->count == 0) return TKS_OK;
    tks_status status = tksp_node_check_echo(&self->node, 0, self->said);
    for (size_t i = 0; status == TKS_OK && i < self->count; i++) {
        const tks_reply *reply = op->commands[1 + i / NAMES_PER_COMMAND].reply;
        size_t place = i % NAMES_PER_COMMAND;
        size_t left = self->count - (i - place);
        if (place == 0 &&
            (tks_reply_get_type(reply) != TKS_REPLY_ARRAY ||
             tks_reply_get_size(reply) != (left < NAMES_PER_COMMAND ? left : NAMES_PER_COMMAND))) {
            return tksp_op_fail_foreign(op);
        }
        tks_reply_type type = tks_reply_get_type(tks_reply_get_item(reply, place));
        if (type != TKS_REPLY_STRING && type != TKS_REPLY_NIL) return tksp_op_fail_foreign(op);
    }
    return status;
}

/* Value `i` of those; NULL: there is none. */
static const tks_reply *get_value(const list_op *self, size_t i) {
    const tks_reply *reply = self->node.op.commands[1 + i / NAMES_PER_COMMAND].reply;
    const tks_reply *item = tks_reply_get_item(reply, i % NAMES_PER_COMMAND);
    return tks_reply_get_type(item) == TKS_REPLY_STRING ? item : NULL;
}

/* ---- replies ---- */

static tks_status take_ids(list_op *self) {
    tks_op *op = &self->node.op;
    tks_status status = tksp_node_check_echo(&self->node, 0, self->said);
    if (status != TKS_OK) return status;
    const tks_reply *members = op->commands[1].reply;
    if (tks_reply_get_type(members) != TKS_REPLY_ARRAY) return tksp_op_fail_foreign(op);
    size_t count = tks_reply_get_size(members);
    self->ids = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->ids);
    self->gone = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->gone);
    self->node.values = tksp_arena_alloc(&op->arena, (count + 1) * sizeof *self->node.values);
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const tks_reply *item = tks_reply_get_item(members, i);
        if (tks_reply_get_type(item) != TKS_REPLY_STRING) return tksp_op_fail_foreign(op);
        self->ids[i].id = tksp_arena_dup(&op->arena, tks_reply_get_bytes(item));
    }
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    self->count = count;
    self->stage = FINDING;
    return send_reads(self, false);
}

static tks_status take_keys(list_op *self) {
    tks_op *op = &self->node.op;
    size_t count = 0;
    tks_status status = check_reads(self);
    if (status != TKS_OK) return status;
    for (size_t i = 0; i < self->count; i++) {
        const tks_reply *value = get_value(self, i);
        tksp_node_id one = {self->ids[i].id, {NULL, 0}};
        if (value != NULL) one.key = tksp_arena_dup(&op->arena, tks_reply_get_bytes(value));
        if (one.key.size > 0) {
            self->ids[count++] = one;
        } else {
            self->gone[self->gone_count++] = one;
        }
    }
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    self->count = count;
    self->stage = READING;
    return send_reads(self, true);
}

static tks_status take_record(list_op *self, size_t i) {
    tksp_node_op *node = &self->node;
    const tks_reply *record = get_value(self, i);
    size_t before = node->size;
    if (record != NULL) {
        tks_status status =
            tksp_node_read(node, self->ids[i].id, self->ids[i].key, tks_reply_get_bytes(record));
        if (status == TKS_ERR_DATA) {
            tks_error why = tksp_op_take_failure(&node->op);
            if (self->unread_count++ == 0) self->unread = why;
            node->op.refused = false;
            return TKS_OK;
        }
        if (status != TKS_OK) return status;
    }
    if (node->size == before) self->gone[self->gone_count++] = self->ids[i];
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
    size_t dead = self->gone_count;
    tks_status status = check_reads(self);
    for (size_t i = 0; status == TKS_OK && i < self->count; i++) status = take_record(self, i);
    if (status == TKS_OK) status = report_unread(self);
    if (status != TKS_OK) return status;
    tksp_op_clear_commands(op);
    self->stage = CLEANING;
    if (is_ambiguous(self->node.subject)) return TKS_OK;
    if (self->gone_count > dead) op->pause_ms = SETTLE_MS;
    for (size_t at = 0; status == TKS_OK && at < self->gone_count; at += NAMES_PER_COMMAND) {
        size_t left = self->gone_count - at;
        status = tksp_node_send_clean(&self->node, self->set, self->gone + at,
                                      left < NAMES_PER_COMMAND ? left : NAMES_PER_COMMAND);
    }
    return status;
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
    case FINDING:
        status = take_keys(self);
        if (status == TKS_OK && self->count == 0) status = take_records(self);
        break;
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
    const tks_bytes words[] = {TKS_LITERAL("SMEMBERS"), self->set};
    status = send_echo(self, "");
    if (status == TKS_OK) status = tksp_node_send(node, NULL, 2, words, self->set);
    return tksp_node_op_ready(node, status, out, err);
}
