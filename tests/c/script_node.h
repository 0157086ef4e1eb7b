/* script_node.h - the calls of node_operations.json: options and arguments out of JSON. */
#ifndef TKSP_TESTS_SCRIPT_NODE_H
#define TKSP_TESTS_SCRIPT_NODE_H

#include "arena.h"
#include "tokenstore/node_tokens.h"

/* A call, made ready, so that nothing but the call itself is left to do. */
typedef struct script_node {
    tksp_arena arena; /* owns all below */
    tks_node_tokens_options options;
    const char *name;
    tks_bytes subject; /* owner_id, id, key or hash: what it is about */
    tks_bytes attrs, key, value;
    int64_t duration_ms;
} script_node;

void script_node_init(script_node *call, const tks_json *test);
void script_node_clear(script_node *call);

/* Makes the operation; the store is gone when it returns. */
tks_status script_node_make(const script_node *call, tks_op **out, tks_error *err);

#endif
