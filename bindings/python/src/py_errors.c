/* py_errors.c - maps a tks_status to an exception, from TKS_STATUS_MAP. */
#include "py_glue.h"

#define NAME_OF(name, code, exception, text) exception,
static const char *const exception_names[TKS_STATUS_COUNT] = {TKS_STATUS_MAP(NAME_OF)};
#undef NAME_OF

int tksp_py_errors_init(tksp_py_state *state) {
    int result = -1;
    PyObject *ours = PyImport_ImportModule("tokenstore.errors");
    PyObject *builtins = PyImport_ImportModule("builtins");
    if (ours == NULL || builtins == NULL) goto cleanup;
    for (size_t i = 0; i < TKS_STATUS_COUNT; i++) {
        if (exception_names[i][0] == '\0') continue;
        /* MemoryError and KeyboardInterrupt are built in. */
        PyObject *from = PyObject_HasAttrString(ours, exception_names[i]) ? ours : builtins;
        state->exceptions[i] = PyObject_GetAttrString(from, exception_names[i]);
        if (state->exceptions[i] == NULL) goto cleanup;
    }
    result = 0;
cleanup:
    Py_XDECREF(ours);
    Py_XDECREF(builtins);
    return result;
}

PyObject *tksp_py_raise(const tksp_py_state *state, tks_status status, const tks_error *err) {
    if (PyErr_Occurred()) return NULL; /* raised by a signal handler during the call */
    const char *text = err->message[0] != '\0' ? err->message : tks_status_text(status);
    /* A message may have been truncated inside a character. */
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (message == NULL) return NULL;
    PyErr_SetObject(state->exceptions[status], message);
    Py_DECREF(message);
    return NULL;
}

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
