/* py_wait.c - for calls that wait: their timeout, and signals meanwhile. */
#include "py_glue.h"

bool tksp_py_check_signals(void *context) {
    PyThreadState **thread = context;
    PyEval_RestoreThread(*thread);
    bool raised = PyErr_CheckSignals() != 0;
    *thread = PyEval_SaveThread();
    return raised;
}

bool tksp_py_timeout(const tksp_py_state *state, PyObject *arg, int64_t *out_ms) {
    double seconds;
    tks_error err;
    *out_ms = 0;
    if (arg == Py_None) return true;
    if (!tksp_py_seconds(state, arg, "timeout", &seconds)) return false;
    tks_error_init(&err);
    tks_status status = tks_timeout(seconds, out_ms, &err);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}
