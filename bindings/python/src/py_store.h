/* py_store.h - a store of the core, and its operations as callables.
 *
 * Purpose:   a maker, such as redis_tokens(), returns a namespace: `store`, and a function for each row of the
 *            store's table (tokenstore/operation.h), which takes positional arguments in the order of the row and
 *            returns an Op. Nothing is sent here.
 * Lifecycle: a Store is immutable after it is made, and lives as long as one of its functions.
 * Threads:   any, with the GIL. */
#ifndef TKSP_PY_STORE_H
#define TKSP_PY_STORE_H

#include "py_glue.h"
#include "tokenstore/operation.h"

/* The namespace of `core`, which is taken over, on failure too. `value_type` is what the values of results become;
 * NULL: they stay as they are. NULL with an exception. */
PyObject *tksp_py_store_new(const tksp_py_state *state, const tks_store_type *type, void *core,
                            PyTypeObject *value_type);

/* The core's store of a Store of `type`, borrowed; NULL for anything else. */
const void *tksp_py_store_get(const tksp_py_state *state, PyObject *object,
                              const tks_store_type *type);

#endif
