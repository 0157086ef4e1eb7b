/* tokens.c - the C library: create a token, find it, revoke it.
 *
 *     cc tokens.c $(pkg-config --cflags --libs tokenstore) -o tokens && ./tokens
 *
 * Runs on $TOKENSTORE_URL, or on a private server if it is not set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenstore/client.h"
#include "tokenstore/tokens.h"
#include "tokenstore/version.h"

/* A store builds operations; a client runs them. */
static tks_client *client;
static tks_tokens *tokens;

static tks_bytes text(const char *s) {
    return tks_bytes_of(s, strlen(s));
}

static void stop(const tks_error *err) {
    fprintf(stderr, "%s: %s\n", tks_status_code(err->status), err->message);
    exit(EXIT_FAILURE);
}

/* Runs `op` to completion. The result's contents belong to the operation, until tks_op_free. */
static const tks_result *run(tks_op *op) {
    tks_error err = TKS_ERROR_INIT;
    if (tks_client_run(client, op, 0, NULL, &err) != TKS_OK) stop(&err);
    return tks_op_get_result(op);
}

static void open_store(const char *url) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target;
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    if (tks_target_parse(text(url), &target, &err) != TKS_OK) stop(&err);
    if (tks_client_new(target, NULL, &client, &err) != TKS_OK) stop(&err);
    if (tks_tokens_new(&options, &tokens, &err) != TKS_OK) stop(&err);
}

int main(void) {
    const char *url = getenv("TOKENSTORE_URL");
    tks_error err = TKS_ERROR_INIT;
    tks_op *create, *get, *end;
    open_store(url != NULL ? url : "embedded:");

    tks_new_token wanted = {.app = text("web"),
                            .type = text("login"),
                            .owner = text("bob"),
                            .data = text("{\"role\":\"admin\"}"),
                            .duration_ms = 3600 * 1000};
    if (tks_tokens_create(tokens, &wanted, &create, &err) != TKS_OK) stop(&err);
    tks_bytes secret = run(create)->tokens[0].token;
    printf("tokenstore %s created a token of %zu characters\n", tks_version(), secret.size);

    if (tks_tokens_get(tokens, text("web"), text("login"), secret, 0, false, &get, &err) !=
        TKS_OK) {
        stop(&err);
    }
    const tks_token *found = &run(get)->tokens[0];
    tks_bytes role = tks_json_get_string(tks_json_find(found->data, "role"));
    printf("it belongs to %.*s, whose role is %.*s\n", (int)found->owner.size, found->owner.data,
           (int)role.size, role.data);

    if (tks_tokens_delete(tokens, text("web"), text("login"), secret, &end, &err) != TKS_OK) {
        stop(&err);
    }
    printf("revoked: %s\n", run(end)->integer ? "yes" : "no");

    tks_op_free(create);
    tks_op_free(get);
    tks_op_free(end);
    tks_tokens_free(tokens);
    tks_client_free(client);
    return EXIT_SUCCESS;
}
