/* py_remote_keys.c - _oauth.RemoteKeys: the public keys at a URL, for tokenstore.jwt.
 *
 * Threads:   cached keys are read under the GIL; functions that may wait release it. */
#include "py_jwt.h"
#include "py_oauth.h"

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

/* RemoteKeys(*, log, url, ca, cert, key, proxy, insecure, nonblocking, max_age_ms, max_stale_ms, interval_ms,
 * timeout_ms): texts are bytes; paths contain no NUL */
static PyObject *remote_keys_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"log",        "url",          "ca",          "cert",
                                        "key",        "proxy",        "insecure",    "nonblocking",
                                        "max_age_ms", "max_stale_ms", "interval_ms", "timeout_ms",
                                        NULL};
    tks_remote_keys_options options = TKS_REMOTE_KEYS_OPTIONS_INIT;
    tks_http_options http = {0};
    tks_error err = TKS_ERROR_INIT;
    PyObject *log;
    char *url;
    Py_ssize_t url_size, size;
    int insecure, nonblocking;
    long long max_age, max_stale, interval, timeout;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$Oy#z#z#z#z#ppLLLL:RemoteKeys", (char **)names,
                                     &log, &url, &url_size, &http.ca, &size, &http.cert, &size,
                                     &http.key, &size, &http.proxy, &size, &insecure, &nonblocking,
                                     &max_age, &max_stale, &interval, &timeout)) {
        return NULL;
    }
    options.url = tks_bytes_of(url, (size_t)url_size);
    options.max_age_ms = max_age;
    options.max_stale_ms = max_stale;
    options.interval_ms = interval;
    options.timeout_ms = timeout;
    http.insecure = insecure != 0;
    PyObject *object = PyType_GenericAlloc(type, 0);
    if (object == NULL) return NULL;
    self_of(object)->nonblocking = nonblocking != 0;
    tksp_py_set(&self_of(object)->log, log);
    tks_status status = tks_remote_keys_new(&options, &http, &self_of(object)->keys, &err);
    if (status == TKS_OK) return object;
    Py_DECREF(object);
    return tksp_py_raise(PyType_GetModuleState(type), status, &err);
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

/* The keys, or those newer than `seen`, a version; with `pending` it does not wait, but says that they are being
 * fetched. False with an exception. *out is NULL if there are none newer. */
static bool get(PyObject *object, uint64_t seen, bool *pending, tks_keyset **out,
                uint64_t *version) {
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
    if (status != TKS_OK) tksp_py_raise(tksp_py_state_of(object), status, &err);
    if (log_notes(object) && status == TKS_OK) return true;
    tks_keyset_free(*out);
    *out = NULL;
    return false;
}

/* list(class, wait) -> list of Key; None: being fetched, and `wait` is false */
static PyObject *remote_keys_list(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    bool pending = false;
    tks_keyset *set;
    uint64_t version;
    if (!tksp_py_arity("list", count, 2) ||
        !get(object, 0, args[1] == Py_True ? NULL : &pending, &set, &version)) {
        return NULL;
    }
    if (pending) Py_RETURN_NONE;
    PyObject *list = tksp_py_key_list(tksp_py_state_of(object), args[0], set);
    tks_keyset_free(set);
    return list;
}

static PyObject *remote_keys_close(PyObject *object, PyObject *unused) {
    (void)unused;
    Py_BEGIN_ALLOW_THREADS tks_remote_keys_close(self_of(object)->keys);
    Py_END_ALLOW_THREADS if (!log_notes(object)) return NULL;
    Py_RETURN_NONE;
}

/* ---- decode ------------------------------------------------------------------------------------- */

static bool may_wait(PyObject *object) {
    if (!self_of(object)->nonblocking) return true;
    PyErr_SetString(
        PyExc_TypeError,
        "this key set belongs to tokenstore.asyncio: await tokenstore.asyncio.jwt.decode(…)");
    return false;
}

/* `seen`: None: wait; or a version of the keys, 0 at first: returns an int
 * while newer keys are being fetched, to pass as `seen` in the next call. */
static PyObject *decode(PyObject *keys, PyObject *seen_arg, tksp_py_jwt_given *given) {
    const tksp_py_state *state = tksp_py_state_of(keys);
    bool wait = seen_arg == Py_None, pending = false, newer = false;
    bool *const pending_at = wait ? NULL : &pending;
    unsigned long long seen = wait ? 0 : PyLong_AsUnsignedLongLong(seen_arg);
    tks_keyset *set = NULL;
    uint64_t version = 0;
    PyObject *result = NULL;

    if (PyErr_Occurred() || (wait && !may_wait(keys))) return NULL;
    if (seen != 0) {
        if (!get(keys, seen, pending_at, &set, &version)) return NULL;
        newer = set != NULL;
    }
    while (!pending) {
        tks_error err = TKS_ERROR_INIT;
        tks_keyset *next = NULL;
        tks_key *const *list;
        tks_jwt jwt;
        if (set == NULL && (!get(keys, 0, pending_at, &set, &version) || set == NULL)) {
            break;
        }
        size_t count = tks_keyset_get_keys(set, &list);
        tks_status status = tksp_py_jwt_try(given, list, count, true, &jwt, &err);
        if (status == TKS_OK && newer) tks_remote_keys_helped(self_of(keys)->keys);
        if (status != TKS_OK && jwt.key_unknown && !newer && version != seen) {
            seen = version;
            if (!get(keys, seen, pending_at, &next, &version) || pending) {
                break;
            }
        }
        if (next == NULL) {
            result = tksp_py_jwt_result(state, given, status, &jwt, &err);
            break;
        }
        newer = true;
        tks_keyset_free(set);
        set = next;
        if (!tksp_py_jwt_now(state, given->now, &given->policy.now)) break; /* time has passed */
    }
    tks_keyset_free(set);
    return pending ? PyLong_FromUnsignedLongLong(seen) : result;
}

/* decode(seen, …): see decode, and the arguments of tksp_py_jwt_given_get */
static PyObject *remote_keys_decode(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    tksp_py_jwt_given given;
    PyObject *result = NULL;
    if (!tksp_py_arity("decode", count, 1 + TKSP_PY_JWT_GIVEN)) return NULL;
    if (tksp_py_jwt_given_get(tksp_py_state_of(object), args + 1, &given)) {
        result = decode(object, args[0], &given);
    }
    tksp_py_jwt_given_clear(&given);
    return result;
}

static PyMethodDef remote_keys_methods[] = {
    TKSP_PY_FAST("decode", remote_keys_decode),
    TKSP_PY_FAST("list", remote_keys_list),
    {"close", remote_keys_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot remote_keys_slots[] = {
    {Py_tp_doc, (void *)"The public keys that a server publishes at a URL."},
    {Py_tp_new, (void *)remote_keys_new},
    {Py_tp_methods, remote_keys_methods},
    {Py_tp_traverse, (void *)remote_keys_traverse},
    {Py_tp_clear, (void *)remote_keys_clear},
    {Py_tp_dealloc, (void *)remote_keys_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_remote_keys_spec = {
    .name = "tokenstore._oauth.RemoteKeys",
    .basicsize = sizeof(remote_keys_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = remote_keys_slots,
};
