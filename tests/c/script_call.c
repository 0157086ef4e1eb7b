/* script_call.c - see script_call.h. */
#include "script_call.h"

#include "vectors.h"

enum { BYTES_MAX = 1 << 24 };

static tks_bytes bytes_of(script_call *call, const tks_json *node) {
    tks_buf text;
    tks_buf_init(&text, BYTES_MAX);
    vectors_bytes(node, &text);
    tks_bytes copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return copy;
}

/* Its canonical text. The cases of Tokenstore contain texts, some of them invalid JSON. */
static tks_bytes object_of(script_call *call, const tks_json *node) {
    tks_json_writer w;
    tks_buf text;
    if (call->type == &tks_tokenstore_type) return bytes_of(call, node);
    tks_buf_init(&text, BYTES_MAX);
    tks_json_writer_init(&w, &text, BYTES_MAX, "data", NULL);
    if (tks_json_write_tree(&w, node) != TKS_OK) vectors_broken("cannot be written", "data");
    tks_bytes copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return copy;
}

/* A case has `{"$unset": true}` for a member that must be absent. */
static tks_bytes expected_of(script_call *call, const tks_json *node) {
    tks_json_writer w;
    tks_buf values, absent;
    tks_buf_init(&values, BYTES_MAX);
    tks_buf_init(&absent, BYTES_MAX);
    tks_json_writer_init(&w, &values, BYTES_MAX, "expect", NULL);
    bool good = tks_json_begin_object(&w) == TKS_OK;
    for (node = tks_json_get_child(node); good && node != NULL; node = tks_json_get_next(node)) {
        tks_bytes name = tks_json_get_name(node);
        if (tks_json_get_type(node) == TKS_JSON_OBJECT && tks_json_find(node, "$unset") != NULL) {
            tks_buf_append_char(&absent, absent.size == 0 ? '[' : ',');
            tks_json_append_name(&absent, name);
        } else {
            good =
                tks_json_write_name(&w, name) == TKS_OK && tks_json_write_tree(&w, node) == TKS_OK;
        }
    }
    if (!good || tks_json_end_object(&w) != TKS_OK) vectors_broken("cannot be written", "expect");
    if (absent.size > 0) tks_buf_append_char(&absent, ']');
    tks_buf_append_bytes(&values, tks_buf_bytes(&absent));
    tks_bytes copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&values));
    tks_buf_clear(&values);
    tks_buf_clear(&absent);
    return copy;
}

static int64_t ms_of(const tks_json *seconds) {
    return (int64_t)(tks_json_get_double(seconds) * 1000);
}

/* ---- options ----------------------------------------------------------------------------------- */

/* A text, or a list of them. */
static tks_value texts_of(script_call *call, const tks_json *given) {
    bool many = tks_json_get_type(given) == TKS_JSON_ARRAY;
    const tks_json *at = many ? tks_json_get_child(given) : given;
    tks_bytes *texts = tksp_arena_alloc(&call->arena, (TKS_TEXTS_MAX + 1) * sizeof *texts);
    tks_value value = {.count = 0};
    for (; at != NULL; at = many ? tks_json_get_next(at) : NULL) {
        texts[value.count++] = bytes_of(call, at);
    }
    value.items = texts;
    return value;
}

static void set_options(script_call *call, const tks_json *given) {
    const tks_options *table = call->type->options;
    call->options = tksp_arena_alloc(&call->arena, table->size);
    memcpy(call->options, table->initial, table->size);
    const tks_json *at = given == NULL ? NULL : tks_json_get_child(given);
    for (; at != NULL; at = tks_json_get_next(at)) {
        const char *name = tks_json_get_name(at).data;
        const tks_option *option = tks_option_find(table, tks_json_get_name(at));
        tks_value value = {.count = 0};
        if (option == NULL) vectors_broken("unknown option", name);
        if (option->type == TKS_OPTION_COUNT || option->type == TKS_OPTION_DURATION) {
            value.number = tks_json_get_double(at);
        } else if (option->type == TKS_OPTION_TEXTS) {
            value = texts_of(call, at);
        } else {
            value.text = bytes_of(call, at);
        }
        if (tks_option_set(option, call->options, &value, &call->refused) != TKS_OK) break;
    }
}

/* ---- arguments --------------------------------------------------------------------------------- */

static void read_args(script_call *call, const tks_operation *row, const tks_json *given,
                      tks_arg *out);

static void read_rows(script_call *call, const tks_operation *each, const tks_json *list,
                      tks_arg *out) {
    out->count = tks_json_get_size(list);
    tks_arg *rows =
        tksp_arena_alloc(&call->arena, (out->count * each->param_count + 1) * sizeof *rows);
    out->rows = rows;
    for (list = tks_json_get_child(list); list != NULL; list = tks_json_get_next(list)) {
        read_args(call, each, list, rows);
        rows += each->param_count;
    }
}

static void read_tokens(script_call *call, const tks_json *list, tks_arg *out) {
    out->count = tks_json_get_size(list);
    tks_bytes *texts = tksp_arena_alloc(&call->arena, (out->count + 1) * sizeof *texts);
    out->texts = texts;
    for (list = tks_json_get_child(list); list != NULL; list = tks_json_get_next(list)) {
        *texts++ = bytes_of(call, list);
    }
}

static void read_arg(script_call *call, const tks_param *param, const tks_json *node,
                     tks_arg *out) {
    switch (param->type) {
    case TKS_PARAM_OBJECT:
    case TKS_PARAM_PATCH:
    case TKS_PARAM_FIELDS: out->text = object_of(call, node); break;
    case TKS_PARAM_EXPECTED: out->text = expected_of(call, node); break;
    case TKS_PARAM_REFRESH:
        if (tks_json_get_type(node) == TKS_JSON_BOOL) {
            out->number = tks_json_get_bool(node) ? TKS_OWN_IDLE : 0;
            break;
        }
        out->number = ms_of(node);
        break;
    case TKS_PARAM_GRACE:
    case TKS_PARAM_DURATION: out->number = ms_of(node); break;
    case TKS_PARAM_REPLICAS: out->number = tks_json_get_integer(node); break;
    case TKS_PARAM_LIMIT:
        out->number = tks_json_get_integer(node) > 0 ? tks_json_get_integer(node) : -1;
        break;
    case TKS_PARAM_FLAG: out->number = tks_json_get_bool(node); break;
    case TKS_PARAM_TOKENS: read_tokens(call, node, out); break;
    case TKS_PARAM_ROWS: read_rows(call, param->each, node, out); break;
    default: out->text = bytes_of(call, node); break;
    }
}

static void read_args(script_call *call, const tks_operation *row, const tks_json *given,
                      tks_arg *out) {
    size_t found = 0;
    memset(out, 0, row->param_count * sizeof *out);
    for (size_t i = 0; i < row->param_count; i++) {
        const tks_param *param = &row->params[i];
        const tks_json *node = param->name == NULL ? NULL : tks_json_find(given, param->name);
        if (node != NULL) {
            read_arg(call, param, node, &out[i]);
            found++;
        } else if (param->fallback != NULL && param->type != TKS_PARAM_DURATION) {
            out[i].text = tks_bytes_of(param->fallback, strlen(param->fallback));
        }
    }
    if (found != tks_json_get_size(given)) vectors_broken("unknown argument of", row->name);
}

static void read_commands(script_call *call, const tks_json *commands) {
    size_t words = 0;
    const tks_json *command = tks_json_get_child(commands);
    call->count = tks_json_get_size(commands);
    call->argc = tksp_arena_alloc(&call->arena, (call->count + 1) * sizeof *call->argc);
    for (size_t i = 0; command != NULL; command = tks_json_get_next(command)) {
        words += call->argc[i++] = tks_json_get_size(command);
    }
    call->words = tksp_arena_alloc(&call->arena, (words + 1) * sizeof *call->words);
    words = 0;
    command = tks_json_get_child(commands);
    for (; command != NULL; command = tks_json_get_next(command)) {
        const tks_json *word = tks_json_get_child(command);
        for (; word != NULL; word = tks_json_get_next(word)) {
            call->words[words++] = bytes_of(call, word);
        }
    }
}

/* ---- the call ---------------------------------------------------------------------------------- */

static const tks_operation *row_of(const tks_store_type *type, const char *name) {
    for (size_t i = 0; i < type->operation_count; i++) {
        if (strcmp(type->operations[i].name, name) == 0) return &type->operations[i];
    }
    vectors_broken("unknown call", name);
}

void script_call_init(script_call *call, const tks_json *test) {
    const char *name = vectors_text(test, "call");
    const tks_json *args = vectors_get(test, "args");
    bool is_node = strncmp(name, "node.", 5) == 0;
    *call = (script_call){.arena = TKS_ARENA_INIT};
    if (strcmp(name, "execute") == 0) {
        read_commands(call, vectors_get(args, "commands"));
    } else {
        call->type = is_node ? &tks_tokenstore_type : &tks_redis_tokens_type;
        call->row = row_of(call->type, is_node ? name + 5 : name);
        set_options(call, tks_json_find(test, "options"));
        call->args = tksp_arena_alloc(&call->arena, TKS_PARAM_MAX * sizeof *call->args);
        read_args(call, call->row, args, call->args);
    }
    if (call->arena.status != TKS_OK) vectors_broken("out of memory", "args");
}

void script_call_clear(script_call *call) {
    tksp_arena_clear(&call->arena);
}

tks_status script_call_make(const script_call *call, tks_op **out, tks_error *err) {
    void *store;
    *out = NULL;
    if (call->type == NULL) {
        return tks_raw_new(call->count, call->argc, call->words, NULL, NULL, out, err);
    }
    if (call->refused.status != TKS_OK) {
        return tks_fail(err, call->refused.status, "%s", call->refused.message);
    }
    tks_status status = call->type->make(call->options, &store, err);
    if (status == TKS_OK) status = tks_operation_make(call->row, store, call->args, out, err);
    call->type->free(store);
    return status;
}
