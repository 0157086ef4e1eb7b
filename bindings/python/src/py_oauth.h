/* py_oauth.h - shared by the files of tokenstore._oauth. */
#ifndef TKSP_PY_OAUTH_H
#define TKSP_PY_OAUTH_H

#include "py_glue.h"
#include "tokenstore/remote_keys.h"
#include "tokenstore/spike_client.h"

/* The arguments of _oauth.Spike; borrowed. */
typedef struct tksp_py_spike_args {
    PyObject *redis;   /* a _core.Client, or None */
    PyObject *log;     /* log(level, text) */
    PyObject *ask;     /* gives the client's secret or assertion; None: nothing is asked for */
    PyObject *key;     /* the option client_key: a Key, or None */
    PyObject *options; /* a dict of those of tks_spike_table */
    PyObject *http;    /* a dict of those of tks_http_table */
    tks_bytes faults;  /* what the class has found wrong */
} tksp_py_spike_args;

/* NULL with an exception. */
tks_spike_client *tksp_py_spike_open(const tksp_py_state *state, const tksp_py_spike_args *in);

/* creator_options(dict) -> dict: the result of tokenstore/spike_creator.h. A function of the module. */
PyObject *tksp_py_creator_options(PyObject *module, PyObject *options);

#endif
