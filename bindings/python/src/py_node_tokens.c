/* py_node_tokens.c - _core.NodeTokens: the options of a Tokenstore, and one function per operation.
 *
 * Lifecycle: immutable after it is made. Each function takes positional arguments in the order that
 *            node_tokens.py gives them, calls the core, and returns an Op; nothing is sent here.
 * Threads:   any, with the GIL. */
#include "py_glue.h"

#include "tokenstore/node_tokens.h"

typedef struct node_object {
    PyObject head;
    tks_node_tokens *store;
    PyTypeObject *value_type; /* what a token becomes: called with a dict */
} node_object;

static tks_node_tokens *core_of(PyObject *self) {
    return ((node_object *)self)->store;
}

/* NodeTokens(value_type, prefix, size, hash_size, max_data_size) */
static PyObject *node_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *in[5];
    tksp_py_text prefix = TKSP_PY_TEXT_INIT;
    tks_node_tokens_options options = {0};
    tks_error err = TKS_ERROR_INIT;
    node_object *self = NULL;
    if (!PyArg_ParseTuple(args, "O!OOOO:NodeTokens", &PyType_Type, &in[0], &in[1], &in[2], &in[3],
                          &in[4])) {
        return NULL;
    }
    if (tksp_py_text_option(state, in[1], "prefix", &prefix, &options.prefix) &&
        tksp_py_size_option(state, in[2], "size", &options.size) &&
        tksp_py_size_option(state, in[3], "hash_size", &options.hash_size) &&
        tksp_py_size_option(state, in[4], "max_data_size", &options.max_data_size)) {
        self = (node_object *)PyType_GenericAlloc(type, 0);
        tks_status status =
            self == NULL ? TKS_OK : tks_node_tokens_new(&options, &self->store, &err);
        if (status != TKS_OK) {
            Py_CLEAR(self);
            tksp_py_raise(state, status, &err);
        }
    }
    if (self != NULL) {
        Py_INCREF(in[0]);
        self->value_type = (PyTypeObject *)in[0];
    }
    tksp_py_text_clear(&prefix, 1);
    return (PyObject *)self;
}

/* The Op of what a constructor of the core returned, or its exception. */
static PyObject *finish(PyObject *self, tks_status status, const tks_error *err, tks_op *op) {
    const tksp_py_state *state = tksp_py_state_of(self);
    if (status != TKS_OK) return tksp_py_raise(state, status, err);
    tksp_py_shape shape = {((node_object *)self)->value_type, NULL, NULL};
    return tksp_py_op_new(state, op, &shape);
}

/* The text of attrs, a dict; None is {}. */
static bool attrs_get(PyObject *self, PyObject *attrs, bool none_allowed, tks_buf *out) {
    if (attrs == Py_None && none_allowed) {
        if (tks_buf_append(out, "{}", 2) != TKS_OK) PyErr_NoMemory();
        return !PyErr_Occurred();
    }
    return tksp_py_object(tksp_py_state_of(self), attrs, "attrs",
                          tks_node_tokens_get_max_data_size(core_of(self)), out);
}

/* add(owner_id, attrs, key, duration) */
static PyObject *node_add(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    int64_t duration_ms;
    tks_buf attrs;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("add", count, 4)) return NULL;
    tks_buf_init(&attrs, SIZE_MAX);
    if (tksp_py_name_get(state, args[0], "owner_id", &texts[0]) &&
        attrs_get(self, args[1], true, &attrs) &&
        (args[2] == Py_None || tksp_py_text_get(state, args[2], "key", false, &texts[1])) &&
        tksp_py_duration(state, args[3], "duration", &duration_ms)) {
        tks_status status =
            tks_node_tokens_add(core_of(self), texts[0].bytes, tks_buf_bytes(&attrs),
                                texts[1].bytes, duration_ms, &op, &err);
        result = finish(self, status, &err, op);
    }
    tks_buf_wipe(&attrs);
    tksp_py_text_clear(texts, 2);
    return result;
}

/* set(id, attrs) */
static PyObject *node_set(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    tksp_py_text id = TKSP_PY_TEXT_INIT;
    tks_buf attrs;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("set", count, 2)) return NULL;
    tks_buf_init(&attrs, SIZE_MAX);
    if (tksp_py_id_get(tksp_py_state_of(self), args[0], "id", &id) &&
        attrs_get(self, args[1], false, &attrs)) {
        tks_status status =
            tks_node_tokens_set(core_of(self), id.bytes, tks_buf_bytes(&attrs), &op, &err);
        result = finish(self, status, &err, op);
    }
    tks_buf_wipe(&attrs);
    tksp_py_text_clear(&id, 1);
    return result;
}

/* make_hash(value, ttl) */
static PyObject *node_make_hash(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_text value = TKSP_PY_TEXT_INIT;
    int64_t ttl_ms;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("make_hash", count, 2)) return NULL;
    if (args[1] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "ttl must be seconds or a timedelta, not None");
    } else if (tksp_py_text_get(state, args[0], "value", false, &value) &&
               tksp_py_duration(state, args[1], "ttl", &ttl_ms)) {
        tks_status status =
            tks_node_tokens_make_hash(core_of(self), value.bytes, ttl_ms, &op, &err);
        result = finish(self, status, &err, op);
    }
    tksp_py_text_clear(&value, 1);
    return result;
}

/* ---- with one argument ----------------------------------------------------------------------- */

typedef tks_status operation(const tks_node_tokens *, tks_bytes, tks_op **, tks_error *);

/* `name` is what messages call the argument. */
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

static PyObject *node_get(PyObject *self, PyObject *id) {
    return simple(self, tks_node_tokens_get, id, "id", tksp_py_id_get);
}

static PyObject *node_get_key(PyObject *self, PyObject *key) {
    return simple(self, tks_node_tokens_get_key, key, "key", tksp_py_presented_get);
}

static PyObject *node_delete(PyObject *self, PyObject *id) {
    return simple(self, tks_node_tokens_delete, id, "id", tksp_py_id_get);
}

static PyObject *node_delete_key(PyObject *self, PyObject *key) {
    return simple(self, tks_node_tokens_delete_key, key, "key", tksp_py_presented_get);
}

static PyObject *node_list(PyObject *self, PyObject *owner_id) {
    return simple(self, tks_node_tokens_list, owner_id, "owner_id", tksp_py_name_get);
}

static PyObject *node_get_hash(PyObject *self, PyObject *hash) {
    return simple(self, tks_node_tokens_get_hash, hash, "hash", tksp_py_presented_get);
}

static PyObject *node_take_hash(PyObject *self, PyObject *hash) {
    return simple(self, tks_node_tokens_take_hash, hash, "hash", tksp_py_presented_get);
}

static PyObject *node_del_hash(PyObject *self, PyObject *hash) {
    return simple(self, tks_node_tokens_del_hash, hash, "hash", tksp_py_presented_get);
}

static PyObject *node_reset(PyObject *self, PyObject *unused) {
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    (void)unused;
    tks_status status = tks_node_tokens_reset(core_of(self), &op, &err);
    return finish(self, status, &err, op);
}

/* ---- the type ------------------------------------------------------------------------------- */

static int node_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((node_object *)self)->value_type);
    return 0;
}

static int node_clear(PyObject *self) {
    Py_CLEAR(((node_object *)self)->value_type);
    return 0;
}

static void node_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tks_node_tokens_free(core_of(self));
    node_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef node_methods[] = {
    TKSP_PY_FAST("add", node_add),
    {"get", node_get, METH_O, NULL},
    {"get_key", node_get_key, METH_O, NULL},
    TKSP_PY_FAST("set", node_set),
    {"delete", node_delete, METH_O, NULL},
    {"delete_key", node_delete_key, METH_O, NULL},
    {"list", node_list, METH_O, NULL},
    TKSP_PY_FAST("make_hash", node_make_hash),
    {"get_hash", node_get_hash, METH_O, NULL},
    {"take_hash", node_take_hash, METH_O, NULL},
    {"del_hash", node_del_hash, METH_O, NULL},
    {"reset", node_reset, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot node_slots[] = {
    {Py_tp_doc, (void *)"The options of a Tokenstore, and its operations."},
    {Py_tp_new, (void *)node_new},
    {Py_tp_methods, node_methods},
    {Py_tp_traverse, (void *)node_traverse},
    {Py_tp_clear, (void *)node_clear},
    {Py_tp_dealloc, (void *)node_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_node_tokens_spec = {
    .name = "tokenstore._core.NodeTokens",
    .basicsize = sizeof(node_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = node_slots,
};
