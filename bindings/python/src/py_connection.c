/* py_connection.c - _core.Connection: the queue of a connection shared by many calls; without the socket.
 *
 * Purpose:   take() returns the bytes to write, feed() (py_connection_read.c) accepts the bytes read. In
 *            between, replies are matched to calls in order. tokenstore/asyncio subclasses it and owns the
 *            transport.
 * Lifecycle: hello() and greet() once, then send, take and feed; drain() ends it.
 * Rules:     py_driver.h.
 * Threads:   the event loop's. */
#include "py_driver.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/socket.h>

#include "tokenstore/secret.h"

enum {
    BUFFER_SIZE = 64 * 1024,
    KEPT_OUT_SIZE = 256 * 1024, /* capacity of the write buffer that is kept */
    FIRST_PLACES = 64
};

/* Connection(client, node=-1): to a node of a cluster, or to the one server */
static PyObject *connection_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = tksp_py_state_of_type(type);
    PyObject *client;
    int node = -1;
    tks_error err = TKS_ERROR_INIT;
    if (state == NULL ||
        !PyArg_ParseTuple(args, "O!|i:Connection", state->client_type, &client, &node)) {
        return NULL;
    }
    tksp_py_connection *self = (tksp_py_connection *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(client);
    self->state = state;
    self->client = client;
    self->heard = self->read = -INFINITY;
    self->expires = INFINITY;
    self->fd = -1;
    self->pid = tks_client_get_pid(tksp_py_connection_client(self));
    tks_buf_init(&self->out, SIZE_MAX);
    self->buffer = PyByteArray_FromStringAndSize(NULL, BUFFER_SIZE);
    self->view = self->buffer == NULL ? NULL : PyMemoryView_FromObject(self->buffer);
    if (self->view == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    const tks_target *target = tks_client_get_target(tksp_py_connection_client(self));
    tks_status status = tks_reader_new(target->max_reply_size, &self->reader, &err);
    if (status == TKS_OK && node >= 0) status = tksp_py_client_node(client, node, &self->target);
    if (status == TKS_OK) return (PyObject *)self;
    Py_DECREF(self);
    return tksp_py_raise(state, status, &err);
}

/* get_buffer(sizehint) -> the read buffer, for asyncio.BufferedProtocol */
static PyObject *connection_get_buffer(PyObject *object, PyObject *sizehint) {
    (void)sizehint;
    PyObject *view = ((tksp_py_connection *)object)->view;
    Py_INCREF(view);
    return view;
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* Makes room for one more place. */
static bool grow(tksp_py_connection *self) {
    if (self->count < self->capacity) return true;
    size_t capacity = self->capacity == 0 ? FIRST_PLACES : self->capacity * 2;
    tksp_py_place *places = PyMem_Calloc(capacity, sizeof *places);
    if (places == NULL) return false;
    for (size_t i = 0; i < self->count; i++) places[i] = *tksp_py_place_at(self, i);
    PyMem_Free(self->places);
    self->places = places;
    self->first = 0;
    self->capacity = capacity;
    return true;
}

bool tksp_py_connection_send(tksp_py_connection *self, tksp_py_call *call, tksp_py_due *due) {
    const char *refusal =
        tks_client_get_pid(tksp_py_connection_client(self)) != self->pid
            ? "this event loop was inherited across a fork: create a new one in the child process"
        : self->broken ? "this connection has ended"
                       : NULL;
    if (refusal != NULL) {
        PyErr_SetString(self->state->exceptions[TKS_ERR_CLOSED], refusal);
        return false;
    }
    const tks_batch *batch = tks_op_get_batch(call->core);
    if (!grow(self) || tks_buf_append_bytes(&self->out, batch->bytes) != TKS_OK) {
        PyErr_NoMemory();
        return false;
    }
    *due = self->taking       ? TKSP_PY_DUE_ALREADY
           : self->count == 0 ? TKSP_PY_DUE_NOW
                              : TKSP_PY_DUE_SOON;
    self->taking = true;
    call->queued = call->connection == NULL ? call->began : tksp_py_now();
    Py_INCREF(call);
    *tksp_py_place_at(self, self->count++) = (tksp_py_place){call, batch->replies};
    self->unsent++;
    call->sent = false;
    tksp_py_set(&call->connection, (PyObject *)self);
    return true;
}

bool tksp_py_connection_wants_probe(const tksp_py_connection *self, const tksp_py_call *call) {
    return self->count == 0 && self->read > -INFINITY &&
           call->began - self->read >= TKS_PROBE_AFTER_MS / 1e3 &&
           tks_op_get_batch(call->core)->safety == TKS_ONCE;
}

/* probe_for(call) -> how long to wait for the reply to a PING before the call is sent; 0: send it at once */
static PyObject *connection_probe_for(PyObject *object, PyObject *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    const tksp_py_call *call = (tksp_py_call *)arg;
    if (!Py_IS_TYPE(arg, self->state->call_type) || call->over) {
        PyErr_SetString(PyExc_TypeError, "probe_for() requires a Call that has not ended");
        return NULL;
    }
    return PyFloat_FromDouble(
        tksp_py_connection_wants_probe(self, call) ? tksp_py_patience(call, tksp_py_now()) : 0);
}

/* send(call) -> when take() is due */
static PyObject *connection_send(PyObject *object, PyObject *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tksp_py_due due;
    if (!Py_IS_TYPE(arg, self->state->call_type) ||
        tksp_py_call_wish((tksp_py_call *)arg) != TKSP_PY_SEND) {
        PyErr_SetString(PyExc_TypeError, "send() requires a Call that has something to send");
        return NULL;
    }
    if (!tksp_py_connection_send(self, (tksp_py_call *)arg, &due)) return NULL;
    return PyLong_FromLong(due);
}

/* True if data or EOF has arrived while no reply is due. It must be read before anything is written: a server
 * that has hung up would not receive it. */
static bool has_news(const tksp_py_connection *self) {
    char byte;
    return self->fd >= 0 && self->unsent > 0 && self->unsent == self->count &&
           (recv(self->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK));
}

/* take(look) -> the bytes to write; they count as sent. With `look`, None if something must be read first:
 * then take() must be called again. */
static PyObject *connection_take(PyObject *object, PyObject *look) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    if (look == Py_True && has_news(self)) Py_RETURN_NONE;
    PyObject *bytes = PyBytes_FromStringAndSize(self->out.data, (Py_ssize_t)self->out.size);
    if (bytes == NULL) return NULL;
    self->taking = false;
    for (; self->unsent > 0; self->unsent--) {
        const tksp_py_place *p = tksp_py_place_at(self, self->count - self->unsent);
        if (p->call != NULL) p->call->sent = true;
        self->due += p->replies;
    }
    if (self->out.capacity > KEPT_OUT_SIZE) {
        tks_buf_wipe(&self->out);
    } else {
        if (self->out.size > 0) tks_wipe(self->out.data, self->out.size);
        tks_buf_reset(&self->out);
    }
    return bytes;
}

/* True if the call of this place may be sent again on another connection. */
static bool is_repeatable(const tksp_py_place *place) {
    const tksp_py_call *call = place->call;
    return call != NULL && !call->over && tks_op_get_batch(call->core)->safety != TKS_ONCE;
}

/* When the connection counts as unresponsive: routers drop idle connections without notice. Infinity on a new
 * connection, while a reply is arriving, and if no waiting call may be sent twice. */
static PyObject *connection_silence_ends(PyObject *object, void *unused) {
    (void)unused;
    tksp_py_connection *self = (tksp_py_connection *)object;
    double ends = INFINITY;
    bool may_be_dead = self->heard > -INFINITY && tks_reader_is_idle(self->reader);
    for (size_t i = 0; may_be_dead && i + self->unsent < self->count; i++) {
        const tksp_py_place *p = tksp_py_place_at(self, i);
        if (!is_repeatable(p)) continue;
        ends = fmax(self->read, p->call->queued) + tksp_py_patience(p->call, p->call->queued);
        break;
    }
    return PyFloat_FromDouble(ends);
}

/* withdraw() -> the calls that may be sent on another connection: idempotent ones, and those not taken yet.
 * Replies to what was sent are discarded. */
static PyObject *connection_withdraw(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_connection *self = (tksp_py_connection *)object;
    size_t count = self->count, gone = 0;
    tksp_py_call **calls = PyMem_Malloc((count + 1) * sizeof *calls);
    if (calls == NULL) return PyErr_NoMemory();
    PyObject *list = PyList_New(0);
    if (list == NULL || count != self->count) { /* the connection has ended meanwhile */
        PyMem_Free(calls);
        return list;
    }
    size_t sent = count - self->unsent;
    for (size_t i = 0; i < count; i++) {
        tksp_py_place *p = tksp_py_place_at(self, i);
        if (i < sent && !is_repeatable(p)) continue;
        if (p->call != NULL) calls[gone++] = p->call;
        p->call = NULL;
    }
    self->count = sent;
    self->unsent = 0;
    tks_buf_wipe(&self->out);
    for (size_t i = 0; i < gone; i++) {
        if (list != NULL && !calls[i]->over && PyList_Append(list, (PyObject *)calls[i]) < 0) {
            Py_CLEAR(list);
        }
        Py_DECREF(calls[i]);
    }
    PyMem_Free(calls);
    return list;
}

/* drain() -> the calls that are still waiting, in order; ends the connection */
static PyObject *connection_drain(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_connection *self = (tksp_py_connection *)object;
    PyObject *calls = PyList_New(0);
    if (calls == NULL) return NULL;
    self->broken = true;
    self->fd = -1;
    self->unsent = self->due = 0;
    tksp_py_connection_free_replies(self);
    tks_buf_wipe(&self->out);
    while (calls != NULL && self->count > 0) {
        tksp_py_call *call = tksp_py_place_pop(self).call;
        if (call == NULL) continue;
        if (!call->over && PyList_Append(calls, (PyObject *)call) < 0) Py_CLEAR(calls);
        Py_DECREF(call);
    }
    return calls;
}

/* The call that has waited longest, over or not; None if no reply is due. */
static PyObject *connection_oldest(PyObject *object, void *unused) {
    (void)unused;
    tksp_py_connection *self = (tksp_py_connection *)object;
    PyObject *oldest = self->count == 0 ? NULL : (PyObject *)tksp_py_place_at(self, 0)->call;
    if (oldest == NULL) oldest = Py_None;
    Py_INCREF(oldest);
    return oldest;
}

/* live() -> the number of waiting callers */
static PyObject *connection_live(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_connection *self = (tksp_py_connection *)object;
    long live = 0;
    for (size_t i = 0; i < self->count; i++) {
        const tksp_py_call *call = tksp_py_place_at(self, i)->call;
        live += call != NULL && !call->over;
    }
    return PyLong_FromLong(live);
}

static Py_ssize_t connection_length(PyObject *object) {
    return (Py_ssize_t)((tksp_py_connection *)object)->count;
}

/* ---- the type -------------------------------------------------------------------------------- */

static int connection_traverse(PyObject *object, visitproc visit, void *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->client);
    for (size_t i = 0; i < self->count; i++) Py_VISIT(tksp_py_place_at(self, i)->call);
    return 0;
}

static int connection_clear(PyObject *object) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    self->broken = true;
    self->unsent = 0;
    while (self->count > 0) {
        tksp_py_call *call = tksp_py_place_pop(self).call;
        Py_XDECREF(call);
    }
    return 0;
}

static void connection_dealloc(PyObject *object) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    connection_clear(object);
    if (self->buffer != NULL) {
        tks_wipe(PyByteArray_AsString(self->buffer), (size_t)PyByteArray_Size(self->buffer));
    }
    Py_XDECREF(self->view);
    Py_XDECREF(self->buffer);
    Py_XDECREF(self->client);
    tksp_py_connection_free_replies(self);
    PyMem_Free(self->replies);
    PyMem_Free(self->places);
    tks_reader_free(self->reader);
    tks_buf_wipe(&self->out);
    tks_credentials_clear(&self->credentials);
    tks_target_free(self->target);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef connection_methods[] = {
    {"get_buffer", connection_get_buffer, METH_O, NULL},
    {"give", tksp_py_connection_give, METH_O, NULL},
    {"hello", tksp_py_connection_hello, METH_O, NULL},
    {"greet", tksp_py_connection_greet, METH_O, NULL},
    {"send", connection_send, METH_O, NULL},
    {"take", connection_take, METH_O, NULL},
    {"feed", tksp_py_connection_feed, METH_O, NULL},
    {"probe_for", connection_probe_for, METH_O, NULL},
    {"withdraw", connection_withdraw, METH_NOARGS, NULL},
    {"drain", connection_drain, METH_NOARGS, NULL},
    {"live", connection_live, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef connection_members[] = {
    {"heard", T_DOUBLE, offsetof(tksp_py_connection, heard), READONLY,
     "When the last complete reply was read."},
    {"read", T_DOUBLE, offsetof(tksp_py_connection, read), READONLY, "When data was last read."},
    {"expires", T_DOUBLE, offsetof(tksp_py_connection, expires), 0,
     "When the connection is due to be replaced."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef connection_getset[] = {
    {"oldest", connection_oldest, NULL, NULL, NULL},
    {"silence_ends", connection_silence_ends, NULL, NULL, NULL},
    {"has_refused", tksp_py_connection_has_refused, NULL, NULL, NULL},
    {"oversized", tksp_py_connection_oversized, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot connection_slots[] = {
    {Py_tp_doc, (void *)"Connection(client): the queue of one connection."},
    {Py_tp_new, (void *)connection_new},
    {Py_tp_methods, connection_methods},
    {Py_tp_members, connection_members},
    {Py_tp_getset, connection_getset},
    {Py_sq_length, (void *)connection_length},
    {Py_tp_traverse, (void *)connection_traverse},
    {Py_tp_clear, (void *)connection_clear},
    {Py_tp_dealloc, (void *)connection_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_connection_spec = {
    .name = "tokenstore._core.Connection",
    .basicsize = sizeof(tksp_py_connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = connection_slots,
};
