/* py_spike.h - the arguments of _core.Spike. */
#ifndef TKSP_PY_SPIKE_H
#define TKSP_PY_SPIKE_H

#include "py_glue.h"
#include "tokenstore/spike_client.h"

/* Borrowed. */
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

#endif
