/* call.c - _core.Call: an operation on its way through an asyncio driver, and what a task waits for.
 *
 * Purpose:   tells the operation what happened, and the task what came of it. Which connection is used,
 *            when to try again and how long to wait is the business of tokenstore/asyncio. It is as much of
 *            an asyncio future as a task needs, so that an answer costs no object and no round of the loop:
 *            who has read it wakes the task at once (channel.c).
 * Lifecycle: made when the operation begins; over when it is settled or its caller has gone. A call that is
 *            over has let go of its operation; its place in a channel's queue stays.
 * Threads:   that of the event loop. */
#include "glue.h"

#include <stddef.h>
#include <structmember.h>
#include <time.h>

int64_t tksp_py_wall_ms(void) {
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

PyObject *tksp_py_call_new(const tksp_py_state *state, tksp_py_calls *calls, PyObject *op,
                           PyObject *timeout, int64_t wall_ms) {
    int64_t timeout_ms;
    if (!tksp_py_timeout(state, timeout, &timeout_ms)) return NULL;
    tks_op *core = tksp_py_op_begin(state, op);
    tksp_py_call *self =
        core == NULL ? NULL : (tksp_py_call *)PyType_GenericAlloc(state->call_type, 0);
    if (self == NULL) return NULL;
    if (timeout_ms == 0)
        timeout_ms = tks_client_get_target(tksp_py_client_get(calls->client))->timeout_ms;
    Py_INCREF(op);
    Py_INCREF(calls);
    self->op = op;
    self->core = core;
    self->calls = calls;
    self->began = tksp_py_now();
    self->deadline = self->began + (double)timeout_ms / 1e3;
    self->wall_ms = wall_ms;
    return (PyObject *)self;
}

/* Call(calls, op, timeout, wall=0) */
static PyObject *call_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *calls, *op, *timeout;
    long long wall = 0;
    if (!PyArg_ParseTuple(args, "O!OO|L:Call", state->calls_type, &calls, &op, &timeout, &wall))
        return NULL;
    return tksp_py_call_new(state, (tksp_py_calls *)calls, op, timeout, wall);
}

/* ---- the end --------------------------------------------------------------------------------- */

void tksp_py_call_end(tksp_py_call *self) {
    self->over = true;
    self->core = NULL;
    Py_CLEAR(self->op);
    if (self->calls != NULL) tksp_py_calls_remove(self->calls, self);
}

/* Keeps what came of it: `value`, which it takes, or the exception that is raised. */
static void settle(tksp_py_call *self, PyObject *value) {
    if (value == NULL) {
        PyObject *kind, *traceback;
        PyErr_Fetch(&kind, &self->error, &traceback);
        PyErr_NormalizeException(&kind, &self->error, &traceback);
        Py_XDECREF(kind);
        Py_XDECREF(traceback);
    }
    self->value = value;
    tksp_py_call_end(self);
}

bool tksp_py_call_is_settled(const tksp_py_call *self) {
    return self->value != NULL || self->error != NULL;
}

bool tksp_py_call_wake_soon(const tksp_py_state *state, tksp_py_call *self) {
    if (self->callback == NULL) return true;
    PyObject *call_soon = PyObject_GetAttr(self->calls->loop, state->names[TKSP_PY_CALL_SOON]);
    PyObject *args = PyTuple_Pack(2, self->callback, (PyObject *)self);
    PyObject *kwargs = Py_BuildValue("{s:O}", "context", self->context);
    PyObject *result = call_soon == NULL || args == NULL || kwargs == NULL
                           ? NULL
                           : PyObject_Call(call_soon, args, kwargs);
    Py_XDECREF(call_soon);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    Py_CLEAR(self->callback);
    return result != NULL;
}

bool tksp_py_call_wake(const tksp_py_state *state, tksp_py_call *self) {
    PyObject *callback = self->callback;
    if (callback == NULL) return true; /* it has been woken: cancelled meanwhile */
    self->callback = NULL;
    PyObject *result =
        PyObject_CallMethodObjArgs(self->context, state->names[TKSP_PY_RUN], callback, self, NULL);
    Py_DECREF(callback);
    Py_XDECREF(result);
    return result != NULL;
}

/* ---- what a task asks of a future -------------------------------------------------------------- */

static PyObject *call_get_loop(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *loop = ((tksp_py_call *)self)->calls->loop;
    Py_INCREF(loop);
    return loop;
}

/* add_done_callback(callback, *, context): one, the task's */
static PyObject *call_add_done_callback(PyObject *object, PyObject *const *args, Py_ssize_t count,
                                        PyObject *names) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (count != 1 || names == NULL || PyTuple_Size(names) != 1) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback takes a callback and context=");
        return NULL;
    }
    if (self->callback != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "only one task waits for a call");
        return NULL;
    }
    Py_INCREF(args[0]);
    self->callback = args[0];
    tksp_py_set(&self->context, args[1]);
    if (tksp_py_call_is_settled(self) && !tksp_py_call_wake_soon(tksp_py_state_of(object), self))
        return NULL;
    Py_RETURN_NONE;
}

/* The caller goes without a result. False with an exception. */
static bool leave(const tksp_py_state *state, tksp_py_call *self) {
    tksp_py_call_end(self);
    PyObject *result = tksp_py_calls_ask(self->calls, state, TKSP_PY_CANCELLED, (PyObject *)self);
    Py_XDECREF(result);
    return result != NULL;
}

/* Imported here, not with the module: who cancels has asyncio already, others need none of it. */
static void raise_cancelled(PyObject *message) {
    PyObject *asyncio = PyImport_ImportModule("asyncio.exceptions");
    PyObject *type = asyncio == NULL ? NULL : PyObject_GetAttrString(asyncio, "CancelledError");
    if (type != NULL) PyErr_SetObject(type, message == Py_None ? NULL : message);
    Py_XDECREF(asyncio);
    Py_XDECREF(type);
}

/* cancel(msg=None) -> was there anything to cancel? */
static PyObject *call_cancel(PyObject *object, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"msg", NULL};
    const tksp_py_state *state = tksp_py_state_of(object);
    tksp_py_call *self = (tksp_py_call *)object;
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", (char **)names, &message))
        return NULL;
    if (tksp_py_call_is_settled(self)) Py_RETURN_FALSE;
    raise_cancelled(message);
    settle(self, NULL);
    if (!leave(state, self) || !tksp_py_call_wake_soon(state, self)) return NULL;
    Py_RETURN_TRUE;
}

/* The result, or NULL with the exception. */
static PyObject *result_of(const tksp_py_call *self) {
    if (self->error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
    else if (self->value == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the call has not ended");
    Py_XINCREF(self->value);
    return self->value;
}

static PyObject *call_result(PyObject *self, PyObject *unused) {
    (void)unused;
    return result_of((tksp_py_call *)self);
}

/* One turn of an await: itself, for the task to wait for, until there is a result. */
static PyObject *call_next(PyObject *object) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (!tksp_py_call_is_settled(self)) {
        self->blocking = true;
        Py_INCREF(object);
        return object;
    }
    PyObject *value = result_of(self);
    if (value == NULL) return NULL;
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
    Py_DECREF(value);
    if (stop != NULL) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
}

#if PY_VERSION_HEX >= 0x030A0000
/* The same without a StopIteration. */
static PySendResult call_send(PyObject *object, PyObject *unused, PyObject **out) {
    tksp_py_call *self = (tksp_py_call *)object;
    (void)unused;
    if (!tksp_py_call_is_settled(self)) {
        self->blocking = true;
        Py_INCREF(object);
        *out = object;
        return PYGEN_NEXT;
    }
    *out = result_of(self);
    return *out == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}
#endif

static PyObject *call_await(PyObject *self) {
    Py_INCREF(self);
    return self;
}

/* throw(exception), or its kind, it and a traceback: raised where it is awaited, in its place. */
static PyObject *call_throw(PyObject *object, PyObject *args) {
    tksp_py_call *self = (tksp_py_call *)object;
    PyObject *kind, *value = Py_None, *traceback = Py_None;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &kind, &value, &traceback)) return NULL;
    if (!self->over && !leave(tksp_py_state_of(object), self)) return NULL;
    PyErr_SetObject(PyExceptionInstance_Check(kind) ? (PyObject *)Py_TYPE(kind) : kind,
                    PyExceptionInstance_Check(kind) ? kind : value);
    return NULL;
}

/* close(): who awaits it is thrown away, and maybe the loop with it */
static PyObject *call_close(PyObject *self, PyObject *unused) {
    (void)unused;
    tksp_py_call_end((tksp_py_call *)self);
    Py_RETURN_NONE;
}

/* ---- steps ----------------------------------------------------------------------------------- */

tksp_py_wish tksp_py_call_step(const tksp_py_state *state, tksp_py_call *self, tks_event *event) {
    if (self->over) return TKSP_PY_OVER;
    if (self->wall_ms != 0)
        event->now_ms = self->wall_ms;
    else if (event->now_ms == 0)
        event->now_ms = tksp_py_wall_ms();
    event->sent = self->sent;
    self->sent = false;
    switch (tks_op_step(self->core, event)) {
    case TKS_NEED_SEND: return TKSP_PY_SEND;
    case TKS_NEED_SLEEP: return TKSP_PY_SLEEP;
    case TKS_NEED_HTTP:
        PyErr_SetString(PyExc_RuntimeError, "this operation needs more than Redis");
        break;
    case TKS_FAILED: {
        const tks_error *why = tks_op_get_error(self->core);
        tksp_py_raise(state, why->status, why);
        break;
    }
    case TKS_DONE: break;
    }
    settle(self, PyErr_Occurred() ? NULL : tksp_py_op_result(state, self->op));
    return TKSP_PY_OVER;
}

/* A step that was not made for an answer; who waits is told with the next round of the loop: it may be
 * another task that is running. */
static PyObject *step(PyObject *object, tks_event *event) {
    const tksp_py_state *state = tksp_py_state_of(object);
    tksp_py_call *self = (tksp_py_call *)object;
    tksp_py_wish wish = tksp_py_call_step(state, self, event);
    if (tksp_py_call_is_settled(self) && !tksp_py_call_wake_soon(state, self)) return NULL;
    return PyLong_FromLong(wish);
}

static PyObject *call_start(PyObject *self, PyObject *unused) {
    (void)unused;
    tks_event event = {.type = TKS_EVENT_START};
    return step(self, &event);
}

static PyObject *call_awake(PyObject *self, PyObject *unused) {
    (void)unused;
    tks_event event = {.type = TKS_EVENT_AWAKE};
    return step(self, &event);
}

/* Why the connection was lost, of an exception of ours. */
static bool why_get(const tksp_py_state *state, PyObject *error, tks_error *out) {
    tks_status status = TKS_ERR_CONNECTION;
    for (int i = 0; i < TKS_STATUS_COUNT; i++) {
        if ((PyObject *)Py_TYPE(error) == state->exceptions[i]) {
            status = (tks_status)i;
            break;
        }
    }
    PyObject *text = PyObject_Str(error);
    const char *utf8 = text == NULL ? NULL : PyUnicode_AsUTF8AndSize(text, NULL);
    if (utf8 != NULL) tks_fail(out, status, "%s", utf8);
    Py_XDECREF(text);
    return utf8 != NULL;
}

/* lost(error, final): no connection could be had, or it ended before the last answer. */
static PyObject *call_lost(PyObject *self, PyObject *args) {
    const tksp_py_state *state = tksp_py_state_of(self);
    PyObject *error;
    int final;
    tks_error why = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "Op:lost", &error, &final) || !why_get(state, error, &why))
        return NULL;
    tks_event event = {.type = TKS_EVENT_LOST, .why = &why, .final = final != 0};
    return step(self, &event);
}

/* expire(text): the deadline has passed. */
static PyObject *call_expire(PyObject *self, PyObject *text) {
    tks_error why = TKS_ERROR_INIT;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, NULL);
    if (utf8 == NULL) return NULL;
    tks_fail(&why, TKS_ERR_TIMEOUT, "%s", utf8);
    tks_event event = {.type = TKS_EVENT_DEADLINE, .why = &why};
    return step(self, &event);
}

/* fail(exception): nothing more can be done. */
static PyObject *call_fail(PyObject *object, PyObject *error) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (self->over) Py_RETURN_NONE;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    settle(self, NULL);
    if (!tksp_py_call_wake_soon(tksp_py_state_of(object), self)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *call_pause(PyObject *object, void *unused) {
    (void)unused;
    const tksp_py_call *self = (tksp_py_call *)object;
    return PyFloat_FromDouble(self->over ? 0 : tks_op_get_sleep(self->core) / 1e3);
}

static PyObject *call_reconnect(PyObject *object, void *unused) {
    (void)unused;
    const tksp_py_call *self = (tksp_py_call *)object;
    return PyBool_FromLong(!self->over && tks_op_get_batch(self->core)->reconnect);
}

/* ---- the type -------------------------------------------------------------------------------- */

static int call_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_call *self = (tksp_py_call *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->op);
    Py_VISIT(self->calls);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->line);
    return 0;
}

static int call_clear(PyObject *object) {
    tksp_py_call *self = (tksp_py_call *)object;
    tksp_py_call_end(self);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->line);
    return 0;
}

static void call_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    call_clear(self);
    Py_CLEAR(((tksp_py_call *)self)->calls);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function, how) (PyCFunction)(void (*)(void))(function), (how) | METH_KEYWORDS

static PyMethodDef call_methods[] = {
    {"get_loop", call_get_loop, METH_NOARGS, NULL},
    {"add_done_callback", KEYWORDS(call_add_done_callback, METH_FASTCALL), NULL},
    {"cancel", KEYWORDS(call_cancel, METH_VARARGS), NULL},
    {"result", call_result, METH_NOARGS, NULL},
    {"throw", call_throw, METH_VARARGS, NULL},
    {"close", call_close, METH_NOARGS, NULL},
    {"start", call_start, METH_NOARGS, NULL},
    {"awake", call_awake, METH_NOARGS, NULL},
    {"lost", call_lost, METH_VARARGS, NULL},
    {"expire", call_expire, METH_O, NULL},
    {"fail", call_fail, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef call_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(tksp_py_call, blocking), 0, "A task's mark."},
    {"line", T_OBJECT, offsetof(tksp_py_call, line), READONLY, "It was last sent on; or None."},
    {"began", T_DOUBLE, offsetof(tksp_py_call, began), READONLY, "time.monotonic()"},
    {"deadline", T_DOUBLE, offsetof(tksp_py_call, deadline), READONLY, "time.monotonic()"},
    {"sent", T_BOOL, offsetof(tksp_py_call, sent), READONLY, "Handed over, and not answered."},
    {"over", T_BOOL, offsetof(tksp_py_call, over), READONLY, "Nothing more is done for it."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef call_getset[] = {
    {"pause", call_pause, NULL, NULL, NULL},
    {"reconnect", call_reconnect, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, (void *)"Call(calls, op, timeout): an operation on its way."},
    {Py_tp_new, (void *)call_new},
    {Py_am_await, (void *)call_await},
#if PY_VERSION_HEX >= 0x030A0000
    {Py_am_send, (void *)call_send},
#endif
    {Py_tp_iter, (void *)call_await},
    {Py_tp_iternext, (void *)call_next},
    {Py_tp_methods, call_methods},
    {Py_tp_members, call_members},
    {Py_tp_getset, call_getset},
    {Py_tp_traverse, (void *)call_traverse},
    {Py_tp_clear, (void *)call_clear},
    {Py_tp_dealloc, (void *)call_dealloc},
    {0, NULL},
};

static PyType_Spec call_spec = {
    .name = "tokenstore._core.Call",
    .basicsize = sizeof(tksp_py_call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = call_slots,
};

int tksp_py_call_init(PyObject *module, tksp_py_state *state) {
    state->call_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &call_spec, NULL);
    return state->call_type == NULL ? -1 : PyModule_AddType(module, state->call_type);
}
