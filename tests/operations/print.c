/* print.c - the tables of operations and options as JSON, for test_table.py and test_options.py. */
#include <inttypes.h>
#include <stdio.h>

#include "tokenstore/operation.h"
#include "tokenstore/spike_client.h"
#include "tokenstore/url.h"

static const char *const param_types[] = {
    [TKS_PARAM_NAME] = "name",
    [TKS_PARAM_ID] = "id",
    [TKS_PARAM_PRESENTED] = "presented",
    [TKS_PARAM_JWT] = "jwt",
    [TKS_PARAM_TEXT] = "text",
    [TKS_PARAM_OBJECT] = "object",
    [TKS_PARAM_PATCH] = "patch",
    [TKS_PARAM_DURATION] = "duration",
    [TKS_PARAM_GRACE] = "grace",
    [TKS_PARAM_REFRESH] = "refresh",
    [TKS_PARAM_TTL] = "ttl",
    [TKS_PARAM_EXPECTED] = "expected",
    [TKS_PARAM_FIELDS] = "fields",
    [TKS_PARAM_LIMIT] = "limit",
    [TKS_PARAM_REPLICAS] = "replicas",
    [TKS_PARAM_FLAG] = "flag",
    [TKS_PARAM_FRESH] = "fresh",
    [TKS_PARAM_TOKENS] = "tokens",
    [TKS_PARAM_ROWS] = "rows",
    [TKS_PARAM_FIXED] = "fixed",
    [TKS_PARAM_NOW] = "now",
    [TKS_PARAM_TIMEOUT] = "timeout",
};

static const char *const result_types[] = {
    [TKS_RESULT_BOOL] = "bool",         [TKS_RESULT_COUNT] = "count",
    [TKS_RESULT_TOKEN] = "token",       [TKS_RESULT_TOKENS] = "tokens",
    [TKS_RESULT_REPLIES] = "replies",   [TKS_RESULT_NODES] = "nodes",
    [TKS_RESULT_ACCESS] = "access",     [TKS_RESULT_TEXT] = "text",
    [TKS_RESULT_TEXTS] = "texts",       [TKS_RESULT_JSON] = "json",
    [TKS_RESULT_JSONS] = "jsons",       [TKS_RESULT_SESSION] = "session",
    [TKS_RESULT_SESSIONS] = "sessions",
};

static const char *quoted(const char *text, char *out, size_t size) {
    if (text == NULL) return "null";
    (void)snprintf(out, size, "\"%s\"",
                   text[0] == '{' ? "{}" : text); /* nothing here has a quote */
    return out;
}

static void print_row(const char *store, const tks_operation *row) {
    printf(
        "{\"store\": \"%s\", \"name\": \"%s\", \"summary\": \"%s\", \"result\": \"%s\", "
        "\"optional\": %s, \"params\": [",
        store, row->name, row->summary, result_types[row->result],
        row->optional ? "true" : "false");
    for (size_t i = 0; i < row->param_count; i++) {
        const tks_param *param = &row->params[i];
        char name[64], fallback[64], each[64];
        printf(
            "%s{\"name\": %s, \"type\": \"%s\", \"required\": %s, \"fallback\": %s, \"each\": %s}",
            i == 0 ? "" : ", ", quoted(param->name, name, sizeof name), param_types[param->type],
            param->required ? "true" : "false", quoted(param->fallback, fallback, sizeof fallback),
            quoted(param->each == NULL ? NULL : param->each->name, each, sizeof each));
    }
    printf("]}\n");
}

/* ---- options ----------------------------------------------------------------------------------- */

static const char *const option_types[] = {
    [TKS_OPTION_TEXT] = "text",         [TKS_OPTION_STRING] = "string",
    [TKS_OPTION_MAP] = "map",           [TKS_OPTION_PATH] = "path",
    [TKS_OPTION_CHOICE] = "choice",     [TKS_OPTION_COUNT] = "count",
    [TKS_OPTION_DURATION] = "duration", [TKS_OPTION_NUMBER] = "number",
    [TKS_OPTION_PAIRS] = "pairs",       [TKS_OPTION_FLAG] = "flag",
    [TKS_OPTION_KEYS] = "keys",         [TKS_OPTION_TEXTS] = "texts",
};

static void print_options(const char *of, const tks_options *table) {
    for (size_t i = 0; i < table->count; i++) {
        const tks_option *o = &table->rows[i];
        char fallback[64];
        printf(
            "{\"of\": \"%s\", \"name\": \"%s\", \"type\": \"%s\", \"size\": %zu, \"end\": %d, "
            "\"min\": %" PRId64 ", \"max\": %" PRId64 ", \"fallback\": %s, \"choices\": [",
            of, o->name, option_types[o->type], o->size, o->offset + o->size <= table->size, o->min,
            o->max, quoted(o->fallback, fallback, sizeof fallback));
        for (size_t k = 0; o->choices != NULL && o->choices[k] != NULL; k++) {
            printf("%s\"%s\"", k == 0 ? "" : ", ", o->choices[k]);
        }
        printf("]}\n");
    }
}

int main(void) {
    const tks_store_type *const stores[] = {&tks_redis_tokens_type, &tks_sessions_type,
                                            &tks_tokenstore_type, &tks_redis_jwt_type};
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        for (size_t k = 0; k < stores[i]->operation_count; k++) {
            print_row(stores[i]->name, &stores[i]->operations[k]);
        }
        print_options(stores[i]->name, stores[i]->options);
    }
    print_options("Client", &tks_target_options);
    print_options("Spike", &tks_spike_table);
    print_options("Spike's HTTP", &tks_http_table);
    return 0;
}
