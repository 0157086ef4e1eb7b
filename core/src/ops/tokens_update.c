/* tokens_update.c - update, update_by_id, update_all: what a token's data holds; one script, one round trip. */
#include "tokens_private.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WORDS = 6,
    MORE_WORDS = 3
}; /* of the script, before its pairs: of every update, of one that wants more */

enum { NAME_SHOWN_MAX = 100 }; /* bytes of a field's name in a message */

/* ---- arguments ---- */

/* What is wanted beyond data, which is what most updates have. */
static bool wants_more(const tks_update *update) {
    return update->replace || update->refresh_ms != 0 || update->expect.size > 0;
}

/* The names that must be absent stand behind the object of those that must have a value. */
static tks_bytes absent_in(tks_bytes expect) {
    tks_bytes name, value;
    size_t at = 0;
    while (tks_json_next_member(expect, &at, &name, &value)) continue;
    at = (at == 0 ? 1 : at) + 1; /* behind the brace */
    return at < expect.size ? tks_bytes_of(expect.data + at, expect.size - at)
                            : tks_bytes_of(NULL, 0);
}

static tks_bytes values_in(tks_bytes expect) {
    return tks_bytes_of(expect.data, expect.size - absent_in(expect).size);
}

static tks_status check_json(tks_bytes text, char first, size_t max_size, const char *wrong,
                             tks_error *err) {
    tks_status status = tks_json_check(text, max_size, err);
    if (status == TKS_OK && text.data[0] != first) {
        status = tks_fail(err, TKS_ERR_DATA, "%s", wrong);
    }
    return status;
}

static tks_status check_names(tks_bytes names, size_t max_size, const char *wrong, tks_error *err) {
    tks_bytes name;
    size_t at = 0;
    if (names.size == 0) return TKS_OK;
    tks_status status = check_json(names, '[', max_size, wrong, err);
    while (status == TKS_OK && tks_json_next_item(names, &at, &name)) {
        if (name.data[0] != '"') status = tks_fail(err, TKS_ERR_DATA, "%s", wrong);
    }
    return status;
}

/* The field's name for a message: cut between characters. */
static int shown_size(tks_bytes name) {
    size_t size = name.size;
    if (size <= NAME_SHOWN_MAX) return (int)size;
    size = NAME_SHOWN_MAX;
    while (((unsigned char)name.data[size] & 0xC0) == 0x80) size--;
    return (int)size;
}

static int compare(const void *a, const void *b) {
    const tks_bytes *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* A field that is set and deleted at once. O(n log n): there may be thousands. */
static tks_status check_apart(const tks_update *update, tks_error *err) {
    tks_bytes name, value;
    size_t count = 0, at = 0;
    tks_status status = TKS_OK;
    while (tks_json_next_item(update->unset, &at, &name)) count++;
    if (count == 0) return TKS_OK;
    tks_bytes *names = malloc(count * sizeof *names);
    if (names == NULL) return tks_fail_memory(err);
    for (at = 0, count = 0; tks_json_next_item(update->unset, &at, &name);) names[count++] = name;
    qsort(names, count, sizeof *names, compare);
    for (at = 0; status == TKS_OK && tks_json_next_member(update->data, &at, &name, &value);) {
        if (bsearch(&name, names, count, sizeof *names, compare) == NULL) continue;
        status = tks_fail(err, TKS_ERR_DATA,
                          "unset and data both have the field %.*s: give it in one of them",
                          shown_size(name), name.data);
    }
    free(names);
    return status;
}

static tks_status check(const tks_tokens *tokens, const tks_update *update, tks_error *err) {
    size_t max_size = tokens->config.max_data_size;
    tks_status status = check_json(update->data, '{', max_size,
                                   "data is not an object: give names and values", err);
    if (status == TKS_OK) {
        status = check_names(update->unset, max_size, "unset is not a list of names", err);
    }
    if (status == TKS_OK && update->expect.size > 0) {
        static const char wrong[] = "expect is not an object: give names and values";
        status = check_json(values_in(update->expect), '{', max_size, wrong, err);
        if (status == TKS_OK) status = check_names(absent_in(update->expect), max_size, wrong, err);
    }
    if (status == TKS_OK && update->refresh_ms != 0 && update->refresh_ms != TKS_OWN_IDLE) {
        status = tksp_check_duration(update->refresh_ms, "refresh", err);
    }
    if (status == TKS_OK && update->replace && update->unset.size > 2) {
        status = tks_fail(
            err, TKS_ERR_DATA,
            "replace and unset: a field that is not in data is deleted anyway, give only one");
    }
    return status == TKS_OK ? check_apart(update, err) : status;
}

/* In the operation's arena; NULL: out of memory. */
static const tks_update *copy(tksp_arena *arena, const tks_update *update) {
    tks_update *made = tksp_arena_alloc(arena, sizeof *made);
    if (made == NULL) return NULL;
    *made = *update;
    made->data = tksp_arena_dup(arena, update->data);
    made->unset = tksp_arena_dup(arena, update->unset);
    made->expect = tksp_arena_dup(arena, update->expect);
    return made;
}

/* ---- words ---- */

typedef struct words {
    tks_bytes *at;
    size_t count;
} words;

static size_t count_members(tks_bytes object) {
    tks_bytes name, value;
    size_t count = 0, at = 0;
    while (tks_json_next_member(object, &at, &name, &value)) count++;
    return count;
}

static size_t count_items(tks_bytes array) {
    tks_bytes item;
    size_t count = 0, at = 0;
    while (tks_json_next_item(array, &at, &item)) count++;
    return count;
}

static void put(words *out, tks_bytes word) {
    out->at[out->count++] = word;
}

static void put_pairs(words *out, tks_bytes object, bool null_deletes) {
    tks_bytes name, value;
    for (size_t at = 0; tks_json_next_member(object, &at, &name, &value);) {
        bool deletes = null_deletes && tks_bytes_equal(value, TKS_LITERAL("null"));
        put(out, name);
        put(out, deletes ? TKS_LITERAL("") : value);
    }
}

static void put_names(words *out, tks_bytes names) {
    tks_bytes name;
    for (size_t at = 0; tks_json_next_item(names, &at, &name);) {
        put(out, name);
        put(out, TKS_LITERAL(""));
    }
}

/* Room for the words of the script, pairs included. */
static words begin_words(tksp_tokens_op *op) {
    const tks_update *update = op->update;
    size_t pairs = count_members(update->data) + count_items(update->unset) +
                   count_members(update->expect) + count_items(absent_in(update->expect));
    size_t size = WORDS + MORE_WORDS + 2 * pairs;
    return (words){.at = tksp_arena_alloc(&op->base.arena, size * sizeof(tks_bytes)), .count = 0};
}

static void put_more(tksp_tokens_op *op, words *out) {
    const tks_update *update = op->update;
    tks_bytes absent = absent_in(update->expect);
    size_t expected = count_members(update->expect) + count_items(absent);
    put(out, update->replace ? update->data : TKS_LITERAL(""));
    put(out, tksp_arena_int(&op->base.arena, update->refresh_ms));
    put(out, tksp_arena_int(&op->base.arena, (int64_t)expected));
    put_pairs(out, update->expect, false);
    put_names(out, absent);
}

static void put_changes(const tks_update *update, words *out) {
    put_pairs(out, update->data, !update->keep_null);
    put_names(out, update->unset);
}

/* ---- update, update_by_id ---- */

static tks_status begin_update(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    const tks_update *update = op->update;
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    words out = begin_words(op);
    if (out.at == NULL) return TKS_ERR_MEMORY;
    put(&out, TKS_LITERAL("1"));
    put(&out, tksp_word_key(op, place));
    put(&out, tksp_word_echo(op, place));
    put(&out, tksp_word_name(op, &op->slots[0]));
    put(&out, tksp_word_max_age(op));
    put(&out, tksp_arena_int(&op->base.arena, (int64_t)op->config.max_data_size));
    if (wants_more(update)) put_more(op, &out);
    if (!update->replace) put_changes(update, &out);
    tks_status status = tksp_op_add(&op->base, &tksp_script_update, out.at, out.count, out.at[1]);
    if (status == TKS_OK && op->duration_ms > 0) {
        status = tksp_lengthen_alias(op, tksp_word_alias(op, place));
    }
    return status;
}

/* Only the record says how long a use by its own idle time lets it live: so an alias follows. It is in no doubt that
 * the token was updated, whatever becomes of this. */
static tks_status extend_by_idle(tksp_tokens_op *op) {
    if (op->duration_ms != TKS_OWN_IDLE || !op->slots[0].aliased) return TKS_OK;
    op->duration_ms = op->tokens[0].idle_ms;
    if (op->duration_ms == 0) return TKS_OK; /* also where it was not found */
    op->touching = true;
    return tksp_lengthen_alias(op, tksp_word_alias(op, &op->slots[0].place));
}

static bool spare_alias(tks_op *base, const char *why) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    char line[TKS_ERROR_SIZE];
    if (!op->touching) return false;
    (void)snprintf(line, sizeof line,
                   "the token was updated, but its alias could not be extended: %s", why);
    tks_notes_add(&base->notes, 'w', line);
    return true;
}

/* The name of expectation `number`, from 1 on. */
static tks_bytes name_expected(const tks_update *update, int64_t number) {
    tks_bytes name = TKS_LITERAL("?"), value, absent = absent_in(update->expect);
    size_t at = 0;
    while (number > 0 && tks_json_next_member(update->expect, &at, &name, &value)) number--;
    for (at = 0; number > 0 && tks_json_next_item(absent, &at, &name);) number--;
    return name;
}

static tks_status finish_update(tksp_tokens_op *op) {
    tks_op *base = &op->base;
    int64_t code = 0;
    int64_t number = 0;
    if (op->touching) return TKS_OK;
    if (base->count > 0) {
        tks_status status;
        const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
        if (reply == NULL) return status;
        code = tksp_reply_integer_at(reply, 1, 0);
        number = tksp_reply_integer_at(reply, 2, 0);
    }
    if (code == -1) return tksp_fail_too_large(op);
    base->refused = code == -3;
    if (code == -3) {
        tks_bytes name = name_expected(op->update, number);
        return tksp_op_fail(base, TKS_ERR_CONFLICT,
                            "the field %.*s is not as expected: nothing was changed; read it again",
                            shown_size(name), name.data);
    }
    tks_status status = tksp_finish_token(op);
    return status == TKS_OK ? extend_by_idle(op) : status;
}

static const tksp_tokens_kind update_kind = {.base = {TKSP_TOKENS_BASE, .spare = spare_alias},
                                             .begin = begin_update,
                                             .finish = finish_update};

static tks_status ready(tksp_tokens_op *op, const tks_update *update, tks_op **out,
                        tks_error *err) {
    op->update = copy(&op->base.arena, update);
    op->duration_ms = update->refresh_ms;
    return tksp_tokens_op_ready(op, TKS_OK, out, err);
}

tks_status tks_tokens_update(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, const tks_update *update, tks_op **out,
                             tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK) status = check(tokens, update, err);
    if (status == TKS_OK) {
        status = tksp_tokens_op_new_for(tokens, &update_kind, TKS_ONCE, app, type, 1, &op, err);
    }
    if (status != TKS_OK) return status;
    tksp_present(op, 0, token);
    return ready(op, update, out, err);
}

tks_status tks_tokens_update_by_id(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                   tks_bytes owner, tks_bytes id, const tks_update *update,
                                   tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(tokens, update, err);
    if (status == TKS_OK) {
        status = tksp_id_op_new(tokens, &update_kind, TKS_ONCE, app, type, owner, id, &op, err);
    }
    if (status != TKS_OK) return status;
    op->slots[0].aliased = true; /* perhaps: an alias is found by the id, too */
    return ready(op, update, out, err);
}

/* ---- update_all ---- */

static tks_status begin_update_all(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    words out = begin_words(op);
    if (out.at == NULL) return TKS_ERR_MEMORY;
    put(&out, TKS_LITERAL("1"));
    put(&out, tksp_word_key(op, place));
    put(&out, tksp_word_echo(op, place));
    put(&out, tksp_word_max_age(op));
    put(&out, tksp_arena_int(&op->base.arena, (int64_t)op->config.max_data_size));
    put_changes(op->update, &out);
    return tksp_op_add(&op->base, &tksp_script_update_all, out.at, out.count, out.at[1]);
}

/* As list does: bad records hide no good ones, and are not hidden themselves. */
static tks_status report_unread(tksp_tokens_op *op, tks_bytes first, int64_t count, bool any) {
    char note[TKS_NOTE_MAX];
    if (!tksp_is_id(first)) first = TKS_LITERAL("?"); /* another program's field */
    op->base.refused = !any;
    if (!any) {
        return tksp_op_fail(&op->base, TKS_ERR_DATA,
                            "the token %.*s is stored in an unreadable form: nothing was changed; "
                            "delete_all removes it too",
                            (int)first.size, first.data);
    }
    (void)snprintf(
        note, sizeof note,
        "update_all skipped unreadable tokens: %lld; the first: %.*s: delete_all removes it too",
        (long long)count, (int)first.size, first.data);
    tks_notes_add(&op->base.notes, 'w', note);
    return TKS_OK;
}

static tks_status finish_update_all(tksp_tokens_op *op) {
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    int64_t count = tksp_reply_integer_at(reply, 1, -2);
    int64_t unread = tksp_reply_integer_at(reply, 2, 0);
    const tks_reply *first = tks_reply_get_item(reply, 3);
    if (count == -1) return tksp_fail_too_large(op);
    if (count < 0) return tksp_op_fail_foreign(&op->base);
    if (unread > 0 && first != NULL && tks_reply_get_type(first) == TKS_REPLY_STRING) {
        status = report_unread(op, tks_reply_get_bytes(first), unread, count > 0);
    }
    op->base.result.type = TKS_RESULT_COUNT;
    op->base.result.integer = count;
    return status;
}

static const tksp_tokens_kind update_all_kind = {.base = {TKSP_TOKENS_BASE},
                                                 .begin = begin_update_all,
                                                 .finish = finish_update_all};

tks_status tks_tokens_update_all(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                                 tks_bytes owner, tks_bytes data, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    const tks_update update = {.data = data};
    *out = NULL;
    tks_status status = check(tokens, &update, err);
    if (status == TKS_OK) {
        status = tksp_owner_op_new(tokens, &update_all_kind, TKS_ONCE, app, type, owner, &op, err);
    }
    return status != TKS_OK ? status : ready(op, &update, out, err);
}
