/* py_spike_args.h - the keywords of _core.Spike. */
#ifndef TKSP_PY_SPIKE_ARGS_H
#define TKSP_PY_SPIKE_ARGS_H

#include "py_glue.h"

#include "tokenstore/spike_client.h"

/* What Python hands over: spike.py says it by keywords. All bytes are borrowed from `args`. */
typedef struct spike_args {
    tks_spike_options spike;
    tks_http_options http;
    PyObject *redis, *log, *ask, *pairs, *header_pairs;
    tks_spike_parameter *parameters, *headers;
} spike_args;

/* `parameters` and `headers` are to be freed by PyMem_Free, on failure too. False with an exception. */
bool tksp_py_spike_args_get(const tksp_py_state *state, PyObject *args, PyObject *kwargs,
                            spike_args *out);

#endif
