/* near_keys_help.h - a near cache whose server tells of single keys: shared by its tests and its model. */
#ifndef TKSP_TESTS_NEAR_KEYS_HELP_H
#define TKSP_TESTS_NEAR_KEYS_HELP_H

#include <stdio.h>

#include "cluster_help.h"
#include "near.h"
#include "test.h"
#include "tokenstore/secret.h"

enum { SERVER = -1, STALE_MS = 2000, BEGAN_MS = 1000000, NODE = 3, OTHER_NODE = 7 };

#define FIELD TKS_LITERAL("field")

static inline tks_near *near_open_at(size_t entries, int node) {
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    tks_near *near = tks_near_new(entries, STALE_MS, TKS_NEAR_KEYS);
    CHECK(near != NULL);
    tks_near_open(near, node, tks_near_get_version(near), BEGAN_MS - 1);
    return near;
}

static inline tks_near *near_open(size_t entries) {
    return near_open_at(entries, SERVER);
}

static inline void end_at(tks_near *near, int node, tksp_near_ticket ticket, tks_bytes key,
                          const char *text) {
    const tksp_near_record record = {tks_bytes_of(text, strlen(text)), 0, BEGAN_MS};
    tksp_near_put(near, ticket, node, key, FIELD, &record);
}

static inline void take(tks_near *near, const char *text) {
    tks_reply *reply = cluster_reply(text);
    tks_near_take(near, reply);
    tks_reply_free(reply);
}

static inline void answer_at(tks_near *near, int node, const char *text) {
    tks_reply *reply = cluster_reply(text);
    tks_near_answer(near, node, reply);
    tks_reply_free(reply);
}

static inline tks_bytes print(char *out, const char *name, int number) {
    int size = snprintf(out, 32, "%s %d", name, number);
    return tks_bytes_of(out, (size_t)size);
}

#endif
