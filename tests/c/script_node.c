/* script_node.c - options and arguments of a Tokenstore out of JSON, and the call they belong to. */
#include "script_node.h"

#include "vectors.h"

enum { BYTES_MAX = 1 << 24 };

static tks_bytes bytes_of(script_node *call, const tks_json *node) {
    tks_buf text;
    tks_bytes copy;
    tks_buf_init(&text, BYTES_MAX);
    vectors_bytes(node, &text);
    copy = tksp_arena_dup(&call->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return copy;
}

static void set_option(script_node *call, const char *name, const tks_json *node) {
    if (strcmp(name, "prefix") == 0) {
        call->options.prefix = bytes_of(call, node);
    } else if (strcmp(name, "size") == 0) {
        call->options.size = (size_t)tks_json_get_integer(node);
    } else if (strcmp(name, "hash_size") == 0) {
        call->options.hash_size = (size_t)tks_json_get_integer(node);
    } else if (strcmp(name, "max_data_size") == 0) {
        call->options.max_data_size = (size_t)tks_json_get_integer(node);
    } else {
        vectors_broken("unknown option", name);
    }
}

static void set_argument(script_node *call, const char *name, const tks_json *node) {
    if (strcmp(name, "subject") == 0) {
        call->subject = bytes_of(call, node);
    } else if (strcmp(name, "attrs") == 0) {
        call->attrs = bytes_of(call, node);
    } else if (strcmp(name, "key") == 0) {
        call->key = bytes_of(call, node);
    } else if (strcmp(name, "value") == 0) {
        call->value = bytes_of(call, node);
    } else if (strcmp(name, "duration") == 0) {
        call->duration_ms = (int64_t)(tks_json_get_double(node) * 1000);
    } else {
        vectors_broken("unknown argument", name);
    }
}

void script_node_init(script_node *call, const tks_json *test) {
    const tks_json *at = tks_json_find(test, "options");
    *call = (script_node){.arena = TKS_ARENA_INIT, .attrs = TKS_LITERAL("{}")};
    call->name = vectors_text(test, "call");
    for (at = at == NULL ? NULL : tks_json_get_child(at); at != NULL; at = tks_json_get_next(at)) {
        set_option(call, tks_json_get_name(at).data, at);
    }
    at = tks_json_get_child(vectors_get(test, "args"));
    for (; at != NULL; at = tks_json_get_next(at)) {
        set_argument(call, tks_json_get_name(at).data, at);
    }
    if (call->arena.status != TKS_OK) vectors_broken("out of memory", "args");
}

void script_node_clear(script_node *call) {
    tksp_arena_clear(&call->arena);
}

typedef tks_status operation(const tks_node_tokens *, tks_bytes, tks_op **, tks_error *);

static tks_status make(const script_node *c, const tks_node_tokens *store, tks_op **out,
                       tks_error *err) {
    static const struct {
        const char *name;
        operation *make;
    } simple[] = {{"node.get", tks_node_tokens_get},
                  {"node.get_key", tks_node_tokens_get_key},
                  {"node.delete", tks_node_tokens_delete},
                  {"node.delete_key", tks_node_tokens_delete_key},
                  {"node.list", tks_node_tokens_list},
                  {"node.get_hash", tks_node_tokens_get_hash},
                  {"node.take_hash", tks_node_tokens_take_hash},
                  {"node.del_hash", tks_node_tokens_del_hash}};
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (strcmp(c->name, simple[i].name) == 0) {
            return simple[i].make(store, c->subject, out, err);
        }
    }
    if (strcmp(c->name, "node.add") == 0) {
        return tks_node_tokens_add(store, c->subject, c->attrs, c->key, c->duration_ms, out, err);
    }
    if (strcmp(c->name, "node.set") == 0) {
        return tks_node_tokens_set(store, c->subject, c->attrs, out, err);
    }
    if (strcmp(c->name, "node.make_hash") == 0) {
        return tks_node_tokens_make_hash(store, c->value, c->duration_ms, out, err);
    }
    if (strcmp(c->name, "node.reset") == 0) return tks_node_tokens_reset(store, out, err);
    vectors_broken("unknown call", c->name);
}

tks_status script_node_make(const script_node *call, tks_op **out, tks_error *err) {
    tks_node_tokens *store;
    *out = NULL;
    tks_status status = tks_node_tokens_new(&call->options, &store, err);
    if (status == TKS_OK) status = make(call, store, out, err);
    tks_node_tokens_free(store);
    return status;
}
