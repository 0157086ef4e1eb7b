/* py_jwt_sessions.c - _core.JwtSessions: the options of a RedisJWT, and one function per operation.
 *
 * Lifecycle: immutable after it is made. Each function takes positional arguments in the order that
 *            redis_jwt.py gives them, calls the core, and returns an Op; nothing is sent here.
 * Threads:   any, with the GIL. */
#include "py_glue.h"

#include <time.h>

#include "tokenstore/jwt_sessions.h"

typedef struct sessions_object {
    PyObject head;
    tks_jwt_sessions *sessions;
} sessions_object;

static tks_jwt_sessions *core_of(PyObject *self) {
    return ((sessions_object *)self)->sessions;
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- making --------------------------------------------------------------------------------- */

static bool algorithm_get(const tksp_py_state *state, PyObject *name, tks_jwt_alg *out) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    if (!tksp_py_text_get(state, name, "algorithm", true, &text)) return false;
    tks_status status = tks_jwt_alg_find(text.bytes, out, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* JwtSessions(keys, algorithm, max_sessions, node_writers, max_data_size, max_size): keys is a tuple of Key;
 * max_sessions 0 stands for any number */
static PyObject *sessions_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *keys, *algorithm, *max_data_size, *max_size;
    tks_jwt_sessions_options options = {.keys = NULL};
    long long max_sessions;
    int node_writers;
    tks_error err = TKS_ERROR_INIT;
    sessions_object *self = NULL;
    tks_key **list = NULL;
    if (!PyArg_ParseTuple(args, "O!OLpOO:JwtSessions", &PyTuple_Type, &keys, &algorithm,
                          &max_sessions, &node_writers, &max_data_size, &max_size)) {
        return NULL;
    }
    options.key_count = (size_t)PyTuple_Size(keys);
    options.max_sessions = max_sessions;
    options.node_writers = node_writers != 0;
    list = PyMem_Calloc(options.key_count + 1, sizeof *list);
    if (list == NULL) return PyErr_NoMemory();
    options.keys = list;
    for (size_t i = 0; i < options.key_count; i++) {
        list[i] = tksp_py_key_get(state, PyTuple_GetItem(keys, (Py_ssize_t)i));
        if (list[i] == NULL) goto cleanup;
    }
    if (!algorithm_get(state, algorithm, &options.algorithm) ||
        !tksp_py_size_option(state, max_data_size, "max_data_size", &options.max_data_size) ||
        !tksp_py_size_option(state, max_size, "max_size", &options.max_size)) {
        goto cleanup;
    }
    self = (sessions_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) goto cleanup;
    tks_status status = tks_jwt_sessions_new(&options, &self->sessions, &err);
    if (status != TKS_OK) {
        Py_CLEAR(self);
        tksp_py_raise(state, status, &err);
    }
cleanup:
    PyMem_Free(list);
    return (PyObject *)self;
}

/* The Op of what a constructor of the core returned, or its exception. */
static PyObject *finish(PyObject *self, tks_status status, const tks_error *err, tks_op *op) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_shape shape = {NULL, NULL, NULL};
    if (status != TKS_OK) return tksp_py_raise(state, status, err);
    return tksp_py_op_new(state, op, &shape);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* None, seconds, a timedelta, or a text as "15 minutes". */
static bool ttl_get(const tksp_py_state *state, PyObject *arg, int64_t *out_ms) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    if (!PyUnicode_Check(arg)) return tksp_py_duration(state, arg, "ttl", out_ms);
    if (!tksp_py_text_get(state, arg, "ttl", false, &text)) return false;
    tks_status status = tks_duration_text(text.bytes, "ttl", out_ms, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* A dict as JSON text; None is nothing. */
static bool data_get(PyObject *self, PyObject *arg, const char *name, tks_buf *out) {
    if (arg == Py_None) return true;
    return tksp_py_object(tksp_py_state_of(self), arg, name,
                          tks_jwt_sessions_get_max_data_size(core_of(self)), out);
}

/* ---- operations ------------------------------------------------------------------------------ */

/* sign(id, ttl, data_token, data_session) */
static PyObject *sessions_sign(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_text id = TKSP_PY_TEXT_INIT;
    tks_jwt_session_new new = {.now = now()};
    tks_buf data_token, data_session;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("sign", count, 4)) return NULL;
    tks_buf_init(&data_token, SIZE_MAX);
    tks_buf_init(&data_session, SIZE_MAX);
    if (tksp_py_name_get(state, args[0], "id", &id) && ttl_get(state, args[1], &new.ttl_ms) &&
        data_get(self, args[2], "data_token", &data_token) &&
        data_get(self, args[3], "data_session", &data_session)) {
        new.id = id.bytes;
        new.data_token = tks_buf_bytes(&data_token);
        new.data_session = tks_buf_bytes(&data_session);
        tks_status status = tks_jwt_sessions_sign(core_of(self), &new, &op, &err);
        result = finish(self, status, &err, op);
    }
    tks_buf_wipe(&data_token);
    tks_buf_wipe(&data_session);
    tksp_py_text_clear(&id, 1);
    return result;
}

/* A token of another type is as bad as any other that is none: it may be what a client put into JSON. */
static bool token_get(const tksp_py_state *state, PyObject *arg, tksp_py_text *out) {
    bool text = PyUnicode_Check(arg) || PyBytes_Check(arg);
    return tksp_py_presented_get(state, text ? arg : Py_None, "token", out);
}

/* verify(token, value_session) */
static PyObject *sessions_verify(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    tksp_py_text token = TKSP_PY_TEXT_INIT;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    if (!tksp_py_arity("verify", count, 2)) return NULL;
    int value_session = PyObject_IsTrue(args[1]);
    if (value_session < 0 || !token_get(tksp_py_state_of(self), args[0], &token)) return NULL;
    tks_status status =
        tks_jwt_sessions_verify(core_of(self), token.bytes, value_session != 0, now(), &op, &err);
    tksp_py_text_clear(&token, 1);
    return finish(self, status, &err, op);
}

/* put(key, value, ttl) */
static PyObject *sessions_put(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    int64_t ttl_ms;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("put", count, 3)) return NULL;
    if (tksp_py_text_get(state, args[0], "key", false, &texts[0]) &&
        tksp_py_text_get(state, args[1], "value", false, &texts[1]) &&
        ttl_get(state, args[2], &ttl_ms)) {
        tks_status status =
            tks_jwt_sessions_put(core_of(self), texts[0].bytes, texts[1].bytes, ttl_ms, &op, &err);
        result = finish(self, status, &err, op);
    }
    tksp_py_text_clear(texts, 2);
    return result;
}

typedef tks_status operation(const tks_jwt_sessions *, tks_bytes, tks_op **, tks_error *);

/* With one text. */
static PyObject *simple(PyObject *self, operation *make, PyObject *arg, const char *name,
                        tksp_py_text_getter *get) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    if (!get(tksp_py_state_of(self), arg, name, &text)) return NULL;
    tks_status status = make(core_of(self), text.bytes, &op, &err);
    tksp_py_text_clear(&text, 1);
    return finish(self, status, &err, op);
}

static PyObject *sessions_list(PyObject *self, PyObject *id) {
    return simple(self, tks_jwt_sessions_list, id, "id", tksp_py_name_get);
}

static PyObject *sessions_count(PyObject *self, PyObject *id) {
    return simple(self, tks_jwt_sessions_count, id, "id", tksp_py_name_get);
}

static PyObject *sessions_get_values(PyObject *self, PyObject *id) {
    return simple(self, tks_jwt_sessions_get_values, id, "id", tksp_py_name_get);
}

static PyObject *sessions_destroy_all(PyObject *self, PyObject *id) {
    return simple(self, tks_jwt_sessions_destroy_all, id, "id", tksp_py_name_get);
}

static PyObject *sessions_destroy(PyObject *self, PyObject *rjwt) {
    return simple(self, tks_jwt_sessions_destroy, rjwt, "rjwt", tksp_py_presented_get);
}

static PyObject *sessions_exists(PyObject *self, PyObject *key) {
    return simple(self, tks_jwt_sessions_exists, key, "key", tksp_py_presented_get);
}

static PyObject *sessions_ttl(PyObject *self, PyObject *key) {
    return simple(self, tks_jwt_sessions_ttl, key, "key", tksp_py_presented_get);
}

static PyObject *sessions_get_value(PyObject *self, PyObject *key) {
    return simple(self, tks_jwt_sessions_get_value, key, "key", tksp_py_presented_get);
}

static bool section_get(const tksp_py_state *state, PyObject *arg, const char *name,
                        tksp_py_text *out) {
    return tksp_py_text_get(state, arg, name, false, out);
}

static PyObject *sessions_get_info(PyObject *self, PyObject *section) {
    return simple(self, tks_jwt_sessions_get_info, section, "section", section_get);
}

static PyObject *sessions_ping(PyObject *self, PyObject *unused) {
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    (void)unused;
    tks_status status = tks_jwt_sessions_ping(core_of(self), &op, &err);
    return finish(self, status, &err, op);
}

static PyObject *sessions_reindex(PyObject *self, PyObject *unused) {
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    (void)unused;
    tks_status status = tks_jwt_sessions_reindex(core_of(self), &op, &err);
    return finish(self, status, &err, op);
}

/* ---- the type ------------------------------------------------------------------------------- */

static void sessions_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    tks_jwt_sessions_free(core_of(self));
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef sessions_methods[] = {
    TKSP_PY_FAST("sign", sessions_sign),
    TKSP_PY_FAST("verify", sessions_verify),
    TKSP_PY_FAST("put", sessions_put),
    {"list", sessions_list, METH_O, NULL},
    {"count", sessions_count, METH_O, NULL},
    {"get_values", sessions_get_values, METH_O, NULL},
    {"destroy_all", sessions_destroy_all, METH_O, NULL},
    {"destroy", sessions_destroy, METH_O, NULL},
    {"exists", sessions_exists, METH_O, NULL},
    {"ttl", sessions_ttl, METH_O, NULL},
    {"get_value", sessions_get_value, METH_O, NULL},
    {"get_info", sessions_get_info, METH_O, NULL},
    {"ping", sessions_ping, METH_NOARGS, NULL},
    {"reindex", sessions_reindex, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sessions_slots[] = {
    {Py_tp_doc, (void *)"The options of a RedisJWT, and its operations."},
    {Py_tp_new, (void *)sessions_new},
    {Py_tp_methods, sessions_methods},
    {Py_tp_dealloc, (void *)sessions_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_jwt_sessions_spec = {
    .name = "tokenstore._core.JwtSessions",
    .basicsize = sizeof(sessions_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sessions_slots,
};
