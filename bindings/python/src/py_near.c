/* py_near.c - see py_near.h. */
#include "py_near.h"

PyObject *tksp_py_near_find(PyObject *client, const tks_near_question *question, PyObject *token) {
    PyObject *view = tks_client_find_view(tksp_py_client_get(client), question);
    return view != NULL ? tksp_py_record_copy(view, token) : NULL;
}

/* Of the near cache's thread, which has no GIL, views only come back here. */
static void reap(tks_near *near) {
    for (PyObject *view; (view = tks_near_reap(near, false)) != NULL;) Py_DECREF(view);
}

void tksp_py_near_leave(tks_op *op, const tks_near_question *question, PyObject *record) {
    if (!tks_op_is_viewable(op)) return;
    PyObject *view = tksp_py_record_copy(record, Py_None);
    if (view == NULL) {
        PyErr_Clear();
    } else if (!tks_op_leave_view(op, question, view)) {
        Py_DECREF(view);
    }
    reap(tks_op_get_near(op));
}

void tksp_py_near_clear(tks_client *client) {
    for (PyObject *view; (view = tks_client_reap_view(client, true)) != NULL;) Py_DECREF(view);
}
