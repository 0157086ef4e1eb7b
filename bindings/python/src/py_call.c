/* py_call.c - _core.Call: an operation in progress in the asyncio driver, awaited by a task.
 *
 * Purpose:   passes events to the operation and its result to the task. tokenstore/asyncio selects the
 *            connection and handles retries and waiting. A call implements as much of an asyncio future as a
 *            task needs, so that a reply needs no extra object and no extra iteration of the loop.
 * Lifecycle: created when the operation begins; over when it has a result or its caller has gone. Then it has
 *            released its operation; its place in a connection's queue remains.
 * Rules:     py_driver.h. A call is marked as over before its result is created, which may run arbitrary
 *            code: re-entrant calls then find a call that needs nothing more.
 * Threads:   the event loop's. */
#include "py_driver.h"
#include "py_measure.h"
#include "tokenstore/meter.h"

#include <stddef.h>
#include <structmember.h>
#include <time.h>

int64_t tksp_py_wall_ms(void) {
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t boot_ms(void) {
#ifdef CLOCK_BOOTTIME
    const clockid_t clock = CLOCK_BOOTTIME;
#else
    const clockid_t clock = CLOCK_MONOTONIC;
#endif
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double tksp_py_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Remembers the context of the caller, if somebody will be told of the operation in it. False with an exception. */
static bool note_origin(tksp_py_call *self) {
    if (tksp_py_client_observer(self->pool->client) == NULL) return true;
    PyObject *copy = tksp_py_import_from("contextvars", "copy_context");
    self->origin = copy != NULL ? PyObject_CallObject(copy, NULL) : NULL;
    Py_XDECREF(copy);
    return self->origin != NULL;
}

void tksp_py_call_tell(const tksp_py_call *self, tks_op *core) {
    const tksp_py_pool *pool = self->pool;
    PyObject *observer = self->origin != NULL ? tksp_py_client_observer(pool->client) : NULL;
    tksp_py_measure_tell(pool->state, observer, self->origin, core);
}

PyObject *tksp_py_call_new(tksp_py_pool *pool, PyObject *op, PyObject *timeout, int64_t wall_ms) {
    const tksp_py_state *state = pool->state;
    int64_t timeout_ms;
    if (!tksp_py_timeout(state, timeout, &timeout_ms)) return NULL;
    tks_op *core = tksp_py_op_begin(state, op);
    tksp_py_call *self =
        core == NULL ? NULL : (tksp_py_call *)PyType_GenericAlloc(state->call_type, 0);
    if (self == NULL) return NULL;
    const tks_target *target = tks_client_get_target(tksp_py_client_get(pool->client));
    if (timeout_ms == 0) timeout_ms = target->timeout_ms;
    tks_op_set_server(core, target->server_facts);
    tks_op_set_meter(core, target->meter);
    if (pool->router != NULL) tks_op_set_router(core, pool->router);
    if (pool->near != NULL) tks_op_set_near(core, pool->near);
    Py_INCREF(op);
    Py_INCREF(pool);
    self->op = op;
    self->core = core;
    self->pool = pool;
    self->began = tksp_py_now();
    self->deadline = self->began + (double)timeout_ms / 1e3;
    self->wall_ms = wall_ms;
    self->need = TKS_DONE; /* it needs nothing yet */
    self->lane = -1;
    if (!note_origin(self)) Py_CLEAR(self);
    return (PyObject *)self;
}

PyObject *tksp_py_call_settled(tksp_py_pool *pool, PyObject *value) {
    tksp_py_call *self = (tksp_py_call *)PyType_GenericAlloc(pool->state->call_type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(pool);
    Py_INCREF(value);
    self->pool = pool;
    self->value = value;
    self->need = TKS_DONE;
    self->over = true;
    return (PyObject *)self;
}

/* Call(pool, op, timeout, wall=0) */
static PyObject *call_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *pool, *op, *timeout;
    long long wall = 0;
    if (!PyArg_ParseTuple(args, "O!OO|L:Call", state->pool_type, &pool, &op, &timeout, &wall)) {
        return NULL;
    }
    return tksp_py_call_new((tksp_py_pool *)pool, op, timeout, wall);
}

/* ---- lifecycle ------------------------------------------------------------------------------- */

void tksp_py_call_enlist(tksp_py_call *self) {
    tksp_py_pool *pool = self->pool;
    if (self->under_way) return;
    self->previous = pool->last;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = self;
    pool->last = self;
    pool->count++;
    self->under_way = true;
}

static void delist(tksp_py_call *self) {
    tksp_py_pool *pool = self->pool;
    if (!self->under_way) return;
    *(self->previous != NULL ? &self->previous->next : &pool->first) = self->next;
    *(self->next != NULL ? &self->next->previous : &pool->last) = self->previous;
    pool->count--;
    self->previous = self->next = NULL;
    self->under_way = false;
}

/* Marks the call as over and returns its operation to the caller; NULL: it was already over. */
static PyObject *end(tksp_py_call *self) {
    PyObject *op = self->op;
    self->over = true;
    self->op = NULL;
    self->core = NULL;
    delist(self);
    return op;
}

void tksp_py_call_end(tksp_py_call *self) {
    PyObject *op = end(self);
    Py_XDECREF(op);
}

/* Clears the raised exception and returns it. */
static PyObject *take_exception(void) {
    PyObject *kind, *error, *traceback;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    Py_XDECREF(kind);
    Py_XDECREF(traceback);
    return error;
}

void tksp_py_call_fail(tksp_py_call *self) {
    if (self->over) {
        PyErr_Clear();
        return;
    }
    tks_op *core = self->core;
    PyObject *op = end(self);
    self->error = take_exception();
    if (core != NULL) tksp_py_call_tell(self, core);
    Py_XDECREF(op);
}

bool tksp_py_call_is_settled(const tksp_py_call *self) {
    return self->value != NULL || self->error != NULL;
}

/* ---- steps ----------------------------------------------------------------------------------- */

void tksp_py_call_step(tksp_py_call *self, tks_event *event) {
    if (self->wall_ms != 0) {
        event->now_ms = self->wall_ms;
    } else if (event->now_ms == 0) {
        event->now_ms = tksp_py_wall_ms();
    }
    if (tks_op_reads_boot(self->core)) event->boot_ms = boot_ms();
    event->sent = self->sent;
    self->sent = false;
    self->need = tks_op_step(self->core, event);
    if (self->need != TKS_NEED_SEND) return;
    const tks_batch *batch = tks_op_get_batch(self->core);
    self->lane = batch->blocks ? TKSP_PY_ALONE - batch->node : batch->node;
}

/* The result of an operation that has ended; NULL with its error. */
static PyObject *convert(const tksp_py_state *state, tks_need need, PyObject *op,
                         const tks_op *core) {
    if (need == TKS_DONE) return tksp_py_op_result(state, op);
    if (need == TKS_FAILED) {
        const tks_error *why = tks_op_get_error(core);
        return tksp_py_raise_of(state, op, why->status, why);
    }
    PyErr_SetString(PyExc_RuntimeError, "this operation needs more than Redis");
    return NULL;
}

void tksp_py_call_finish(tksp_py_call *self) {
    if (tksp_py_call_wish(self) != TKSP_PY_NOTHING || self->over) return;
    tks_op *core = self->core;
    PyObject *op = end(self);
    tksp_py_notes_log(tksp_py_client_get(self->pool->client), core);
    tksp_py_call_tell(self, core);
    self->value = convert(self->pool->state, self->need, op, core);
    if (self->value == NULL) self->error = take_exception();
    Py_DECREF(op);
}

tksp_py_wish tksp_py_call_wish(const tksp_py_call *self) {
    if (self->over) return TKSP_PY_NOTHING;
    return self->need == TKS_NEED_SEND    ? TKSP_PY_SEND
           : self->need == TKS_NEED_SLEEP ? TKSP_PY_SLEEP
           : self->need == TKS_NEED_PARTS ? TKSP_PY_PARTS
                                          : TKSP_PY_NOTHING;
}

/* A step not caused by a reply. The task is woken in the next iteration of the loop, because another task may
 * be running now. */
static PyObject *step(PyObject *object, tks_event *event) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (!self->over) {
        tksp_py_call_step(self, event);
        tksp_py_call_finish(self);
    }
    if (tksp_py_call_is_settled(self) && !tksp_py_call_wake_soon(self)) return NULL;
    Py_RETURN_NONE;
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

/* parts() -> [Op, …]: what it consists of, each about one node; to be run all at once, then joined() */
static PyObject *call_parts(PyObject *object, PyObject *unused) {
    const tksp_py_call *self = (tksp_py_call *)object;
    tks_op **parts = NULL;
    (void)unused;
    size_t count = self->over ? 0 : tks_op_get_parts(self->core, &parts);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *part = tksp_py_op_part(self->pool->state, self->op, parts[i]);
        if (part == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, part);
        }
    }
    return list;
}

static PyObject *call_joined(PyObject *self, PyObject *unused) {
    (void)unused;
    tks_event event = {.type = TKS_EVENT_PARTS};
    return step(self, &event);
}

/* Reads from one of our exceptions why the connection was lost. */
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

/* lost(error, final): could not connect, or the connection ended before the last reply. */
static PyObject *call_lost(PyObject *self, PyObject *args) {
    const tksp_py_state *state = tksp_py_state_of(self);
    PyObject *error;
    int final;
    tks_error why = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "Op:lost", &error, &final) || !why_get(state, error, &why)) {
        return NULL;
    }
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

/* fail(exception): ends the call. */
static PyObject *call_fail(PyObject *object, PyObject *error) {
    tksp_py_call *self = (tksp_py_call *)object;
    if (self->over) Py_RETURN_NONE;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    tksp_py_call_fail(self);
    if (!tksp_py_call_wake_soon(self)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *call_pause(PyObject *object, void *unused) {
    (void)unused;
    const tksp_py_call *self = (tksp_py_call *)object;
    return PyFloat_FromDouble(self->over ? 0 : tks_op_get_sleep(self->core) / 1e3);
}

static PyObject *call_get_wish(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromLong(tksp_py_call_wish((tksp_py_call *)object));
}

/* ---- the type -------------------------------------------------------------------------------- */

static int call_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_call *self = (tksp_py_call *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->op);
    Py_VISIT(self->pool);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->connection);
    Py_VISIT(self->origin);
    return 0;
}

static int call_clear(PyObject *object) {
    tksp_py_call *self = (tksp_py_call *)object;
    tksp_py_call_end(self);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->connection);
    Py_CLEAR(self->origin);
    return 0;
}

static void call_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    call_clear(self);
    Py_CLEAR(((tksp_py_call *)self)->pool);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function, how) (PyCFunction)(void (*)(void))(function), (how) | METH_KEYWORDS

static PyMethodDef call_methods[] = {
    {"get_loop", tksp_py_call_get_loop, METH_NOARGS, NULL},
    {"add_done_callback", KEYWORDS(tksp_py_call_add_done_callback, METH_FASTCALL), NULL},
    {"cancel", KEYWORDS(tksp_py_call_cancel, METH_VARARGS), NULL},
    {"result", tksp_py_call_result, METH_NOARGS, NULL},
    {"throw", tksp_py_call_throw, METH_VARARGS, NULL},
    {"close", tksp_py_call_close, METH_NOARGS, NULL},
    {"start", call_start, METH_NOARGS, NULL},
    {"awake", call_awake, METH_NOARGS, NULL},
    {"parts", call_parts, METH_NOARGS, NULL},
    {"joined", call_joined, METH_NOARGS, NULL},
    {"lost", call_lost, METH_VARARGS, NULL},
    {"expire", call_expire, METH_O, NULL},
    {"fail", call_fail, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef call_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(tksp_py_call, blocking), 0,
     "Marks an awaitable for asyncio.Task."},
    {"connection", T_OBJECT, offsetof(tksp_py_call, connection), READONLY,
     "The last connection used, or None."},
    {"began", T_DOUBLE, offsetof(tksp_py_call, began), READONLY, "time.monotonic()"},
    {"deadline", T_DOUBLE, offsetof(tksp_py_call, deadline), READONLY, "time.monotonic()"},
    {"lane", T_INT, offsetof(tksp_py_call, lane), READONLY,
     "The node that its last batch goes to, -1: the one server; or ALONE minus that."},
    {"sent", T_BOOL, offsetof(tksp_py_call, sent), READONLY, "Sent, and not yet answered."},
    {"over", T_BOOL, offsetof(tksp_py_call, over), READONLY, "The call has ended."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef call_getset[] = {
    {"wish", call_get_wish, NULL, NULL, NULL},
    {"pause", call_pause, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, (void *)"Call(pool, op, timeout): an operation in progress."},
    {Py_tp_new, (void *)call_new},
    {Py_am_await, (void *)tksp_py_call_await},
#if PY_VERSION_HEX >= 0x030A0000
    {Py_am_send, (void *)tksp_py_call_send},
#endif
    {Py_tp_iter, (void *)tksp_py_call_await},
    {Py_tp_iternext, (void *)tksp_py_call_next},
    {Py_tp_methods, call_methods},
    {Py_tp_members, call_members},
    {Py_tp_getset, call_getset},
    {Py_tp_traverse, (void *)call_traverse},
    {Py_tp_clear, (void *)call_clear},
    {Py_tp_dealloc, (void *)call_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_call_spec = {
    .name = "tokenstore._core.Call",
    .basicsize = sizeof(tksp_py_call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = call_slots,
};
