/* spike.c - _core.Spike: access tokens by client credentials, and the options of get_token_creator.
 *
 * Lifecycle: holds the _core.Client that it keeps tokens in, if any, so that it outlives the driver.
 * Threads:   a token in memory is handed out under the GIL; whatever may wait lets go of it. */
#include "glue.h"

#include "tokenstore/spike_client.h"
#include "tokenstore/spike_creator.h"

typedef struct spike_object {
    PyObject head;
    tks_spike_client *client;
    PyObject *redis; /* a _core.Client, or None */
    PyObject *log;   /* log(level, text) */
} spike_object;

/* Py_NewRef came with 3.10. */
static PyObject *new_ref(PyObject *object) {
    Py_INCREF(object);
    return object;
}

/* ---- making --------------------------------------------------------------------------------- */

/* Sequence of (name, value) pairs of bytes into `out`, which borrows them. */
static bool parameters_get(PyObject *pairs, tks_spike_parameter *out) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(pairs); i++) {
        char *name, *value;
        Py_ssize_t name_size, value_size;
        if (!PyArg_ParseTuple(PyTuple_GetItem(pairs, i), "y#y#", &name, &name_size, &value,
                              &value_size))
            return false;
        out[i] = (tks_spike_parameter){tks_bytes_of(name, (size_t)name_size),
                                       tks_bytes_of(value, (size_t)value_size)};
    }
    return true;
}

/* What Python hands over: spike.py says it by keywords. All bytes are borrowed from `args`. */
typedef struct spike_args {
    tks_spike_options spike;
    tks_http_options http;
    PyObject *redis, *log, *pairs;
    tks_spike_parameter *parameters;
} spike_args;

static bool args_get(const tksp_py_state *state, PyObject *args, PyObject *kwargs,
                     spike_args *out) {
    static const char *const names[] = {"redis",
                                        "log",
                                        "token_url",
                                        "key_url",
                                        "key_text",
                                        "client_id",
                                        "client_secret",
                                        "client_auth",
                                        "client_key",
                                        "client_algorithm",
                                        "grant_type",
                                        "scope",
                                        "parameters",
                                        "host_header",
                                        "json_body",
                                        "opaque",
                                        "redis_key",
                                        "redis_string",
                                        "issuer",
                                        "offset_ms",
                                        "default_lifetime_ms",
                                        "retries",
                                        "factor",
                                        "pause_ms",
                                        "pause_max_ms",
                                        "budget_ms",
                                        "ca",
                                        "cert",
                                        "key",
                                        "proxy",
                                        "insecure",
                                        "connect_timeout_ms",
                                        "faults",
                                        NULL};
    tks_spike_options *o = &out->spike;
    char *text[14] = {NULL};
    Py_ssize_t size[14] = {0}, path_size; /* paths hold no NUL: spike.py has seen to it */
    int json_body, opaque, insecure;
    PyObject *key;
    tks_bytes auth;
    long long offset_ms, lifetime_ms, connect_timeout_ms;
    unsigned int retries, pause_ms, pause_max_ms, budget_ms;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOy#y#y#y#y#y#Oy#y#y#O!y#ppy#y#y#LLIdIIIz#z#z#z#pLy#:Spike",
            (char **)names, &out->redis, &out->log, &text[0], &size[0], &text[1], &size[1],
            &text[2], &size[2], &text[3], &size[3], &text[4], &size[4], &text[10], &size[10], &key,
            &text[11], &size[11], &text[5], &size[5], &text[6], &size[6], &PyTuple_Type,
            &out->pairs, &text[7], &size[7], &json_body, &opaque, &text[8], &size[8], &text[12],
            &size[12], &text[13], &size[13], &offset_ms, &lifetime_ms, &retries, &o->factor,
            &pause_ms, &pause_max_ms, &budget_ms, &out->http.ca, &path_size, &out->http.cert,
            &path_size, &out->http.key, &path_size, &out->http.proxy, &path_size, &insecure,
            &connect_timeout_ms, &text[9], &size[9]))
        return false;
    if (out->redis != Py_None && !Py_IS_TYPE(out->redis, state->client_type)) {
        PyErr_SetString(PyExc_TypeError, "redis must be a _core.Client or None");
        return false;
    }
    tks_bytes *texts[] = {&o->token_url,     &o->key_url,    &o->key_text, &o->client_id,
                          &o->client_secret, &o->grant_type, &o->scope,    &o->host_header,
                          &o->redis_key,     &o->faults,     &auth,        &o->client_algorithm,
                          &o->redis_string,  &o->issuer};
    for (size_t i = 0; i < 14; i++) *texts[i] = tks_bytes_of(text[i], (size_t)size[i]);
    o->client_auth = tks_client_auth_find(auth);
    if (key != Py_None && (o->client_key = tksp_py_key_get(state, key)) == NULL) return false;
    o->json_body = json_body != 0;
    o->opaque = opaque != 0;
    o->offset_ms = offset_ms;
    o->default_lifetime_ms = lifetime_ms;
    o->retries = retries;
    o->pause_ms = pause_ms;
    o->pause_max_ms = pause_max_ms;
    o->budget_ms = budget_ms;
    out->http.insecure = insecure != 0;
    out->http.connect_timeout_ms = connect_timeout_ms;
    o->parameter_count = (size_t)PyTuple_Size(out->pairs);
    o->parameters = out->parameters = PyMem_Calloc(o->parameter_count + 1, sizeof *out->parameters);
    if (out->parameters == NULL) PyErr_NoMemory();
    return out->parameters != NULL && parameters_get(out->pairs, out->parameters);
}

static PyObject *spike_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    const tksp_py_state *state = PyType_GetModuleState(type);
    spike_args in = {.spike = TKS_SPIKE_OPTIONS_INIT};
    tks_error err = TKS_ERROR_INIT;
    spike_object *self = NULL;
    if (args_get(state, args, kwargs, &in)) self = (spike_object *)PyType_GenericAlloc(type, 0);
    if (self != NULL) {
        tks_client *redis = in.redis == Py_None ? NULL : tksp_py_client_get(in.redis);
        tks_status status = tks_spike_client_open(&in.spike, &in.http, redis, &self->client, &err);
        self->redis = new_ref(in.redis);
        self->log = new_ref(in.log);
        if (status != TKS_OK) {
            Py_CLEAR(self);
            tksp_py_raise(state, status, &err);
        }
    }
    PyMem_Free(in.parameters);
    return (PyObject *)self;
}

/* ---- notes for the log ---------------------------------------------------------------------- */

/* Hands the lines that have gathered to log(level, text). An exception that is on its way stays. */
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

/* The end of a call that may have waited. */
static bool finish(PyObject *object, tks_status status, const tks_error *err) {
    if (status != TKS_OK) tksp_py_raise(tksp_py_state_of(object), status, err);
    return log_notes((spike_object *)object) && status == TKS_OK;
}

/* ---- methods -------------------------------------------------------------------------------- */

/* get(audience) -> str */
static PyObject *spike_get(PyObject *object, PyObject *audience) {
    spike_object *self = (spike_object *)object;
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    tks_buf token;
    if (!tksp_py_text_get(tksp_py_state_of(object), audience, "audience", false, &text))
        return NULL;
    tks_buf_init(&token, SIZE_MAX);
    if (tks_spike_client_peek(self->client, text.bytes, &token)) {
        if (finish(object, TKS_OK, &err)) result = tksp_py_str(tks_buf_bytes(&token));
    } else {
        PyThreadState *thread = PyEval_SaveThread();
        tks_interrupt interrupt = {tksp_py_check_signals, &thread};
        tks_status status =
            tks_spike_client_get(self->client, text.bytes, 0, &interrupt, &token, &err);
        PyEval_RestoreThread(thread);
        if (finish(object, status, &err)) result = tksp_py_str(tks_buf_bytes(&token));
    }
    tksp_py_text_clear(&text, 1);
    tks_buf_wipe(&token);
    return result;
}

/* peek(audience) -> str, or None where it would have to be waited for */
static PyObject *spike_peek(PyObject *object, PyObject *audience) {
    spike_object *self = (spike_object *)object;
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    tks_buf token;
    if (!tksp_py_text_get(tksp_py_state_of(object), audience, "audience", false, &text))
        return NULL;
    tks_buf_init(&token, SIZE_MAX);
    bool found = tks_spike_client_peek(self->client, text.bytes, &token);
    if (finish(object, TKS_OK, &err))
        result = found ? tksp_py_str(tks_buf_bytes(&token)) : new_ref(Py_None);
    tksp_py_text_clear(&text, 1);
    tks_buf_wipe(&token);
    return result;
}

/* invalidate(audience, token) */
static PyObject *spike_invalidate(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(object);
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    tks_error err = TKS_ERROR_INIT;
    bool good = tksp_py_arity("invalidate", count, 2) &&
                tksp_py_text_get(state, args[0], "audience", false, &texts[0]) &&
                tksp_py_text_get(state, args[1], "token", true, &texts[1]);
    if (good) {
        PyThreadState *thread = PyEval_SaveThread();
        tks_interrupt interrupt = {tksp_py_check_signals, &thread};
        tks_status status = tks_spike_client_invalidate(
            ((spike_object *)object)->client, texts[0].bytes, texts[1].bytes, &interrupt, &err);
        PyEval_RestoreThread(thread);
        good = finish(object, status, &err);
    }
    tksp_py_text_clear(texts, 2);
    return good ? new_ref(Py_None) : NULL;
}

/* abandon(audience): nobody waits for its fetch any more */
static PyObject *spike_abandon(PyObject *object, PyObject *audience) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    if (!tksp_py_text_get(tksp_py_state_of(object), audience, "audience", false, &text))
        return NULL;
    tks_spike_client_abandon(((spike_object *)object)->client, text.bytes);
    tksp_py_text_clear(&text, 1);
    return new_ref(Py_None);
}

static PyObject *spike_initialize(PyObject *object, PyObject *unused) {
    (void)unused;
    tks_error err = TKS_ERROR_INIT;
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status =
        tks_spike_client_initialize(((spike_object *)object)->client, &interrupt, &err);
    PyEval_RestoreThread(thread);
    return finish(object, status, &err) ? new_ref(Py_None) : NULL;
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
    return 0;
}

/* Not `redis`: the driver uses it to its end. */
static int spike_clear(PyObject *object) {
    Py_CLEAR(((spike_object *)object)->log);
    return 0;
}

static void spike_dealloc(PyObject *object) {
    spike_object *self = (spike_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->client != NULL) {
        Py_BEGIN_ALLOW_THREADS /* a renewal may have to be waited for */
            tks_spike_client_free(self->client);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF(self->redis);
    spike_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef spike_methods[] = {
    {"get", spike_get, METH_O, NULL},
    {"peek", spike_peek, METH_O, NULL},
    {"abandon", spike_abandon, METH_O, NULL},
    {"invalidate", (PyCFunction)(void (*)(void))spike_invalidate, METH_FASTCALL, NULL},
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
    .name = "tokenstore._core.Spike",
    .basicsize = sizeof(spike_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = spike_slots,
};

/* ---- get_token_creator's options ------------------------------------------------------------ */

static bool creator_set(const tksp_py_state *state, tks_creator *creator, PyObject *name,
                        PyObject *value) {
    tks_creator_value v = {.type = TKS_CREATOR_OTHER};
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    bool good = tksp_py_text_get(state, name, "an option's name", false, &texts[0]);
    if (good && PyUnicode_Check(value)) {
        v.type = TKS_CREATOR_TEXT;
        good = tksp_py_text_get(state, value, "an option", false, &texts[1]);
        v.text = texts[1].bytes;
    } else if (PyBool_Check(value)) {
        v.type = TKS_CREATOR_BOOL;
        v.number = value == Py_True;
    } else if (PyLong_Check(value) || PyFloat_Check(value)) {
        v.type = TKS_CREATOR_NUMBER;
        v.number = PyFloat_AsDouble(value);
        PyErr_Clear(); /* too large for a double: the range check says so */
    }
    if (good) tks_creator_set(creator, texts[0].bytes, &v);
    tksp_py_text_clear(texts, 2);
    return good;
}

static PyObject *creator_dict(const tks_creator_options *o) {
    const struct {
        const char *name;
        tks_bytes text;
    } texts[] = {
        {"client_id", o->client_id},       {"client_secret", o->client_secret},
        {"token_url", o->token_url},       {"key_url", o->key_url},
        {"key_path", o->key_path},         {"grant_type", o->grant_type},
        {"audience", o->audience},         {"redis_key", o->redis_key},
        {"redis_string", o->redis_string}, {"redis_host", o->redis_host},
        {"host_header", o->host_header},
    };
    PyObject *dict =
        Py_BuildValue("{s:O,s:I,s:I,s:I}", "validate", o->validate ? Py_True : Py_False, "retries",
                      o->retries, "sleep_ms", o->sleep_ms, "budget_ms", o->budget_ms);
    for (size_t i = 0; dict != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        PyObject *text = tksp_py_str(texts[i].text);
        if (text == NULL || PyDict_SetItemString(dict, texts[i].name, text) < 0) Py_CLEAR(dict);
        Py_XDECREF(text);
    }
    return dict;
}

PyObject *tksp_py_creator_options(PyObject *module, PyObject *options) {
    const tksp_py_state *state = PyModule_GetState(module);
    tks_creator_options out;
    tks_error err = TKS_ERROR_INIT;
    PyObject *name, *value, *result = NULL;
    Py_ssize_t at = 0;
    bool good = true;
    if (!PyDict_Check(options)) {
        PyErr_SetString(PyExc_TypeError, "options must be a mapping");
        return NULL;
    }
    tks_creator *creator = tks_creator_new();
    if (creator == NULL) return PyErr_NoMemory();
    while (good && PyDict_Next(options, &at, &name, &value)) {
        if (value != Py_None) good = creator_set(state, creator, name, value);
    }
    if (good) {
        tks_status status = tks_creator_finish(creator, &out, &err);
        result = status == TKS_OK ? creator_dict(&out) : tksp_py_raise(state, status, &err);
    }
    tks_creator_free(creator);
    return result;
}
