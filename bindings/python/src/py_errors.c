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
