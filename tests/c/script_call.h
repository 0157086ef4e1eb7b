/* script_call.h - the calls of operations.json and node_operations.json: reads options and arguments from
 * JSON, and makes the operation with the core's table. */
#ifndef TKSP_TESTS_SCRIPT_CALL_H
#define TKSP_TESTS_SCRIPT_CALL_H

#include "arena.h"
#include "tokenstore/node_tokens.h"
#include "tokenstore/operation.h"
#include "tokenstore/tokens.h"

/* A prepared call. */
typedef struct script_call {
    tksp_arena arena;           /* owns all below */
    const tks_store_type *type; /* NULL: raw commands */
    void *options;
    tks_error refused; /* the first option that is wrong */
    const tks_operation *row;
    tks_arg *args;
    tks_bytes *words; /* of raw commands */
    size_t *argc, count;
} script_call;

void script_call_init(script_call *call, const tks_json *test);
void script_call_clear(script_call *call);

/* Makes the operation. The store is freed before it returns: operations do not refer to it. */
tks_status script_call_make(const script_call *call, tks_op **out, tks_error *err);

#endif
