/* channel_feed.c - _core.Channel: what comes in, from the greeting's answer on.
 *
 * Rules:     Replies are handed out only when all that was read with them is known to have been asked
 *            for: a reply too many, or a byte that is none, and nobody gets any of them. The place of a
 *            call that is over stays in the queue, and its replies are thrown away.
 * Threads:   that of the event loop. */
#include "channel.h"

/* ---- replies --------------------------------------------------------------------------------- */

void tksp_py_channel_free_replies(tksp_py_channel *self, size_t from) {
    for (size_t i = from; i < self->got; i++) tks_reply_free(self->replies[i]);
    self->got = from;
}

static tks_status keep_reply(tksp_py_channel *self, tks_reply *reply, tks_error *err) {
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
static bool is_greeted_with_refusal(tksp_py_channel *self) {
    tks_reply *reply = NULL;
    if (self->answered || self->got > 0) return false;
    bool refusal = tks_reader_next(self->reader, &reply, NULL) == TKS_OK && reply != NULL &&
                   tks_reply_is_refusal(reply);
    tks_reply_free(reply);
    return refusal;
}

/* All whole replies in the first `size` bytes of the buffer and what was left before it; fails where more
 * came than is due. */
static tks_status read_replies(tksp_py_channel *self, size_t size, tks_error *err) {
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
static bool is_turned_away(tksp_py_channel *self) {
    bool first = !self->answered && self->got > 0;
    self->answered = self->answered || first;
    if (!first || !tks_reply_is_refusal(self->replies[0])) return false;
    for (size_t i = 0; i < self->count; i++) tksp_py_place_at(self, i)->call->sent = false;
    return true;
}

/* How many bytes there are to be read, of an int. False with an exception. */
static bool size_get(tksp_py_channel *self, PyObject *arg, size_t *out) {
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    *out = (size_t)size;
    if (size >= 0 && size <= PyByteArray_Size(self->buffer)) return true;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "more than the buffer holds");
    return false;
}

/* ---- the greeting ---------------------------------------------------------------------------- */

/* hello(fd) -> what is to be said first on this new connection; nothing: it is ready */
PyObject *tksp_py_channel_hello(PyObject *object, PyObject *fd) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    tks_error err = TKS_ERROR_INIT;
    self->fd = (int)PyLong_AsLong(fd);
    if (PyErr_Occurred()) return NULL;
    tks_status status = tks_greeting_init(&self->greeting, tksp_py_channel_target(self), &err);
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
PyObject *tksp_py_channel_greet(PyObject *object, PyObject *arg) {
    tksp_py_channel *self = (tksp_py_channel *)object;
    tks_error err = TKS_ERROR_INIT;
    size_t size;
    bool final;
    if (!size_get(self, arg, &size)) return NULL;
    tks_error broken = TKS_ERROR_INIT;
    tks_status status = read_replies(self, size, &broken);
    bool ended = status != TKS_OK || self->due == 0 || size == 0;
    if (ended) {
        tks_status verdict = tks_greeting_judge(&self->greeting, tksp_py_channel_target(self),
                                                self->replies, self->got, &final, &err);
        tksp_py_channel_free_replies(self, 0);
        if (verdict == TKS_OK && status != TKS_OK) tks_fail(&err, status, "%s", broken.message);
        if (verdict != TKS_OK) status = verdict;
    }
    if (status != TKS_OK) return tksp_py_raise(tksp_py_state_of(object), status, &err);
    return PyBool_FromLong(ended);
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* Hands `replies` to the call of `p`, and frees what it leaves of them. False with an exception: the
 * channel is at its end. */
static bool deliver(tksp_py_channel *self, const tksp_py_place *p, tks_reply **replies,
                    int64_t now_ms) {
    const tksp_py_state *state = tksp_py_state_of((PyObject *)self);
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies, .now_ms = now_ms};
    tks_op *op = p->call->core;
    PyObject *keep = p->call->op; /* a call lets go of it at its end */
    bool good = true;
    Py_XINCREF(keep);
    p->call->sent = false;
    tksp_py_wish wish = tksp_py_call_step(state, p->call, &event);
    if (wish != TKSP_PY_OVER) {
        PyObject *result =
            PyObject_CallMethod(self->calls->lines, "serve", "Oi", p->call, (int)wish);
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
static bool deliver_all(tksp_py_channel *self, tksp_py_call **settled, size_t *count) {
    bool good = true;
    size_t given = 0;
    int64_t now_ms = tksp_py_wall_ms();
    while (good && self->count > self->unsent &&
           self->got - given >= tksp_py_place_at(self, 0)->replies) {
        tksp_py_place p = tksp_py_place_pop(self);
        bool waits = !p.call->over;
        good = deliver(self, &p, self->replies + given, now_ms);
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

/* feed(size): so many bytes were read into the buffer. Runs the tasks whose answers have come; what these
 * have to say goes out together: a take() has to follow. Raises ConnectionError when the connection is to
 * be given up. */
PyObject *tksp_py_channel_feed(PyObject *object, PyObject *arg) {
    tksp_py_channel *self = (tksp_py_channel *)object;
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
    self->flushing = true;
    if (self->got == 0) Py_RETURN_NONE;
    tksp_py_call **settled =
        PyMem_Malloc((self->got < self->count ? self->got : self->count) * sizeof *settled);
    if (settled == NULL) return PyErr_NoMemory();
    self->feeding = true;
    size_t before = self->got;
    bool good = deliver_all(self, settled, &count);
    self->feeding = false;
    if (self->got < before) self->heard = tksp_py_now();
    Py_INCREF(object);
    tksp_py_calls *calls = self->calls;
    calls->thread = PyThread_get_thread_ident();
    good = wake_all(state, settled, count, good) && good;
    calls->thread = 0;
    Py_DECREF(object);
    PyMem_Free(settled);
    if (!good) return NULL;
    Py_RETURN_NONE;
}
