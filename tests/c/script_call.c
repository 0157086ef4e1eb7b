/* script_call.c - options and arguments out of JSON, and the call they belong to. */
#include "script_call.h"

#include <stdio.h>

#include "vectors.h"

enum { BYTES_MAX = 1 << 24 };

static tks_bytes bytes_of(script_call *call, const tks_json *node) {
    tks_buf text;
    tks_bytes copy;
    tks_buf_init(&text, BYTES_MAX);
    vectors_bytes(node, &text);
    copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return copy;
}

static tks_bytes data_of(script_call *call, const tks_json *node) {
    tks_json_writer w;
    tks_buf text;
    tks_bytes copy;
    tks_buf_init(&text, BYTES_MAX);
    tks_json_writer_init(&w, &text, BYTES_MAX, "data", NULL);
    if (tks_json_write_tree(&w, node) != TKS_OK) vectors_broken("cannot be written", "data");
    copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return copy;
}

static int64_t ms_of(const tks_json *seconds) {
    return (int64_t)(tks_json_get_double(seconds) * 1000);
}

static void set_option(script_call *call, const char *name, const tks_json *node) {
    tks_tokens_options *o = &call->options;
    if (strcmp(name, "prefix") == 0) {
        o->prefix = bytes_of(call, node);
    } else if (strcmp(name, "pepper") == 0) {
        o->pepper = bytes_of(call, node);
    } else if (strcmp(name, "token_encoding") == 0) {
        tks_bytes text = tks_json_get_string(node);
        o->encoding = tks_bytes_equal(text, TKS_LITERAL("hex"))      ? TKS_HEX
                      : tks_bytes_equal(text, TKS_LITERAL("base64")) ? TKS_BASE64
                                                                     : TKS_BASE64URL;
    } else if (strcmp(name, "token_size") == 0) {
        o->token_size = (size_t)tks_json_get_integer(node);
    } else if (strcmp(name, "max_data_size") == 0) {
        o->max_data_size = (size_t)tks_json_get_integer(node);
    } else if (strcmp(name, "max_age") == 0) {
        o->max_age_ms = ms_of(node);
    } else if (strcmp(name, "touch_interval") == 0) {
        o->touch_interval_ms = ms_of(node);
    } else if (strcmp(name, "max_per_owner") == 0) {
        o->max_per_owner = tks_json_get_integer(node);
    } else {
        vectors_broken("unknown option", name);
    }
}

static void read_new_token(script_call *call, const tks_json *args, tks_new_token *out) {
    *out = (tks_new_token){.data = TKS_LITERAL("{}")};
    for (const tks_json *at = tks_json_get_child(args); at != NULL; at = tks_json_get_next(at)) {
        const char *name = tks_json_get_name(at).data;
        if (strcmp(name, "app") == 0) {
            out->app = bytes_of(call, at);
        } else if (strcmp(name, "type") == 0) {
            out->type = bytes_of(call, at);
        } else if (strcmp(name, "owner") == 0) {
            out->owner = bytes_of(call, at);
        } else if (strcmp(name, "custom_token") == 0) {
            out->custom_token = bytes_of(call, at);
        } else if (strcmp(name, "data") == 0) {
            out->data = data_of(call, at);
        } else if (strcmp(name, "duration") == 0) {
            out->duration_ms = ms_of(at);
        } else {
            vectors_broken("unknown argument", name);
        }
    }
}

static void read_new_tokens(script_call *call, const tks_json *list) {
    call->count = tks_json_get_size(list);
    call->made = tksp_arena_alloc(&call->arena, (call->count + 1) * sizeof *call->made);
    list = tks_json_get_child(list);
    for (size_t i = 0; list != NULL; list = tks_json_get_next(list)) {
        read_new_token(call, list, &call->made[i++]);
    }
}

static void read_tokens(script_call *call, const tks_json *list) {
    call->count = tks_json_get_size(list);
    call->tokens = tksp_arena_alloc(&call->arena, (call->count + 1) * sizeof *call->tokens);
    list = tks_json_get_child(list);
    for (size_t i = 0; list != NULL; list = tks_json_get_next(list)) {
        call->tokens[i++] = bytes_of(call, list);
    }
}

static void read_commands(script_call *call, const tks_json *commands) {
    size_t words = 0;
    const tks_json *command = tks_json_get_child(commands);
    call->count = tks_json_get_size(commands);
    call->argc = tksp_arena_alloc(&call->arena, (call->count + 1) * sizeof *call->argc);
    for (size_t i = 0; command != NULL; command = tks_json_get_next(command)) {
        words += call->argc[i++] = tks_json_get_size(command);
    }
    call->tokens = tksp_arena_alloc(&call->arena, (words + 1) * sizeof *call->tokens);
    words = 0;
    command = tks_json_get_child(commands);
    for (; command != NULL; command = tks_json_get_next(command)) {
        const tks_json *word = tks_json_get_child(command);
        for (; word != NULL; word = tks_json_get_next(word)) {
            call->tokens[words++] = bytes_of(call, word);
        }
    }
}

static void set_argument(script_call *call, const char *name, const tks_json *node) {
    if (strcmp(name, "app") == 0) {
        call->app = bytes_of(call, node);
    } else if (strcmp(name, "type") == 0) {
        call->type = bytes_of(call, node);
    } else if (strcmp(name, "owner") == 0) {
        call->owner = bytes_of(call, node);
    } else if (strcmp(name, "token") == 0) {
        call->token = bytes_of(call, node);
    } else if (strcmp(name, "id") == 0) {
        call->id = bytes_of(call, node);
    } else if (strcmp(name, "data") == 0) {
        call->data = data_of(call, node);
    } else if (strcmp(name, "duration") == 0 || strcmp(name, "refresh") == 0) {
        call->duration_ms = ms_of(node);
    } else if (strcmp(name, "expiry") == 0) {
        call->expiry = tks_json_get_bool(node);
    } else if (strcmp(name, "limit") == 0) {
        call->page.limit = tks_json_get_integer(node) > 0 ? tks_json_get_integer(node) : -1;
    } else if (strcmp(name, "after") == 0) {
        call->page.after = bytes_of(call, node);
    } else if (strcmp(name, "tokens") == 0) {
        read_tokens(call, node);
    } else if (strcmp(name, "commands") == 0) {
        read_commands(call, node);
    } else {
        vectors_broken("unknown argument", name);
    }
}

void script_call_init(script_call *call, const tks_json *test) {
    const tks_json *at = tks_json_find(test, "options");
    const tks_json *args = vectors_get(test, "args");

    *call = (script_call){.arena = TKS_ARENA_INIT, .options = TKS_TOKENS_OPTIONS_INIT};
    call->name = vectors_text(test, "call");
    for (at = at == NULL ? NULL : tks_json_get_child(at); at != NULL; at = tks_json_get_next(at)) {
        set_option(call, tks_json_get_name(at).data, at);
    }
    if (strcmp(call->name, "create") == 0) {
        call->made = tksp_arena_alloc(&call->arena, sizeof *call->made);
        read_new_token(call, args, call->made);
    } else if (strcmp(call->name, "create_many") == 0) {
        read_new_tokens(call, vectors_get(args, "tokens"));
    } else {
        for (at = tks_json_get_child(args); at != NULL; at = tks_json_get_next(at)) {
            set_argument(call, tks_json_get_name(at).data, at);
        }
    }
    if (call->arena.status != TKS_OK) vectors_broken("out of memory", "args");
}

void script_call_clear(script_call *call) {
    tksp_arena_clear(&call->arena);
}

static tks_status make(const script_call *c, const tks_tokens *tokens, tks_op **out,
                       tks_error *err) {
    const char *name = c->name;

    if (strcmp(name, "create") == 0) return tks_tokens_create(tokens, c->made, out, err);
    if (strcmp(name, "create_many") == 0) {
        return tks_tokens_create_many(tokens, c->count, c->made, out, err);
    }
    if (strcmp(name, "get") == 0) {
        return tks_tokens_get(tokens, c->app, c->type, c->token, c->duration_ms, c->expiry, out,
                              err);
    }
    if (strcmp(name, "get_many") == 0) {
        return tks_tokens_get_many(tokens, c->app, c->type, c->count, c->tokens, out, err);
    }
    if (strcmp(name, "refresh") == 0) {
        return tks_tokens_refresh(tokens, c->app, c->type, c->token, c->duration_ms, out, err);
    }
    if (strcmp(name, "update") == 0) {
        return tks_tokens_update(tokens, c->app, c->type, c->token, c->data, out, err);
    }
    if (strcmp(name, "delete") == 0) {
        return tks_tokens_delete(tokens, c->app, c->type, c->token, out, err);
    }
    if (strcmp(name, "delete_by_id") == 0) {
        return tks_tokens_delete_by_id(tokens, c->app, c->type, c->owner, c->id, out, err);
    }
    if (strcmp(name, "delete_all") == 0) {
        return tks_tokens_delete_all(tokens, c->app, c->type, c->owner, out, err);
    }
    if (strcmp(name, "count") == 0) {
        return tks_tokens_count(tokens, c->app, c->type, c->owner, out, err);
    }
    if (strcmp(name, "list") == 0) {
        return tks_tokens_list(tokens, c->app, c->type, c->owner, &c->page, out, err);
    }
    if (strcmp(name, "rotate") == 0) {
        return tks_tokens_rotate(tokens, c->app, c->type, c->token, c->duration_ms, out, err);
    }
    if (strcmp(name, "execute") == 0) return tks_raw_new(c->count, c->argc, c->tokens, out, err);
    vectors_broken("unknown call", name);
}

tks_status script_call_make(const script_call *call, tks_op **out, tks_error *err) {
    tks_tokens *tokens;
    *out = NULL;
    tks_status status = tks_tokens_new(&call->options, &tokens, err);
    if (status == TKS_OK) status = make(call, tokens, out, err);
    tks_tokens_free(tokens);
    return status;
}
