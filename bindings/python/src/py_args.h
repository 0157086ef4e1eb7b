/* py_args.h - the arguments of an operation: from Python objects to the values that its row of the table wants.
 *
 * Threads: with the GIL. */
#ifndef TKSP_PY_ARGS_H
#define TKSP_PY_ARGS_H

#include "py_glue.h"
#include "tokenstore/operation.h"

/* What a tks_arg borrows from. */
typedef union tksp_py_held {
    tksp_py_text text;
    tks_buf json;
    struct tksp_py_many *many; /* py_args.c */
} tksp_py_held;

/* Does the caller give a value for it? The others are filled in here, or are the driver's. */
bool tksp_py_arg_is_given(const tks_param *param);

/* How many values a caller gives for `count` parameters. */
size_t tksp_py_args_given(const tks_param *params, size_t count);

/* One value for each parameter. `objects` has those that are given; `max_size` is that of an object's JSON. On success
 * tksp_py_args_clear ends what is held; on failure nothing is. TypeError, DataError, MemoryError. */
bool tksp_py_args_get(const tksp_py_state *state, const tks_param *params, size_t count,
                      PyObject *const *objects, size_t max_size, tks_arg *args, tksp_py_held *held);

void tksp_py_args_clear(const tks_param *params, size_t count, tksp_py_held *held);

#endif
