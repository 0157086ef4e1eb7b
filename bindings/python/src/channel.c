/* channel.c - _core.Channel: the queue of one connection that many calls share, without the connection.
 *
 * Purpose:   bytes to be written come out of take(), bytes that were read go into feed(); in between the
 *            replies are matched to the calls, in their order, and the calls are stepped (channel_feed.c).
 * Lifecycle: hello() and greet() once, then send, take and feed; drain() ends it.
 * Threads:   that of the event loop. */
#include "channel.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/socket.h>

#include "tokenstore/secret.h"

enum { BUFFER_SIZE = 64 * 1024 };

static tks_client *client_of(const tksp_py_channel *self) {
    return tksp_py_client_get(self->calls->client);
}

/* Channel(calls, line) */
static PyObject *channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *calls, *line;
    tks_error err = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "O!O:Channel", state->calls_type, &calls, &line)) return NULL;
    tksp_py_channel *self = (tksp_py_channel *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(calls);
    Py_INCREF(line);
    self->calls = (tksp_py_calls *)calls;
    self->line = line;
    self->heard = -INFINITY;
    self->fd = -1;
    self->pid = tks_client_get_pid(client_of(self));
    tks_buf_init(&self->out, SIZE_MAX);
    self->buffer = PyByteArray_FromStringAndSize(NULL, BUFFER_SIZE);
    self->view = self->buffer == NULL ? NULL : PyMemoryView_FromObject(self->buffer);
    if (self->view == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    tks_status status =
        tks_reader_new(tksp_py_channel_target(self)->max_reply_size, &self->reader, &err);
    if (status == TKS_OK) return (PyObject *)self;
    Py_DECREF(self);
    return tksp_py_raise(state, status, &err);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static bool grow(tksp_py_channel *self) {
    size_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
    tksp_py_place *places = PyMem_Calloc(capacity, sizeof *places);
    if (places == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < self->count; i++) places[i] = *tksp_py_place_at(self, i);
    PyMem_Free(self->places);
    self->places = places;
    self->first = 0;
    self->capacity = capacity;
    return true;
}

/* Is something to be read, or the end, where nothing is due? */
static bool has_news(const tksp_py_channel *self) {
    char byte;
    return self->fd >= 0 && (recv(self->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
                             (errno != EAGAIN && errno != EWOULDBLOCK));
}

/* Asks the line for a take(): due(when), 0 with the next round of the loop, 1 now, 2 when the loop has
 * read what has come in meanwhile on a connection that was idle. */
static bool ask_for_take(const tksp_py_state *state, tksp_py_channel *self, bool idle) {
    long when = !idle ? 0 : has_news(self) ? 2 : 1;
    PyObject *number = PyLong_FromLong(when);
    PyObject *result = number == NULL ? NULL
                                      : PyObject_CallMethodObjArgs(
                                            self->line, state->names[TKSP_PY_DUE], number, NULL);
    Py_XDECREF(number);
    Py_XDECREF(result);
    return result != NULL;
}

bool tksp_py_channel_send(const tksp_py_state *state, PyObject *object, tksp_py_call *call) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    if (self->broken || tks_client_get_pid(client_of(self)) != self->pid) {
        PyErr_SetString(state->exceptions[TKS_ERR_CLOSED],
                        "this event loop was inherited by a forked process: begin a new one there");
        return false;
    }
    if (self->count == self->capacity && !grow(self)) return false;
    const tks_batch *batch = tks_op_get_batch(call->core);
    bool idle = self->count == 0;
    if (tks_buf_append_bytes(&self->out, batch->bytes) != TKS_OK) {
        PyErr_NoMemory();
        return false;
    }
    Py_INCREF(call);
    *tksp_py_place_at(self, self->count++) = (tksp_py_place){call, batch->replies};
    self->unsent++;
    call->sent = false;
    tksp_py_set(&call->line, self->line);
    return self->flushing || ask_for_take(state, self, idle);
}

/* send(call) */
static PyObject *channel_send(PyObject *object, PyObject *arg) {
    const tksp_py_state *state = tksp_py_state_of(object);
    if (!Py_IS_TYPE(arg, state->call_type) || ((tksp_py_call *)arg)->over) {
        PyErr_SetString(PyExc_TypeError, "a Call is needed that is not over");
        return NULL;
    }
    if (!tksp_py_channel_send(state, object, (tksp_py_call *)arg)) return NULL;
    Py_RETURN_NONE;
}

/* take() -> the bytes to write; from now on they may have reached the server */
static PyObject *channel_take(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_channel *self = (tksp_py_channel *)object;
    PyObject *bytes = PyBytes_FromStringAndSize(self->out.data, (Py_ssize_t)self->out.size);
    if (bytes == NULL) return NULL;
    for (; self->unsent > 0; self->unsent--) {
        const tksp_py_place *p = tksp_py_place_at(self, self->count - self->unsent);
        p->call->sent = true;
        self->due += p->replies;
    }
    if (self->out.capacity > 256 * 1024) {
        tks_buf_wipe(&self->out);
    } else {
        if (self->out.size > 0) tks_wipe(self->out.data, self->out.size);
        tks_buf_reset(&self->out);
    }
    return bytes;
}

/* drain() -> the calls that are still waiting, in order; the channel is at its end */
static PyObject *channel_drain(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_channel *self = (tksp_py_channel *)object;
    PyObject *calls = PyList_New(0);
    self->broken = true;
    self->fd = -1;
    while (calls != NULL && self->count > 0) {
        tksp_py_place p = tksp_py_place_pop(self);
        if (!p.call->over && PyList_Append(calls, (PyObject *)p.call) < 0) Py_CLEAR(calls);
        Py_DECREF(p.call);
    }
    self->unsent = self->due = 0;
    tksp_py_channel_free_replies(self, 0);
    tks_buf_wipe(&self->out);
    return calls;
}

/* The call that waits longest, over or not; None when nothing is due. */
static PyObject *channel_oldest(PyObject *object, void *unused) {
    (void)unused;
    tksp_py_channel *self = (tksp_py_channel *)object;
    PyObject *oldest = self->count == 0 ? Py_None : (PyObject *)tksp_py_place_at(self, 0)->call;
    Py_INCREF(oldest);
    return oldest;
}

/* live() -> how many callers wait */
static PyObject *channel_live(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_channel *self = (tksp_py_channel *)object;
    long live = 0;
    for (size_t i = 0; i < self->count; i++) live += !tksp_py_place_at(self, i)->call->over;
    return PyLong_FromLong(live);
}

static Py_ssize_t channel_length(PyObject *object) {
    return (Py_ssize_t)((tksp_py_channel *)object)->count;
}

/* ---- the type -------------------------------------------------------------------------------- */

static int channel_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->calls);
    Py_VISIT(self->line);
    for (size_t i = 0; i < self->count; i++) Py_VISIT(tksp_py_place_at(self, i)->call);
    return 0;
}

static int channel_clear(PyObject *object) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    self->broken = true;
    self->unsent = 0;
    while (self->count > 0) {
        tksp_py_place p = tksp_py_place_pop(self);
        Py_DECREF(p.call);
    }
    Py_CLEAR(self->line);
    return 0;
}

static void channel_dealloc(PyObject *object) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    channel_clear(object);
    if (self->buffer != NULL)
        tks_wipe(PyByteArray_AsString(self->buffer), (size_t)PyByteArray_Size(self->buffer));
    Py_XDECREF(self->view);
    Py_XDECREF(self->buffer);
    Py_XDECREF(self->calls);
    tksp_py_channel_free_replies(self, 0);
    PyMem_Free(self->replies);
    PyMem_Free(self->places);
    tks_reader_free(self->reader);
    tks_buf_wipe(&self->out);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef channel_methods[] = {
    {"hello", tksp_py_channel_hello, METH_O, NULL}, {"greet", tksp_py_channel_greet, METH_O, NULL},
    {"send", channel_send, METH_O, NULL},           {"take", channel_take, METH_NOARGS, NULL},
    {"feed", tksp_py_channel_feed, METH_O, NULL},   {"drain", channel_drain, METH_NOARGS, NULL},
    {"live", channel_live, METH_NOARGS, NULL},      {NULL, NULL, 0, NULL},
};

static PyMemberDef channel_members[] = {
    {"buffer", T_OBJECT_EX, offsetof(tksp_py_channel, view), READONLY, "For what is read."},
    {"heard", T_DOUBLE, offsetof(tksp_py_channel, heard), READONLY, "The last whole answer."},
    {"flushing", T_BOOL, offsetof(tksp_py_channel, flushing), 0, "take() is to come anyway."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef channel_getset[] = {
    {"oldest", channel_oldest, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)"Channel(calls, line): the queue of one connection."},
    {Py_tp_new, (void *)channel_new},
    {Py_tp_methods, channel_methods},
    {Py_tp_members, channel_members},
    {Py_tp_getset, channel_getset},
    {Py_sq_length, (void *)channel_length},
    {Py_tp_traverse, (void *)channel_traverse},
    {Py_tp_clear, (void *)channel_clear},
    {Py_tp_dealloc, (void *)channel_dealloc},
    {0, NULL},
};

static PyType_Spec channel_spec = {
    .name = "tokenstore._core.Channel",
    .basicsize = sizeof(tksp_py_channel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = channel_slots,
};

int tksp_py_channel_init(PyObject *module, tksp_py_state *state) {
    state->channel_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &channel_spec, NULL);
    return state->channel_type == NULL ? -1 : PyModule_AddType(module, state->channel_type);
}
