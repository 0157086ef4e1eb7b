/* py_call_await.c - _core.Call as an awaitable: the part of an asyncio future that a task uses.
 *
 * Purpose:   the loop's callback that read the reply runs the task's callback at once (wake). Otherwise it
 *            runs in the next iteration of the loop, because another task may be running.
 * Rules:     py_driver.h. Tasks run last: they may do anything to the call, its pool and its connection.
 * Threads:   the event loop's. */
#include "py_driver.h"

/* ---- waking the task --------------------------------------------------------------------------- */

bool tksp_py_call_wake_soon(tksp_py_call *self) {
    PyObject *callback = self->callback;
    if (callback == NULL) return true;
    self->callback = NULL;
    const tksp_py_state *state = self->pool->state;
    PyObject *call_soon = PyObject_GetAttr(self->pool->loop, state->names[TKSP_PY_CALL_SOON]);
    PyObject *args = PyTuple_Pack(2, callback, (PyObject *)self);
    PyObject *kwargs = Py_BuildValue("{s:O}", "context", self->context);
    PyObject *result = call_soon == NULL || args == NULL || kwargs == NULL
                           ? NULL
                           : PyObject_Call(call_soon, args, kwargs);
    Py_DECREF(callback);
    Py_XDECREF(call_soon);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    return result != NULL;
}

/* Runs the waiting task, if any: a cancellation may have woken it before. */
static bool wake(tksp_py_call *self) {
    PyObject *callback = self->callback;
    if (callback == NULL) return true;
    PyObject *context = self->context;
    self->callback = self->context = NULL;
    PyObject *result = PyObject_CallMethodObjArgs(context, self->pool->state->names[TKSP_PY_RUN],
                                                  callback, self, NULL);
    Py_DECREF(callback);
    Py_DECREF(context);
    Py_XDECREF(result);
    return result != NULL;
}

/* As tksp_py_call_wake_soon, while an exception is raised. */
static void wake_later(tksp_py_call *self) {
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    if (!tksp_py_call_wake_soon(self)) PyErr_Clear();
    PyErr_Restore(kind, value, traceback);
}

PyObject *tksp_py_wake(PyObject *module, PyObject *calls) {
    const tksp_py_state *state = PyModule_GetState(module);
    bool good = true;
    if (!PyList_Check(calls)) {
        PyErr_SetString(PyExc_TypeError, "wake() requires a list");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_Size(calls); i++) {
        tksp_py_call *call = (tksp_py_call *)PyList_GetItem(calls, i);
        if (!Py_IS_TYPE((PyObject *)call, state->call_type)) continue;
        Py_INCREF(call);
        call->pool->thread = PyThread_get_thread_ident();
        if (good) {
            good = wake(call);
        } else {
            wake_later(call);
        }
        call->pool->thread = 0;
        Py_DECREF(call);
    }
    if (!good) return NULL;
    Py_RETURN_NONE;
}

/* ---- the future protocol ----------------------------------------------------------------------- */

PyObject *tksp_py_call_get_loop(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *loop = ((tksp_py_call *)self)->pool->loop;
    Py_INCREF(loop);
    return loop;
}

/* add_done_callback(callback, *, context): only one, the task's */
PyObject *tksp_py_call_add_done_callback(PyObject *object, PyObject *const *args, Py_ssize_t count,
                                         PyObject *names) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (count != 1 || names == NULL || PyTuple_Size(names) != 1) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback() requires a callback and context=");
        return NULL;
    }
    if (self->callback != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "another task is already waiting for this call");
        return NULL;
    }
    Py_INCREF(args[0]);
    self->callback = args[0];
    tksp_py_set(&self->context, args[1]);
    if (tksp_py_call_is_settled(self) && !tksp_py_call_wake_soon(self)) return NULL;
    Py_RETURN_NONE;
}

/* The caller has gone: notifies the pool, as the last step. False with an exception. */
static bool leave(tksp_py_call *self) {
    PyObject *result = PyObject_CallMethodObjArgs(
        (PyObject *)self->pool, self->pool->state->names[TKSP_PY_LEFT], self, NULL);
    Py_XDECREF(result);
    return result != NULL;
}

/* cancel(msg=None) -> True unless it was over */
PyObject *tksp_py_call_cancel(PyObject *object, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"msg", NULL};
    tksp_py_call *self = (tksp_py_call *)object;
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", (char **)names, &message)) {
        return NULL;
    }
    if (self->over) Py_RETURN_FALSE;
    PyErr_SetObject(self->pool->state->cancelled, message == Py_None ? NULL : message);
    tksp_py_call_fail(self);
    if (!tksp_py_call_wake_soon(self) || !leave(self)) return NULL;
    Py_RETURN_TRUE;
}

/* The result, or NULL with the exception. */
static PyObject *result_of(const tksp_py_call *self) {
    if (self->error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
    } else if (self->value == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the call has not ended");
    }
    Py_XINCREF(self->value);
    return self->value;
}

PyObject *tksp_py_call_result(PyObject *self, PyObject *unused) {
    (void)unused;
    return result_of((tksp_py_call *)self);
}

/* One step of an await: yields itself until there is a result. */
PyObject *tksp_py_call_next(PyObject *object) {
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
/* The same without StopIteration. */
PySendResult tksp_py_call_send(PyObject *object, PyObject *unused, PyObject **out) {
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

PyObject *tksp_py_call_await(PyObject *self) {
    Py_INCREF(self);
    return self;
}

/* throw(exception), or (type, value, traceback): ends the call and raises the exception. */
PyObject *tksp_py_call_throw(PyObject *object, PyObject *args) {
    tksp_py_call *self = (tksp_py_call *)object;
    PyObject *kind, *value = Py_None, *traceback = Py_None;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &kind, &value, &traceback)) return NULL;
    bool waits = !self->over;
    PyObject *op = self->op;
    tks_op *core = self->core;
    Py_XINCREF(op);
    tksp_py_call_end(self);
    if (waits && core != NULL) tksp_py_call_tell(self, core);
    Py_XDECREF(op);
    if (waits && !leave(self)) return NULL;
    PyErr_SetObject(PyExceptionInstance_Check(kind) ? (PyObject *)Py_TYPE(kind) : kind,
                    PyExceptionInstance_Check(kind) ? kind : value);
    return NULL;
}

/* close(): the awaiting coroutine was discarded, perhaps with its loop. */
PyObject *tksp_py_call_close(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_call *self = (tksp_py_call *)object;
    bool waits = !self->over;
    tksp_py_call_end(self);
    if (waits && !leave(self)) return NULL;
    Py_RETURN_NONE;
}
