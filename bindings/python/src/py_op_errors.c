/* py_op_errors.c - the exception of an operation, with what is known beyond its message. */
#include "py_glue.h"

/* Sets an attribute; `value` is a new reference, or NULL with an exception. */
static bool set(PyObject *error, const char *name, PyObject *value) {
    bool good = value != NULL && PyObject_SetAttrString(error, name, value) == 0;
    Py_XDECREF(value);
    return good;
}

static bool set_text(PyObject *error, const char *name, tks_bytes text) {
    return text.size == 0 || set(error, name, tksp_py_str(text)); /* None, as the class says */
}

static bool set_reused(PyObject *error, const tks_token *reused) {
    return reused == NULL ||
           (set_text(error, "owner", reused->owner) && set_text(error, "sid", reused->sid));
}

PyObject *tksp_py_raise_of(const tksp_py_state *state, PyObject *op, tks_status status,
                           const tks_error *err) {
    const tks_op *core = tksp_py_op_get(op);
    bool reused = status == TKS_ERR_REUSED_TOKEN, short_of = status == TKS_ERR_NOT_REPLICATED;
    PyObject *kind, *error, *traceback;
    (void)tksp_py_raise(state, status, err);
    if (!reused && !short_of) return NULL;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    bool good = error != NULL;
    if (good && reused) good = set_reused(error, tks_op_get_reused(core));
    if (good && short_of) {
        good = set(error, "replicas", PyLong_FromLongLong(tks_op_get_replicas(core))) &&
               set(error, "result", tksp_py_op_result(state, op));
    }
    if (good) {
        PyErr_Restore(kind, error, traceback);
        return NULL;
    }
    Py_XDECREF(kind); /* the new exception counts */
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return NULL;
}
