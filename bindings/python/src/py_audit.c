/* py_audit.c - the events of an audited operation (tokenstore/audit.py). */
#include "py_glue.h"
#include "tokenstore/audit.h"

static tks_op *op_of(const tksp_py_state *state, PyObject *object) {
    if (Py_IS_TYPE(object, state->op_type)) return (tks_op *)tksp_py_op_get(object);
    PyErr_Format(PyExc_TypeError, "an Op is required, not %R", (PyObject *)Py_TYPE(object));
    return NULL;
}

/* audit(op, actor, stream_size): before it runs */
PyObject *tksp_py_audit(PyObject *module, PyObject *args) {
    const tksp_py_state *state = PyModule_GetState(module);
    PyObject *object, *actor;
    long long size;
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "OOL:audit", &object, &actor, &size)) return NULL;
    tks_op *op = op_of(state, object);
    if (op == NULL) return NULL;
    if (actor != Py_None && !tksp_py_text_get(state, actor, "actor", false, &text)) return NULL;
    tks_status status = tks_op_audit(op, text.bytes, size, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) return tksp_py_raise(state, status, &err);
    Py_RETURN_NONE;
}

static PyObject *event_tuple(const tks_audit_event *event) {
    const tks_bytes texts[] = {event->kind,  event->name, event->reason, event->app,  event->type,
                               event->owner, event->sid,  event->id,     event->count};
    enum { TEXTS = sizeof texts / sizeof *texts };
    PyObject *tuple = PyTuple_New(1 + TEXTS);
    PyObject *at = tuple != NULL ? PyFloat_FromDouble((double)event->at_ms / 1e3) : NULL;
    bool good = at != NULL && PyTuple_SetItem(tuple, 0, at) == 0;
    for (Py_ssize_t i = 0; good && i < TEXTS; i++) {
        PyObject *text = tksp_py_str(texts[i]);
        good = text != NULL && PyTuple_SetItem(tuple, 1 + i, text) == 0;
    }
    if (!good) Py_CLEAR(tuple);
    return tuple;
}

/* events(op) -> a list of tuples, when it has run */
PyObject *tksp_py_events(PyObject *module, PyObject *object) {
    const tks_audit_event *events;
    const tks_op *op = op_of(PyModule_GetState(module), object);
    if (op == NULL) return NULL;
    size_t count = tks_op_get_events(op, &events);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = event_tuple(&events[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

/* write_events(op) -> the Op that writes them to the stream, where the change itself could not; else None */
PyObject *tksp_py_write_events(PyObject *module, PyObject *object) {
    const tksp_py_state *state = PyModule_GetState(module);
    const tksp_py_shape plain = {NULL, NULL, NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_op *writer;
    const tks_op *op = op_of(state, object);
    if (op == NULL) return NULL;
    tks_status status = tks_op_write_events(op, &writer, &err);
    if (status != TKS_OK) return tksp_py_raise(state, status, &err);
    if (writer == NULL) Py_RETURN_NONE;
    return tksp_py_op_new(state, writer, &plain);
}
