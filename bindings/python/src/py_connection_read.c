/* py_connection_read.c - _core.Connection: reading, from the reply to the greeting on.
 *
 * Rules:     Replies are delivered only if everything read with them was requested: after an extra reply or
 *            an invalid byte, none of them is delivered. The place of a call that is over stays in the queue,
 *            and its replies are discarded.
 *            A place is removed from the queue and its replies are passed to its call before the result is
 *            created, which may run arbitrary code.
 * Threads:   the event loop's. */
#include "py_driver.h"

static const tks_target *target_of(const tksp_py_connection *self) {
    if (self->target != NULL) return self->target;
    return tks_client_get_target(tksp_py_connection_client(self));
}

/* ---- replies --------------------------------------------------------------------------------- */

void tksp_py_connection_free_replies(tksp_py_connection *self) {
    for (size_t i = self->given; i < self->got; i++) tks_reply_free(self->replies[i]);
    self->got = self->given = 0;
}

static tks_status keep_reply(tksp_py_connection *self, tks_reply *reply, tks_error *err) {
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

/* More came than is due. A server that is full, or in protected mode, says so before anything was asked, and hangs up. */
static tks_status explain_surplus(tksp_py_connection *self, tks_error *err) {
    tks_status status = TKS_OK;
    tks_reply *reply = NULL;
    if (!self->answered && self->got == 0 &&
        tks_reader_next(self->reader, &reply, NULL) == TKS_OK && reply != NULL) {
        status = tks_reply_check_refusal(reply, err);
    }
    tks_reply_free(reply);
    return status != TKS_OK
               ? status
               : tks_fail(err, TKS_ERR_CONNECTION, "received more replies than requested");
}

/* Reads all complete replies in the first `size` bytes of the buffer and in what was left before; fails if
 * there are more than requested. */
static tks_status read_replies(tksp_py_connection *self, size_t size, tks_error *err) {
    tks_reply *reply = NULL;
    tks_status status =
        tks_reader_feed(self->reader, PyByteArray_AsString(self->buffer), size, err);
    while (status == TKS_OK && self->due > 0) {
        status = tks_reader_next(self->reader, &reply, err);
        if (status != TKS_OK || reply == NULL) break;
        status = keep_reply(self, reply, err);
    }
    if (status == TKS_OK && self->due == 0 && !tks_reader_is_idle(self->reader)) {
        status = explain_surplus(self, err);
    }
    return status;
}

/* True if the server rejected this connection: then it has read nothing of what was sent. */
static bool is_turned_away(tksp_py_connection *self) {
    bool first = !self->answered && self->got > 0;
    self->answered = self->answered || first;
    if (!first || !tks_reply_is_refusal(self->replies[0])) return false;
    for (size_t i = 0; i < self->count; i++) {
        tksp_py_call *call = tksp_py_place_at(self, i)->call;
        if (call != NULL) call->sent = false;
    }
    return true;
}

/* The number of bytes read, from an int. False with an exception. */
static bool size_get(tksp_py_connection *self, PyObject *arg, size_t *out) {
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    *out = (size_t)size;
    if (size >= 0 && size <= PyByteArray_Size(self->buffer)) return true;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "size is out of range");
    return false;
}

/* ---- the greeting ---------------------------------------------------------------------------- */

/* give(pair): the result of credentials= for this new connection */
PyObject *tksp_py_connection_give(PyObject *object, PyObject *pair) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_credentials made;
    if (!tksp_py_credentials_get(self->state, pair, &made)) return NULL;
    tks_credentials_clear(&self->credentials);
    self->credentials = made;
    Py_RETURN_NONE;
}

/* True if the server refused the given credentials. */
PyObject *tksp_py_connection_has_refused(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((tksp_py_connection *)object)->credentials.refused);
}

static tks_credentials *given(tksp_py_connection *self) {
    return self->credentials.password != NULL ? &self->credentials : NULL;
}

/* hello(fd) -> the first bytes to send on this new connection; empty: it is ready */
PyObject *tksp_py_connection_hello(PyObject *object, PyObject *fd) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_error err = TKS_ERROR_INIT;
    self->fd = (int)PyLong_AsLong(fd);
    if (PyErr_Occurred()) return NULL;
    tks_status status = tks_greeting_init(&self->greeting, target_of(self), given(self), &err);
    if (status != TKS_OK) return tksp_py_raise(self->state, status, &err);
    self->due = self->greeting.count;
    PyObject *bytes =
        PyBytes_FromStringAndSize(self->greeting.out.data, (Py_ssize_t)self->greeting.out.size);
    tks_greeting_clear(&self->greeting);
    return bytes;
}

/* They are for one connection only, and for that which listens for the near cache, if this one has logged in. */
static void forget_credentials(tksp_py_connection *self, bool good) {
    if (good && given(self) != NULL) {
        tks_client_note_credentials(tksp_py_connection_client(self), &self->credentials);
    }
    tks_credentials_clear(&self->credentials);
}

/* greet(size) -> True if the greeting has its replies; `size` bytes are in the buffer. Raises ServerError if
 * the server refused it (final), else ConnectionError. 0: EOF; evaluates what arrived before. */
PyObject *tksp_py_connection_greet(PyObject *object, PyObject *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_error err = TKS_ERROR_INIT;
    size_t size;
    bool final;
    if (!size_get(self, arg, &size)) return NULL;
    tks_error broken = TKS_ERROR_INIT;
    tks_status status = read_replies(self, size, &broken);
    bool ended = status != TKS_OK || self->due == 0 || size == 0;
    if (ended) {
        tks_status verdict = tks_greeting_judge(&self->greeting, target_of(self), given(self),
                                                self->replies, self->got, &final, &err);
        tksp_py_connection_free_replies(self);
        if (verdict == TKS_OK) forget_credentials(self, status == TKS_OK);
        if (verdict == TKS_OK && status != TKS_OK) tks_fail(&err, status, "%s", broken.message);
        if (verdict != TKS_OK) status = verdict;
    }
    if (status != TKS_OK) return tksp_py_raise(self->state, status, &err);
    return PyBool_FromLong(ended);
}

/* ---- replies --------------------------------------------------------------------------------- */

/* Removes the first place from the queue if all its replies have arrived, and passes them to its call, unless
 * that is over. Runs no Python code. False: there is none. */
static bool answer_next(tksp_py_connection *self, int64_t now_ms, tksp_py_place *out) {
    if (self->count == self->unsent ||
        self->got - self->given < tksp_py_place_at(self, 0)->replies) {
        return false;
    }
    tks_reply **replies = self->replies + self->given;
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies, .now_ms = now_ms};
    *out = tksp_py_place_pop(self);
    self->given += out->replies;
    if (out->call != NULL && !out->call->over) {
        out->call->sent = false;
        tksp_py_call_step(out->call, &event);
    }
    for (size_t i = 0; i < out->replies; i++) {
        tks_reply_free(replies[i]);
        replies[i] = NULL;
    }
    return true;
}

/* Removes the delivered replies from the array. */
static void forget_given(tksp_py_connection *self) {
    self->got -= self->given;
    if (self->got > 0) {
        memmove(self->replies, self->replies + self->given, self->got * sizeof *self->replies);
    }
    self->given = 0;
}

/* Appends to *list, creating it if necessary. Out of memory, the call fails, because a task waits for it. */
static void append(PyObject **list, tksp_py_call *call) {
    if (*list == NULL) *list = PyList_New(0);
    if (*list != NULL && PyList_Append(*list, (PyObject *)call) == 0) return;
    tksp_py_call_fail(call);
    if (!tksp_py_call_wake_soon(call)) PyErr_Clear();
}

/* Delivers the replies that have arrived. Creating a result may run arbitrary code, so each iteration reads
 * the queue again. Returns the trust in the connection afterwards; after a reply that does not fit its
 * command, no further replies are delivered. */
static tks_trust answer_all(tksp_py_connection *self, PyObject **settled, PyObject **wants) {
    int64_t now_ms = tksp_py_wall_ms();
    tksp_py_place place;
    tks_trust worst = TKS_TRUST_KEEP;
    while (worst != TKS_TRUST_CLOSE && answer_next(self, now_ms, &place)) {
        tksp_py_call *call = place.call;
        if (call == NULL) continue;
        if (!call->over) {
            tks_trust trust = tks_op_get_trust(call->core);
            if (worst != TKS_TRUST_KEEP && trust == TKS_TRUST_KEEP) trust = worst;
            worst = trust;
            tksp_py_call_finish(call);
            append(call->over ? settled : wants, call);
        }
        Py_DECREF(call);
    }
    forget_given(self);
    return worst;
}

static PyObject *or_none(PyObject *object) {
    if (object != NULL) return object;
    Py_INCREF(Py_None);
    return Py_None;
}

/* feed(size) -> (settled, wants, trust): `size` bytes were read into the buffer. `settled`: the calls that
 * have ended, for wake(); `wants`: those that need something more, see their `wish`; None if there are none.
 * `trust`: a tks_trust. take() must be called next. Raises ConnectionError if the replies cannot be trusted:
 * none was delivered. */
PyObject *tksp_py_connection_feed(PyObject *object, PyObject *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_error err;
    size_t size;
    PyObject *settled = NULL, *wants = NULL;
    tks_error_init(&err);
    if (!size_get(self, arg, &size)) return NULL;
    if (self->broken) {
        PyErr_SetString(PyExc_RuntimeError, "feed() on a connection that has ended");
        return NULL;
    }
    tks_status status = read_replies(self, size, &err);
    if (is_turned_away(self)) {
        err = (tks_error)TKS_ERROR_INIT;
        status = tks_reply_check_refusal(self->replies[0], &err);
    }
    if (status != TKS_OK) return tksp_py_raise(self->state, status, &err);
    PyObject *result =
        PyTuple_New(3); /* allocated now: later, running out of memory could not be reported */
    if (result == NULL) return NULL;
    self->taking = true;
    self->read = tksp_py_now();
    if (self->got > 0) self->heard = self->read;
    tks_trust trust = self->got > 0 ? answer_all(self, &settled, &wants) : TKS_TRUST_KEEP;
    PyTuple_SetItem(result, 0, or_none(settled));
    PyTuple_SetItem(result, 1, or_none(wants));
    PyTuple_SetItem(result, 2, PyLong_FromLong(trust));
    return result;
}

/* Why the arriving reply is too large to be kept; None: it is not. */
PyObject *tksp_py_connection_oversized(PyObject *object, void *unused) {
    tks_error why = TKS_ERROR_INIT;
    (void)unused;
    if (tks_reader_check(((tksp_py_connection *)object)->reader, &why) == TKS_OK) Py_RETURN_NONE;
    return PyUnicode_FromString(why.message);
}
