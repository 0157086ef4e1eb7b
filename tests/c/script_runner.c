/* script_runner.c - runs an operation through a case, step by step. */
#include "script_runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "op_private.h"
#include "script_call.h"
#include "script_pattern.h"
#include "server.h"
#include "test.h"
#include "vectors.h"

enum { REPLY_MAX = 1 << 20 };

typedef struct runner {
    const tks_json *test;
    const script_guard *guard;
    script_call call;
    pattern_variables variables;
    tks_op *op;
    tks_server *server;
    tks_need need;
    int64_t now_ms;
} runner;

static void enter(const runner *r) {
    if (r->guard != NULL) r->guard->enter();
}

static void leave(const runner *r) {
    if (r->guard != NULL) r->guard->leave();
}

/* True if an allocation has failed on purpose. */
static bool is_starved(const runner *r) {
    return r->guard != NULL && r->guard->failed();
}

static void step(runner *r, const tks_event *event) {
    enter(r);
    r->need = tks_op_step(r->op, event);
    leave(r);
}

/* ---- commands ---------------------------------------------------------------------------------- */

static const tksp_script *script_named(const char *name) {
    static const tksp_script *const all[] = {
        &tksp_script_create,         &tksp_script_delete,          &tksp_script_delete_all,
        &tksp_script_alias_claim,    &tksp_script_exists,          &tksp_script_count,
        &tksp_script_list,           &tksp_script_refresh,         &tksp_script_rotate,
        &tksp_script_update,         &tksp_script_update_all,      &tksp_script_read,
        &tksp_script_adopt,          &tksp_script_end_family,      &tksp_script_take,
        &tksp_script_alias_extend,   &tksp_script_node_add,        &tksp_script_node_set,
        &tksp_script_node_delete,    &tksp_script_node_delete_key, &tksp_script_node_clean,
        &tksp_script_node_take_hash, &tksp_script_node_reset,
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0) return all[i];
    }
    vectors_broken("unknown script", name);
}

/* Reads `<type><number>\r\n` at *at; -1: something else. */
static int64_t read_header(tks_bytes text, size_t *at, char type) {
    int64_t number = 0;
    if (*at >= text.size || text.data[*at] != type) return -1;
    for ((*at)++; *at < text.size && text.data[*at] != '\r'; (*at)++) {
        number = number * 10 + (text.data[*at] - '0');
    }
    *at += 2;
    return number;
}

static void check_word(runner *r, const tks_json *want, tks_bytes word) {
    size_t at = 0;
    if (tks_json_get_type(want) == TKS_JSON_OBJECT && tks_json_find(want, "sha") != NULL) {
        CHECK_BYTES(word, tks_bytes_of(script_named(vectors_text(want, "sha"))->sha1, 40));
    } else if (tks_json_get_type(want) == TKS_JSON_OBJECT &&
               tks_json_find(want, "script") != NULL) {
        const tksp_script *script = script_named(vectors_text(want, "script"));
        CHECK_BYTES(word, tks_bytes_of(script->text, script->size));
    } else if (!pattern_match(&r->variables, want, word, &at) || at != word.size) {
        tks_buf text; /* the expected text for messages, if known */
        tks_buf_init(&text, 1 << 24);
        if (tks_json_get_type(want) == TKS_JSON_STRING) pattern_expand(&r->variables, want, &text);
        CHECK_BYTES(word, tks_buf_bytes(&text));
        CHECK(at == word.size);
        tks_buf_clear(&text);
    } else {
        CHECK(true);
    }
}

/* The key that leads the first command of the batch to its node. */
static tks_bytes first_route(const tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        if (op->commands[i].sent) return op->commands[i].route;
    }
    return tks_bytes_of(NULL, 0);
}

/* The batch must be exactly these commands. */
static void check_batch(runner *r, const tks_json *step) {
    static const char *const safeties[] = {"read", "idempotent", "once"};
    const tks_batch *batch = tks_op_get_batch(r->op);
    const tks_json *commands = vectors_get(step, "send");
    const tks_json *command = tks_json_get_child(commands);
    const tks_json *route = tks_json_find(step, "route");
    size_t at = 0;

    CHECK_INT(batch->replies, tks_json_get_size(commands));
    CHECK_TEXT(safeties[batch->safety], vectors_text(step, "safety"));
    for (; command != NULL; command = tks_json_get_next(command)) {
        const tks_json *word = tks_json_get_child(command);
        if (!CHECK_INT(read_header(batch->bytes, &at, '*'), tks_json_get_size(command))) return;
        for (; word != NULL; word = tks_json_get_next(word)) {
            int64_t size = read_header(batch->bytes, &at, '$');
            if (!CHECK(size >= 0 && (size_t)size <= batch->bytes.size - at)) return;
            check_word(r, word, tks_bytes_of(batch->bytes.data + at, (size_t)size));
            at += (size_t)size + 2;
        }
    }
    CHECK_INT(at, batch->bytes.size);
    if (route != NULL) check_word(r, route, first_route(r->op));
}

/* ---- replies ----------------------------------------------------------------------------------- */

static tks_status status_named(const char *code) {
    for (int i = 0; i < TKS_STATUS_COUNT; i++) {
        if (strcmp(tks_status_code((tks_status)i), code) == 0) return (tks_status)i;
    }
    vectors_broken("unknown status", code);
}

static bool flag(const tks_json *object, const char *name) {
    const tks_json *member = tks_json_find(object, name);
    return member != NULL && tks_json_get_bool(member);
}

/* Parses the replies and passes them to the operation. False: out of memory. */
static bool step_with_replies(runner *r, const tks_json *one, const tks_json *text) {
    size_t count = tks_op_get_batch(r->op)->replies;
    tks_reply **replies = calloc(count + 1, sizeof *replies);
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = r->now_ms, .replies = replies};
    tks_reader *reader = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_buf bytes;
    tks_status status;

    tks_buf_init(&bytes, 1 << 24);
    pattern_expand(&r->variables, text, &bytes);
    enter(r);
    status = tks_reader_new(REPLY_MAX, &reader, &err);
    if (status == TKS_OK) status = tks_reader_feed(reader, bytes.data, bytes.size, &err);
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        status = tks_reader_next(reader, &replies[i], &err);
    }
    leave(r);
    if (!is_starved(r)) {
        CHECK_STATUS(status, TKS_OK);
        CHECK(tks_reader_is_idle(reader)); /* the case has as many replies as commands */
        CHECK(count == 0 || replies[count - 1] != NULL);
    }
    if (status == TKS_OK && (count == 0 || replies[count - 1] != NULL)) {
        step(r, &event);
        CHECK_INT(tks_op_get_trust(r->op) == TKS_TRUST_LEAVE, flag(one, "leave"));
        for (size_t i = 0; i < count; i++) CHECK(replies[i] == NULL); /* all taken */
    } else {
        CHECK(status == TKS_ERR_MEMORY || status == TKS_ERR_CONNECTION);
        status = TKS_ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    free(replies);
    tks_buf_clear(&bytes);
    tks_reader_free(reader);
    return status == TKS_OK;
}

/* Executes what the operation needs. False: the case ends early. */
static bool answer(runner *r, const tks_json *one) {
    tks_event event = {.now_ms = r->now_ms};
    tks_error why = TKS_ERROR_INIT;
    const tks_json *node = NULL;

    if ((node = tks_json_find(one, "replies")) != NULL) return step_with_replies(r, one, node);
    if ((node = tks_json_find(one, "lost")) != NULL) {
        event.type = TKS_EVENT_LOST;
        event.sent = flag(node, "sent");
        event.final = flag(node, "final");
        if (tks_json_find(node, "why") != NULL) {
            tks_fail(&why, status_named(vectors_text(node, "status")), "%s",
                     vectors_text(node, "why"));
            event.why = &why;
        }
    } else if ((node = tks_json_find(one, "deadline")) != NULL) {
        event.type = TKS_EVENT_DEADLINE;
        event.sent = flag(node, "sent");
    } else if (tks_json_find(one, "awake") != NULL) {
        event.type = TKS_EVENT_AWAKE;
    } else {
        vectors_broken("a step without an answer", "steps");
    }
    step(r, &event);
    return true;
}

static void check_sleep(const runner *r, const tks_json *bounds) {
    const tks_json *low = tks_json_get_child(bounds);
    int64_t ms = tks_op_get_sleep(r->op);
    CHECK(ms >= tks_json_get_integer(low));
    CHECK(ms <= tks_json_get_integer(tks_json_get_next(low)));
}

/* ---- results ----------------------------------------------------------------------------------- */

static void check_bytes(runner *r, const tks_json *want, tks_bytes got) {
    if (tks_json_get_type(want) == TKS_JSON_NULL) {
        CHECK(got.data == NULL);
    } else {
        check_word(r, want, got);
    }
}

/* `want`: the object as text, `name=value;`, with variables; null: none. */
static void check_json(runner *r, const tks_json *want, const tks_json *got) {
    tks_json_writer w;
    tks_buf text;
    if (!CHECK_INT(got == NULL, tks_json_get_type(want) == TKS_JSON_NULL) || got == NULL) return;
    tks_buf_init(&text, 1 << 24);
    for (const tks_json *at = tks_json_get_child(got); at != NULL; at = tks_json_get_next(at)) {
        /* Member by member: the whole may be nested one level too deep for the writer. */
        tks_buf_append_bytes(&text, tks_json_get_name(at));
        tks_buf_append_char(&text, '=');
        tks_json_writer_init(&w, &text, 1 << 24, "value", NULL);
        CHECK_STATUS(tks_json_write_tree(&w, at), TKS_OK);
        tks_buf_append_char(&text, ';');
    }
    check_word(r, want, tks_buf_bytes(&text));
    tks_buf_clear(&text);
}

static void check_data(const tks_json *want, const tks_json *got) {
    tks_buf texts[2];
    for (int i = 0; i < 2; i++) {
        tks_json_writer w;
        tks_buf_init(&texts[i], 1 << 24);
        tks_json_writer_init(&w, &texts[i], 1 << 24, "data", NULL);
        CHECK_STATUS(tks_json_write_tree(&w, i == 0 ? got : want), TKS_OK);
    }
    CHECK_BYTES(tks_buf_bytes(&texts[0]), tks_buf_bytes(&texts[1]));
    tks_buf_clear(&texts[0]);
    tks_buf_clear(&texts[1]);
}

static void check_token(runner *r, const tks_json *want, const tks_token *got) {
    if (!CHECK_INT(got->found, tks_json_get_type(want) != TKS_JSON_NULL) || !got->found) return;
    check_bytes(r, vectors_get(want, "app"), got->app);
    check_bytes(r, vectors_get(want, "type"), got->type);
    check_bytes(r, vectors_get(want, "owner"), got->owner);
    check_bytes(r, vectors_get(want, "token"), got->token);
    check_bytes(r, vectors_get(want, "id"), got->id);
    CHECK_INT(got->created_us, vectors_integer(want, "created_us"));
    CHECK_INT(got->expires_ms, vectors_integer(want, "expires_ms"));
    const tks_json *sid = tks_json_find(want, "sid");
    check_bytes(r, sid != NULL ? sid : vectors_get(want, "id"), got->sid);
    CHECK_INT(got->superseded, tks_json_find(want, "superseded") != NULL);
    check_data(vectors_get(want, "data"), got->data);
}

static void check_result(runner *r, const tks_json *want) {
    const tks_result *got = tks_op_get_result(r->op);
    const tks_json *value = tks_json_get_child(want);
    const char *type = tks_json_get_name(value).data;
    size_t i = 0;

    if (strcmp(type, "bool") == 0) {
        CHECK_INT(got->type, TKS_RESULT_BOOL);
        CHECK_INT(got->integer, tks_json_get_bool(value));
    } else if (strcmp(type, "count") == 0) {
        CHECK_INT(got->type, TKS_RESULT_COUNT);
        CHECK_INT(got->integer, tks_json_get_integer(value));
    } else if (strcmp(type, "token") == 0) {
        CHECK_INT(got->type, TKS_RESULT_TOKEN);
        if (CHECK_INT(got->size, 1)) check_token(r, value, got->tokens);
    } else if (strcmp(type, "tokens") == 0) {
        CHECK_INT(got->type, TKS_RESULT_TOKENS);
        if (!CHECK_INT(got->size, tks_json_get_size(value))) return;
        for (value = tks_json_get_child(value); value != NULL; value = tks_json_get_next(value)) {
            check_token(r, value, &got->tokens[i++]);
        }
    } else if (strcmp(type, "text") == 0) {
        CHECK_INT(got->type, TKS_RESULT_TEXT);
        check_bytes(r, value, got->text);
    } else if (strcmp(type, "json") == 0) {
        CHECK_INT(got->type, TKS_RESULT_JSON);
        check_json(r, value, got->values[0]);
    } else if (strcmp(type, "jsons") == 0) {
        CHECK_INT(got->type, TKS_RESULT_JSONS);
        if (!CHECK_INT(got->size, tks_json_get_size(value))) return;
        for (value = tks_json_get_child(value); value != NULL; value = tks_json_get_next(value)) {
            check_json(r, value, got->values[i++]);
        }
    } else if (strcmp(type, "replies") == 0) {
        CHECK_INT(got->type, TKS_RESULT_REPLIES);
        if (!CHECK_INT(got->size, tks_json_get_size(value))) return;
        for (value = tks_json_get_child(value); value != NULL; value = tks_json_get_next(value)) {
            CHECK_BYTES(tks_reply_get_bytes(got->replies[i++]), tks_json_get_string(value));
        }
    } else {
        vectors_broken("unknown result", type);
    }
}

/* True if a message quotes a secret. Ignores short ones, which may occur by chance. */
static bool holds(const char *message, tks_bytes secret) {
    size_t size = strlen(message);
    for (size_t i = 0; secret.size >= 8 && i + secret.size <= size; i++) {
        if (memcmp(message + i, secret.data, secret.size) == 0) return true;
    }
    return false;
}

static void check_error(runner *r, const tks_json *want, const tks_error *got) {
    CHECK_TEXT(tks_status_code(got->status), vectors_text(want, "status"));
    CHECK_CONTAINS(got->message, vectors_text(want, "message"));
    const tks_operation *row = r->call.row;
    for (size_t i = 0; row != NULL && i < row->param_count; i++) {
        tks_param_type type = row->params[i].type;
        if (type == TKS_PARAM_PRESENTED || type == TKS_PARAM_TEXT) {
            CHECK(!holds(got->message, r->call.args[i].text));
        }
    }
}

static void check_reused(runner *r, const tks_json *want, const tks_token *got) {
    if (!CHECK((want != NULL) == (got != NULL)) || got == NULL) return;
    check_bytes(r, vectors_get(want, "sid"), got->sid);
    check_bytes(r, vectors_get(want, "owner"), got->owner);
}

/* Final states are sticky: later events change nothing. */
static void check_sticky(runner *r) {
    tks_need before = r->need;
    tks_event event = {.type = TKS_EVENT_AWAKE, .now_ms = r->now_ms};
    step(r, &event);
    CHECK_INT(r->need, before);
    event.type = TKS_EVENT_DEADLINE;
    step(r, &event);
    CHECK_INT(r->need, before);
}

static void check_end(runner *r) {
    const tks_json *result = tks_json_find(r->test, "result");
    if (!CHECK_INT(r->need, result != NULL ? TKS_DONE : TKS_FAILED)) {
        if (r->need == TKS_FAILED) CHECK_TEXT(tks_op_get_error(r->op)->message, "");
        return;
    }
    for (int twice = 0; twice < 2; twice++) {
        if (result != NULL) {
            check_result(r, result);
        } else {
            check_error(r, vectors_get(r->test, "error"), tks_op_get_error(r->op));
            check_reused(r, tks_json_find(r->test, "reused"), tks_op_get_reused(r->op));
        }
        if (twice == 0) check_sticky(r);
    }
}

/* ---- a case ------------------------------------------------------------------------------------ */

/* After a failed allocation the status must be TKS_ERR_MEMORY, or an earlier error. */
static void check_starved(const runner *r) {
    const tks_json *own = tks_json_find(r->test, "error");
    const tks_error *error = tks_op_get_error(r->op);
    if (r->need != TKS_FAILED) return;
    CHECK(error->message[0] != '\0');
    CHECK(error->status == TKS_ERR_MEMORY ||
          (own != NULL && error->status == status_named(vectors_text(own, "status"))));
}

static void run_steps(runner *r, int steps_max) {
    const tks_json *one = tks_json_get_child(vectors_get(r->test, "steps"));
    tks_event start = {.type = TKS_EVENT_START, .now_ms = r->now_ms};
    int number = 0;

    if (steps_max == 0) return;
    step(r, &start);
    for (; one != NULL; one = tks_json_get_next(one)) {
        bool sends = tks_json_find(one, "send") != NULL;
        if (is_starved(r)) break;
        test_context("%s, step %d", vectors_text(r->test, "name"), ++number);
        if (!CHECK_INT(r->need, sends ? TKS_NEED_SEND : TKS_NEED_SLEEP)) {
            if (r->need == TKS_FAILED) CHECK_TEXT(tks_op_get_error(r->op)->message, "");
            return;
        }
        if (number == steps_max) return;
        if (sends) {
            check_batch(r, one);
        } else {
            check_sleep(r, vectors_get(one, "sleep"));
        }
        if (!answer(r, one)) return;
    }
    if (is_starved(r) && r->need != TKS_DONE) {
        check_starved(r);
    } else {
        check_end(r);
    }
}

static void make_operation(runner *r) {
    const tks_json *refused = tks_json_find(r->test, "refused");
    tks_error err = TKS_ERROR_INIT;
    tks_status status;

    r->op = (tks_op *)(void *)r; /* must be set to NULL on failure */
    enter(r);
    status = script_call_make(&r->call, &r->op, &err);
    leave(r);
    CHECK_STATUS(err.status, status);
    if (status != TKS_OK) CHECK(r->op == NULL);
    if (status != TKS_OK && is_starved(r)) {
        CHECK_STATUS(status, TKS_ERR_MEMORY);
    } else if (refused != NULL) {
        check_error(r, refused, &err);
    } else {
        CHECK_TEXT(err.message, "");
    }
    if (status != TKS_OK) r->op = NULL;
}

int script_get_steps(const tks_json *test) {
    const tks_json *steps = tks_json_find(test, "steps");
    return steps == NULL ? 0 : (int)tks_json_get_size(steps);
}

/* What the case says of the server. */
static void set_server(runner *r) {
    const tks_json *known = tks_json_find(r->test, "known");
    r->server = tks_server_new();
    if (r->server == NULL || r->op == NULL) return;
    if (known != NULL) {
        tks_bytes word = tks_json_get_string(known);
        bool ends = tks_bytes_equal(word, TKS_LITERAL("ends"));
        if (!ends && !tks_bytes_equal(word, TKS_LITERAL("lacks"))) {
            vectors_broken("unknown word", "known");
        }
        tksp_server_set_ends_fields(r->server, ends ? TKSP_YES : TKSP_NO);
    }
    tks_op_set_server(r->op, r->server);
}

static void run_case(runner *r, tks_router *router, int steps_max) {
    const tks_json *test = r->test;
    r->now_ms = INT64_C(1700000000000);
    test_context("%s", vectors_text(test, "name"));
    if (tks_json_find(test, "now") != NULL) r->now_ms = vectors_integer(test, "now");
    script_call_init(&r->call, test);
    make_operation(r);
    set_server(r);
    if (r->op != NULL && router != NULL) tks_op_set_router(r->op, router);
    if (r->op != NULL && tks_json_find(test, "refused") == NULL) run_steps(r, steps_max);
    tks_op_free(r->op);
    tks_server_free(r->server);
    script_call_clear(&r->call);
}

void script_run(const tks_json *test, int steps_max, const script_guard *guard) {
    runner r = {.test = test, .guard = guard};
    run_case(&r, NULL, steps_max);
}

void script_run_on(const tks_json *test, tks_router *router) {
    runner r = {.test = test};
    run_case(&r, router, -1);
}
