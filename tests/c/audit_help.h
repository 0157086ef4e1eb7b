/* audit_help.h - an audited `delete` without a server: what is sent, and what a server would answer. */
#ifndef TKSP_TESTS_AUDIT_HELP_H
#define TKSP_TESTS_AUDIT_HELP_H

#include <stdio.h>
#include <stdlib.h>

#include "cluster_help.h"
#include "tokenstore/audit.h"
#include "tokenstore/tokens.h"

typedef struct audit_fixture {
    tks_tokens *tokens;
    tks_op *op;
    char id[23]; /* of the token */
} audit_fixture;

/* Lets it be created: the answer has the head of its field, which is in the question. */
static inline const tks_token *audit_create(tks_op *create) {
    static const char mark[] = "\r\n$22\r\n";
    char text[64];
    if (cluster_step(create, TKS_EVENT_START) != TKS_NEED_SEND) abort();
    tks_bytes sent = tks_op_get_batch(create)->bytes;
    size_t at = 0;
    while (memcmp(sent.data + at, mark, sizeof mark - 1) != 0) at++;
    (void)snprintf(text, sizeof text, "$14\r\nAGQfXK2ma%.4s0\r\n",
                   sent.data + at + sizeof mark - 1);
    if (cluster_answer(create, text) != TKS_DONE) abort();
    return tks_op_get_result(create)->tokens;
}

/* A store, and the deletion of a generated token, as it is before the first step. */
static inline audit_fixture audit_begin(void) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const tks_new_token new = {.app = TKS_LITERAL("web"),
                               .type = TKS_LITERAL("session"),
                               .owner = TKS_LITERAL("bob"),
                               .data = TKS_LITERAL("{}")};
    audit_fixture f = {NULL, NULL, ""};
    tks_op *create = NULL;
    if (tks_tokens_new(&options, &f.tokens, NULL) != TKS_OK ||
        tks_tokens_create(f.tokens, &new, &create, NULL) != TKS_OK) {
        return f;
    }
    const tks_token *token = audit_create(create);
    memcpy(f.id, token->id.data, sizeof f.id - 1);
    if (tks_tokens_delete(f.tokens, new.app, new.type, token->token, &f.op, NULL) != TKS_OK) {
        abort();
    }
    tks_op_free(create);
    return f;
}

static inline void audit_end(audit_fixture *f) {
    tks_op_free(f->op);
    tks_tokens_free(f->tokens);
}

/* The answer to it: the token was live; `failed` says why the stream could not be written. */
static inline const char *audit_reply(const audit_fixture *f, const char *failed, char out[512]) {
    (void)snprintf(out, 512,
                   "*4\r\n*2\r\n$5\r\n%.4s0\r\n:1\r\n$%zu\r\n%s\r\n$13\r\n1700000000123\r\n"
                   "*8\r\n$5\r\nended\r\n$15\r\nsession_expired\r\n$6\r\nlogout\r\n$3\r\nbob\r\n"
                   "$22\r\n%s\r\n$22\r\n%s\r\n$1\r\n1\r\n$1\r\n1\r\n",
                   f->id, strlen(failed), failed, f->id, f->id);
    return out;
}

#endif
