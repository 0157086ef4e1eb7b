/* tokens_owner.c - what goes by the owner: list, count, delete_all, delete_by_id. */
#include "tokens_private.h"

#include <stdio.h>
#include <stdlib.h>

static tks_status begin(const tks_tokens *tokens, const tksp_op_kind *kind, tks_safety safety,
                        tks_bytes app, tks_bytes type, tks_bytes owner, tksp_tokens_op **out,
                        tksp_place *owner_place, tks_error *err) {
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK) status = tksp_check_name(owner, tokens->config.owner_name, err);
    if (status == TKS_OK) status = tksp_tokens_op_new(tokens, kind, safety, app, type, 1, out, err);
    if (status != TKS_OK) return status;
    tksp_key_owner(tokens->config.pepper, app, type, owner, owner_place);
    return TKS_OK;
}

/* What is about all of an index: it, its check, how to make record keys of its members, and what ends them. For a
 * page also how many it has, and behind which member it begins. */
static tks_status add_index_command(tksp_tokens_op *op, const tksp_script *script, tks_bytes owner,
                                    const tksp_place *place, const tks_page *page) {
    op->slots[0].place = *place;
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_index_key(op, place, owner),
        tksp_word_check(op, place),
        tksp_word_base(op),
        tksp_arena_dup(&op->base.arena, tks_bytes_of(place->tag, TKS_TAG_SIZE)),
        tksp_word_max_age(op),
        tksp_arena_int(&op->base.arena, page != NULL ? page->limit : 0),
        tksp_arena_dup(&op->base.arena, page != NULL ? page->after : tks_bytes_of(NULL, 0)),
    };
    return tksp_tokens_add(op, script, page != NULL ? 8 : 6, words, words[1]);
}

/* ---- delete_all, count ---- */

static tks_status finish_count(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    tks_status status;
    (void)now_ms;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    base->result.type = TKS_RESULT_COUNT;
    base->result.integer = tksp_reply_integer_at(reply, 1, 0);
    return TKS_OK;
}

static const tksp_op_kind count_kind = {.finish = finish_count, .clear = tksp_tokens_op_clear};

tks_status tks_tokens_delete_all(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                 tks_bytes owner, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    tksp_place place;
    *out = NULL;
    tks_status status = begin(tokens, &count_kind, TKS_ONCE, app, type, owner, &op, &place, err);
    if (status != TKS_OK) return status;
    status = add_index_command(op, &tksp_script_delete_all, owner, &place, NULL);
    return tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_count(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                            tks_bytes owner, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    tksp_place place;
    *out = NULL;
    tks_status status = begin(tokens, &count_kind, TKS_READ, app, type, owner, &op, &place, err);
    if (status != TKS_OK) return status;
    status = add_index_command(op, &tksp_script_count, owner, &place, NULL);
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- list ---- */

static bool is_id(tks_bytes id) {
    for (size_t i = 0; i < id.size; i++) {
        if (tksp_key_digit(id.data[i]) < 0) return false;
    }
    return true;
}

/* An index member back into the place of its record; false where it is none. */
static bool place_of_member(tks_bytes member, const char *owner_tag, tksp_place *out) {
    if (member.size == TKS_DIGEST_TEXT_SIZE) {
        memcpy(out->tag, owner_tag, TKS_TAG_SIZE);
        memcpy(out->digest, member.data, TKS_DIGEST_TEXT_SIZE);
        return true;
    }
    if (member.size == TKS_TAG_SIZE + TKS_DIGEST_TEXT_SIZE) {
        memcpy(out->tag, member.data, TKS_TAG_SIZE);
        memcpy(out->digest, member.data + TKS_TAG_SIZE, TKS_DIGEST_TEXT_SIZE);
        return true;
    }
    return false;
}

/* qsort: newest first; of one millisecond, by id, so that the order is always the same. */
static int newest_first(const void *a, const void *b) {
    const tks_token *x = a, *y = b;
    if (x->created_us != y->created_us) return x->created_us < y->created_us ? 1 : -1;
    int order = memcmp(x->id.data, y->id.data, x->id.size < y->id.size ? x->id.size : y->id.size);
    return order != 0 ? order : (int)x->id.size - (int)y->id.size;
}

static const char after_is_gone[] =
    "after: no live token of this owner has this id: start again without it";

/* One bad record hides no good ones, and is not hidden itself. Where there are no good ones, it is the result: an
 * empty page would end a walk. */
static tks_status report_unread(tksp_tokens_op *op, const tks_error *why, tks_bytes first,
                                size_t count, bool any) {
    char note[TKS_NOTE_MAX];
    int size = (int)first.size;
    op->base.refused = !any;
    if (!any) {
        return tksp_op_fail(
            &op->base, TKS_ERR_DATA,
            "the token %.*s is stored in an unreadable form (%.300s): delete_all removes it too",
            size, first.data, why->message);
    }
    (void)snprintf(
        note, sizeof note,
        "list skipped unreadable tokens: %zu; the first: %.*s (%.300s): delete_all removes it too",
        count, size, first.data, why->message);
    tks_notes_add(&op->base.notes, 'w', note);
    return TKS_OK;
}

static tks_status finish_list(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    tksp_place owner = op->slots[0].place;
    tks_status status;
    (void)now_ms;
    const tks_reply *reply = tksp_checked_reply(op, 0, &owner, &status);
    if (reply == NULL) return status;
    base->refused = tksp_reply_integer_at(reply, 1, -1) == 0;
    if (base->refused) return tksp_op_fail(base, TKS_ERR_DATA, "%s", after_is_gone);

    size_t size = (tks_reply_get_size(reply) - 1) / 3;
    tksp_slot *slots = tksp_arena_alloc(&base->arena, (size + 1) * sizeof *slots);
    tks_token *tokens = tksp_arena_alloc(&base->arena, (size + 1) * sizeof *tokens);
    if (slots == NULL || tokens == NULL) return TKS_ERR_MEMORY;
    slots[0] = (tksp_slot){.reply = tksp_op_take_reply(base, 0)};
    op->slots = slots;
    op->tokens = tokens;
    for (size_t i = 1; i < size; i++) slots[i] = (tksp_slot){.reply = NULL};
    op->size = size > 0 ? size : 1;

    size_t good = 0, bad = 0;
    tks_error why;
    tks_bytes first = {NULL, 0};
    for (size_t i = 0; i < size; i++) {
        const tks_reply *member = tks_reply_get_item(reply, 3 * i + 1);
        const tks_reply *record = tks_reply_get_item(reply, 3 * i + 2);
        int64_t expires_ms = tksp_reply_integer_at(reply, 3 * i + 3, 0);
        if (tks_reply_get_type(member) != TKS_REPLY_STRING ||
            tks_reply_get_type(record) != TKS_REPLY_STRING ||
            !place_of_member(tks_reply_get_bytes(member), owner.tag, &slots[good].place)) {
            return tksp_fail_not_a_record(op);
        }
        status = tksp_read_token(op, good, tks_reply_get_bytes(record), expires_ms);
        if (status == TKS_OK) good++;
        if (status != TKS_OK && status != TKS_ERR_DATA) return status;
        if (status != TKS_ERR_DATA) continue;
        tks_error unread = tksp_op_take_failure(base);
        if (bad++ > 0) continue;
        why = unread;
        first = tks_reply_get_bytes(member); /* slot 0 keeps the reply */
    }
    if (bad > 0) status = report_unread(op, &why, first, bad, good > 0);
    if (status != TKS_OK) return status;
    qsort(tokens, good, sizeof *tokens, newest_first);
    tksp_op_clear_commands(base); /* slot 0 owns the reply */
    base->result.type = TKS_RESULT_TOKENS;
    base->result.tokens = tokens;
    base->result.size = good;
    return TKS_OK;
}

static const tksp_op_kind list_kind = {.finish = finish_list,
                                       .smaller = "pass limit and after to list",
                                       .clear = tksp_tokens_op_clear};

tks_status tks_tokens_list(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes owner,
                           const tks_page *page, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    tksp_place place;
    *out = NULL;
    if (page->limit < 0 || page->limit > TKS_PAGE_MAX) {
        return tks_fail(err, TKS_ERR_DATA, "limit must be 1 to %d", TKS_PAGE_MAX);
    }
    if (page->after.data != NULL && (page->after.size == 0 || !is_id(page->after))) {
        return tks_fail(err, TKS_ERR_DATA, "%s", after_is_gone);
    }
    tks_status status = begin(tokens, &list_kind, TKS_READ, app, type, owner, &op, &place, err);
    if (status != TKS_OK) return status;
    status = add_index_command(op, &tksp_script_list, owner, &place, page);
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- delete_by_id ---- */

static tks_status finish_bool(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    (void)now_ms;
    base->result.type = TKS_RESULT_BOOL;
    if (base->count == 0) return TKS_OK;
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    base->result.integer = tksp_reply_integer_at(reply, 1, 0) > 0;
    return TKS_OK;
}

static const tksp_op_kind bool_kind = {.finish = finish_bool, .clear = tksp_tokens_op_clear};

tks_status tks_tokens_delete_by_id(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                   tks_bytes owner, tks_bytes id, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    tksp_place place;
    *out = NULL;
    tks_status status = begin(tokens, &bool_kind, TKS_ONCE, app, type, owner, &op, &place, err);
    if (status != TKS_OK) return status;
    if (is_id(id) && place_of_member(id, place.tag, &op->slots[0].place)) {
        const tks_bytes words[] = {
            TKS_LITERAL("2"),
            tksp_word_record_key(op, &op->slots[0].place),
            tksp_word_index_key(op, &place, owner),
            tksp_word_check(op, &op->slots[0].place),
            tksp_word_names(op),
            tksp_word_max_age(op),
        };
        status = tksp_tokens_add(op, &tksp_script_delete_by_id, 6, words, words[1]);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}
