/* py_driver.c - _core.Driver: runs operations in the running event loop.
 *
 * Purpose:   finds the pool of the loop and begins the call there. tokenstore/asyncio subclasses it and
 *            implements here(), which returns a new pool, and admit(call), which is called when there are too
 *            many calls.
 * Lifecycle: one per client.
 * Rules:     py_driver.h.
 * Threads:   any; each call belongs to the loop of its thread. */
#include "py_driver.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

typedef struct driver_object {
    PyObject head;
    const tksp_py_state *state;
    PyObject *last; /* the last Pool returned by here(); NULL: none, or forgotten */
} driver_object;

/* Driver() */
static PyObject *driver_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args;
    (void)kwargs;
    tksp_py_state *state = tksp_py_state_of_type(type);
    if (state == NULL || !tksp_py_asyncio_import(state)) return NULL;
    driver_object *self = (driver_object *)PyType_GenericAlloc(type, 0);
    if (self != NULL) self->state = state;
    return (PyObject *)self;
}

/* True if this is the pool of the running loop. A thread runs one loop at a time, so during wake() no lookup
 * is needed. */
static bool is_here(const tksp_py_state *state, const tksp_py_pool *pool) {
    if (pool->thread == PyThread_get_thread_ident()) return true;
    PyObject *loop = PyObject_CallObject(state->running_loop, NULL);
    if (loop == NULL) PyErr_Clear(); /* here() reports the problem */
    bool same = loop == pool->loop;
    Py_XDECREF(loop);
    return same;
}

/* The pool of the running loop: a new reference. */
static tksp_py_pool *find(driver_object *self) {
    const tksp_py_state *state = self->state;
    PyObject *found = self->last;
    if (found != NULL) {
        Py_INCREF(found);
        if (is_here(state, (tksp_py_pool *)found)) return (tksp_py_pool *)found;
        Py_DECREF(found);
    }
    found = PyObject_CallMethodObjArgs((PyObject *)self, state->names[TKSP_PY_HERE], NULL);
    if (found != NULL && !PyObject_TypeCheck(found, state->pool_type)) {
        PyErr_SetString(PyExc_TypeError, "here() must return a Pool");
        Py_CLEAR(found);
    }
    if (found != NULL) tksp_py_set(&self->last, found);
    return (tksp_py_pool *)found;
}

/* run(op, timeout=None) -> an awaitable for its result, or for a record that was found near, where there would be an op */
static PyObject *driver_run(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    driver_object *self = (driver_object *)object;
    PyObject *result = NULL;
    if (count != 1 && !tksp_py_arity("run", count, 2)) return NULL;
    tksp_py_pool *pool = find(self);
    if (pool == NULL) return NULL;
    if (PyObject_TypeCheck(args[0], self->state->record_type)) {
        result = tksp_py_call_settled(pool, args[0]);
        Py_DECREF(pool);
        return result;
    }
    PyObject *call = tksp_py_call_new(pool, args[0], count == 2 ? args[1] : Py_None, 0);
    if (call != NULL && (pool->count >= pool->limit)) {
        result = PyObject_CallMethodObjArgs((PyObject *)pool, self->state->names[TKSP_PY_ADMIT],
                                            call, NULL);
    } else if (call != NULL && tksp_py_pool_begin(pool, (tksp_py_call *)call)) {
        Py_INCREF(call);
        result = call;
    }
    Py_XDECREF(call);
    Py_DECREF(pool);
    return result;
}

/* forget(): here() will be called again */
static PyObject *driver_forget(PyObject *object, PyObject *unused) {
    (void)unused;
    Py_CLEAR(((driver_object *)object)->last);
    Py_RETURN_NONE;
}

static int driver_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((driver_object *)object)->last);
    return 0;
}

static int driver_clear(PyObject *object) {
    Py_CLEAR(((driver_object *)object)->last);
    return 0;
}

static void driver_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    driver_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef driver_methods[] = {
    TKSP_PY_FAST("run", driver_run),
    {"forget", driver_forget, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot driver_slots[] = {
    {Py_tp_doc, (void *)"Driver(): runs operations in whichever loop is running."},
    {Py_tp_new, (void *)driver_new},
    {Py_tp_methods, driver_methods},
    {Py_tp_traverse, (void *)driver_traverse},
    {Py_tp_clear, (void *)driver_clear},
    {Py_tp_dealloc, (void *)driver_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_driver_spec = {
    .name = "tokenstore._core.Driver",
    .basicsize = sizeof(driver_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = driver_slots,
};

bool tksp_py_asyncio_import(tksp_py_state *state) {
    if (state->running_loop == NULL) {
        PyObject *cancelled = tksp_py_import_from("asyncio.exceptions", "CancelledError");
        tksp_py_set(&state->cancelled, cancelled);
        Py_XDECREF(cancelled);
        PyObject *running =
            cancelled == NULL ? NULL : tksp_py_import_from("asyncio.events", "get_running_loop");
        tksp_py_set(&state->running_loop, running);
        Py_XDECREF(running);
    }
    return state->running_loop != NULL;
}

/* The numbers of tokenstore/connecting.h: SOCKET_OPTIONS, of a TCP socket: ((level, name, value), …), STAGGER and
 * RENEW_EVERY. */
static int add_numbers(PyObject *module) {
    PyObject *options =
        Py_BuildValue("((iii)(iii)(iii)(iii)(iii)(iii))", IPPROTO_TCP, TCP_NODELAY, 1, SOL_SOCKET,
                      SO_KEEPALIVE, 1, IPPROTO_TCP, TCP_KEEPIDLE, TKS_KEEPALIVE_IDLE_S, IPPROTO_TCP,
                      TCP_KEEPINTVL, TKS_KEEPALIVE_INTERVAL_S, IPPROTO_TCP, TCP_KEEPCNT,
                      TKS_KEEPALIVE_COUNT, IPPROTO_TCP, TCP_USER_TIMEOUT, TKS_UNACKNOWLEDGED_MS);
    PyObject *stagger = PyFloat_FromDouble(TKS_STAGGER_MS / 1e3);
    PyObject *renew_every = PyFloat_FromDouble(TKS_RENEW_EVERY_MS / 1e3);
    int bad = options == NULL || stagger == NULL || renew_every == NULL ||
              PyObject_SetAttrString(module, "SOCKET_OPTIONS", options) < 0 ||
              PyObject_SetAttrString(module, "STAGGER", stagger) < 0 ||
              PyObject_SetAttrString(module, "RENEW_EVERY", renew_every) < 0;
    Py_XDECREF(options);
    Py_XDECREF(stagger);
    Py_XDECREF(renew_every);
    return bad ? -1 : 0;
}

int tksp_py_driver_init(PyObject *module, tksp_py_state *state) {
    static const char *const names[] = {
        [TKSP_PY_CALL_SOON] = "call_soon", [TKSP_PY_RUN] = "run",
        [TKSP_PY_HERE] = "here",           [TKSP_PY_ADMIT] = "admit",
        [TKSP_PY_PROCEED] = "proceed",     [TKSP_PY_SET_ALARM] = "set_alarm",
        [TKSP_PY_LEFT] = "left",           [TKSP_PY_DUE] = "due",
        [TKSP_PY_REFRESH] = "refresh",     [TKSP_PY_SESSION] = "session",
    };
    for (int i = 0; i < TKSP_PY_NAME_COUNT; i++) {
        state->names[i] = PyUnicode_InternFromString(names[i]);
        if (state->names[i] == NULL) return -1;
    }
    return add_numbers(module);
}
