/* tokens_hsetex.c - creates records without a script, on a server that ends fields by itself: HSETEX (Redis 8.0, Valkey 9).
 *
 * A record has its time of creation in it, by the server's clock. So that clock must be known: from a script's answer,
 * or from TIME, asked now and then. Otherwise, and where more is to be done than to set a field, the script creates. */
#include "server.h"
#include "tokens_private.h"

/* The end of a token is fixed when its command is made. One that lives shorter than a command may wait for a connection is
 * left to the script. */
enum { TTL_MIN_MS = 60000 };

bool tksp_may_hsetex(const tksp_tokens_op *op) {
    if (op->base.audit != NULL) return false; /* the script tells, and writes, what was created */
    if (tksp_server_ends_fields(op->base.server) != TKSP_YES) return false;
    if (tksp_server_sets_ending(op->base.server) == TKSP_NO || op->config.max_per_owner > 0) {
        return false;
    }
    for (size_t i = 0; i < op->size; i++) {
        const tksp_slot *slot = &op->slots[i];
        if (slot->custom || (slot->ttl_ms != 0 && slot->ttl_ms < TTL_MIN_MS)) return false;
    }
    return true;
}

static tks_bytes record_word(tksp_tokens_op *op, const tksp_slot *slot) {
    const tksp_record record = {.created_us = slot->stamp_us,
                                .check = tks_bytes_of(slot->place.field, TKS_CHECK_SIZE),
                                .lasts = slot->ttl_ms == 0};
    tks_buf text;
    tks_buf_init(&text, SIZE_MAX);
    (void)tksp_record_write_head(&text, &record);
    if (tks_buf_append_bytes(&text, slot->tail) != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes word = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return word;
}

static tks_status add(tksp_tokens_op *op, size_t argc, const tks_bytes *words) {
    tks_status status = tksp_tokens_add(op, NULL, argc, words, words[1]);
    if (status == TKS_OK) op->base.commands[op->base.count - 1].may_be_forbidden = true;
    return status;
}

static tks_status add_hsetex(tksp_tokens_op *op, tksp_slot *slot) {
    tks_bytes words[10] = {TKS_LITERAL("HSETEX"), tksp_word_key(op, &slot->place),
                           TKS_LITERAL("FNX")};
    size_t count = 3;
    if (slot->ttl_ms > 0) {
        words[count++] = TKS_LITERAL("PXAT");
        words[count++] = tksp_arena_int(&op->base.arena, slot->stamp_us / 1000 + slot->ttl_ms);
    }
    words[count++] = TKS_LITERAL("FIELDS");
    words[count++] = TKS_LITERAL("1");
    words[count++] = tksp_word_field(op, &slot->place);
    words[count++] = record_word(op, slot);
    slot->command = op->base.count;
    return add(op, count, words);
}

/* A hash from before an upgrade has an end of its own. */
static tks_status add_persist(tksp_tokens_op *op, const tksp_slot *slot) {
    const tks_bytes words[] = {TKS_LITERAL("PERSIST"), op->base.commands[slot->command].route};
    return add(op, 2, words);
}

/* The clock of the server that slot `i` is on. */
static tks_server *clock_of(tksp_tokens_op *op, size_t i) {
    if (op->base.router == NULL) return op->base.server;
    op->app = op->tokens[i].app;
    op->type = op->tokens[i].type;
    return tksp_op_clock(&op->base, tksp_word_key(op, &op->slots[i].place));
}

tks_status tksp_add_hsetex(tksp_tokens_op *op, bool *added) {
    size_t old = SIZE_MAX; /* a slot whose clock should be learned again */
    *added = false;
    for (size_t i = 0; i < op->size; i++) {
        tksp_clock clock =
            tksp_server_stamp(clock_of(op, i), op->base.boot_ms, &op->slots[i].stamp_us);
        if (clock == TKSP_CLOCK_LOST) return TKS_OK;
        if (clock == TKSP_CLOCK_OLD) old = i;
    }
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        op->app = op->tokens[i].app;
        op->type = op->tokens[i].type;
        status = add_hsetex(op, &op->slots[i]);
        if (status == TKS_OK) status = add_persist(op, &op->slots[i]);
    }
    if (status == TKS_OK && old < op->size) {
        const tks_bytes time[] = {TKS_LITERAL("TIME")};
        tks_bytes route = op->base.commands[op->slots[old].command].route;
        status = tksp_tokens_add(op, NULL, 1, time, route);
    }
    *added = true;
    return status;
}

static bool is_done(const tks_reply *reply) {
    if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return false;
    return tks_reply_get_integer(reply) == 0 || tks_reply_get_integer(reply) == 1;
}

static bool is_error(const tks_reply *reply) {
    return tks_reply_get_type(reply) == TKS_REPLY_ERROR;
}

tks_status tksp_take_hsetex(tksp_tokens_op *op, bool *refused) {
    *refused = false;
    for (size_t i = 0; i < op->size; i++) {
        const tksp_command *command = &op->base.commands[op->slots[i].command];
        *refused = *refused || is_error(command[0].reply) || is_error(command[1].reply);
    }
    tksp_server_set_sets_ending(op->base.server, *refused ? TKSP_NO : TKSP_YES);
    if (*refused) return TKS_OK;
    for (size_t i = 0; i < op->size; i++) {
        const tksp_command *command = &op->base.commands[op->slots[i].command];
        if (!is_done(command[0].reply) || !is_done(command[1].reply)) {
            return tksp_op_fail(&op->base, TKS_ERR_OUTCOME_UNKNOWN,
                                "unexpected answer to HSETEX: the connection was closed");
        }
    }
    size_t last = 2 * op->size;
    if (last < op->base.count && op->base.commands[last].argc == 1) {
        const tksp_command *time = &op->base.commands[last];
        int64_t us = tksp_reply_time(time->reply);
        if (us >= 0) {
            tksp_server_learn_time(tksp_op_clock(&op->base, time->route), us, op->base.boot_ms);
        }
    }
    return TKS_OK;
}

/* The hashes from before an upgrade: their other records have their ends in them, which nothing would heed any more. */
tks_status tksp_settle_old(tksp_tokens_op *op) {
    tks_bytes *keys = tksp_arena_alloc(&op->base.arena, (op->size + 1) * sizeof *keys);
    size_t count = 0;
    if (keys == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < op->size; i++) {
        const tksp_command *persist = &op->base.commands[op->slots[i].command + 1];
        if (tks_reply_get_integer(persist->reply) == 1) keys[count++] = persist->route;
    }
    tksp_op_clear_commands(&op->base);
    for (size_t i = 0; i < count; i++) {
        const tks_bytes words[] = {TKS_LITERAL("1"), keys[i],
                                   tksp_word_echo(op, &op->slots[0].place)};
        tks_status status = tksp_tokens_add(op, &tksp_script_settle, 3, words, words[1]);
        if (status != TKS_OK) return status;
    }
    return op->base.arena.status;
}
