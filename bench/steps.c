/* steps.c - the cost of each layer: the driver alone, and `get` without a language binding.
 *
 * Purpose:   between raw_hiredis.c and a `get` in Python or Lua, so that the table shows where time is spent.
 *            Reads jobs from stdin, one per line, and prints "ok" when a job is done.
 *                driver KEY COUNT       a plain GET by tks_raw_new
 *                token TOKEN COUNT      tks_tokens_get
 * Lifecycle: one client for the URL given, until stdin ends.
 * Threads:   one. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenstore/client.h"
#include "tokenstore/tokens.h"

enum { LINE_SIZE = 512 };

static tks_bytes text(const char *s) {
    return tks_bytes_of(s, strlen(s));
}

static tks_status make(const tks_tokens *tokens, const char *job, const char *name, tks_op **op,
                       tks_error *err) {
    const tks_bytes get[] = {TKS_LITERAL("GET"), text(name)};
    const size_t argc = 2;
    if (strcmp(job, "driver") == 0) return tks_raw_new(1, &argc, get, NULL, NULL, op, err);
    return tks_tokens_get(tokens, TKS_LITERAL("web"), TKS_LITERAL("login"), text(name), 0, false,
                          op, err);
}

static bool is_found(const tks_op *op) {
    const tks_result *result = tks_op_get_result(op);
    if (result->type == TKS_RESULT_TOKEN) return result->tokens[0].found;
    return tks_reply_get_type(result->replies[0]) == TKS_REPLY_STRING;
}

static tks_status run_job(tks_client *client, const tks_tokens *tokens, const char *job,
                          const char *name, long count, tks_error *err) {
    tks_status status = TKS_OK;
    for (long i = 0; i < count && status == TKS_OK; i++) {
        tks_op *op;
        status = make(tokens, job, name, &op, err);
        if (status == TKS_OK) status = tks_client_run(client, op, 0, NULL, err);
        if (status == TKS_OK && !is_found(op)) status = tks_fail(err, TKS_ERR_DATA, "not found");
        tks_op_free(op);
    }
    return status;
}

int main(int argc, char **argv) {
    tks_error err = TKS_ERROR_INIT;
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_target *target;
    tks_client *client = NULL;
    tks_tokens *tokens = NULL;
    char line[LINE_SIZE], job[16], name[256];
    long count;
    if (argc != 2) {
        fprintf(stderr, "usage: steps URL < jobs\n");
        return 2;
    }
    tks_status status = tks_target_parse(text(argv[1]), &target, &err);
    if (status == TKS_OK) status = tks_client_new(target, NULL, &client, &err);
    if (status == TKS_OK) status = tks_tokens_new(&options, &tokens, &err);
    while (status == TKS_OK && fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%15s %255s %ld", job, name, &count) != 3) continue;
        status = run_job(client, tokens, job, name, count, &err);
        puts(status == TKS_OK ? "ok" : "failed");
        fflush(stdout);
    }
    if (status != TKS_OK) fprintf(stderr, "steps: %s\n", err.message);
    tks_tokens_free(tokens);
    tks_client_free(client);
    return status == TKS_OK ? 0 : 1;
}
