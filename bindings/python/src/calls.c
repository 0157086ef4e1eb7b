/* calls.c - _core.Calls: the calls that are under way in one event loop; _core.Entry: the way to them.
 *
 * Purpose:   the way of a call where nothing is out of the ordinary: there is room for it, and one
 *            connection that is open. Everything else is asked of the Lines of tokenstore/asyncio, which
 *            this is a part of: queue(call) when there is no room, serve(call, wish) when it cannot just be
 *            sent, set_alarm(at) when its deadline is the next, cancelled(call), and ended() when somebody
 *            waits for that.
 * Lifecycle: one Calls for each loop, as long as that; one Entry for each driver.
 * Threads:   Calls: that of the event loop. Entry: any. */
#include "glue.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>
#include <time.h>

double tksp_py_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Calls(client, loop, limit, lines) */
static PyObject *calls_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *client, *loop, *lines;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "O!OnO:Calls", state->client_type, &client, &loop, &limit, &lines))
        return NULL;
    tksp_py_calls *self = (tksp_py_calls *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(client);
    Py_INCREF(loop);
    Py_INCREF(lines);
    self->client = client;
    self->loop = loop;
    self->lines = lines;
    self->limit = limit;
    self->alarm_at = INFINITY;
    return (PyObject *)self;
}

PyObject *tksp_py_calls_ask(const tksp_py_calls *self, const tksp_py_state *state,
                            tksp_py_name name, PyObject *arg) {
    return PyObject_CallMethodObjArgs(self->lines, state->names[name], arg, NULL);
}

/* ---- who is under way ------------------------------------------------------------------------- */

static void add(tksp_py_calls *self, tksp_py_call *call) {
    call->previous = self->last;
    *(self->last != NULL ? &self->last->next : &self->first) = call;
    self->last = call;
    call->under_way = true;
    self->count++;
}

void tksp_py_calls_remove(tksp_py_calls *self, tksp_py_call *call) {
    if (!call->under_way) return;
    call->under_way = false;
    *(call->previous != NULL ? &call->previous->next : &self->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &self->last) = call->previous;
    call->previous = call->next = NULL;
    self->count--;
    if (!self->crowded) return;
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    PyObject *result =
        tksp_py_calls_ask(self, tksp_py_state_of((PyObject *)self), TKSP_PY_ENDED, NULL);
    if (result == NULL) PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(result);
    PyErr_Restore(kind, value, traceback);
}

/* The first steps of a call that has room. False with an exception. */
static bool begin(tksp_py_calls *self, const tksp_py_state *state, tksp_py_call *call) {
    add(self, call);
    if (call->deadline < self->alarm_at) {
        PyObject *at = PyFloat_FromDouble(call->deadline);
        PyObject *result =
            at == NULL ? NULL : tksp_py_calls_ask(self, state, TKSP_PY_SET_ALARM, at);
        Py_XDECREF(at);
        Py_XDECREF(result);
        if (result == NULL) return false;
    }
    tks_event event = {.type = TKS_EVENT_START};
    tksp_py_wish wish = tksp_py_call_step(state, call, &event);
    if (wish == TKSP_PY_OVER) return true;
    if (wish == TKSP_PY_SEND && self->only != NULL)
        return tksp_py_channel_send(state, self->only, call);
    PyObject *result = PyObject_CallMethod(self->lines, "serve", "Oi", call, (int)wish);
    Py_XDECREF(result);
    return result != NULL;
}

/* begin(call) -> call: to be awaited */
static PyObject *calls_begin(PyObject *object, PyObject *arg) {
    const tksp_py_state *state = tksp_py_state_of(object);
    if (!Py_IS_TYPE(arg, state->call_type) || ((tksp_py_call *)arg)->over) {
        PyErr_SetString(PyExc_TypeError, "a Call is needed that is not over");
        return NULL;
    }
    if (!begin((tksp_py_calls *)object, state, (tksp_py_call *)arg)) {
        tksp_py_call_end((tksp_py_call *)arg);
        return NULL;
    }
    Py_INCREF(arg);
    return arg;
}

/* under_way() -> [call, …] */
static PyObject *calls_under_way(PyObject *object, PyObject *unused) {
    (void)unused;
    PyObject *list = PyList_New(0);
    tksp_py_call *call = ((tksp_py_calls *)object)->first;
    for (; list != NULL && call != NULL; call = call->next) {
        if (PyList_Append(list, (PyObject *)call) < 0) Py_CLEAR(list);
    }
    return list;
}

static Py_ssize_t calls_length(PyObject *object) {
    return ((tksp_py_calls *)object)->count;
}

static PyObject *calls_get_only(PyObject *object, void *unused) {
    (void)unused;
    PyObject *only = ((tksp_py_calls *)object)->only;
    if (only == NULL) Py_RETURN_NONE;
    Py_INCREF(only);
    return only;
}

static int calls_set_only(PyObject *object, PyObject *value, void *unused) {
    (void)unused;
    tksp_py_calls *self = (tksp_py_calls *)object;
    if (value == Py_None) {
        Py_CLEAR(self->only);
        return 0;
    }
    if (value == NULL || !Py_IS_TYPE(value, tksp_py_state_of(object)->channel_type)) {
        PyErr_SetString(PyExc_TypeError, "only is a Channel or None");
        return -1;
    }
    tksp_py_set(&self->only, value);
    return 0;
}

static int calls_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_calls *self = (tksp_py_calls *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->client);
    Py_VISIT(self->loop);
    Py_VISIT(self->lines);
    Py_VISIT(self->only);
    return 0;
}

/* Not `lines` and `client`: a call that ends later asks for them. */
static int calls_clear(PyObject *object) {
    tksp_py_calls *self = (tksp_py_calls *)object;
    Py_CLEAR(self->only);
    return 0;
}

static void calls_dealloc(PyObject *object) {
    tksp_py_calls *self = (tksp_py_calls *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->only);
    Py_CLEAR(self->lines);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->client);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef calls_methods[] = {
    {"begin", calls_begin, METH_O, NULL},
    {"under_way", calls_under_way, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef calls_members[] = {
    {"loop", T_OBJECT_EX, offsetof(tksp_py_calls, loop), READONLY, "Whose calls these are."},
    {"limit", T_PYSSIZET, offsetof(tksp_py_calls, limit), READONLY, "How many there may be."},
    {"alarm_at", T_DOUBLE, offsetof(tksp_py_calls, alarm_at), 0, "When the next alarm rings."},
    {"crowded", T_BOOL, offsetof(tksp_py_calls, crowded), 0, "Somebody waits for others to end."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef calls_getset[] = {
    {"only", calls_get_only, calls_set_only, "The channel, where there is one at most.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot calls_slots[] = {
    {Py_tp_doc, (void *)"Calls(client, loop, limit, lines): those under way."},
    {Py_tp_new, (void *)calls_new},
    {Py_tp_methods, calls_methods},
    {Py_tp_members, calls_members},
    {Py_tp_getset, calls_getset},
    {Py_sq_length, (void *)calls_length},
    {Py_tp_traverse, (void *)calls_traverse},
    {Py_tp_clear, (void *)calls_clear},
    {Py_tp_dealloc, (void *)calls_dealloc},
    {0, NULL},
};

static PyType_Spec calls_spec = {
    .name = "tokenstore._core.Calls",
    .basicsize = sizeof(tksp_py_calls),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = calls_slots,
};

/* ---- the way in -------------------------------------------------------------------------------- */

typedef struct entry_object {
    PyObject head;
    PyObject *here; /* here() -> the Calls of the loop that is running */
    PyObject *last; /* the one it said last; NULL: none yet, or no more */
} entry_object;

/* Entry(here) */
static PyObject *entry_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    PyObject *here;
    if (!PyArg_ParseTuple(args, "O:Entry", &here)) return NULL;
    entry_object *self = (entry_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(here);
    self->here = here;
    return (PyObject *)self;
}

/* The calls of the loop that is running. A thread runs one at a time, so where it is known to be in the
 * midst of one, asyncio need not be asked. A new reference. */
static tksp_py_calls *find(entry_object *self, const tksp_py_state *state) {
    PyObject *found = self->last;
    if (found != NULL && ((tksp_py_calls *)found)->thread == PyThread_get_thread_ident()) {
        Py_INCREF(found);
        return (tksp_py_calls *)found;
    }
    found = PyObject_CallObject(self->here, NULL);
    if (found != NULL && !Py_IS_TYPE(found, state->calls_type)) {
        PyErr_SetString(PyExc_TypeError, "here() gives a Calls");
        Py_CLEAR(found);
    }
    if (found == NULL) return NULL;
    tksp_py_set(&self->last, found);
    return (tksp_py_calls *)found;
}

/* run(op, timeout=None) -> what is to be awaited for its result */
static PyObject *entry_run(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(object);
    if (count != 1 && !tksp_py_arity("run", count, 2)) return NULL;
    tksp_py_calls *calls = find((entry_object *)object, state);
    if (calls == NULL) return NULL;
    PyObject *call = tksp_py_call_new(state, calls, args[0], count == 2 ? args[1] : Py_None, 0);
    PyObject *result = NULL;
    if (call != NULL && (calls->count >= calls->limit || calls->crowded))
        result = tksp_py_calls_ask(calls, state, TKSP_PY_QUEUE, call);
    else if (call != NULL)
        result = calls_begin((PyObject *)calls, call);
    Py_XDECREF(call);
    Py_DECREF(calls);
    return result;
}

/* forget(): here() is to be asked again */
static PyObject *entry_forget(PyObject *object, PyObject *unused) {
    (void)unused;
    Py_CLEAR(((entry_object *)object)->last);
    Py_RETURN_NONE;
}

static int entry_traverse(PyObject *object, visitproc visit, void *arg) {
    entry_object *self = (entry_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->here);
    Py_VISIT(self->last);
    return 0;
}

static int entry_clear(PyObject *object) {
    entry_object *self = (entry_object *)object;
    Py_CLEAR(self->here);
    Py_CLEAR(self->last);
    return 0;
}

static void entry_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    entry_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef entry_methods[] = {
    {"run", (PyCFunction)(void (*)(void))entry_run, METH_FASTCALL, NULL},
    {"forget", entry_forget, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot entry_slots[] = {
    {Py_tp_doc, (void *)"Entry(here): runs operations in whichever loop is running."},
    {Py_tp_new, (void *)entry_new},
    {Py_tp_methods, entry_methods},
    {Py_tp_traverse, (void *)entry_traverse},
    {Py_tp_clear, (void *)entry_clear},
    {Py_tp_dealloc, (void *)entry_dealloc},
    {0, NULL},
};

static PyType_Spec entry_spec = {
    .name = "tokenstore._core.Entry",
    .basicsize = sizeof(entry_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = entry_slots,
};

int tksp_py_calls_init(PyObject *module, tksp_py_state *state) {
    static const char *const names[] = {
        [TKSP_PY_CALL_SOON] = "call_soon",
        [TKSP_PY_RUN] = "run",
        [TKSP_PY_QUEUE] = "queue",
        [TKSP_PY_SET_ALARM] = "set_alarm",
        [TKSP_PY_CANCELLED] = "cancelled",
        [TKSP_PY_ENDED] = "ended",
        [TKSP_PY_DUE] = "due",
    };
    for (int i = 0; i < TKSP_PY_NAME_COUNT; i++) {
        state->names[i] = PyUnicode_InternFromString(names[i]);
        if (state->names[i] == NULL) return -1;
    }
    state->calls_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &calls_spec, NULL);
    state->entry_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &entry_spec, NULL);
    if (state->calls_type == NULL || state->entry_type == NULL ||
        PyModule_AddType(module, state->calls_type) < 0)
        return -1;
    return PyModule_AddType(module, state->entry_type);
}
