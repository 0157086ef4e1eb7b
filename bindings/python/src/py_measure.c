/* py_measure.c - see py_measure.h. */
#include "py_measure.h"

#include "tokenstore/meter.h"

/* The word that a server's error begins with; None: it failed otherwise, or not. */
static PyObject *code_of(const tks_op *op, tks_status status) {
    if (status != TKS_ERR_SERVER) Py_RETURN_NONE;
    const char *message = tks_op_get_error(op)->message;
    return tksp_py_str(tks_resp_quoted_word(tks_bytes_of(message, strlen(message))));
}

static PyObject *arguments_of(const tks_op *op, const tks_measure *m) {
    const char *outcome = tks_meter_outcome(m->missed ? TKS_STATUS_COUNT : m->status);
    PyObject *code = code_of(op, m->status);
    if (code == NULL) return NULL;
    return Py_BuildValue("sssNddkkKKOi", m->store, m->name, outcome, code,
                         (double)m->began_us / 1e6, (double)m->took_us / 1e6,
                         (unsigned long)m->tries, (unsigned long)m->trips,
                         (unsigned long long)m->sent, (unsigned long long)m->received,
                         m->near ? Py_True : Py_False, m->node);
}

/* observer(*arguments), or context.run(observer, *arguments) */
static PyObject *call(const tksp_py_state *state, PyObject *observer, PyObject *context,
                      PyObject *arguments) {
    if (context == NULL) return PyObject_CallObject(observer, arguments);
    PyObject *first = PyTuple_Pack(1, observer);
    PyObject *all = first != NULL ? PySequence_Concat(first, arguments) : NULL;
    PyObject *run = all != NULL ? PyObject_GetAttr(context, state->names[TKSP_PY_RUN]) : NULL;
    PyObject *result = run != NULL ? PyObject_CallObject(run, all) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(all);
    Py_XDECREF(run);
    return result;
}

void tksp_py_measure_tell(const tksp_py_state *state, PyObject *observer, PyObject *context,
                          tks_op *op) {
    PyObject *kind, *error, *traceback;
    if (observer == NULL) return;
    tks_op_give_up(op);
    const tks_measure *measure = tks_op_get_measure(op);
    if (measure == NULL) return;
    PyErr_Fetch(&kind, &error, &traceback);
    Py_INCREF(observer); /* it may be replaced meanwhile */
    PyObject *arguments = arguments_of(op, measure);
    PyObject *result = arguments != NULL ? call(state, observer, context, arguments) : NULL;
    if (result == NULL) PyErr_WriteUnraisable(observer);
    Py_XDECREF(result);
    Py_XDECREF(arguments);
    Py_DECREF(observer);
    PyErr_Restore(kind, error, traceback);
}

/* ---- methods of a Client ----------------------------------------------------------------------- */

/* measure(): from now on its operations are measured */
PyObject *tksp_py_measure_start(PyObject *client, PyObject *unused) {
    (void)unused;
    if (tks_client_measure(tksp_py_client_get(client)) != TKS_OK) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *outcomes_of(const tks_meter_sums *sums) {
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < TKS_METER_OUTCOMES; i++) {
        if (sums->outcomes[i] == 0) continue;
        PyObject *count = PyLong_FromUnsignedLongLong(sums->outcomes[i]);
        if (count == NULL || PyDict_SetItemString(dict, tks_meter_outcome(i), count) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(count);
    }
    return dict;
}

static PyObject *durations_of(const tks_meter_sums *sums) {
    PyObject *list = PyList_New(TKS_METER_BUCKETS + 1);
    for (Py_ssize_t i = 0; list != NULL && i <= TKS_METER_BUCKETS; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(sums->durations[i]);
        if (count == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, i, count);
        }
    }
    return list;
}

static PyObject *sums_of(const tks_meter_sums *sums) {
    PyObject *outcomes = outcomes_of(sums);
    PyObject *durations = outcomes != NULL ? durations_of(sums) : NULL;
    if (durations == NULL) {
        Py_XDECREF(outcomes);
        return NULL;
    }
    return Py_BuildValue("ssNNdKKKK", sums->store, sums->name, outcomes, durations,
                         (double)sums->took_us / 1e6, (unsigned long long)sums->tries,
                         (unsigned long long)sums->trips, (unsigned long long)sums->sent,
                         (unsigned long long)sums->received);
}

/* sums() -> [(store, name, {outcome: count}, [count by duration, …], seconds, tries, trips, sent, received), …] */
PyObject *tksp_py_measure_sums(PyObject *client, PyObject *unused) {
    const tks_meter *meter = tks_client_get_target(tksp_py_client_get(client))->meter;
    PyObject *list = PyList_New(0);
    tks_meter_sums sums;
    (void)unused;
    for (size_t i = 0; list != NULL && i < tks_meter_size(); i++) {
        if (!tks_meter_read(meter, i, &sums)) continue;
        PyObject *item = sums_of(&sums);
        if (item == NULL || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* pool_stats() -> a dict: the connections of the blocking driver */
PyObject *tksp_py_measure_pool(PyObject *client, PyObject *unused) {
    tks_pool_stats s = tks_client_get_pool_stats(tksp_py_client_get(client));
    (void)unused;
    return Py_BuildValue("{s:n,s:n,s:n,s:n,s:K,s:K}", "limit", (Py_ssize_t)s.limit, "idle",
                         (Py_ssize_t)s.idle, "used", (Py_ssize_t)s.used, "waiting",
                         (Py_ssize_t)s.waiting, "opened", (unsigned long long)s.opened, "timeouts",
                         (unsigned long long)s.timeouts);
}

PyObject *tksp_py_meter_bounds(PyObject *module, PyObject *unused) {
    PyObject *tuple = PyTuple_New(TKS_METER_BUCKETS);
    (void)module;
    (void)unused;
    for (Py_ssize_t i = 0; tuple != NULL && i < TKS_METER_BUCKETS; i++) {
        PyObject *bound = PyFloat_FromDouble((double)tks_meter_bound((size_t)i) / 1e6);
        if (bound == NULL) {
            Py_CLEAR(tuple);
        } else {
            PyTuple_SetItem(tuple, i, bound);
        }
    }
    return tuple;
}
