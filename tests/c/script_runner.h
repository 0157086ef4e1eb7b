/* script_runner.h - runs the cases of operations.json and node_operations.json: calls, commands that must be sent,
 * replies, results. The notation is described in tests/vectors/README.md.
 *
 * Threads: one. */
#ifndef TKSP_TESTS_SCRIPT_RUNNER_H
#define TKSP_TESTS_SCRIPT_RUNNER_H

#include "tokenstore/json.h"
#include "tokenstore/router.h"

/* Called around every call into the library, for a test that makes allocations fail there.
 * `failed` returns true if one has failed: then the run may end early with TKS_ERR_MEMORY. */
typedef struct script_guard {
    void (*enter)(void);
    void (*leave)(void);
    bool (*failed)(void);
} script_guard;

/* Runs one case; failures are reported as failed checks. `steps_max` ends it early by freeing the operation;
 * -1 runs it to its end. `guard` may be NULL. */
void script_run(const tks_json *test, int steps_max, const script_guard *guard);

/* Runs it to its end on a cluster, of which the router knows one node that serves everything. */
void script_run_on(const tks_json *test, tks_router *router);

/* The number of steps of a case. */
int script_get_steps(const tks_json *test);

#endif
