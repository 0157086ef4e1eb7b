/* node_reset.c - reset: finds everything of a Tokenstore by SCAN and removes it in batches. */
#include "node_tokens_private.h"
#include "scan.h"

enum { CURSOR_MAX = 20 }; /* digits of a 64-bit integer */

/* Each round trip removes the keys of the last SCAN, and continues the scan. If the script left
 * some over, they go first, so that they do not accumulate. */
typedef struct reset_op {
    tksp_node_op node;
    tks_bytes pattern;
    tksp_arena words; /* of the current round trip */
    bool removing;    /* the first command is the script */
    char cursor[CURSOR_MAX];
    size_t cursor_size; /* 0: the scan is over */
    tksp_slot_scan scan;
    int64_t removed;
} reset_op;

/* True if `name` begins like a key of this Tokenstore. */
static bool is_ours(const reset_op *self, tks_bytes name) {
    static const char *const kinds[] = {"key:", "id:", "tokens:", "hash:"};
    size_t base = self->node.base.size;
    if (name.size < base || memcmp(name.data, self->node.base.data, base) != 0) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t size = strlen(kinds[i]);
        if (name.size - base >= size && memcmp(name.data + base, kinds[i], size) == 0) return true;
    }
    return false;
}

static tks_status send_scan(reset_op *self) {
    return tksp_slot_scan_add(&self->scan, &self->node.op, &self->words,
                              tks_bytes_of(self->cursor, self->cursor_size), self->pattern, 500);
}

static tks_status begin_scan(reset_op *self) {
    self->cursor[0] = '0';
    self->cursor_size = 1;
    return send_scan(self);
}

/* Sends the script for the keys that SCAN found (NULL: none) and those that the script left over. */
static tks_status send_removal(reset_op *self, const tks_reply *found, const tks_reply *left) {
    size_t found_count = found == NULL ? 0 : tks_reply_get_size(found);
    size_t left_count = left == NULL ? 0 : tks_reply_get_size(left) - 2;
    size_t count = 0;
    tks_bytes *words =
        tksp_arena_alloc(&self->words, (found_count + left_count + 2) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < found_count + left_count; i++) {
        const tks_reply *item = i < found_count ? tks_reply_get_item(found, i)
                                                : tks_reply_get_item(left, i - found_count + 2);
        if (tks_reply_get_type(item) != TKS_REPLY_STRING) {
            return tksp_op_fail_foreign(&self->node.op);
        }
        tks_bytes name = tks_reply_get_bytes(item);
        if (is_ours(self, name)) words[++count] = tksp_arena_dup(&self->words, name);
    }
    self->removing = count > 0;
    if (count == 0) return TKS_OK;
    words[0] = tksp_arena_int(&self->words, (int64_t)count);
    words[count + 1] = self->node.base;
    if (self->words.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_op_add(&self->node.op, &tksp_script_node_reset, words, count + 2, words[1]);
}

/* Stores the cursor of SCAN's answer. False: invalid answer. */
static bool take_cursor(reset_op *self, const tks_reply *reply) {
    const tks_reply *names;
    tks_bytes cursor;
    if (!tksp_scan_read(reply, &cursor, &names) || cursor.size > CURSOR_MAX) return false;
    self->cursor_size = cursor.size;
    if (cursor.size > 0) memcpy(self->cursor, cursor.data, cursor.size);
    return true;
}

/* Takes {prefix, number of tokens, names …}. False, with the status: invalid answer. */
static bool take_removed(reset_op *self, tks_status *status) {
    const tks_reply *reply = tksp_node_checked_reply(&self->node, 0, self->node.base, status);
    if (reply == NULL) return false;
    const tks_reply *removed = tks_reply_get_item(reply, 1);
    if (removed == NULL || tks_reply_get_type(removed) != TKS_REPLY_INTEGER) {
        *status = tksp_op_fail_foreign(&self->node.op);
        return false;
    }
    self->removed += tks_reply_get_integer(removed);
    return true;
}

static tks_status finish_reset(tks_op *op, int64_t now_ms) {
    reset_op *self = (reset_op *)op;
    tks_reply *left = NULL, *scanned = NULL;
    size_t scan = self->removing; /* the index of SCAN, if it was sent */
    tks_status status = TKS_OK;
    (void)now_ms;
    if (self->scan.asking) {
        return tksp_slot_scan_goes_on(&self->scan, op) ? begin_scan(self) : TKS_OK;
    }
    if (self->removing && !take_removed(self, &status)) return status;
    if (op->count > scan && !take_cursor(self, op->commands[scan].reply)) {
        return tksp_op_fail_foreign(op);
    }
    if (op->count > scan) tksp_slot_scan_note(&self->scan, op, scan);
    if (self->removing) left = tksp_op_take_reply(op, 0);
    if (op->count > scan) scanned = tksp_op_take_reply(op, scan);
    tksp_op_clear_commands(op);
    tksp_arena_clear(&self->words);

    status = send_removal(self, scanned == NULL ? NULL : tks_reply_get_item(scanned, 1), left);
    bool leftovers = left != NULL && tks_reply_get_size(left) > 2;
    if (status == TKS_OK && self->cursor_size > 0 && !leftovers) status = send_scan(self);
    tks_reply_free(left);
    tks_reply_free(scanned);
    if (status == TKS_OK && op->count == 0) {
        (void)tksp_slot_scan_ask(&self->scan, op, &self->words);
        status = self->words.status;
    }
    op->result.type = TKS_RESULT_COUNT;
    op->result.integer = self->removed;
    return status;
}

static void clear_reset(tks_op *op) {
    tksp_arena_clear(&((reset_op *)op)->words);
    tksp_node_op_clear(op);
}

static const tksp_op_kind reset_kind = {.finish = finish_reset,
                                        .clear = clear_reset,
                                        .cluster_advice = tksp_node_cluster_advice};

tks_status tks_node_tokens_reset(const tks_node_tokens *store, tks_op **out, tks_error *err) {
    tksp_node_op *node;
    *out = NULL;
    tks_status status = tksp_node_op_new(store, sizeof(reset_op), &reset_kind, TKS_IDEMPOTENT,
                                         store->base, &node, err);
    if (status != TKS_OK) return status;
    reset_op *self = (reset_op *)node;
    self->pattern = tksp_scan_pattern(&node->op.arena, node->base, "*");
    self->scan.route = node->base;
    return tksp_node_op_ready(node, begin_scan(self), out, err);
}
