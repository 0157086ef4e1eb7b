/* py_session_events.c - _core.SessionEvents: the blocking driver of session events; and, for drivers in
 * Python, the channels to subscribe to and the meaning of messages.
 *
 * Lifecycle: keeps the _core.Client alive.
 * Threads:   next and close release the GIL while they work. */
#include "py_glue.h"

#include "tokenstore/session_events.h"

typedef struct events_object {
    PyObject head;
    tks_session_events *events;
    PyObject *client;
    PyObject *ask; /* the credentials function, or None */
    bool waiting;  /* next is running: its result is borrowed until the next call */
} events_object;

/* ---- results of next: (kind, …) ---------------------------------------------------------------- */

static PyObject *event_tuple(const tks_session_event *event) {
    PyObject *id = tksp_py_str(event->id), *rjwt = tksp_py_str(event->rjwt), *result = NULL;
    if (id != NULL && rjwt != NULL) {
        result = Py_BuildValue("(sOO)", tks_session_end_name(event->kind), id, rjwt);
    }
    Py_XDECREF(id);
    Py_XDECREF(rjwt);
    return result;
}

static PyObject *lost_tuple(const tks_error *why) {
    PyObject *text =
        PyUnicode_DecodeUTF8(why->message, (Py_ssize_t)strlen(why->message), "replace");
    return text == NULL ? NULL : Py_BuildValue("(sN)", "lost", text);
}

static PyObject *notice_get(const tks_session_notice *notice) {
    switch (notice->type) {
    case TKS_SESSION_ENDED: return event_tuple(&notice->event);
    case TKS_SESSION_ASKS: return Py_BuildValue("(s)", "asked");
    case TKS_SESSION_LOST: return lost_tuple(notice->why);
    case TKS_SESSION_GAP:
        return Py_BuildValue("(sdd)", "gap", (double)notice->lost_ms / 1e3,
                             (double)notice->restored_ms / 1e3);
    case TKS_SESSION_NOTHING: break;
    }
    Py_RETURN_NONE;
}

/* ---- the type ---------------------------------------------------------------------------------- */

static bool ask(events_object *self, const tksp_py_state *state) {
    PyObject *pair = PyObject_CallFunctionObjArgs(self->ask, NULL);
    tks_credentials made;
    bool good = pair != NULL && tksp_py_credentials_get(state, pair, &made);
    Py_XDECREF(pair);
    if (good) tks_session_events_give(self->events, &made);
    return good;
}

static bool open_events(events_object *self, const tksp_py_state *state) {
    bool asks = true;
    while (asks) {
        tks_error err = TKS_ERROR_INIT;
        PyThreadState *thread = PyEval_SaveThread();
        tks_interrupt interrupt = {tksp_py_check_signals, &thread};
        tks_status status = tks_session_events_open(self->events, &interrupt, &asks, &err);
        PyEval_RestoreThread(thread);
        if (status != TKS_OK) {
            tksp_py_raise(state, status, &err);
            return false;
        }
        if (asks && !ask(self, state)) return false;
    }
    return true;
}

/* SessionEvents(client, configure, keepalive, ask): subscribes at once */
static PyObject *events_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *client, *keepalive, *function;
    int configure;
    tks_session_events_options options = {0};
    tks_error err = TKS_ERROR_INIT;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!pOO:SessionEvents", state->client_type, &client, &configure,
                          &keepalive, &function) ||
        !tksp_py_duration(state, keepalive, "keepalive", &options.keepalive_ms)) {
        return NULL;
    }
    events_object *self = (events_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(client);
    self->client = client;
    Py_INCREF(function);
    self->ask = function;
    options.configure = configure != 0;
    tks_status status =
        tks_session_events_new(tksp_py_client_get(client), &options, &self->events, &err);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    if (status == TKS_OK && open_events(self, state)) return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

/* next(milliseconds): below 0: waits forever */
static PyObject *events_next(PyObject *object, PyObject *arg) {
    events_object *self = (events_object *)object;
    const tksp_py_state *state = tksp_py_state_of(object);
    tks_session_notice notice;
    tks_error err = TKS_ERROR_INIT;
    long long timeout_ms = PyLong_AsLongLong(arg);
    if (timeout_ms == -1 && PyErr_Occurred()) return NULL;
    if (self->waiting) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread is waiting for these events: each thread needs its own");
        return NULL;
    }
    self->waiting = true;
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status =
        tks_session_events_next(self->events, timeout_ms, &interrupt, &notice, &err);
    PyEval_RestoreThread(thread);
    PyObject *result = status == TKS_OK ? notice_get(&notice) : tksp_py_raise(state, status, &err);
    if (result != NULL && notice.type == TKS_SESSION_ASKS && !ask(self, state)) Py_CLEAR(result);
    self->waiting = false;
    return result;
}

static PyObject *events_close(PyObject *object, PyObject *unused) {
    (void)unused;
    Py_BEGIN_ALLOW_THREADS tks_session_events_close(((events_object *)object)->events);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static int events_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((events_object *)object)->client);
    Py_VISIT(((events_object *)object)->ask);
    return 0;
}

static void events_dealloc(PyObject *object) {
    events_object *self = (events_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    tks_session_events_free(self->events);
    Py_XDECREF(self->client);
    Py_XDECREF(self->ask);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef events_methods[] = {
    {"next", events_next, METH_O, NULL},
    {"close", events_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot events_slots[] = {
    {Py_tp_doc, (void *)"SessionEvents(client, configure, keepalive, ask): the ends of sessions."},
    {Py_tp_new, (void *)events_new},
    {Py_tp_methods, events_methods},
    {Py_tp_traverse, (void *)events_traverse},
    {Py_tp_dealloc, (void *)events_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_session_events_spec = {
    .name = "tokenstore._core.SessionEvents",
    .basicsize = sizeof(events_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = events_slots,
};

/* ---- for drivers in Python --------------------------------------------------------------------- */

PyObject *tksp_py_session_channels(PyObject *module, PyObject *arg) {
    unsigned long db = PyLong_AsUnsignedLong(arg);
    PyObject *list = PyErr_Occurred() ? NULL : PyList_New(0);
    (void)module;
    for (int kind = 0; list != NULL && kind < TKS_SESSION_ENDS; kind++) {
        tks_buf name;
        tks_buf_init(&name, 64);
        PyObject *text = tks_session_channel((tks_session_end)kind, (uint32_t)db, &name) == TKS_OK
                             ? tksp_py_str(tks_buf_bytes(&name))
                             : PyErr_NoMemory();
        if (text == NULL || PyList_Append(list, text) < 0) Py_CLEAR(list);
        Py_XDECREF(text);
        tks_buf_clear(&name);
    }
    return list;
}

PyObject *tksp_py_session_event(PyObject *module, PyObject *args) {
    const char *channel, *key;
    Py_ssize_t channel_size, key_size;
    unsigned int db;
    tks_session_event event;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#y#I:session_event", &channel, &channel_size, &key, &key_size,
                          &db)) {
        return NULL;
    }
    if (!tks_session_event_read(tks_bytes_of(channel, (size_t)channel_size),
                                tks_bytes_of(key, (size_t)key_size), db, &event)) {
        Py_RETURN_NONE;
    }
    return event_tuple(&event);
}

PyObject *tksp_py_session_notify(PyObject *module, PyObject *unused) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_shape shape = {NULL, NULL, NULL};
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    (void)unused;
    tks_status status = tks_session_notify_new(&op, &err);
    return status == TKS_OK ? tksp_py_op_new(state, op, &shape)
                            : tksp_py_raise(state, status, &err);
}
