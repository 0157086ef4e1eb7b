/* py_pool.c - _core.Pool: the calls in progress in one event loop.
 *
 * Purpose:   the common path of a call: one connection to its node is open and accepts it. For everything else,
 *            tokenstore/asyncio subclasses it. C calls its methods as the last step: proceed(call) if the
 *            call cannot be sent directly, set_alarm(at) if its deadline is the earliest, left(call) if
 *            its caller has gone (py_call_await.c), and refresh() if the map of a cluster should be asked for.
 * Lifecycle: one Pool for each loop in which a client is used.
 * Rules:     py_driver.h.
 * Threads:   the event loop's. */
#include "py_driver.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>

tksp_py_state *tksp_py_state_of_type(PyTypeObject *type) {
    for (; type != NULL; type = PyType_GetSlot(type, Py_tp_base)) {
        tksp_py_state *state = PyType_GetModuleState(type);
        if (state != NULL) return state;
        PyErr_Clear(); /* created in Python, not by our module */
    }
    PyErr_SetString(PyExc_TypeError, "this type is not one of tokenstore._core");
    return NULL;
}

/* Pool(client, loop, limit) */
static PyObject *pool_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    tksp_py_state *state = tksp_py_state_of_type(type);
    PyObject *client, *loop;
    Py_ssize_t limit;
    if (state == NULL || !tksp_py_asyncio_import(state) ||
        !PyArg_ParseTuple(args, "O!On:Pool", state->client_type, &client, &loop, &limit)) {
        return NULL;
    }
    tksp_py_pool *self = (tksp_py_pool *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(client);
    Py_INCREF(loop);
    self->state = state;
    self->client = client;
    self->loop = loop;
    self->limit = limit;
    self->alarm_at = INFINITY;
    self->router = tks_client_hold_router(tksp_py_client_get(client));
    self->near = tks_client_hold_near(tksp_py_client_get(client));
    self->lanes = PyList_New(0);
    if (self->lanes == NULL) Py_CLEAR(self);
    return (PyObject *)self;
}

/* ---- beginning a call ----------------------------------------------------------------------------- */

/* Calls a Python method. False with an exception. */
static bool ask(PyObject *object, const tksp_py_state *state, tksp_py_name name, PyObject *arg) {
    PyObject *result =
        arg == NULL ? NULL : PyObject_CallMethodObjArgs(object, state->names[name], arg, NULL);
    Py_XDECREF(result);
    return result != NULL;
}

static bool ask_number(PyObject *object, const tksp_py_state *state, tksp_py_name name,
                       PyObject *number) {
    bool good = ask(object, state, name, number);
    Py_XDECREF(number);
    return good;
}

/* The connection on which the call can be sent directly; NULL: none. Borrowed. */
static tksp_py_connection *lane_of(const tksp_py_pool *self, const tksp_py_call *call) {
    Py_ssize_t at = call->lane + 1;
    if (at < 0 || at >= PyList_Size(self->lanes)) return NULL;
    PyObject *lane = PyList_GetItem(self->lanes, at);
    if (lane == Py_None) return NULL;
    tksp_py_connection *only = (tksp_py_connection *)lane;
    return call->began < only->expires && !tksp_py_connection_wants_probe(only, call) ? only : NULL;
}

/* When the pool checks whether its connection is unresponsive. */
static double look_at(const tksp_py_call *call) {
    return call->began + tksp_py_patience(call, call->began);
}

/* Executes the first step of the call. */
static bool proceed(tksp_py_pool *self, tksp_py_call *call) {
    tksp_py_due due;
    tksp_py_wish wish = tksp_py_call_wish(call);
    if (wish == TKSP_PY_NOTHING) return true;
    tksp_py_connection *lane = wish == TKSP_PY_SEND ? lane_of(self, call) : NULL;
    if (lane == NULL) {
        return ask((PyObject *)self, self->state, TKSP_PY_PROCEED, (PyObject *)call);
    }
    PyObject *only = (PyObject *)lane;
    Py_INCREF(only);
    bool good = tksp_py_connection_send(lane, call, &due) &&
                (due == TKSP_PY_DUE_ALREADY ||
                 ask_number(only, self->state, TKSP_PY_DUE, PyLong_FromLong(due)));
    Py_DECREF(only);
    return good;
}

/* Has the map of the cluster asked for, if that is due. */
static bool refresh(tksp_py_pool *self, double now) {
    if (self->router == NULL || !tks_router_is_due(self->router, (int64_t)(now * 1e3))) return true;
    PyObject *result =
        PyObject_CallMethodObjArgs((PyObject *)self, self->state->names[TKSP_PY_REFRESH], NULL);
    Py_XDECREF(result);
    return result != NULL;
}

bool tksp_py_pool_begin(tksp_py_pool *self, tksp_py_call *call) {
    tks_event event = {.type = TKS_EVENT_START};
    if (!refresh(self, call->began)) return false;
    tksp_py_call_enlist(call);
    tksp_py_call_step(call, &event);
    tksp_py_call_finish(call);
    if (proceed(self, call) && (call->over || look_at(call) >= self->alarm_at ||
                                ask_number((PyObject *)self, self->state, TKSP_PY_SET_ALARM,
                                           PyFloat_FromDouble(look_at(call))))) {
        return true;
    }
    tksp_py_call_end(call);
    return false;
}

/* begin(call) -> call, to be awaited */
static PyObject *pool_begin(PyObject *object, PyObject *arg) {
    tksp_py_pool *self = (tksp_py_pool *)object;
    tksp_py_call *call = (tksp_py_call *)arg;
    if (!Py_IS_TYPE(arg, self->state->call_type) || call->pool != self || call->over ||
        call->under_way) {
        PyErr_SetString(PyExc_TypeError, "begin() requires a Call of this pool that has not begun");
        return NULL;
    }
    if (!tksp_py_pool_begin(self, call)) return NULL;
    Py_INCREF(arg);
    return arg;
}

/* ---- calls in progress ---------------------------------------------------------------------------- */

static Py_ssize_t count_until(const tksp_py_pool *self, double deadline) {
    Py_ssize_t count = 0;
    for (const tksp_py_call *call = self->first; call != NULL; call = call->next) {
        count += call->deadline <= deadline;
    }
    return count;
}

/* until(deadline) -> [call, …]: those whose deadline is not later. Creating a list may run the garbage
 * collector, which may end calls; filling it runs nothing. */
static PyObject *pool_until(PyObject *object, PyObject *arg) {
    const tksp_py_pool *self = (tksp_py_pool *)object;
    double deadline = PyFloat_AsDouble(arg);
    Py_ssize_t count, at = 0;
    PyObject *list;
    if (PyErr_Occurred()) return NULL;
    while ((list = PyList_New(count = count_until(self, deadline))) != NULL &&
           count != count_until(self, deadline)) {
        Py_DECREF(list);
    }
    for (tksp_py_call *call = self->first; list != NULL && call != NULL; call = call->next) {
        if (call->deadline > deadline) continue;
        Py_INCREF(call);
        PyList_SetItem(list, at++, (PyObject *)call);
    }
    return list;
}

/* The earliest deadline of the calls in progress; infinity: none. */
static PyObject *pool_get_deadline(PyObject *object, void *unused) {
    (void)unused;
    double nearest = INFINITY;
    for (const tksp_py_call *call = ((tksp_py_pool *)object)->first; call != NULL;
         call = call->next) {
        nearest = fmin(nearest, call->deadline);
    }
    return PyFloat_FromDouble(nearest);
}

static Py_ssize_t pool_length(PyObject *object) {
    return ((tksp_py_pool *)object)->count;
}

/* ---- the type -------------------------------------------------------------------------------- */

/* set_lane(node, connection or None) */
static PyObject *pool_set_lane(PyObject *object, PyObject *args) {
    tksp_py_pool *self = (tksp_py_pool *)object;
    PyObject *lane;
    int node;
    if (!PyArg_ParseTuple(args, "iO:set_lane", &node, &lane)) return NULL;
    if (node < -1 || node >= TKS_NODES_MAX ||
        (lane != Py_None && !PyObject_TypeCheck(lane, self->state->connection_type))) {
        PyErr_SetString(PyExc_TypeError, "a lane is a Connection or None, of a node");
        return NULL;
    }
    while (PyList_Size(self->lanes) <= node + 1) {
        if (PyList_Append(self->lanes, Py_None) < 0) return NULL;
    }
    Py_INCREF(lane);
    if (PyList_SetItem(self->lanes, node + 1, lane) < 0) return NULL;
    Py_RETURN_NONE;
}

static int pool_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_pool *self = (tksp_py_pool *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->client);
    Py_VISIT(self->loop);
    Py_VISIT(self->lanes);
    return 0;
}

/* Not `client` and `loop`: a call that ends later needs them. */
static int pool_clear(PyObject *object) {
    PyObject *lanes = ((tksp_py_pool *)object)->lanes;
    return lanes != NULL ? PyList_SetSlice(lanes, 0, PyList_Size(lanes), NULL) : 0;
}

static void pool_dealloc(PyObject *object) {
    tksp_py_pool *self = (tksp_py_pool *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->lanes);
    tks_router_free(self->router);
    tks_near_free(self->near);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->client);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef pool_methods[] = {
    {"begin", pool_begin, METH_O, NULL},
    {"until", pool_until, METH_O, NULL},
    {"set_lane", pool_set_lane, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pool_members[] = {
    {"loop", T_OBJECT_EX, offsetof(tksp_py_pool, loop), READONLY, "The event loop of the calls."},
    {"limit", T_PYSSIZET, offsetof(tksp_py_pool, limit), 0,
     "Above this number of calls, admit() is called."},
    {"alarm_at", T_DOUBLE, offsetof(tksp_py_pool, alarm_at), 0, "When the timer fires next."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef pool_getset[] = {
    {"deadline", pool_get_deadline, NULL, "The earliest deadline of the calls in flight.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot pool_slots[] = {
    {Py_tp_doc, (void *)"Pool(client, loop, limit): the calls in flight in an event loop."},
    {Py_tp_new, (void *)pool_new},
    {Py_tp_methods, pool_methods},
    {Py_tp_members, pool_members},
    {Py_tp_getset, pool_getset},
    {Py_sq_length, (void *)pool_length},
    {Py_tp_traverse, (void *)pool_traverse},
    {Py_tp_clear, (void *)pool_clear},
    {Py_tp_dealloc, (void *)pool_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_pool_spec = {
    .name = "tokenstore._core.Pool",
    .basicsize = sizeof(tksp_py_pool),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = pool_slots,
};
