/* py_remote_keys.c - _core.RemoteKeySet: the public keys at a URL, for tokenstore.jwt.
 *
 * Threads:   cached keys are read under the GIL; functions that may wait release it. */
#include "py_glue.h"

#include "tokenstore/remote_keys.h"

typedef struct remote_keys_object {
    PyObject head;
    tks_remote_keys *keys;
    PyObject *log;    /* log(level, text) */
    bool nonblocking; /* decode must not wait */
} remote_keys_object;

static remote_keys_object *self_of(PyObject *object) {
    return (remote_keys_object *)object;
}

/* ---- life -------------------------------------------------------------------------------------- */

/* Created by remote_keys_open; calling the class would create an empty one. */
static PyObject *refuse_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args;
    (void)kwargs;
    return PyErr_Format(PyExc_TypeError, "%R cannot be created directly: use KeySet.from_url",
                        (PyObject *)type);
}

/* remote_keys_open(class, *, log, url, ca, cert, key, proxy, insecure, nonblocking, max_age_ms, max_stale_ms,
 * interval_ms, timeout_ms): texts are bytes; paths contain no NUL */
PyObject *tksp_py_remote_keys_open(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {
        "",           "log",      "url",         "ca",         "cert",         "key",
        "proxy",      "insecure", "nonblocking", "max_age_ms", "max_stale_ms", "interval_ms",
        "timeout_ms", NULL};
    const tksp_py_state *state = PyModule_GetState(module);
    tks_remote_keys_options options = TKS_REMOTE_KEYS_OPTIONS_INIT;
    tks_http_options http = {0};
    tks_error err = TKS_ERROR_INIT;
    PyObject *type, *log;
    char *url;
    Py_ssize_t url_size, size;
    int insecure, nonblocking;
    long long max_age, max_stale, interval, timeout;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O$Oy#z#z#z#z#ppLLLL:remote_keys_open", (char **)names, &type, &log, &url,
            &url_size, &http.ca, &size, &http.cert, &size, &http.key, &size, &http.proxy, &size,
            &insecure, &nonblocking, &max_age, &max_stale, &interval, &timeout)) {
        return NULL;
    }
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, state->remote_keys_type)) {
        return PyErr_Format(PyExc_TypeError, "a subclass of %R is required",
                            (PyObject *)state->remote_keys_type);
    }
    options.url = tks_bytes_of(url, (size_t)url_size);
    options.max_age_ms = max_age;
    options.max_stale_ms = max_stale;
    options.interval_ms = interval;
    options.timeout_ms = timeout;
    http.insecure = insecure != 0;
    PyObject *object = PyType_GenericAlloc((PyTypeObject *)type, 0);
    if (object == NULL) return NULL;
    self_of(object)->nonblocking = nonblocking != 0;
    tksp_py_set(&self_of(object)->log, log);
    tks_status status = tks_remote_keys_new(&options, &http, &self_of(object)->keys, &err);
    if (status != TKS_OK) {
        Py_DECREF(object);
        return tksp_py_raise(state, status, &err);
    }
    return object;
}

static int remote_keys_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self_of(object)->log);
    return 0;
}

static int remote_keys_clear(PyObject *object) {
    Py_CLEAR(self_of(object)->log);
    return 0;
}

static void remote_keys_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self_of(object)->keys != NULL) {
        Py_BEGIN_ALLOW_THREADS /* may wait for a fetch */
            tks_remote_keys_free(self_of(object)->keys);
        Py_END_ALLOW_THREADS
    }
    remote_keys_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

/* ---- notes ------------------------------------------------------------------------------------- */

/* Passes the collected lines to log(level, text). Keeps a raised exception. */
static bool log_notes(PyObject *object) {
    remote_keys_object *self = self_of(object);
    tks_bytes rest, text;
    tks_buf notes;
    bool good = true;
    char level;
    if (!tks_remote_keys_has_notes(self->keys) || self->log == NULL) return true;
    PyObject *kind, *value, *traceback;
    PyErr_Fetch(&kind, &value, &traceback);
    tks_buf_init(&notes, SIZE_MAX);
    (void)tks_remote_keys_take_notes(self->keys, &notes);
    rest = tks_buf_bytes(&notes);
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

/* ---- keys -------------------------------------------------------------------------------------- */

bool tksp_py_remote_keys_may_wait(PyObject *object) {
    if (!self_of(object)->nonblocking) return true;
    PyErr_SetString(
        PyExc_TypeError,
        "this key set belongs to tokenstore.asyncio: await tokenstore.asyncio.jwt.decode(…)");
    return false;
}

bool tksp_py_remote_keys_get(const tksp_py_state *state, PyObject *object, uint64_t seen,
                             bool *pending, tks_keyset **out, uint64_t *version) {
    remote_keys_object *self = self_of(object);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    if (pending != NULL) *pending = false;
    *out = seen == 0 ? tks_remote_keys_peek(self->keys, version) : NULL;
    if (*out == NULL && pending != NULL) {
        status = tks_remote_keys_get(self->keys, seen, NULL, pending, out, version, &err);
    } else if (*out == NULL) {
        PyThreadState *thread = PyEval_SaveThread();
        tks_interrupt interrupt = {tksp_py_check_signals, &thread};
        status = tks_remote_keys_get(self->keys, seen, &interrupt, NULL, out, version, &err);
        PyEval_RestoreThread(thread);
    }
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    if (log_notes(object) && status == TKS_OK) return true;
    tks_keyset_free(*out);
    *out = NULL;
    return false;
}

void tksp_py_remote_keys_helped(PyObject *object) {
    tks_remote_keys_helped(self_of(object)->keys);
}

/* The RemoteKeySet of an argument; NULL with a TypeError. */
static PyObject *check(const tksp_py_state *state, PyObject *object) {
    if (PyObject_TypeCheck(object, state->remote_keys_type)) return object;
    return PyErr_Format(PyExc_TypeError, "a RemoteKeySet is required, not %R",
                        (PyObject *)Py_TYPE(object));
}

/* remote_keys_list(keys, class, wait) -> list of Key; None: being fetched, and `wait` is false */
PyObject *tksp_py_remote_keys_list(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    bool pending = false;
    tks_keyset *set;
    uint64_t version;
    if (!tksp_py_arity("remote_keys_list", count, 3) || check(state, args[0]) == NULL ||
        !tksp_py_remote_keys_get(state, args[0], 0, args[2] == Py_True ? NULL : &pending, &set,
                                 &version)) {
        return NULL;
    }
    if (pending) Py_RETURN_NONE;
    PyObject *list = tksp_py_key_list(state, args[1], set);
    tks_keyset_free(set);
    return list;
}

/* remote_keys_close(keys) */
PyObject *tksp_py_remote_keys_close(PyObject *module, PyObject *object) {
    if (check(PyModule_GetState(module), object) == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS tks_remote_keys_close(self_of(object)->keys);
    Py_END_ALLOW_THREADS if (!log_notes(object)) return NULL;
    Py_RETURN_NONE;
}

static PyType_Slot remote_keys_slots[] = {
    {Py_tp_doc, (void *)"The public keys that a server publishes at a URL."},
    {Py_tp_new, (void *)refuse_new},
    {Py_tp_traverse, (void *)remote_keys_traverse},
    {Py_tp_clear, (void *)remote_keys_clear},
    {Py_tp_dealloc, (void *)remote_keys_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_remote_keys_spec = {
    .name = "tokenstore._core.RemoteKeySet",
    .basicsize = sizeof(remote_keys_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = remote_keys_slots,
};
