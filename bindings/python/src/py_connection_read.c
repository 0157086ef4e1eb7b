/* py_connection_read.c - _core.Connection: what comes in, from the greeting's answer on.
 *
 * Rules:     Replies are handed out only when all that was read with them is known to have been asked for: a reply
 *            too many, or a byte that is none, and nobody gets any of them. The place of a call that is over stays
 *            in the queue, and its replies are thrown away.
 *            A place is off the queue, and its replies are with its call, before the result is made, which may run
 *            anything.
 * Threads:   that of the event loop. */
#include "py_driver.h"

static const tks_target *target_of(const tksp_py_connection *self) {
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
               : tks_fail(err, TKS_ERR_CONNECTION, "more answers came than were asked for");
}

/* All whole replies in the first `size` bytes of the buffer and what was left before it; fails where more came than
 * is due. */
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

/* Was this connection turned away? Then nothing of what was sent on it has been read. */
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

/* How many bytes there are to be read, of an int. False with an exception. */
static bool size_get(tksp_py_connection *self, PyObject *arg, size_t *out) {
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    *out = (size_t)size;
    if (size >= 0 && size <= PyByteArray_Size(self->buffer)) return true;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "more than the buffer holds");
    return false;
}

/* ---- the greeting ---------------------------------------------------------------------------- */

/* give(pair): what credentials= returned for this new connection */
PyObject *tksp_py_connection_give(PyObject *object, PyObject *pair) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_credentials made;
    if (!tksp_py_credentials_get(self->state, pair, &made)) return NULL;
    tks_credentials_clear(&self->credentials);
    self->credentials = made;
    Py_RETURN_NONE;
}

/* Did the server not take what was given? */
PyObject *tksp_py_connection_has_refused(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((tksp_py_connection *)object)->credentials.refused);
}

static tks_credentials *given(tksp_py_connection *self) {
    return self->credentials.password != NULL ? &self->credentials : NULL;
}

/* hello(fd) -> what is to be said first on this new connection; nothing: it is ready */
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

/* greet(size) -> has it been answered? So many bytes are in the buffer. Raises ServerError when it was refused, for
 * good, and ConnectionError otherwise. 0: the connection has ended; what it said before is judged. */
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
        if (verdict == TKS_OK) tks_credentials_clear(&self->credentials);
        if (verdict == TKS_OK && status != TKS_OK) tks_fail(&err, status, "%s", broken.message);
        if (verdict != TKS_OK) status = verdict;
    }
    if (status != TKS_OK) return tksp_py_raise(self->state, status, &err);
    return PyBool_FromLong(ended);
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* The first place, off the queue, where all of its replies have come; they go to its call, if somebody waits: plain C.
 * False: there is none. */
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

/* The replies that were handed out make room for the next. */
static void forget_given(tksp_py_connection *self) {
    self->got -= self->given;
    if (self->got > 0) {
        memmove(self->replies, self->replies + self->given, self->got * sizeof *self->replies);
    }
    self->given = 0;
}

/* Appends to `*list`, which is made for it. Where memory is short the call fails: a task waits for it. */
static void append(PyObject **list, tksp_py_call *call) {
    if (*list == NULL) *list = PyList_New(0);
    if (*list != NULL && PyList_Append(*list, (PyObject *)call) == 0) return;
    tksp_py_call_fail(call);
    if (!tksp_py_call_wake_soon(call)) PyErr_Clear();
}

/* Hands out what has come. Making a result may run anything, so each round begins with the queue as it is then. What
 * the connection is worth after that; none of the replies behind one that did not fit its command is handed out. */
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

/* feed(size) -> (settled, wants, trust): so many bytes were read into the buffer. `settled`: the calls that have
 * ended, for wake(); `wants`: those that want something more, see their `wish`; None where there are none. `trust`: a
 * tks_trust. A take() has to follow. Raises ConnectionError when nothing of what came is to
 * be trusted: nobody was given any of it. */
PyObject *tksp_py_connection_feed(PyObject *object, PyObject *arg) {
    tksp_py_connection *self = (tksp_py_connection *)object;
    tks_error err;
    size_t size;
    PyObject *settled = NULL, *wants = NULL;
    tks_error_init(&err);
    if (!size_get(self, arg, &size)) return NULL;
    if (self->broken) {
        PyErr_SetString(PyExc_RuntimeError, "feed after the end");
        return NULL;
    }
    tks_status status = read_replies(self, size, &err);
    if (is_turned_away(self)) {
        err = (tks_error)TKS_ERROR_INIT;
        status = tks_reply_check_refusal(self->replies[0], &err);
    }
    if (status != TKS_OK) return tksp_py_raise(self->state, status, &err);
    PyObject *result =
        PyTuple_New(3); /* now: later there would be no way to say that memory is short */
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

/* Why the answer that is under way will not be kept; None: it will be. */
PyObject *tksp_py_connection_oversized(PyObject *object, void *unused) {
    tks_error why = TKS_ERROR_INIT;
    (void)unused;
    if (tks_reader_check(((tksp_py_connection *)object)->reader, &why) == TKS_OK) Py_RETURN_NONE;
    return PyUnicode_FromString(why.message);
}
