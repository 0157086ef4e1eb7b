/* test_operations.c - tests/vectors/operations.json and node_operations.json: each run to its end, and
 * abandoned after every step. */
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
