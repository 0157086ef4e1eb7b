/* script_call.h - the calls of operations.json: options and arguments out of JSON. */
#ifndef TKSP_TESTS_SCRIPT_CALL_H
#define TKSP_TESTS_SCRIPT_CALL_H

#include "arena.h"
#include "tokenstore/tokens.h"

/* A call, made ready, so that nothing but the call itself is left to do. */
typedef struct script_call {
    tksp_arena arena; /* owns all below */
    tks_tokens_options options;
    const char *name;
    tks_new_token *made; /* of create and create_many */
    tks_bytes app, type, owner, token, id, data;
    tks_bytes *tokens; /* of get_many; the words of execute */
    size_t *argc;      /* of execute */
    size_t count;
    int64_t duration_ms;
    bool expiry;
    tks_page page;
} script_call;

void script_call_init(script_call *call, const tks_json *test);
void script_call_clear(script_call *call);

/* Makes the operation; the store is gone when it returns: operations keep nothing of it. */
tks_status script_call_make(const script_call *call, tks_op **out, tks_error *err);

#endif
