/* channel.c - _core.Channel: the queue of one connection that many calls share, without the connection.
 *
 * Purpose:   bytes to be written come out of take(), bytes that were read go into feed(); in between the
 *            replies are matched to the calls, in their order, and the calls are stepped.
 * Rules:     Replies are handed out only when all that was read with them is known to have been asked
 *            for: a reply too many, or a byte that is none, and nobody gets any of them. The place of a
 *            call that is over stays in the queue, and its replies are thrown away.
 * Lifecycle: hello() and greet() once, then send, take and feed; drain() ends it.
 * Threads:   that of the event loop. */
#include "glue.h"

#include <errno.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/socket.h>

#include "tokenstore/greeting.h"
#include "tokenstore/secret.h"

enum { BUFFER_SIZE = 64 * 1024 };

typedef struct place {
    tksp_py_call *call; /* owned */
    size_t replies;
} place;

typedef struct channel_object {
    PyObject head;
    PyObject *client; /* the _core.Client whose target this is */
    PyObject *serve;  /* serve(call, wish) */
    PyObject *buffer; /* a bytearray: where the loop puts what it reads */
    PyObject *view;   /* a memoryview of it */
    int fd;           /* for a look only; -1: none */
    pid_t pid;
    tks_reader *reader;
    tks_greeting greeting;
    place *places; /* a ring; its size is a power of two */
    size_t first, count, capacity;
    size_t unsent;       /* the last so many places have not been taken yet */
    size_t due;          /* replies that are to come for those that have */
    tks_reply **replies; /* that have come, for the first places */
    size_t got, replies_capacity;
    tks_buf out;
    bool answered; /* the first reply has come */
    bool feeding, broken;
} channel_object;

static const tks_target *target_of(const channel_object *self) {
    return tks_client_get_target(tksp_py_client_get(self->client));
}

/* Channel(client, serve) */
static PyObject *channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *client, *serve;
    tks_error err = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "O!O:Channel", state->client_type, &client, &serve)) return NULL;
    channel_object *self = (channel_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(client);
    Py_INCREF(serve);
    self->client = client;
    self->serve = serve;
    self->fd = -1;
    self->pid = tks_client_get_pid(tksp_py_client_get(client));
    tks_buf_init(&self->out, SIZE_MAX);
    self->buffer = PyByteArray_FromStringAndSize(NULL, BUFFER_SIZE);
    self->view = self->buffer == NULL ? NULL : PyMemoryView_FromObject(self->buffer);
    if (self->view == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    tks_status status = tks_reader_new(target_of(self)->max_reply_size, &self->reader, &err);
    if (status == TKS_OK) return (PyObject *)self;
    Py_DECREF(self);
    return tksp_py_raise(state, status, &err);
}

static place *place_at(channel_object *self, size_t i) {
    return &self->places[(self->first + i) & (self->capacity - 1)];
}

/* ---- replies --------------------------------------------------------------------------------- */

static void free_replies(channel_object *self, size_t from) {
    for (size_t i = from; i < self->got; i++) tks_reply_free(self->replies[i]);
    self->got = from;
}

static tks_status keep_reply(channel_object *self, tks_reply *reply, tks_error *err) {
    if (self->got == self->replies_capacity) {
        size_t capacity = self->replies_capacity == 0 ? 64 : self->replies_capacity * 2;
        tks_reply **replies = PyMem_Realloc(self->replies, capacity * sizeof *replies);
        if (replies == NULL) {
            tks_reply_free(reply);
            return tks_fail_memory(err);
        }
        self->replies = replies;
        self->replies_capacity = capacity;
    }
    self->replies[self->got++] = reply;
    self->due--;
    return TKS_OK;
}

static const char server_is_full[] = "the server is full: max number of clients reached";

/* Is what came before anything was asked the word of a server that is full, and hangs up? */
static bool is_greeted_with_refusal(channel_object *self) {
    tks_reply *reply = NULL;
    if (self->answered || self->got > 0) return false;
    bool refusal = tks_reader_next(self->reader, &reply, NULL) == TKS_OK && reply != NULL &&
                   tks_reply_is_refusal(reply);
    tks_reply_free(reply);
    return refusal;
}

/* All whole replies in the first `size` bytes of the buffer and what was left before it; fails where more
 * came than is due. */
static tks_status read_replies(channel_object *self, size_t size, tks_error *err) {
    tks_reply *reply = NULL;
    tks_status status =
        tks_reader_feed(self->reader, PyByteArray_AsString(self->buffer), size, err);
    while (status == TKS_OK && self->due > 0) {
        status = tks_reader_next(self->reader, &reply, err);
        if (status != TKS_OK || reply == NULL) break;
        status = keep_reply(self, reply, err);
    }
    if (status == TKS_OK && self->due == 0 && !tks_reader_is_idle(self->reader))
        status = tks_fail(err, TKS_ERR_CONNECTION, "%s",
                          is_greeted_with_refusal(self) ? server_is_full
                                                        : "more answers came than were asked for");
    return status;
}

/* Was this connection turned away? Then nothing of what was sent on it has been read. */
static bool is_turned_away(channel_object *self) {
    bool first = !self->answered && self->got > 0;
    self->answered = self->answered || first;
    if (!first || !tks_reply_is_refusal(self->replies[0])) return false;
    for (size_t i = 0; i < self->count; i++) place_at(self, i)->call->sent = false;
    return true;
}

/* How many bytes there are to be read, of an int. False with an exception. */
static bool size_get(channel_object *self, PyObject *arg, size_t *out) {
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    *out = (size_t)size;
    if (size >= 0 && size <= PyByteArray_Size(self->buffer)) return true;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "more than the buffer holds");
    return false;
}

/* ---- the greeting ---------------------------------------------------------------------------- */

/* hello(fd) -> what is to be said first on this new connection; nothing: it is ready */
static PyObject *channel_hello(PyObject *object, PyObject *fd) {
    channel_object *self = (channel_object *)object;
    tks_error err = TKS_ERROR_INIT;
    self->fd = (int)PyLong_AsLong(fd);
    if (PyErr_Occurred()) return NULL;
    tks_status status = tks_greeting_init(&self->greeting, target_of(self), &err);
    if (status != TKS_OK) return tksp_py_raise(tksp_py_state_of(object), status, &err);
    self->due = self->greeting.count;
    PyObject *bytes =
        PyBytes_FromStringAndSize(self->greeting.out.data, (Py_ssize_t)self->greeting.out.size);
    tks_greeting_clear(&self->greeting);
    return bytes;
}

/* greet(size) -> has it been answered? So many bytes are in the buffer. Raises ServerError when it was
 * refused, for good, and ConnectionError otherwise. 0: the connection has ended; what it said before is
 * judged. */
static PyObject *channel_greet(PyObject *object, PyObject *arg) {
    channel_object *self = (channel_object *)object;
    tks_error err = TKS_ERROR_INIT;
    size_t size;
    bool final;
    if (!size_get(self, arg, &size)) return NULL;
    tks_error broken = TKS_ERROR_INIT;
    tks_status status = read_replies(self, size, &broken);
    bool ended = status != TKS_OK || self->due == 0 || size == 0;
    if (ended) {
        tks_status verdict = tks_greeting_judge(&self->greeting, target_of(self), self->replies,
                                                self->got, &final, &err);
        free_replies(self, 0);
        if (verdict == TKS_OK && status != TKS_OK) tks_fail(&err, status, "%s", broken.message);
        if (verdict != TKS_OK) status = verdict;
    }
    if (status != TKS_OK) return tksp_py_raise(tksp_py_state_of(object), status, &err);
    return PyBool_FromLong(ended);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static bool grow(channel_object *self) {
    size_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
    place *places = PyMem_Calloc(capacity, sizeof *places);
    if (places == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < self->count; i++) places[i] = *place_at(self, i);
    PyMem_Free(self->places);
    self->places = places;
    self->first = 0;
    self->capacity = capacity;
    return true;
}

static place pop(channel_object *self) {
    place gone = *place_at(self, 0);
    self->first = (self->first + 1) & (self->capacity - 1);
    self->count--;
    return gone;
}

/* Is something to be read, or the end, where nothing is due? */
static bool has_news(const channel_object *self) {
    char byte;
    return self->fd >= 0 && (recv(self->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
                             (errno != EAGAIN && errno != EWOULDBLOCK));
}

/* send(call) -> when take() is due: 0 with the next round of the loop, 1 now, 2 when the loop has read
 * what has come in meanwhile on a connection that was idle */
static PyObject *channel_send(PyObject *object, PyObject *arg) {
    channel_object *self = (channel_object *)object;
    const tksp_py_state *state = tksp_py_state_of(object);
    tksp_py_call *call = (tksp_py_call *)arg;
    if (!Py_IS_TYPE(arg, state->call_type) || call->over) {
        PyErr_SetString(PyExc_TypeError, "a Call is needed that is not over");
        return NULL;
    }
    if (self->broken || tks_client_get_pid(tksp_py_client_get(self->client)) != self->pid) {
        PyErr_SetString(state->exceptions[TKS_ERR_CLOSED],
                        "this event loop was inherited by a forked process: begin a new one there");
        return NULL;
    }
    if (self->count == self->capacity && !grow(self)) return NULL;
    const tks_batch *batch = tks_op_get_batch(call->core);
    bool idle = self->count == 0;
    if (tks_buf_append_bytes(&self->out, batch->bytes) != TKS_OK) return PyErr_NoMemory();
    Py_INCREF(call);
    *place_at(self, self->count++) = (place){call, batch->replies};
    self->unsent++;
    call->sent = false;
    return PyLong_FromLong(!idle ? 0 : has_news(self) ? 2 : 1);
}

/* take() -> the bytes to write; from now on they may have reached the server */
static PyObject *channel_take(PyObject *object, PyObject *unused) {
    (void)unused;
    channel_object *self = (channel_object *)object;
    PyObject *bytes = PyBytes_FromStringAndSize(self->out.data, (Py_ssize_t)self->out.size);
    if (bytes == NULL) return NULL;
    for (; self->unsent > 0; self->unsent--) {
        const place *p = place_at(self, self->count - self->unsent);
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

/* Hands `replies` to the call of `p`, and frees what it leaves of them. False with an exception: the
 * channel is at its end. */
static bool deliver(channel_object *self, const place *p, tks_reply **replies) {
    const tksp_py_state *state = tksp_py_state_of((PyObject *)self);
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies};
    tks_op *op = p->call->core;
    PyObject *keep = p->call->op; /* a call lets go of it at its end */
    bool good = true;
    Py_XINCREF(keep);
    p->call->sent = false;
    tksp_py_wish wish = tksp_py_call_step(state, p->call, &event);
    if (wish != TKSP_PY_OVER) {
        PyObject *result = PyObject_CallFunction(self->serve, "Oi", p->call, (int)wish);
        good = result != NULL;
        Py_XDECREF(result);
    } else if (op != NULL && tks_op_is_out_of_step(op)) {
        PyErr_SetString(state->exceptions[TKS_ERR_CONNECTION],
                        "an answer did not fit what was asked: others may not either");
        good = false;
    }
    Py_XDECREF(keep);
    for (size_t i = 0; i < p->replies; i++) tks_reply_free(replies[i]);
    return good;
}

/* Hands out what has come; the calls that are settled now are left in `settled`. */
static bool deliver_all(channel_object *self, tksp_py_call **settled, size_t *count) {
    bool good = true;
    size_t given = 0;
    while (good && self->count > self->unsent && self->got - given >= place_at(self, 0)->replies) {
        place p = pop(self);
        bool waits = !p.call->over;
        good = deliver(self, &p, self->replies + given);
        given += p.replies;
        if (waits && tksp_py_call_is_settled(p.call))
            settled[(*count)++] = p.call;
        else
            Py_DECREF(p.call);
    }
    memmove(self->replies, self->replies + given, (self->got - given) * sizeof *self->replies);
    self->got -= given;
    return good;
}

/* Wakes who waits for `calls`, and lets go of them. A task runs here and now, and may do anything to this
 * channel. An exception of a task ends the loop (KeyboardInterrupt): the rest is woken when that goes on.
 * One that is there already stays. */
static bool wake_all(const tksp_py_state *state, tksp_py_call **calls, size_t count, bool now) {
    PyObject *kind, *value, *traceback;
    bool good = true;
    PyErr_Fetch(&kind, &value, &traceback);
    for (size_t i = 0; i < count; i++) {
        if (good && now) {
            good = tksp_py_call_wake(state, calls[i]);
        } else {
            PyObject *kind2, *value2, *traceback2;
            PyErr_Fetch(&kind2, &value2, &traceback2);
            if (!tksp_py_call_wake_soon(state, calls[i])) PyErr_Clear();
            PyErr_Restore(kind2, value2, traceback2);
        }
        Py_DECREF(calls[i]);
    }
    if (kind != NULL) {
        PyErr_Restore(kind, value, traceback);
        return false;
    }
    return good;
}

/* feed(size) -> was any answer complete? So many bytes were read into the buffer. Runs the tasks whose
 * answers have come. Raises ConnectionError when the connection is to be given up. */
static PyObject *channel_feed(PyObject *object, PyObject *arg) {
    channel_object *self = (channel_object *)object;
    const tksp_py_state *state = tksp_py_state_of(object);
    tks_error err = TKS_ERROR_INIT;
    size_t size, count = 0;
    if (!size_get(self, arg, &size)) return NULL;
    if (self->broken || self->feeding) {
        PyErr_SetString(PyExc_RuntimeError, "feed after the end, or within itself");
        return NULL;
    }
    tks_status status = read_replies(self, size, &err);
    if (is_turned_away(self)) {
        err = (tks_error)TKS_ERROR_INIT;
        status = tks_fail(&err, TKS_ERR_CONNECTION, "%s", server_is_full);
    }
    if (status != TKS_OK) return tksp_py_raise(state, status, &err);
    if (self->got == 0) Py_RETURN_FALSE;
    tksp_py_call **settled =
        PyMem_Malloc((self->got < self->count ? self->got : self->count) * sizeof *settled);
    if (settled == NULL) return PyErr_NoMemory();
    self->feeding = true;
    size_t before = self->got;
    bool good = deliver_all(self, settled, &count);
    self->feeding = false;
    bool answers = self->got < before;
    Py_INCREF(object);
    good = wake_all(state, settled, count, good) && good;
    Py_DECREF(object);
    PyMem_Free(settled);
    if (!good) return NULL;
    return PyBool_FromLong(answers);
}

/* drain() -> the calls that are still waiting, in order; the channel is at its end */
static PyObject *channel_drain(PyObject *object, PyObject *unused) {
    (void)unused;
    channel_object *self = (channel_object *)object;
    PyObject *calls = PyList_New(0);
    self->broken = true;
    self->fd = -1;
    while (calls != NULL && self->count > 0) {
        place p = pop(self);
        if (!p.call->over && PyList_Append(calls, (PyObject *)p.call) < 0) Py_CLEAR(calls);
        Py_DECREF(p.call);
    }
    self->unsent = self->due = 0;
    free_replies(self, 0);
    tks_buf_wipe(&self->out);
    return calls;
}

/* The call that waits longest, over or not; None when nothing is due. */
static PyObject *channel_oldest(PyObject *object, void *unused) {
    (void)unused;
    channel_object *self = (channel_object *)object;
    PyObject *oldest = self->count == 0 ? Py_None : (PyObject *)place_at(self, 0)->call;
    Py_INCREF(oldest);
    return oldest;
}

/* live() -> how many callers wait */
static PyObject *channel_live(PyObject *object, PyObject *unused) {
    (void)unused;
    channel_object *self = (channel_object *)object;
    long live = 0;
    for (size_t i = 0; i < self->count; i++) live += !place_at(self, i)->call->over;
    return PyLong_FromLong(live);
}

static Py_ssize_t channel_length(PyObject *object) {
    return (Py_ssize_t)((channel_object *)object)->count;
}

/* ---- the type -------------------------------------------------------------------------------- */

static int channel_traverse(PyObject *object, visitproc visit, void *arg) {
    channel_object *self = (channel_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->client);
    Py_VISIT(self->serve);
    for (size_t i = 0; i < self->count; i++) Py_VISIT(place_at(self, i)->call);
    return 0;
}

static int channel_clear(PyObject *object) {
    channel_object *self = (channel_object *)object;
    self->broken = true;
    self->unsent = 0;
    while (self->count > 0) {
        place p = pop(self);
        Py_DECREF(p.call);
    }
    Py_CLEAR(self->serve);
    return 0;
}

static void channel_dealloc(PyObject *object) {
    channel_object *self = (channel_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    channel_clear(object);
    if (self->buffer != NULL)
        tks_wipe(PyByteArray_AsString(self->buffer), (size_t)PyByteArray_Size(self->buffer));
    Py_XDECREF(self->view);
    Py_XDECREF(self->buffer);
    Py_XDECREF(self->client);
    free_replies(self, 0);
    PyMem_Free(self->replies);
    PyMem_Free(self->places);
    tks_reader_free(self->reader);
    tks_buf_wipe(&self->out);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef channel_methods[] = {
    {"hello", channel_hello, METH_O, NULL},    {"greet", channel_greet, METH_O, NULL},
    {"send", channel_send, METH_O, NULL},      {"take", channel_take, METH_NOARGS, NULL},
    {"feed", channel_feed, METH_O, NULL},      {"drain", channel_drain, METH_NOARGS, NULL},
    {"live", channel_live, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL},
};

static PyMemberDef channel_members[] = {
    {"buffer", T_OBJECT_EX, offsetof(channel_object, view), READONLY, "For what is read."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef channel_getset[] = {
    {"oldest", channel_oldest, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)"Channel(client, serve): the queue of one connection."},
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
    .basicsize = sizeof(channel_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = channel_slots,
};

int tksp_py_channel_init(PyObject *module, tksp_py_state *state) {
    state->channel_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &channel_spec, NULL);
    return state->channel_type == NULL ? -1 : PyModule_AddType(module, state->channel_type);
}
