/* py_client.c - _core.Client: the blocking driver, runs without the GIL.
 *
 * Lifecycle: a caller holds a reference while it runs, so the tks_client is freed after the last user. close
 *            may be called at any time from any thread.
 * Threads:   run and close release the GIL while they work. */
#include "py_driver.h"
#include "py_measure.h"
#include "py_near.h"
#include "py_options.h"

/* ---- creation ------------------------------------------------------------------------------- */

/* None is an option that is not given. */
static bool option_set(const tksp_py_state *state, PyObject *name, PyObject *object,
                       tks_target *target) {
    tksp_py_option given;
    tks_error err = TKS_ERROR_INIT;
    const tks_option *row = tksp_py_option_find(&tks_target_options, name);
    if (row == NULL || object == Py_None) return row != NULL;
    bool good = tksp_py_option_get(state, row, object, &given);
    if (good) {
        tks_status status = tks_target_set_option(target, row, &given.value, &err);
        if (status != TKS_OK) tksp_py_raise(state, status, &err);
        good = status == TKS_OK;
    }
    tksp_py_option_clear(&given);
    return good;
}

static bool target_get(const tksp_py_state *state, PyObject *url, PyObject *options,
                       tks_target **out) {
    Py_ssize_t at = 0;
    PyObject *name, *object;
    tksp_py_text text;
    tks_error err = TKS_ERROR_INIT;
    if (!tksp_py_text_get(state, url, "url", false, &text)) return false;
    tks_status status = tks_target_parse(text.bytes, out, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    bool good = status == TKS_OK;
    while (good && PyDict_Next(options, &at, &name, &object)) {
        good = option_set(state, name, object, *out);
    }
    return good;
}

static PyObject *client_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *url, *options, *credentials = Py_None;
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    if (!PyArg_ParseTuple(args, "UO!|O:Client", &url, &PyDict_Type, &options, &credentials)) {
        return NULL;
    }
    tksp_py_client *self = (tksp_py_client *)PyType_GenericAlloc(type, 0);
    if (self == NULL || !target_get(state, url, options, &target)) {
        tks_target_free(target);
        Py_XDECREF(self);
        return NULL;
    }
    if (credentials != Py_None && target->transport == TKS_EMBEDDED) {
        PyErr_SetString(
            state->exceptions[TKS_ERR_CONFIGURATION],
            "credentials cannot be used with embedded: an embedded server has no password");
        tks_target_free(target);
        Py_DECREF(self);
        return NULL;
    }
    if (credentials != Py_None) {
        target->asks = true;
        tksp_py_set(&self->credentials, credentials);
    }
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status = tks_client_new(target, &interrupt, &self->client, &err);
    PyEval_RestoreThread(thread);
    if (status == TKS_OK) return (PyObject *)self;
    Py_DECREF(self);
    return tksp_py_raise(state, status, &err);
}

/* ---- methods -------------------------------------------------------------------------------- */

PyObject *tksp_py_timeout_of(PyObject *module, PyObject *arg) {
    int64_t ms;
    if (!tksp_py_timeout(PyModule_GetState(module), arg, &ms)) return NULL;
    if (arg == Py_None) Py_RETURN_NONE;
    return PyFloat_FromDouble((double)ms / 1000);
}

static bool is_text(PyObject *object) {
    return PyUnicode_Check(object) || PyBytes_Check(object);
}

static bool has_zero(tks_bytes text) {
    return text.size > 0 && memchr(text.data, '\0', text.size) != NULL;
}

bool tksp_py_credentials_get(const tksp_py_state *state, PyObject *pair, tks_credentials *out) {
    PyObject *user = NULL, *password = NULL;
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    if (PyTuple_Check(pair) && PyTuple_Size(pair) == 2) {
        user = PyTuple_GetItem(pair, 0);
        password = PyTuple_GetItem(pair, 1);
    }
    if (user == NULL || !(user == Py_None || is_text(user)) || !is_text(password)) {
        PyErr_SetString(PyExc_TypeError,
                        "credentials must return a tuple (user, password), each str or bytes; "
                        "None as the user is the default user");
        return false;
    }
    bool good = (user == Py_None || tksp_py_text_get(state, user, "user", false, &texts[0])) &&
                tksp_py_text_get(state, password, "password", false, &texts[1]);
    if (good && (has_zero(texts[0].bytes) || has_zero(texts[1].bytes))) {
        PyErr_SetString(state->exceptions[TKS_ERR_CONFIGURATION],
                        "credentials returned a user or a password that contains a NUL byte");
        good = false;
    }
    if (good && tks_credentials_init(out, texts[0].bytes, texts[1].bytes) != TKS_OK) {
        PyErr_NoMemory();
        good = false;
    }
    tksp_py_text_clear(texts, 2);
    return good;
}

static bool ask(tksp_py_client *self, const tksp_py_state *state, tks_flight *flight) {
    PyObject *credentials = self->credentials;
    Py_INCREF(credentials);
    PyObject *pair = PyObject_CallFunctionObjArgs(credentials, NULL);
    Py_DECREF(credentials);
    tks_credentials made;
    bool good = pair != NULL && tksp_py_credentials_get(state, pair, &made);
    Py_XDECREF(pair);
    if (good) tks_flight_give(flight, &made);
    return good;
}

/* Runs `op` on a client with a credentials function. False with an exception, also one of that function. */
static bool run_asking(tksp_py_client *self, const tksp_py_state *state, PyObject *object,
                       tks_op *op, int64_t timeout_ms) {
    tks_flight *flight = NULL;
    tks_error err = TKS_ERROR_INIT;
    bool asks = false, good = true;
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status = tks_client_begin(self->client, op, timeout_ms, &interrupt, &flight, &err);
    if (status == TKS_OK) status = tks_flight_proceed(flight, &asks, &err);
    while (good && asks) {
        PyEval_RestoreThread(thread);
        good = ask(self, state, flight);
        thread = PyEval_SaveThread();
        asks = false;
        if (good) status = tks_flight_proceed(flight, &asks, &err);
    }
    tks_flight_free(flight);
    PyEval_RestoreThread(thread);
    if (good && status != TKS_OK) tksp_py_raise_of(state, object, status, &err);
    return good && status == TKS_OK;
}

static bool run_plain(tksp_py_client *self, const tksp_py_state *state, PyObject *object,
                      tks_op *op, int64_t timeout_ms) {
    tks_error err;
    tks_error_init(&err);
    PyThreadState *thread = PyEval_SaveThread();
    tks_interrupt interrupt = {tksp_py_check_signals, &thread};
    tks_status status = tks_client_run(self->client, op, timeout_ms, &interrupt, &err);
    PyEval_RestoreThread(thread);
    if (status != TKS_OK) tksp_py_raise_of(state, object, status, &err);
    return status == TKS_OK;
}

/* run(op, timeout=None) -> its result; a record that was found near, where there would be an op, is one already */
static PyObject *client_run(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    tksp_py_client *self = (tksp_py_client *)object;
    const tksp_py_state *state = tksp_py_state_of(object);
    int64_t timeout_ms = 0;
    if (count != 1 && !tksp_py_arity("run", count, 2)) return NULL;
    if (count == 2 && !tksp_py_timeout(state, args[1], &timeout_ms)) return NULL;
    if (PyObject_TypeCheck(args[0], state->record_type)) {
        Py_INCREF(args[0]);
        return args[0];
    }
    tks_op *op = tksp_py_op_begin(state, args[0]);
    if (op == NULL) return NULL;
    bool good = self->credentials == NULL ? run_plain(self, state, args[0], op, timeout_ms)
                                          : run_asking(self, state, args[0], op, timeout_ms);
    tksp_py_notes_log(self->client, op);
    tksp_py_measure_tell(state, self->observer, NULL, op);
    return good ? tksp_py_op_result(state, args[0]) : NULL;
}

static PyObject *client_close(PyObject *object, PyObject *unused) {
    (void)unused;
    tksp_py_client *self = (tksp_py_client *)object;
    self->closed = true;
    Py_BEGIN_ALLOW_THREADS tks_client_close(self->client);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *describe(const tks_target *target) {
    tks_buf text;
    tks_buf_init(&text, 64 * 1024);
    tks_status status = tks_target_describe(target, &text);
    PyObject *result = status == TKS_OK ? tksp_py_str(tks_buf_bytes(&text)) : PyErr_NoMemory();
    tks_buf_clear(&text);
    return result;
}

/* describe() -> the URL without user, password and options */
static PyObject *client_describe(PyObject *object, PyObject *unused) {
    (void)unused;
    return describe(tks_client_get_target(((tksp_py_client *)object)->client));
}

static PyObject *show_target(const tks_target *t) {
    PyObject *name = describe(t);
    if (name == NULL) return NULL;
    return Py_BuildValue(
        "{s:N,s:O,s:z,s:i,s:k,s:z,s:O,s:z,s:z,s:z,s:z,s:d,s:d,s:s}", "name", name, "asks",
        t->asks ? Py_True : Py_False, "host", t->host, "port", (int)t->port, "db",
        (unsigned long)t->db, "path", t->transport == TKS_UNIX ? t->path : NULL, "tls",
        t->tls ? Py_True : Py_False, "ca", t->ca, "cert", t->cert, "key", t->key, "server_name",
        t->server_name, "timeout", (double)t->timeout_ms / 1e3, "connect_timeout",
        (double)t->connect_timeout_ms / 1e3, "greeting_hint", tks_greeting_get_hint(t));
}

tks_status tksp_py_client_node(PyObject *object, int node, tks_target **out) {
    tks_client *client = tksp_py_client_get(object);
    tks_router *router = tks_client_hold_router(client);
    *out = router != NULL ? tks_router_target(router, tks_client_get_target(client), node) : NULL;
    tks_router_free(router);
    return *out != NULL ? TKS_OK : TKS_ERR_MEMORY;
}

/* target(node) -> a dict for the asyncio driver, of the URL (-1), or of a node of a cluster; without user and
 * password */
static PyObject *client_target(PyObject *object, PyObject *arg) {
    long node = PyLong_AsLong(arg);
    tks_target *of_node;
    if (PyErr_Occurred()) return NULL;
    if (node < 0) return show_target(tks_client_get_target(tksp_py_client_get(object)));
    if (tksp_py_client_node(object, (int)node, &of_node) != TKS_OK) return PyErr_NoMemory();
    PyObject *result = show_target(of_node);
    tks_target_free(of_node);
    return result;
}

/* refresh() -> the Op that asks for the map of the cluster, if that is due; else None */
static PyObject *client_refresh(PyObject *object, PyObject *unused) {
    tks_router *router = tks_client_hold_router(((tksp_py_client *)object)->client);
    const tksp_py_shape plain = {NULL, NULL, NULL};
    (void)unused;
    tks_op *op = router != NULL ? tks_router_refresh(router, (int64_t)(tksp_py_now() * 1e3)) : NULL;
    tks_router_free(router);
    if (op == NULL) Py_RETURN_NONE;
    return tksp_py_op_new(tksp_py_state_of(object), op, &plain);
}

/* serves(node) -> whether the node serves slots of the cluster; True of the one server */
static PyObject *client_serves(PyObject *object, PyObject *arg) {
    long node = PyLong_AsLong(arg);
    if (PyErr_Occurred()) return NULL;
    tks_router *router = tks_client_hold_router(((tksp_py_client *)object)->client);
    bool serves = router == NULL || tks_router_serves(router, (int)node);
    tks_router_free(router);
    return PyBool_FromLong(serves);
}

/* near_cache_stats() -> a dict; None: there is no near cache */
static PyObject *client_near_cache_stats(PyObject *object, PyObject *unused) {
    tks_near_stats s;
    (void)unused;
    if (!tks_client_get_near_stats(((tksp_py_client *)object)->client, &s)) Py_RETURN_NONE;
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:n,s:n,s:O,s:d}", "hits", s.hits, "misses",
                         s.misses, "invalidations", s.invalidations, "evictions", s.evictions,
                         "flushes", s.flushes, "entries", (Py_ssize_t)s.entries, "bytes",
                         (Py_ssize_t)s.bytes, "alive", s.alive ? Py_True : Py_False, "oldest_proof",
                         (double)s.oldest_ms / 1e3);
}

/* draw_age() -> how many seconds a connection opened now may be used; inf: no limit */
static PyObject *client_draw_age(PyObject *object, PyObject *unused) {
    (void)unused;
    int64_t ms = tks_target_draw_age(tks_client_get_target(((tksp_py_client *)object)->client));
    return PyFloat_FromDouble(ms == INT64_MAX ? (double)INFINITY : (double)ms / 1e3);
}

static PyObject *client_closed(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((tksp_py_client *)object)->closed);
}

/* The credentials function, or None */
static PyObject *client_credentials(PyObject *object, void *unused) {
    (void)unused;
    PyObject *credentials = ((tksp_py_client *)object)->credentials;
    if (credentials == NULL) Py_RETURN_NONE;
    Py_INCREF(credentials);
    return credentials;
}

static void client_dealloc(PyObject *object) {
    tksp_py_client *self = (tksp_py_client *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->client != NULL) {
        tksp_py_near_clear(self->client);
        Py_BEGIN_ALLOW_THREADS /* stopping an embedded server takes time */
            tks_client_free(self->client);
        Py_END_ALLOW_THREADS
    }
    Py_CLEAR(self->credentials);
    Py_CLEAR(self->observer);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static int client_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((tksp_py_client *)self)->credentials);
    Py_VISIT(((tksp_py_client *)self)->observer);
    return 0;
}

static int client_clear(PyObject *self) {
    tksp_py_set(&((tksp_py_client *)self)->credentials, NULL);
    tksp_py_set(&((tksp_py_client *)self)->observer, NULL);
    return 0;
}

/* observe(observer): it is told of each operation that ends, what that has cost (py_measure.c); None: nobody is */
static PyObject *client_observe(PyObject *object, PyObject *observer) {
    PyObject *started = tksp_py_measure_start(object, NULL);
    if (started == NULL) return NULL;
    Py_DECREF(started);
    tksp_py_set(&((tksp_py_client *)object)->observer, observer != Py_None ? observer : NULL);
    Py_RETURN_NONE;
}

PyObject *tksp_py_client_observer(PyObject *object) {
    return ((tksp_py_client *)object)->observer;
}

static PyMethodDef client_methods[] = {
    TKSP_PY_FAST("run", client_run),
    {"close", client_close, METH_NOARGS, NULL},
    {"describe", client_describe, METH_NOARGS, NULL},
    {"target", client_target, METH_O, NULL},
    {"near_cache_stats", client_near_cache_stats, METH_NOARGS, NULL},
    {"refresh", client_refresh, METH_NOARGS, NULL},
    {"serves", client_serves, METH_O, NULL},
    {"draw_age", client_draw_age, METH_NOARGS, NULL},
    {"observe", client_observe, METH_O, NULL},
    {"measure", tksp_py_measure_start, METH_NOARGS, NULL},
    {"sums", tksp_py_measure_sums, METH_NOARGS, NULL},
    {"pool_stats", tksp_py_measure_pool, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef client_getset[] = {
    {"closed", client_closed, NULL, NULL, NULL},
    {"credentials", client_credentials, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_doc,
     (void *)"Client(url, options, credentials=None): a pool of connections that runs operations."},
    {Py_tp_new, (void *)client_new},
    {Py_tp_methods, client_methods},
    {Py_tp_getset, client_getset},
    {Py_tp_traverse, (void *)client_traverse},
    {Py_tp_clear, (void *)client_clear},
    {Py_tp_dealloc, (void *)client_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_client_spec = {
    .name = "tokenstore._core.Client",
    .basicsize = sizeof(tksp_py_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = client_slots,
};
