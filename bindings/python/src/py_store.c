/* py_store.c - see py_store.h. */
#include "py_store.h"

#include <string.h>

#include "py_args.h"
#include "py_near.h"

typedef struct store_object {
    PyObject head;
    const tks_store_type *type;
    void *core;
    PyTypeObject *value_type;
    PyObject *client; /* with a near cache, in which records are kept ready; NULL: none */
} store_object;

/* What a function of the namespace is bound to: it reaches this as its `self`. */
typedef struct operation_object {
    PyObject head;
    const tks_operation *row;
    store_object *store;
    Py_ssize_t given; /* arguments that a caller gives */
    PyMethodDef def;
    tks_buf doc; /* begins with the signature, as inspect reads it */
} operation_object;

/* ---- a call ----------------------------------------------------------------------------------- */

/* What tokens in the result have in common: their app and type, where the row begins with them. */
static tksp_py_shape shape_of(const tksp_py_state *state, const operation_object *self,
                              const tksp_py_held *held) {
    const tks_operation *row = self->row;
    tksp_py_shape shape = {self->store->value_type, NULL, NULL};
    if (row->param_count > 2 &&
        (row->result == TKS_RESULT_TOKEN || row->result == TKS_RESULT_TOKENS)) {
        bool fixed = row->params[1].type == TKS_PARAM_FIXED;
        shape.app = held[0].text.str;
        shape.type = fixed ? state->names[TKSP_PY_SESSION] : held[1].text.str;
    }
    return shape;
}

static PyObject *make(const tksp_py_state *state, const operation_object *self, const tks_arg *args,
                      const tksp_py_held *held, const tks_near_question *question) {
    tks_op *op = NULL;
    tks_error err;
    tks_error_init(&err);
    tks_status status = tks_operation_make(self->row, self->store->core, args, &op, &err);
    if (status != TKS_OK) return tksp_py_raise(state, status, &err);
    tksp_py_shape shape = shape_of(state, self, held);
    PyObject *result = tksp_py_op_new(state, op, &shape);
    if (result != NULL && question != NULL) tksp_py_op_ask(result, question);
    return result;
}

/* NULL without an exception: it is not near. */
static PyObject *find_near(const store_object *store, const tks_operation *row, const tks_arg *args,
                           const tksp_py_held *held, const tks_near_question *question) {
    size_t i = 0;
    while (row->params[i].type != TKS_PARAM_PRESENTED) i++;
    PyObject *token = held[i].text.str, *made = NULL;
    if (token == NULL && (token = made = tksp_py_str(args[i].text)) == NULL) return NULL;
    PyObject *record = tksp_py_near_find(store->client, question, token);
    Py_XDECREF(made);
    return record;
}

static PyObject *operation_call(PyObject *object, PyObject *const *objects, Py_ssize_t count) {
    const operation_object *self = (operation_object *)object;
    const tks_operation *row = self->row;
    const store_object *store = self->store;
    const tksp_py_state *state = tksp_py_state_of(object);
    tks_arg args[TKS_PARAM_MAX];
    tksp_py_held held[TKS_PARAM_MAX];
    if (!tksp_py_arity(row->name, count, self->given) ||
        !tksp_py_args_get(state, row->params, row->param_count, objects,
                          store->type->get_max_data_size(store->core), args, held)) {
        return NULL;
    }
    tks_near_question question;
    bool asks = store->client != NULL && store->type->ask(store->core, row, args, &question);
    PyObject *result = asks ? find_near(store, row, args, held, &question) : NULL;
    if (result == NULL && PyErr_Occurred() == NULL) {
        result = make(state, self, args, held, asks ? &question : NULL);
    }
    tksp_py_args_clear(row->params, row->param_count, held);
    return result;
}

/* use(client): the _core.Client that the store's operations run on */
static PyObject *store_use(PyObject *object, PyObject *client) {
    const tksp_py_state *state = tksp_py_state_of(object);
    store_object *self = (store_object *)object;
    if (!Py_IS_TYPE(client, state->client_type)) {
        PyErr_SetString(PyExc_TypeError, "use() requires a Client");
        return NULL;
    }
    const tks_target *target = tks_client_get_target(tksp_py_client_get(client));
    bool keeps = target->near_cache > 0 && self->type->ask != NULL;
    tksp_py_set(&self->client, keeps ? client : NULL);
    Py_RETURN_NONE;
}

/* ---- making ----------------------------------------------------------------------------------- */

static void append(tks_buf *doc, const char *text) {
    (void)tks_buf_append(doc, text, strlen(text)); /* errors stick */
}

/* "get($self, app, type, token, refresh, expiry, /)\n--\n\nFinds a token." False: out of memory. */
static bool write_doc(const tks_operation *row, tks_buf *doc) {
    append(doc, row->name);
    append(doc, "($self");
    for (size_t i = 0; i < row->param_count; i++) {
        if (!tksp_py_arg_is_given(&row->params[i])) continue;
        append(doc, ", ");
        append(doc, row->params[i].name);
    }
    append(doc, ", /)\n--\n\n");
    append(doc, row->summary);
    return tks_buf_append(doc, "", 1) == TKS_OK;
}

static operation_object *operation_new(const tksp_py_state *state, store_object *store,
                                       const tks_operation *row) {
    operation_object *self = (operation_object *)PyType_GenericAlloc(state->operation_type, 0);
    if (self == NULL) return NULL;
    tks_buf_init(&self->doc, SIZE_MAX);
    if (!write_doc(row, &self->doc)) {
        Py_DECREF(self);
        PyErr_NoMemory();
        return NULL;
    }
    Py_INCREF(store);
    self->store = store;
    self->row = row;
    self->given = (Py_ssize_t)tksp_py_args_given(row->params, row->param_count);
    self->def = (PyMethodDef)TKSP_PY_FAST(row->name, operation_call);
    self->def.ml_doc = self->doc.data;
    return self;
}

/* Adds the function of `row` to `names`. */
static bool add_function(const tksp_py_state *state, store_object *store, const tks_operation *row,
                         PyObject *names) {
    operation_object *self = operation_new(state, store, row);
    PyObject *function =
        self == NULL ? NULL : PyCFunction_NewEx(&self->def, (PyObject *)self, NULL);
    bool good = function != NULL && PyDict_SetItemString(names, row->name, function) == 0;
    Py_XDECREF(function);
    Py_XDECREF(self);
    return good;
}

PyObject *tksp_py_store_new(const tksp_py_state *state, const tks_store_type *type, void *core,
                            PyTypeObject *value_type) {
    PyObject *result = NULL, *names = NULL, *none = NULL;
    store_object *self = (store_object *)PyType_GenericAlloc(state->store_type, 0);
    if (self == NULL) {
        type->free(core);
        return NULL;
    }
    Py_XINCREF(value_type);
    self->type = type;
    self->core = core;
    self->value_type = value_type;
    names = PyDict_New();
    bool good = names != NULL && PyDict_SetItemString(names, "store", (PyObject *)self) == 0;
    for (size_t i = 0; good && i < type->operation_count; i++) {
        good = add_function(state, self, &type->operations[i], names);
    }
    none = good ? PyTuple_New(0) : NULL;
    if (none != NULL) result = PyObject_Call(state->namespace, none, names);
    Py_XDECREF(none);
    Py_XDECREF(names);
    Py_DECREF(self);
    return result;
}

const void *tksp_py_store_get(const tksp_py_state *state, PyObject *object,
                              const tks_store_type *type) {
    const store_object *self = (store_object *)object;
    return Py_IS_TYPE(object, state->store_type) && self->type == type ? self->core : NULL;
}

/* ---- the types -------------------------------------------------------------------------------- */

static int store_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((store_object *)self)->value_type);
    Py_VISIT(((store_object *)self)->client);
    return 0;
}

static int store_clear(PyObject *self) {
    Py_CLEAR(((store_object *)self)->value_type);
    Py_CLEAR(((store_object *)self)->client);
    return 0;
}

static void store_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    store_object *self = (store_object *)object;
    PyObject_GC_UnTrack(object);
    if (self->type != NULL) self->type->free(self->core); /* NULL: of Store(), which is nothing */
    store_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef store_methods[] = {{"use", store_use, METH_O, NULL}, {NULL, NULL, 0, NULL}};

static PyType_Slot store_slots[] = {
    {Py_tp_methods, store_methods},           {Py_tp_doc, (void *)"The options of a store."},
    {Py_tp_traverse, (void *)store_traverse}, {Py_tp_clear, (void *)store_clear},
    {Py_tp_dealloc, (void *)store_dealloc},   {0, NULL},
};

PyType_Spec tksp_py_store_spec = {
    .name = "tokenstore._core.Store",
    .basicsize = sizeof(store_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = store_slots,
};

static int operation_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((operation_object *)self)->store);
    return 0;
}

static void operation_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    operation_object *self = (operation_object *)object;
    PyObject_GC_UnTrack(object);
    tks_buf_clear(&self->doc);
    Py_XDECREF(self->store);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyType_Slot operation_slots[] = {
    {Py_tp_doc, (void *)"An operation of one store."},
    {Py_tp_traverse, (void *)operation_traverse},
    {Py_tp_dealloc, (void *)operation_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_operation_spec = {
    .name = "tokenstore._core.Operation",
    .basicsize = sizeof(operation_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = operation_slots,
};
