/* tokens_owner.c - what goes by the owner: list, count, delete_all, get_by_id, delete_by_id. */
#include "tokens_private.h"

#include <stdio.h>
#include <stdlib.h>

tks_status tksp_owner_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                             tks_safety safety, tks_bytes app, tks_bytes type, tks_bytes owner,
                             tksp_tokens_op **out, tks_error *err) {
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK) status = tksp_check_name(owner, tokens->config.owner_name, err);
    if (status == TKS_OK) status = tksp_tokens_op_new(tokens, kind, safety, app, type, 1, out, err);
    if (status != TKS_OK) return status;
    /* No token is asked for: its check is the locator's head. */
    tksp_place *place = &(*out)->slots[0].place;
    tksp_key_locate(app, type, owner, place->locator);
    memcpy(place->field, place->locator, TKS_CHECK_SIZE);
    return TKS_OK;
}

tks_status tksp_id_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind, tks_safety safety,
                          tks_bytes app, tks_bytes type, tks_bytes owner, tks_bytes id,
                          tksp_tokens_op **out, tks_error *err) {
    tks_status status = tksp_owner_op_new(tokens, kind, safety, app, type, owner, out, err);
    if (status != TKS_OK || !tksp_is_id(id)) return status; /* not found, without asking */
    memcpy((*out)->slots[0].place.field, id.data, TKS_FIELD_SIZE);
    (*out)->slots[0].located = true;
    (*out)->slots[0].by_id = true;
    return TKS_OK;
}

/* ---- delete_all, count ---- */

bool tksp_is_id(tks_bytes id) {
    for (size_t i = 0; i < id.size; i++) {
        if (tksp_key_digit(id.data[i]) < 0) return false;
    }
    return id.size == TKS_FIELD_SIZE;
}

static tks_status finish_count(tksp_tokens_op *op) {
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    op->base.result.type = TKS_RESULT_COUNT;
    op->base.result.integer = tksp_reply_integer_at(reply, 1, 0);
    return TKS_OK;
}

static tks_status begin_delete_all(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    tks_bytes words[4 + TKS_TEXTS_MAX + 1] = {TKS_LITERAL("1"), tksp_word_key(op, place),
                                              tksp_word_echo(op, place), tksp_word_max_age(op)};
    for (size_t i = 0; i < op->keep_count; i++) words[4 + i] = op->keep[i];
    return tksp_tokens_add(op, &tksp_script_delete_all, 4 + op->keep_count, words, words[1]);
}

static tks_status begin_count(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    const tks_bytes words[] = {TKS_LITERAL("1"), tksp_word_key(op, place),
                               tksp_word_echo(op, place), tksp_word_max_age(op)};
    return tksp_tokens_add(op, &tksp_script_count, 4, words, words[1]);
}

static const tksp_tokens_kind delete_all_kind = {.base = {TKSP_TOKENS_BASE},
                                                 .begin = begin_delete_all,
                                                 .finish = finish_count};
static const tksp_tokens_kind count_kind = {.base = {TKSP_TOKENS_BASE},
                                            .begin = begin_count,
                                            .finish = finish_count};

/* A token, or an id: a custom token may look like one. */
static void add_keep(tksp_tokens_op *op, tks_bytes keep) {
    tksp_place place;
    size_t count = tksp_is_possible_token(keep) ? op->config.pepper_count : 0;
    op->keep = tksp_arena_alloc(&op->base.arena, (count + 1) * sizeof *op->keep);
    if (op->keep == NULL) return;
    for (size_t i = 0; i < count; i++) {
        tksp_key_field(op->config.peppers[i], op->app, op->type, keep, place.field);
        op->keep[op->keep_count++] = tksp_word_field(op, &place);
    }
    if (!tksp_is_id(keep)) return;
    tksp_slot id = {.by_id = true};
    memcpy(id.place.field, keep.data, TKS_FIELD_SIZE);
    op->keep[op->keep_count++] = tksp_word_name(op, &id);
}

tks_status tks_tokens_delete_all(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                 tks_bytes owner, tks_bytes keep, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status =
        tksp_owner_op_new(tokens, &delete_all_kind, TKS_ONCE, app, type, owner, &op, err);
    if (status == TKS_OK) add_keep(op, keep);
    if (status == TKS_OK) op->slots[0].owner = tksp_arena_dup(&op->base.arena, owner);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_count(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                            tks_bytes owner, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status =
        tksp_owner_op_new(tokens, &count_kind, TKS_READ, app, type, owner, &op, err);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

/* ---- tally ---- */

static tks_status begin_nothing(tksp_tokens_op *op) {
    (void)op; /* the keys are known from the beginning */
    return TKS_OK;
}

static tks_status finish_tally(tksp_tokens_op *op) {
    tks_op *base = &op->base;
    const tks_reply **replies = tksp_arena_alloc(&base->arena, (base->count + 1) * sizeof *replies);
    if (replies == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < base->count; i++) {
        tks_status status;
        replies[i] = tksp_checked_reply(op, i, &op->slots[0].place, &status);
        if (replies[i] == NULL) return status;
    }
    base->result.type = TKS_RESULT_REPLIES;
    base->result.replies = replies;
    base->result.size = base->count;
    return TKS_OK;
}

static const tksp_tokens_kind tally_kind = {.base = {TKSP_TOKENS_BASE},
                                            .begin = begin_nothing,
                                            .finish = finish_tally};

tks_status tks_tokens_tally(const tks_tokens *tokens, size_t count, const tks_bytes *keys,
                            tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status = tksp_tokens_op_new(tokens, &tally_kind, TKS_READ, none, none, 1, &op, err);
    if (status != TKS_OK) return status;
    memset(op->slots[0].place.field, '-', TKS_FIELD_SIZE);
    op->phase = TKSP_BEGUN;
    tks_bytes echo = tksp_word_echo(op, &op->slots[0].place);
    for (size_t i = 0; status == TKS_OK && i < count; i++) {
        const tks_bytes words[] = {TKS_LITERAL("1"), tksp_arena_dup(&op->base.arena, keys[i]), echo,
                                   tksp_word_max_age(op)};
        status = tksp_tokens_add(op, &tksp_script_count, 4, words, words[1]);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- list ---- */

/* qsort: newest first; of one microsecond, by id, so that the order is always the same. */
static int newest_first(const void *a, const void *b) {
    const tks_token *x = a, *y = b;
    if (x->created_us != y->created_us) return x->created_us < y->created_us ? 1 : -1;
    return memcmp(x->id.data, y->id.data, TKS_FIELD_SIZE);
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

static tks_status finish_list(tksp_tokens_op *op) {
    tks_op *base = &op->base;
    tksp_place owner = op->slots[0].place;
    tks_status status;
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
        const tks_reply *field = tks_reply_get_item(reply, 3 * i + 1);
        const tks_reply *record = tks_reply_get_item(reply, 3 * i + 2);
        int64_t expires_ms = tksp_reply_integer_at(reply, 3 * i + 3, 0);
        if (tks_reply_get_type(field) != TKS_REPLY_STRING ||
            tks_reply_get_type(record) != TKS_REPLY_STRING ||
            !tksp_is_id(tks_reply_get_bytes(field))) {
            return tksp_fail_not_a_record(op);
        }
        slots[good].place = owner;
        memcpy(slots[good].place.field, tks_reply_get_bytes(field).data, TKS_FIELD_SIZE);
        status = tksp_read_token(op, good, tks_reply_get_bytes(record), expires_ms);
        if (status == TKS_OK) good++;
        if (status != TKS_OK && status != TKS_ERR_DATA) return status;
        if (status != TKS_ERR_DATA) continue;
        tks_error unread = tksp_op_take_failure(base);
        if (bad++ > 0) continue;
        why = unread;
        first = tks_reply_get_bytes(field); /* slot 0 keeps the reply */
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

static tks_status begin_list(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_key(op, place),
        tksp_word_echo(op, place),
        tksp_word_max_age(op),
        tksp_arena_int(&op->base.arena, op->page.limit),
        op->page.after,
    };
    return tksp_tokens_add(op, &tksp_script_list, 6, words, words[1]);
}

static const tksp_tokens_kind list_kind = {
    .base = {TKSP_TOKENS_BASE, .smaller = "pass limit and after to list"},
    .begin = begin_list,
    .finish = finish_list};

tks_status tks_tokens_list(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes owner,
                           const tks_page *page, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    if (page->limit < 0 || page->limit > TKS_PAGE_MAX) {
        return tks_fail(err, TKS_ERR_DATA, "limit must be 1 to %d", TKS_PAGE_MAX);
    }
    if (page->after.data != NULL && !tksp_is_id(page->after)) {
        return tks_fail(err, TKS_ERR_DATA, "%s", after_is_gone);
    }
    tks_status status = tksp_owner_op_new(tokens, &list_kind, TKS_READ, app, type, owner, &op, err);
    if (status != TKS_OK) return status;
    op->page = (tks_page){page->limit, tksp_arena_dup(&op->base.arena, page->after)};
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- get_by_id, delete_by_id ---- */

static tks_status begin_get_by_id(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    return tksp_add_about(op, &tksp_script_read, place, tksp_word_name(op, &op->slots[0]),
                          tks_bytes_of(NULL, 0));
}

static const tksp_tokens_kind get_by_id_kind = {.base = {TKSP_TOKENS_BASE},
                                                .begin = begin_get_by_id,
                                                .finish = tksp_finish_token};

tks_status tks_tokens_get_by_id(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                tks_bytes owner, tks_bytes id, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status =
        tksp_id_op_new(tokens, &get_by_id_kind, TKS_READ, app, type, owner, id, &op, err);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_delete_by_id(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                   tks_bytes owner, tks_bytes id, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status =
        tksp_id_op_new(tokens, &tksp_delete_kind, TKS_ONCE, app, type, owner, id, &op, err);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}
