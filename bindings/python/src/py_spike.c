/* py_spike.c - _oauth.Spike: access tokens by client credentials.
 *
 * Lifecycle: holds the _core.Client that it keeps tokens in, if any, so that it outlives the driver.
 * Threads:   a token in memory is handed out under the GIL; whatever may wait lets go of it. */
#include "py_oauth.h"

typedef struct spike_object {
    PyObject head;
    tks_spike_client *client;
    PyObject *redis; /* a _core.Client, or None */
    PyObject *log;   /* log(level, text) */
    PyObject *ask;   /* returns the client's secret or assertion; None: not needed */
} spike_object;

/* Py_NewRef needs Python 3.10. */
static PyObject *new_ref(PyObject *object) {
    Py_INCREF(object);
    return object;
}

/* ---- making --------------------------------------------------------------------------------- */

/* (redis, log, ask, client_key, options, http, faults): see py_oauth.h */
static PyObject *spike_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    tksp_py_spike_args in;
    char *faults;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "OOOOO!O!y#:Spike", &in.redis, &in.log, &in.ask, &in.key,
                          &PyDict_Type, &in.options, &PyDict_Type, &in.http, &faults, &size)) {
        return NULL;
    }
    if (in.redis != Py_None && !Py_IS_TYPE(in.redis, state->client_type)) {
        PyErr_SetString(PyExc_TypeError, "redis must be a _core.Client or None");
        return NULL;
    }
    in.faults = tks_bytes_of(faults, (size_t)size);
    spike_object *self = (spike_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->redis = new_ref(in.redis);
    self->log = new_ref(in.log);
    self->ask = new_ref(in.ask);
    self->client = tksp_py_spike_open(state, &in);
    if (self->client == NULL) Py_CLEAR(self);
    return (PyObject *)self;
}

/* ---- notes for the log ---------------------------------------------------------------------- */

/* Passes the collected lines to log(level, text). Keeps a raised exception. */
static bool log_notes(spike_object *self) {
    tks_buf notes;
    bool good = true;
    char level;
    tks_bytes text;
    tks_buf_init(&notes, SIZE_MAX);
    if (tks_spike_client_take_notes(self->client, &notes) != TKS_OK || notes.size == 0) {
        tks_buf_clear(&notes);
        return true;
    }
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    tks_bytes rest = tks_buf_bytes(&notes);
    while (good && tks_notes_next(&rest, &level, &text)) {
        PyObject *line = PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, "replace");
        PyObject *result = PyObject_CallFunction(self->log, "CN", (int)level, line);
        good = result != NULL;
        Py_XDECREF(result);
    }
    if (kind != NULL) PyErr_Restore(kind, value, traceback);
    tks_buf_clear(&notes);
    return good;
}

/* Sets an attribute of an exception, if there is a value. */
static bool set_attribute(PyObject *exception, const char *name, PyObject *value) {
    bool good = value != NULL && PyObject_SetAttrString(exception, name, value) == 0;
    Py_XDECREF(value);
    return good;
}

static bool set_text(PyObject *exception, const char *name, const char *text) {
    return text[0] == '\0' ||
           set_attribute(exception, name,
                         PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"));
}

/* Adds the server's response to the raised exception as attributes. */
static void add_answer(const tks_spike_answer *answer) {
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    PyErr_NormalizeException(&kind, &value, &traceback);
    bool good =
        (answer->status == 0 || set_attribute(value, "status", PyLong_FromLong(answer->status))) &&
        (answer->retry_after_ms <= 0 ||
         set_attribute(value, "retry_after",
                       PyFloat_FromDouble((double)answer->retry_after_ms / 1000))) &&
        set_text(value, "error", answer->error) &&
        set_text(value, "error_description", answer->description) &&
        set_text(value, "error_uri", answer->uri) && set_text(value, "location", answer->location);
    if (!good) PyErr_Clear();
    PyErr_Restore(kind, value, traceback);
}

/* Ends a call that may have waited. `answer` may be NULL. */
static bool finish(PyObject *object, tks_status status, const tks_error *err,
                   const tks_spike_answer *answer) {
    if (status != TKS_OK) {
        tksp_py_raise(tksp_py_state_of(object), status, err);
        if (answer != NULL && (status == TKS_ERR_SPIKE || status == TKS_ERR_SPIKE_AUTH)) {
            add_answer(answer);
        }
    }
    return log_notes((spike_object *)object) && status == TKS_OK;
}

/* ---- methods -------------------------------------------------------------------------------- */

/* What a call asks for: (audience=None, *, scope=None, resource=None, timeout=None), as far as it may have them. */
typedef struct asked {
    tksp_py_text texts[3]; /* audience, scope, resource */
    tks_buf buf;
    tks_bytes request; /* the audience's own bytes, or `buf` */
    int64_t timeout_ms;
} asked;

enum { AUDIENCE, SCOPE, RESOURCE, TIMEOUT, ASKED_COUNT };
static const char *const asked_names[ASKED_COUNT] = {"audience", "scope", "resource", "timeout"};

static void asked_clear(asked *a) {
    tksp_py_text_clear(a->texts, 3);
    tks_buf_clear(&a->buf);
}

/* A text, or texts with a blank between two of them. */
static bool text_of(const tksp_py_state *state, PyObject *arg, const char *name,
                    tksp_py_text *out) {
    if (!PyList_Check(arg) && !PyTuple_Check(arg)) {
        if (!tksp_py_text_get(state, arg, name, false, out)) return false;
    } else {
        PyObject *blank = PyUnicode_FromString(" ");
        PyObject *joined = blank == NULL ? NULL : PyUnicode_Join(blank, arg);
        bool good = joined != NULL && tksp_py_text_get(state, joined, name, false, out);
        if (good && out->owner == NULL) out->owner = new_ref(joined);
        Py_XDECREF(blank);
        Py_XDECREF(joined);
        if (!good) return false;
    }
    if (out->bytes.size > 0) return true;
    PyErr_Format(state->exceptions[TKS_ERR_DATA], "%s is empty: leave it out, or give one", name);
    return false;
}

static bool write_request(const tksp_py_state *state, asked *a) {
    tks_error err = TKS_ERROR_INIT;
    const tks_bytes audience = a->texts[AUDIENCE].bytes;
    if (a->texts[SCOPE].bytes.size + a->texts[RESOURCE].bytes.size == 0 && audience.size > 0 &&
        audience.data[0] != '\0') {
        a->request = audience; /* as tks_spike_request_write would write it */
        return true;
    }
    tks_spike_request r = {a->texts[AUDIENCE].bytes, a->texts[SCOPE].bytes,
                           a->texts[RESOURCE].bytes};
    tks_status status = tks_spike_request_write(&r, &a->buf, &err);
    a->request = tks_buf_bytes(&a->buf);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

static bool find_name(PyObject *name, size_t *out) {
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        if (PyUnicode_CompareWithASCIIString(name, asked_names[i]) != 0) continue;
        *out = i;
        return true;
    }
    PyErr_Format(PyExc_TypeError, "there is no argument %R", name);
    return false;
}

/* `values` are None, or NULL, where nothing was given. To be cleared in any case. */
static bool asked_get(const tksp_py_state *state, PyObject *const *values, asked *out) {
    static const tksp_py_text none = TKSP_PY_TEXT_INIT;
    *out = (asked){.texts = {none, none, none}};
    tks_buf_init(&out->buf, SIZE_MAX);
    for (size_t i = 0; i < TIMEOUT; i++) {
        if (values[i] != NULL && values[i] != Py_None &&
            !text_of(state, values[i], asked_names[i], &out->texts[i])) {
            return false;
        }
    }
    if (values[TIMEOUT] != NULL && !tksp_py_timeout(state, values[TIMEOUT], &out->timeout_ms)) {
        return false;
    }
    return write_request(state, out);
}

/* The arguments of a call, whose first is the audience, into `values`. */
static bool values_get(PyObject *const *args, Py_ssize_t count, PyObject *names,
                       PyObject **values) {
    if (count > 1) {
        PyErr_Format(PyExc_TypeError,
                     "one positional argument, the audience, may be given, not %zd", count);
        return false;
    }
    if (count == 1) values[AUDIENCE] = args[0];
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_Size(names); i++) {
        size_t at = 0;
        if (!find_name(PyTuple_GetItem(names, i), &at)) return false;
        if (values[at] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s is given twice", asked_names[at]);
            return false;
        }
        values[at] = args[count + i];
    }
    return true;
}

/* ---- the client's secret or assertion, from a function ---- */

/* Calls the function; `out` keeps the result alive. */
static bool ask(spike_object *self, tksp_py_text *out) {
    const tksp_py_state *state = tksp_py_state_of((PyObject *)self);
    PyObject *function = new_ref(self->ask);
    PyObject *value = PyObject_CallFunctionObjArgs(function, NULL);
    Py_DECREF(function);
    if (value == NULL) return false;
    bool good = PyUnicode_Check(value) || PyBytes_Check(value);
    if (!good) {
        PyErr_SetString(
            PyExc_TypeError,
            "the function for client_secret or client_assertion must return str or bytes");
    }
    good = good && tksp_py_text_get(state, value, "client_secret", false, out);
    if (good && out->owner == NULL) out->owner = new_ref(value);
    if (good && out->bytes.size == 0) {
        PyErr_SetString(
            state->exceptions[TKS_ERR_CONFIGURATION],
            "the function for client_secret or client_assertion returned an empty text");
        good = false;
    }
    Py_DECREF(value);
    return good;
}

/* Renews a valid token: an exception of the function is logged without its message. */
static bool renew(spike_object *self, tks_bytes request) {
    tksp_py_text given = TKSP_PY_TEXT_INIT;
    bool good = ask(self, &given);
    if (good) tks_spike_client_renew(self->client, request, given.bytes);
    tksp_py_text_clear(&given, 1);
    if (good || !PyErr_ExceptionMatches(PyExc_Exception)) return good;
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    PyObject *result = PyObject_CallFunction(
        self->log, "CN", (int)'w',
        PyUnicode_FromFormat("not renewed: could not obtain the client's secret or assertion: %R",
                             kind));
    Py_XDECREF(kind);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(result);
    return result != NULL;
}

static tks_status wait_for_token(spike_object *self, const asked *a, tks_bytes given, bool *asks,
                                 tks_buf *token, tks_spike_answer *answer, tks_error *err) {
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status = tks_spike_client_get(self->client, a->request, a->timeout_ms, given,
                                             &interrupt, asks, token, answer, err);
    PyEval_RestoreThread(thread);
    return status;
}

/* Finds a token in memory, in Redis or at the server. */
static bool find_token(spike_object *self, const asked *a, tks_buf *token) {
    tks_error err = TKS_ERROR_INIT;
    tks_spike_answer answer;
    tksp_py_text given = TKSP_PY_TEXT_INIT;
    bool asks = false;
    if (tks_spike_client_peek(self->client, a->request, token)) {
        bool wants = self->ask != Py_None && tks_spike_client_wants(self->client, a->request);
        return (!wants || renew(self, a->request)) && finish((PyObject *)self, TKS_OK, &err, NULL);
    }
    tks_status status = wait_for_token(self, a, given.bytes, &asks, token, &answer, &err);
    if (asks && !ask(self, &given)) return false;
    if (asks) status = wait_for_token(self, a, given.bytes, &asks, token, &answer, &err);
    tksp_py_text_clear(&given, 1);
    return finish((PyObject *)self, status, &err, &answer);
}

/* The common case: only an audience, with its token in memory. NULL without an exception otherwise. */
static PyObject *get_held(PyObject *object, PyObject *audience) {
    spike_object *self = (spike_object *)object;
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    tks_buf token;
    if (!PyUnicode_CheckExact(audience) || self->ask != Py_None) return NULL;
    if (!tksp_py_text_get(tksp_py_state_of(object), audience, "audience", false, &text)) {
        return NULL;
    }
    tks_buf_init(&token, SIZE_MAX);
    if (text.bytes.size > 0 && text.bytes.data[0] != '\0' &&
        tks_spike_client_peek(self->client, text.bytes, &token) &&
        finish(object, TKS_OK, &err, NULL)) {
        result = tksp_py_str(tks_buf_bytes(&token));
    }
    tksp_py_text_clear(&text, 1);
    tks_buf_wipe(&token);
    return result;
}

/* get(audience=None, *, scope=None, resource=None, timeout=None) -> str */
static PyObject *spike_get(PyObject *object, PyObject *const *args, Py_ssize_t count,
                           PyObject *names) {
    PyObject *values[ASKED_COUNT] = {NULL}, *result = NULL;
    tks_buf token;
    asked a;
    if (count == 1 && names == NULL) {
        result = get_held(object, args[0]);
        if (result != NULL || PyErr_Occurred()) return result;
    }
    if (!values_get(args, count, names, values)) return NULL;
    tks_buf_init(&token, SIZE_MAX);
    if (asked_get(tksp_py_state_of(object), values, &a) &&
        find_token((spike_object *)object, &a, &token)) {
        result = tksp_py_str(tks_buf_bytes(&token));
    }
    asked_clear(&a);
    tks_buf_wipe(&token);
    return result;
}

/* wants(audience, scope, resource) -> bool: True if the function and then renew must be called */
static PyObject *spike_wants(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    asked a;
    if (!tksp_py_arity("wants", count, 3)) return NULL;
    PyObject *values[ASKED_COUNT] = {args[0], args[1], args[2], NULL};
    bool good = asked_get(tksp_py_state_of(object), values, &a);
    bool wants = good && tks_spike_client_wants(((spike_object *)object)->client, a.request);
    asked_clear(&a);
    return good ? PyBool_FromLong(wants) : NULL;
}

/* renew(given, audience, scope, resource): in the background */
static PyObject *spike_renew(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    tksp_py_text given = TKSP_PY_TEXT_INIT;
    asked a;
    if (!tksp_py_arity("renew", count, 4)) return NULL;
    PyObject *values[ASKED_COUNT] = {args[1], args[2], args[3], NULL};
    bool good = asked_get(tksp_py_state_of(object), values, &a) &&
                tksp_py_text_get(tksp_py_state_of(object), args[0], "client_secret", false, &given);
    if (good) tks_spike_client_renew(((spike_object *)object)->client, a.request, given.bytes);
    tksp_py_text_clear(&given, 1);
    asked_clear(&a);
    return good ? new_ref(Py_None) : NULL;
}

/* peek(audience, scope, resource) -> str, or None if that would wait */
static PyObject *spike_peek(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    spike_object *self = (spike_object *)object;
    PyObject *result = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_buf token;
    asked a;
    if (!tksp_py_arity("peek", count, 3)) return NULL;
    PyObject *values[ASKED_COUNT] = {args[0], args[1], args[2], NULL};
    tks_buf_init(&token, SIZE_MAX);
    if (asked_get(tksp_py_state_of(object), values, &a)) {
        bool found = tks_spike_client_peek(self->client, a.request, &token);
        if (finish(object, TKS_OK, &err, NULL)) {
            result = found ? tksp_py_str(tks_buf_bytes(&token)) : new_ref(Py_None);
        }
    }
    asked_clear(&a);
    tks_buf_wipe(&token);
    return result;
}

/* invalidate(token, audience, scope, resource) */
static PyObject *spike_invalidate(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(object);
    tksp_py_text token = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    asked a;
    if (!tksp_py_arity("invalidate", count, 4)) return NULL;
    PyObject *values[ASKED_COUNT] = {args[1], args[2], args[3], NULL};
    bool good =
        asked_get(state, values, &a) && tksp_py_text_get(state, args[0], "token", true, &token);
    if (good) {
        PyThreadState *thread = PyEval_SaveThread();
        tks_interrupt interrupt = {tksp_py_check_signals, &thread};
        tks_status status = tks_spike_client_invalidate(((spike_object *)object)->client, a.request,
                                                        token.bytes, &interrupt, &err);
        PyEval_RestoreThread(thread);
        good = finish(object, status, &err, NULL);
    }
    asked_clear(&a);
    tksp_py_text_clear(&token, 1);
    return good ? new_ref(Py_None) : NULL;
}

/* abandon(audience, scope, resource): no caller waits for its fetch any more */
static PyObject *spike_abandon(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    asked a;
    if (!tksp_py_arity("abandon", count, 3)) return NULL;
    PyObject *values[ASKED_COUNT] = {args[0], args[1], args[2], NULL};
    bool good = asked_get(tksp_py_state_of(object), values, &a);
    if (good) tks_spike_client_abandon(((spike_object *)object)->client, a.request);
    asked_clear(&a);
    return good ? new_ref(Py_None) : NULL;
}

static PyObject *spike_initialize(PyObject *object, PyObject *unused) {
    (void)unused;
    tks_error err = TKS_ERROR_INIT;
    tks_spike_answer answer;
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status =
        tks_spike_client_initialize(((spike_object *)object)->client, &interrupt, &answer, &err);
    PyEval_RestoreThread(thread);
    return finish(object, status, &err, &answer) ? new_ref(Py_None) : NULL;
}

static PyObject *spike_is_initialized(PyObject *object, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(tks_spike_client_is_initialized(((spike_object *)object)->client));
}

static PyObject *spike_close(PyObject *object, PyObject *unused) {
    (void)unused;
    spike_object *self = (spike_object *)object;
    Py_BEGIN_ALLOW_THREADS tks_spike_client_close(self->client);
    Py_END_ALLOW_THREADS return log_notes(self) ? new_ref(Py_None) : NULL;
}

static int spike_traverse(PyObject *object, visitproc visit, void *arg) {
    spike_object *self = (spike_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->redis);
    Py_VISIT(self->log);
    Py_VISIT(self->ask);
    return 0;
}

/* Not `redis`: the driver uses it until it is freed. */
static int spike_clear(PyObject *object) {
    Py_CLEAR(((spike_object *)object)->log);
    Py_CLEAR(((spike_object *)object)->ask);
    return 0;
}

static void spike_dealloc(PyObject *object) {
    spike_object *self = (spike_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->client != NULL) {
        Py_BEGIN_ALLOW_THREADS /* may wait for a renewal */
            tks_spike_client_free(self->client);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF(self->redis);
    spike_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef spike_methods[] = {
    {"get", (PyCFunction)(void (*)(void))spike_get, METH_FASTCALL | METH_KEYWORDS, NULL},
    TKSP_PY_FAST("peek", spike_peek),
    TKSP_PY_FAST("wants", spike_wants),
    TKSP_PY_FAST("renew", spike_renew),
    TKSP_PY_FAST("abandon", spike_abandon),
    TKSP_PY_FAST("invalidate", spike_invalidate),
    {"initialize", spike_initialize, METH_NOARGS, NULL},
    {"is_initialized", spike_is_initialized, METH_NOARGS, NULL},
    {"close", spike_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot spike_slots[] = {
    {Py_tp_doc, (void *)"Spike(**options): access tokens, from memory, Redis or the server."},
    {Py_tp_new, (void *)spike_new},
    {Py_tp_methods, spike_methods},
    {Py_tp_traverse, (void *)spike_traverse},
    {Py_tp_clear, (void *)spike_clear},
    {Py_tp_dealloc, (void *)spike_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_spike_spec = {
    .name = "tokenstore._oauth.Spike",
    .basicsize = sizeof(spike_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = spike_slots,
};
