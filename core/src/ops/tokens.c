/* tokens.c - options, and the parts that all token operations are put together from. */
#include "server.h"
#include "tokens_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { REUSE_WINDOW_MS = 24 * 60 * 60 * 1000 };
/* ---- options ---- */

tks_status tks_duration(double seconds, const char *name, int64_t *out_ms, tks_error *err) {
    bool good = seconds >= 1.0 && seconds * 1000.0 <= (double)TKS_DURATION_MAX_MS;
    *out_ms = good ? (int64_t)llround(seconds * 1000.0) : 0;
    return tksp_check_duration(*out_ms, name, err);
}

tks_status tks_timeout(double seconds, int64_t *out_ms, tks_error *err) {
    *out_ms = 0;
    if (!(seconds > 0 && seconds * 1000.0 <= (double)TKS_DURATION_MAX_MS)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "timeout must be more than 0 and at most 315360000 seconds");
    }
    *out_ms = (int64_t)ceil(seconds * 1000.0);
    return TKS_OK;
}

static const tks_bytes *dup_peppers(tksp_arena *arena, const tks_bytes *peppers, size_t count) {
    tks_bytes *copies = tksp_arena_alloc(arena, (count + 1) * sizeof *copies);
    if (copies == NULL) return NULL;
    copies[0] = tks_bytes_of(NULL, 0);
    for (size_t i = 0; i < count; i++) copies[i] = tksp_arena_dup(arena, peppers[i]);
    return copies;
}

tks_status tks_tokens_new(const tks_tokens_options *options, tks_tokens **out, tks_error *err) {
    *out = NULL;
    tks_status status = tks_secret_start(err);
    tks_tokens_options o = *options;
    if (status == TKS_OK) status = tksp_options_complete(&tksp_tokens_options, &o, err);
    if (status == TKS_OK && o.when_full != TKS_FULL_OLDEST && o.max_per_owner == 0) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION,
                          "when_full needs max_per_owner: without it, nothing is ever full");
    }
    if (status == TKS_OK && o.reuse == TKS_REUSE_IGNORE && o.reuse_window_ms != 0) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION,
                          "reuse_window needs reuse='revoke': else no token is known as rotated");
    }
    if (status != TKS_OK) return status;
    tks_tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL) return tks_fail_memory(err);
    tks_random(tokens->question_key, sizeof tokens->question_key);
    tksp_tokens_config *config = &tokens->config;
    config->prefix = tksp_arena_dup(&tokens->arena, o.prefix);
    config->pepper_count = o.pepper_count > 0 ? o.pepper_count : 1;
    config->peppers = dup_peppers(&tokens->arena, o.peppers, o.pepper_count);
    config->encoding = o.encoding;
    config->token_size = o.token_size;
    config->max_data_size = o.max_data_size;
    config->max_age_ms = o.max_age_ms;
    config->touch_interval_ms = o.touch_interval_ms;
    config->max_per_owner = o.max_per_owner;
    config->when_full = o.when_full;
    config->reuse = o.reuse;
    config->reuse_window_ms = o.reuse_window_ms > 0 ? o.reuse_window_ms : REUSE_WINDOW_MS;
    tokens->durability = o.durability;
    config->owner_name = o.session ? "owner_id" : "owner";
    if (tokens->arena.status != TKS_OK) {
        tks_tokens_free(tokens);
        return tks_fail_memory(err);
    }
    *out = tokens;
    return TKS_OK;
}

void tks_tokens_free(tks_tokens *tokens) {
    if (tokens == NULL) return;
    tksp_arena_clear(&tokens->arena);
    free(tokens);
}

size_t tks_tokens_get_max_data_size(const tks_tokens *tokens) {
    return tokens->config.max_data_size;
}

/* ---- the operation ---- */

tks_status tksp_tokens_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                              tks_safety safety, tks_bytes app, tks_bytes type, size_t size,
                              tksp_tokens_op **out, tks_error *err) {
    *out = NULL;
    tksp_tokens_op *op = (tksp_tokens_op *)tksp_op_new(sizeof *op, &kind->base, safety);
    if (op == NULL) return tks_fail_memory(err);
    tksp_arena *arena = &op->base.arena;
    op->config = tokens->config;
    op->base.durability = tokens->durability;
    op->config.prefix = tksp_arena_dup(arena, tokens->config.prefix);
    op->app = tksp_arena_dup(arena, app);
    op->type = tksp_arena_dup(arena, type);
    if (size > 0) {
        op->slots = tksp_arena_alloc(arena, size * sizeof *op->slots);
        op->tokens = tksp_arena_alloc(arena, size * sizeof *op->tokens);
    }
    if (arena->status != TKS_OK) {
        tks_op_free(&op->base);
        return tks_fail_memory(err);
    }
    for (size_t i = 0; i < size; i++) {
        op->slots[i] = (tksp_slot){.command = SIZE_MAX, .clock_ms = -1, .time = SIZE_MAX};
        op->tokens[i] = (tks_token){.found = false};
    }
    op->size = size;
    op->width = 1;
    *out = op;
    return TKS_OK;
}

tks_status tksp_tokens_op_new_for(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                                  tks_safety safety, tks_bytes app, tks_bytes type, size_t count,
                                  tksp_tokens_op **out, tks_error *err) {
    size_t width = tokens->config.pepper_count;
    tks_status status =
        tksp_tokens_op_new(tokens, kind, safety, app, type, count * width, out, err);
    if (status == TKS_OK) (*out)->width = width;
    return status;
}

tks_status tksp_tokens_op_ready(tksp_tokens_op *op, tks_status status, tks_op **out,
                                tks_error *err) {
    if (!op->keeps_pepper) op->config.peppers = NULL; /* the store may go now */
    if (status == TKS_OK) status = op->base.arena.status;
    if (status != TKS_OK) {
        tks_op_free(&op->base);
        return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
    }
    *out = &op->base;
    return TKS_OK;
}

void tksp_tokens_op_clear(tks_op *op) {
    tksp_tokens_op *self = (tksp_tokens_op *)op;
    for (size_t i = 0; i < self->size; i++) {
        tks_json_free(self->slots[i].data);
        tks_reply_free(self->slots[i].reply);
        tksp_near_release(self->slots[i].near);
    }
}

/* ---- places ---- */

void tksp_present(tksp_tokens_op *op, size_t i, tks_bytes token) {
    tksp_slot *slot = &op->slots[i * op->width];
    if (!tksp_is_possible_token(token)) return; /* not found, without asking */
    slot->token = tksp_arena_dup(&op->base.arena, token);
    slot->located = tksp_token_read(token, slot->place.locator);
    slot->aliased = !slot->located;
    slot->generated = slot->located;
    for (size_t k = op->width;
         k-- > 0;) { /* the first, of which the others are copies, is the last */
        if (k > 0) slot[k] = slot[0];
        tksp_key_field(op->config.peppers[k], op->app, op->type, token, slot[k].place.field);
    }
}

void tksp_forget_slot(tksp_tokens_op *op, size_t i) {
    tksp_slot *slot = &op->slots[i];
    tks_json_free(slot->data);
    tks_reply_free(slot->reply);
    tksp_near_release(slot->near);
    slot->data = NULL;
    slot->reply = NULL;
    slot->near = NULL;
    slot->read = false;
    op->tokens[i].found = false;
}

void tksp_swap_slots(tksp_tokens_op *op, size_t to, size_t from) {
    tksp_slot slot = op->slots[to];
    tks_token token = op->tokens[to];
    bool is_first = op->tokens[from].sid.data == op->tokens[from].id.data; /* of its family */
    if (to == from) return;
    op->slots[to] = op->slots[from];
    op->slots[from] = slot;
    op->tokens[to] = op->tokens[from];
    op->tokens[from] = token;
    op->tokens[to].id = tks_bytes_of(op->slots[to].place.field, TKS_FIELD_SIZE);
    if (is_first) op->tokens[to].sid = op->tokens[to].id;
}

bool tksp_is_askable(const tksp_tokens_op *op, size_t i) {
    return op->slots[i].located;
}

void tksp_keep_pepper(tksp_tokens_op *op) {
    op->config.peppers = dup_peppers(&op->base.arena, op->config.peppers, 1);
    op->keeps_pepper = true;
}

/* Asks for the aliases of custom tokens. */
static tks_status ask_aliases(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        tksp_slot *slot = &op->slots[i];
        if (slot->token.size == 0 || slot->located) continue;
        const tks_bytes words[] = {TKS_LITERAL("GET"), tksp_word_alias(op, &slot->place)};
        slot->command = op->base.count;
        tks_status status = tksp_tokens_add(op, NULL, 2, words, words[1]);
        if (status != TKS_OK) return status;
    }
    return op->base.arena.status;
}

/* An alias says where the record is; it may be gone. */
static tks_status take_aliases(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        tksp_slot *slot = &op->slots[i];
        if (slot->command == SIZE_MAX) continue;
        const tks_reply *reply = op->base.commands[slot->command].reply;
        slot->command = SIZE_MAX;
        if (tks_reply_get_type(reply) == TKS_REPLY_NIL) continue;
        if (tks_reply_get_type(reply) != TKS_REPLY_STRING ||
            !tksp_alias_read(tks_reply_get_bytes(reply), slot->place.locator)) {
            return tksp_op_fail(
                &op->base, TKS_ERR_DATA,
                "the value at the token's key is not a tokenstore record: does another "
                "program write to this prefix?");
        }
        slot->alias = tksp_arena_dup(&op->base.arena, tks_reply_get_bytes(reply));
        slot->located = true;
    }
    tksp_op_clear_commands(&op->base);
    return op->base.arena.status;
}

static bool has_unlocated(const tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        if (op->slots[i].token.size > 0 && !op->slots[i].located) return true;
    }
    return false;
}

/* Asks which of several fields exists that a token may have; a token keeps its field as long as it lives. */
static tks_status ask_which(tksp_tokens_op *op) {
    size_t located = 0;
    for (size_t i = 0; i < op->size; i++) {
        located += op->slots[i].located;
        if (op->slots[i].located && !op->slots[0].located) tksp_swap_slots(op, 0, i);
    }
    for (size_t i = 0; located > 1 && i < op->size; i++) {
        tksp_slot *slot = &op->slots[i];
        if (!slot->located) continue;
        const tks_bytes words[] = {TKS_LITERAL("HEXISTS"), tksp_word_key(op, &slot->place),
                                   tksp_word_field(op, &slot->place)};
        slot->command = op->base.count;
        tks_status status = tksp_tokens_add(op, NULL, 3, words, words[1]);
        if (status == TKS_OK && op->config.reuse == TKS_REUSE_REVOKE) {
            const tks_bytes more[] = {words[0], words[1], tksp_word_tombstone(op, &slot->place)};
            status = tksp_tokens_add(op, NULL, 3, more, words[1]);
        }
        if (status != TKS_OK) return status;
    }
    return op->base.arena.status;
}

static bool is_yes(const tks_reply *reply) {
    return tks_reply_get_type(reply) == TKS_REPLY_INTEGER && tks_reply_get_integer(reply) == 1;
}

static tks_status take_which(tksp_tokens_op *op) {
    size_t found = op->size;
    for (size_t i = op->size; i-- > 0;) {
        if (op->slots[i].command == SIZE_MAX) continue;
        const tksp_command *commands = op->base.commands + op->slots[i].command;
        const tks_reply *reply = commands[0].reply;
        op->slots[i].command = SIZE_MAX;
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) {
            return tksp_op_fail(&op->base, TKS_ERR_CONNECTION,
                                "unexpected answer to HEXISTS: the connection was closed");
        }
        bool more = op->config.reuse == TKS_REUSE_REVOKE;
        if (is_yes(reply) || (more && is_yes(commands[1].reply))) found = i;
    }
    tksp_op_clear_commands(&op->base);
    if (found < op->size) tksp_swap_slots(op, 0, found);
    return TKS_OK;
}

tks_status tksp_tokens_finish(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    const tksp_tokens_kind *kind = (const tksp_tokens_kind *)base->kind;
    tks_status status = TKS_OK;
    (void)now_ms;
    bool done = false;
    if (op->phase == TKSP_REVOKING) return tksp_take_revoked(op);
    if (op->phase == TKSP_BEGUN) {
        status = tksp_take_absent(op, &done);
        return status != TKS_OK || done ? status : kind->finish(op);
    }
    if (op->phase == TKSP_NEW && has_unlocated(op)) {
        op->phase = TKSP_RESOLVING;
        return ask_aliases(op);
    }
    if (op->phase == TKSP_RESOLVING) status = take_aliases(op);
    if (op->phase == TKSP_CHOOSING) {
        status = take_which(op);
    } else if (status == TKS_OK && op->width > 1 && !kind->reads) {
        op->phase = TKSP_CHOOSING;
        status = ask_which(op);
        if (status != TKS_OK || base->count > 0) return status;
    }
    op->phase = TKSP_BEGUN;
    if (status == TKS_OK) status = kind->begin(op);
    if (status == TKS_OK) status = base->arena.status;
    return status != TKS_OK || base->count > 0 ? status : kind->finish(op);
}

/* ---- answers ---- */

void tksp_learn_from_echo(tksp_tokens_op *op, size_t command, tks_bytes echo) {
    char known = echo.data[echo.size - 1];
    const tks_bytes *argv = op->base.commands[command].argv;
    if (tks_bytes_equal(echo, argv[1 + tksp_count_keys(argv)])) return; /* nothing new */
    if (known == '0') tksp_server_set_ends_fields(op->base.server, TKSP_NO);
    if (known == '1') tksp_server_set_ends_fields(op->base.server, TKSP_YES);
}

static bool is_echo(tks_bytes echo, const tksp_place *place) {
    return echo.size == TKS_CHECK_SIZE + 1 && memcmp(echo.data, place->field, TKS_CHECK_SIZE) == 0;
}

const tks_reply *tksp_checked_reply(tksp_tokens_op *op, size_t command, const tksp_place *place,
                                    tks_status *status) {
    const tks_reply *reply = op->base.commands[command].reply;
    const tks_reply *echo =
        tks_reply_get_type(reply) == TKS_REPLY_ARRAY ? tks_reply_get_item(reply, 0) : NULL;
    if (echo == NULL || tks_reply_get_type(echo) != TKS_REPLY_STRING ||
        !is_echo(tks_reply_get_bytes(echo), place) || tks_reply_get_size(reply) < 1) {
        *status = tksp_op_fail_foreign(&op->base);
        return NULL;
    }
    tksp_learn_from_echo(op, command, tks_reply_get_bytes(echo));
    *status = TKS_OK;
    return reply;
}

int64_t tksp_reply_integer_at(const tks_reply *reply, size_t i, int64_t otherwise) {
    const tks_reply *item = tks_reply_get_item(reply, i);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_INTEGER) return otherwise;
    return tks_reply_get_integer(item);
}

/* Source: redis.io, TIME: seconds and microseconds, both as texts. */
int64_t tksp_reply_time(const tks_reply *reply) {
    int64_t part[2] = {0, 0};
    if (tks_reply_get_size(reply) != 2 || tks_reply_get_type(reply) != TKS_REPLY_ARRAY) return -1;
    for (size_t i = 0; i < 2; i++) {
        tks_bytes digits = tks_reply_get_bytes(tks_reply_get_item(reply, i));
        if (digits.size == 0 || digits.size > 12) return -1;
        for (size_t at = 0; at < digits.size; at++) {
            if (digits.data[at] < '0' || digits.data[at] > '9') return -1;
            part[i] = part[i] * 10 + (digits.data[at] - '0');
        }
    }
    return part[0] * 1000000 + part[1];
}

tks_status tksp_fail_not_a_record(tksp_tokens_op *op) {
    op->base.refused = true;
    return tksp_op_fail(&op->base, TKS_ERR_DATA,
                        "the value at the token's key is not a tokenstore record: does another "
                        "program write to this prefix?");
}

tks_status tksp_fail_too_large(tksp_tokens_op *op) {
    op->base.refused = true;
    return tksp_op_fail(&op->base, TKS_ERR_DATA,
                        "the data would be larger than max_data_size (%zu bytes): nothing was "
                        "changed",
                        op->config.max_data_size);
}

tks_status tksp_fail_full(tksp_tokens_op *op) {
    op->base.refused = true;
    return tksp_op_fail(&op->base, TKS_ERR_LIMIT,
                        "the %s has as many live tokens as max_per_owner allows (%" PRId64
                        "): end one of them first",
                        op->config.owner_name, op->config.max_per_owner);
}

tks_status tksp_read_token(tksp_tokens_op *op, size_t i, tks_bytes text, int64_t expires_ms) {
    tksp_slot *slot = &op->slots[i];
    tksp_record record;
    tks_error why;

    why.status = TKS_OK;
    tks_status status = tksp_record_read(text, &op->base.arena, &record, &why);
    if (status != TKS_OK) return tksp_op_fail(&op->base, status, "%s", why.message);
    if (!tks_bytes_equal(record.check, tks_bytes_of(slot->place.field, TKS_CHECK_SIZE))) {
        return tksp_op_fail_foreign(&op->base);
    }
    /* It may have been moved here from another program. */
    status = tks_json_read_foreign(record.data, &slot->data, &why);
    if (status != TKS_OK) return tksp_op_fail(&op->base, status, "%s", why.message);

    slot->stamp_ms = record.times[TKSP_TIME_END];
    slot->until_ms = record.times[TKSP_TIME_UNTIL];
    slot->lasts = record.lasts;
    op->tokens[i] = (tks_token){
        .found = true,
        .app = op->app,
        .type = op->type,
        .owner = record.owner,
        .token = slot->token,
        .id = tks_bytes_of(slot->place.field, TKS_FIELD_SIZE),
        .created_us = record.created_us,
        .expires_ms = expires_ms > 0 ? expires_ms : 0,
        .data = slot->data,
        .idle_ms = record.times[TKSP_TIME_IDLE],
        .seen_ms = record.times[TKSP_TIME_SEEN],
        .address = record.address,
        .user_agent = record.agent,
        .sid = record.family,
        .superseded = slot->superseded,
    };
    if (record.family.size == 0) op->tokens[i].sid = op->tokens[i].id;
    return op->base.arena.status;
}
