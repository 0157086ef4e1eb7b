/* test_operations.c - tests/vectors/operations.json and node_operations.json: each run to its end, on a server,
 * on a cluster and behind Sentinels, and abandoned after every step. */
#include "cluster_help.h"
#include "script_runner.h"
#include "test.h"
#include "vectors.h"

static const char *const files[] = {"operations.json", "node_operations.json"};

TEST(operations_send_and_read_what_the_vectors_say) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        vectors v;
        vectors_open(&v, files[i]);
        const tks_json *test = tks_json_get_child(vectors_get(v.root, "cases"));
        for (; test != NULL; test = tks_json_get_next(test)) script_run(test, -1, NULL);
        vectors_close(&v);
    }
}

/* Losses do not end an operation there, and MOVED is no error. */
static bool differs(const tks_json *test) {
    static const char *const names[] = {"get that never gets through", "get_hash on a cluster"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(vectors_text(test, "name"), names[i]) == 0) return true;
    }
    return false;
}

static void run_on(const char *file, tks_router *router) {
    vectors v;
    vectors_open(&v, file);
    const tks_json *test = tks_json_get_child(vectors_get(v.root, "cases"));
    for (; test != NULL; test = tks_json_get_next(test)) {
        if (!differs(test)) script_run_on(test, router);
    }
    vectors_close(&v);
    tks_router_free(router);
}

/* Tokenstore's keys have no braces in the vectors, which a cluster wants. */
TEST(operations_are_the_same_on_a_cluster_of_one) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, "*1\r\n" CLUSTER_RANGE(0, 16383, "a", 7000)));
    run_on(files[0], router);
}

/* After a loss, and an answer that the server does not serve, Sentinels are asked first. */
static bool is_disturbed(const tks_json *test) {
    const tks_json *steps = tks_json_find(test, "steps");
    const tks_json *step = steps != NULL ? tks_json_get_child(steps) : NULL;
    for (; step != NULL; step = tks_json_get_next(step)) {
        if (tks_json_find(step, "lost") != NULL || tks_json_find(step, "sleep") != NULL) {
            return true;
        }
    }
    return false;
}

TEST(operations_are_the_same_where_sentinels_name_the_primary) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        vectors v;
        vectors_open(&v, files[i]);
        const tks_json *test = tks_json_get_child(vectors_get(v.root, "cases"));
        for (; test != NULL; test = tks_json_get_next(test)) {
            tks_router *router = cluster_watched();
            tksp_router_set_primary(router, tksp_router_number(router, -1, TKS_LITERAL("c"), 3), 1);
            if (!is_disturbed(test)) script_run_on(test, router);
            tks_router_free(router);
        }
        vectors_close(&v);
    }
}

TEST(operations_are_cancelled_by_freeing_them) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        vectors v;
        vectors_open(&v, files[i]);
        const tks_json *test = tks_json_get_child(vectors_get(v.root, "cases"));
        for (; test != NULL; test = tks_json_get_next(test)) {
            for (int steps = 0; steps <= script_get_steps(test); steps++) {
                script_run(test, steps, NULL);
            }
        }
        vectors_close(&v);
    }
}
