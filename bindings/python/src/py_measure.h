/* py_measure.h - what operations have cost (tokenstore/meter.h), for Python.
 *
 * Threads: needs the GIL. */
#ifndef TKSP_PY_MEASURE_H
#define TKSP_PY_MEASURE_H

#include "py_glue.h"

/* Tells `observer` (NULL: nobody) what `op`, which has ended or was given up, has cost; in `context` (NULL: this one). An
 * exception that is raised stays; one of the observer is reported as unraisable. */
void tksp_py_measure_tell(const tksp_py_state *state, PyObject *observer, PyObject *context,
                          tks_op *op);

/* Methods of a Client. */
PyObject *tksp_py_measure_start(PyObject *client, PyObject *unused);
PyObject *tksp_py_measure_sums(PyObject *client, PyObject *unused);
PyObject *tksp_py_measure_pool(PyObject *client, PyObject *unused);

/* A function of the module: meter_bounds() -> the upper bounds of the durations in a bucket, in seconds */
PyObject *tksp_py_meter_bounds(PyObject *module, PyObject *unused);

#endif
