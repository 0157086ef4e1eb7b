/* py_op.c - _core.Op: an operation that has not run yet, and the raw commands.
 *
 * Lifecycle: created by the functions of a store (py_store.c) and by commands(); run once by a driver; its
 *            result is converted right after; owns the tks_op.
 * Threads:   one run, by one thread: tksp_py_op_begin returns the tks_op once. */
#include "py_glue.h"
#include "py_near.h"

typedef struct op_object {
    PyObject head;
    tks_op *op;
    PyObject *whole; /* the Op that `op` is a part of, and that frees it; NULL: none */
    bool used;
    bool asks; /* `question` is what it asks */
    tks_near_question question;
    tksp_py_shape shape; /* owned */
} op_object;

PyObject *tksp_py_op_new(const tksp_py_state *state, tks_op *op, const tksp_py_shape *shape) {
    op_object *self = (op_object *)PyType_GenericAlloc(state->op_type, 0);
    if (self == NULL) {
        tks_op_free(op);
        return NULL;
    }
    Py_XINCREF(shape->value_type);
    Py_XINCREF(shape->app);
    Py_XINCREF(shape->type);
    self->op = op;
    self->shape = *shape;
    return (PyObject *)self;
}

void tksp_py_op_ask(PyObject *self, const tks_near_question *question) {
    ((op_object *)self)->question = *question;
    ((op_object *)self)->asks = true;
}

PyObject *tksp_py_op_part(const tksp_py_state *state, PyObject *whole, tks_op *part) {
    const tksp_py_shape plain = {NULL, NULL, NULL};
    op_object *self = (op_object *)PyType_GenericAlloc(state->op_type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(whole);
    self->whole = whole;
    self->op = part;
    self->shape = plain;
    return (PyObject *)self;
}

tks_op *tksp_py_op_begin(const tksp_py_state *state, PyObject *self) {
    op_object *object = (op_object *)self;
    if (!Py_IS_TYPE(self, state->op_type)) {
        PyErr_Format(PyExc_TypeError, "an Op is required, not %R", (PyObject *)Py_TYPE(self));
        return NULL;
    }
    if (object->op == NULL || object->used) {
        PyErr_SetString(PyExc_RuntimeError, "this operation has already been run");
        return NULL;
    }
    object->used = true;
    return object->op;
}

static PyObject *result_tokens(const tksp_py_state *state, const op_object *self,
                               const tks_result *result) {
    PyObject *list = PyList_New((Py_ssize_t)result->size);
    for (size_t i = 0; list != NULL && i < result->size; i++) {
        PyObject *item = tksp_py_record_new(state, &self->shape, &result->tokens[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *result_value(const tksp_py_state *state, const op_object *self,
                              const tks_json *value) {
    if (value == NULL) Py_RETURN_NONE;
    PyObject *plain = tksp_py_from_json(state, value);
    if (plain == NULL || self->shape.value_type == NULL) return plain;
    PyObject *shaped =
        PyObject_CallFunctionObjArgs((PyObject *)self->shape.value_type, plain, NULL);
    Py_DECREF(plain);
    return shaped;
}

static PyObject *result_values(const tksp_py_state *state, const op_object *self,
                               const tks_result *result) {
    PyObject *list = PyList_New((Py_ssize_t)result->size);
    for (size_t i = 0; list != NULL && i < result->size; i++) {
        PyObject *item = result_value(state, self, result->values[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

/* Sets `name` to `value`, which may be NULL; takes the reference. */
static bool set_member(const tksp_py_state *state, PyObject *dict, tks_bytes name,
                       PyObject *value) {
    PyObject *key = value != NULL ? tksp_py_member_name(state, name) : NULL;
    bool good = key != NULL && PyDict_SetItem(dict, key, value) == 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return good;
}

/* The token's claims. */
static PyObject *claims_of(const tksp_py_state *state, const tks_session *session) {
    if (session->claims != NULL) return tksp_py_from_json(state, session->claims);
    PyObject *claims = PyDict_New();
    if (claims != NULL &&
        set_member(state, claims, TKS_LITERAL("rjwt"), tksp_py_str(session->rjwt)) &&
        (session->iat < 0 ||
         set_member(state, claims, TKS_LITERAL("iat"), PyLong_FromLongLong(session->iat)))) {
        return claims;
    }
    Py_XDECREF(claims);
    return NULL;
}

/* Replaces the session's data in `claims`, or removes it. */
static bool set_data(const tksp_py_state *state, PyObject *claims, const tks_session *session) {
    if (session->data != NULL) {
        return set_member(state, claims, TKS_LITERAL("dataSession"),
                          tksp_py_from_json(state, session->data));
    }
    return session->claims == NULL || tks_json_find(session->claims, "dataSession") == NULL ||
           PyDict_DelItemString(claims, "dataSession") == 0;
}

/* The claims, with the session's data from Redis instead of the token's. */
static PyObject *result_session(const tksp_py_state *state, const tks_session *session) {
    PyObject *claims = claims_of(state, session);
    if (claims != NULL && set_member(state, claims, TKS_LITERAL("id"), tksp_py_str(session->id)) &&
        set_member(state, claims, TKS_LITERAL("ttl"), PyLong_FromLongLong(session->ttl)) &&
        set_data(state, claims, session)) {
        return claims;
    }
    Py_XDECREF(claims);
    return NULL;
}

static PyObject *result_sessions(const tksp_py_state *state, const tks_result *result) {
    PyObject *list = PyList_New((Py_ssize_t)result->size);
    for (size_t i = 0; list != NULL && i < result->size; i++) {
        PyObject *item = result_session(state, &result->sessions[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *result_text(tks_bytes text) {
    if (text.data == NULL) Py_RETURN_NONE;
    return tksp_py_str(text);
}

static PyObject *result_texts(const tks_result *result) {
    PyObject *list = PyList_New((Py_ssize_t)result->size);
    for (size_t i = 0; list != NULL && i < result->size; i++) {
        PyObject *item = tksp_py_str(result->texts[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *result_replies(const tksp_py_state *state, const tks_result *result) {
    PyObject *list = PyList_New((Py_ssize_t)result->size);
    for (size_t i = 0; list != NULL && i < result->size; i++) {
        PyObject *item = tksp_py_from_reply(state, result->replies[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

const tks_op *tksp_py_op_get(PyObject *self) {
    return ((op_object *)self)->op;
}

static PyObject *result_nodes(const tksp_py_state *state, const tks_result *result) {
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < result->size; i++) {
        PyObject *name = tksp_py_str(result->nodes[i].node);
        PyObject *reply = tksp_py_from_reply(state, result->nodes[i].reply);
        if (name == NULL || reply == NULL || PyDict_SetItem(dict, name, reply) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(name);
        Py_XDECREF(reply);
    }
    return dict;
}

static PyObject *result_token(const tksp_py_state *state, op_object *self,
                              const tks_result *result) {
    PyObject *record = tksp_py_record_new(state, &self->shape, &result->tokens[0]);
    if (record != NULL && self->asks) tksp_py_near_leave(self->op, &self->question, record);
    return record;
}

PyObject *tksp_py_op_result(const tksp_py_state *state, PyObject *object) {
    op_object *self = (op_object *)object;
    const tks_result *result = tks_op_get_result(self->op);
    switch (result->type) {
    case TKS_RESULT_BOOL: return PyBool_FromLong(result->integer != 0);
    case TKS_RESULT_COUNT: return PyLong_FromLongLong(result->integer);
    case TKS_RESULT_TOKEN: return result_token(state, self, result);
    case TKS_RESULT_TOKENS: return result_tokens(state, self, result);
    case TKS_RESULT_TEXT: return result_text(result->text);
    case TKS_RESULT_TEXTS: return result_texts(result);
    case TKS_RESULT_JSON: return result_value(state, self, result->values[0]);
    case TKS_RESULT_JSONS: return result_values(state, self, result);
    case TKS_RESULT_SESSION: return result_session(state, &result->sessions[0]);
    case TKS_RESULT_SESSIONS: return result_sessions(state, result);
    case TKS_RESULT_NODES: return result_nodes(state, result);
    case TKS_RESULT_REPLIES:
    default: return result_replies(state, result);
    }
}

static int op_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((op_object *)self)->shape.value_type);
    return 0; /* the texts are str: no cycles */
}

static int op_clear(PyObject *self) {
    tksp_py_shape *shape = &((op_object *)self)->shape;
    Py_CLEAR(shape->value_type);
    Py_CLEAR(shape->app);
    Py_CLEAR(shape->type);
    return 0;
}

static void op_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (((op_object *)self)->whole == NULL) tks_op_free(((op_object *)self)->op);
    Py_CLEAR(((op_object *)self)->whole);
    op_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* ---- raw commands --------------------------------------------------------------------------- */

/* Converts other types than str and bytes, in `owner`: numbers as decimal text, buffers as a copy. */
static bool argument_get(const tksp_py_state *state, PyObject *arg, tksp_py_text *out) {
    PyObject *made = NULL;
    if (PyLong_Check(arg) && !PyBool_Check(arg)) {
        made = PyNumber_ToBase(arg, 10);
    } else if (PyFloat_Check(arg)) {
        char *digits = PyOS_double_to_string(PyFloat_AsDouble(arg), 'r', 0, 0, NULL);
        made = digits == NULL ? NULL : PyUnicode_FromString(digits);
        PyMem_Free(digits);
    } else if (PyByteArray_Check(arg) || PyMemoryView_Check(arg)) {
        made = PyBytes_FromObject(arg);
    } else if (PyUnicode_Check(arg) || PyBytes_Check(arg)) {
        return tksp_py_text_get(state, arg, "an argument", false, out);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "an argument of a command must be str, bytes, int or float, not %R",
                     (PyObject *)Py_TYPE(arg));
    }
    if (made == NULL || !tksp_py_text_get(state, made, "an argument", false, out)) {
        Py_XDECREF(made);
        return false;
    }
    out->owner = made; /* digits and bytes need no other owner */
    return true;
}

/* Types of arguments other than numbers. */
static bool is_text(PyObject *object) {
    return PyUnicode_Check(object) || PyBytes_Check(object) || PyByteArray_Check(object) ||
           PyMemoryView_Check(object);
}

/* One tuple of all arguments, and in `argc` their number for each command. */
static PyObject *flatten(PyObject *commands, size_t *argc) {
    PyObject *all = PyList_New(0);
    for (Py_ssize_t i = 0; all != NULL && i < PyTuple_Size(commands); i++) {
        PyObject *command = PyTuple_GetItem(commands, i);
        bool text = is_text(command);
        PyObject *args = text ? NULL : PySequence_Tuple(command);
        if (text) {
            PyErr_SetString(PyExc_TypeError,
                            "a command must be a sequence of arguments, not one string");
        }
        Py_ssize_t end = PyList_Size(all);
        if (args == NULL || PyList_SetSlice(all, end, end, args) < 0) {
            Py_CLEAR(all);
        } else {
            argc[i] = (size_t)PyTuple_Size(args);
        }
        Py_XDECREF(args);
    }
    return all;
}

/* The text of an option; data NULL: it is None. */
static bool option_get(const tksp_py_state *state, PyObject *value, const char *name,
                       tksp_py_text *out) {
    *out = (tksp_py_text){tks_bytes_of(NULL, 0), NULL, NULL};
    return value == Py_None || tksp_py_text_get(state, value, name, false, out);
}

/* Many commands, or one for every primary. `key` and `node` NULL: none. */
static PyObject *make(const tksp_py_state *state, PyObject *commands, const tks_bytes *key,
                      const tks_bytes *node, bool each) {
    size_t count = (size_t)PyTuple_Size(commands), size = 0, got = 0;
    tks_error err = TKS_ERROR_INIT;
    tksp_py_shape shape = {NULL, NULL, NULL};
    tksp_py_text *texts = NULL;
    tks_bytes *argv = NULL;
    tks_op *op = NULL;
    PyObject *result = NULL, *all = NULL;
    size_t *argc = PyMem_Calloc(count + 1, sizeof *argc);
    if (argc == NULL) PyErr_NoMemory();
    if (argc == NULL || (all = flatten(commands, argc)) == NULL) goto cleanup;
    size = (size_t)PyList_Size(all);
    texts = PyMem_Calloc(size + 1, sizeof *texts);
    argv = PyMem_Calloc(size + 1, sizeof *argv);
    if (texts == NULL || argv == NULL) {
        PyErr_NoMemory();
        goto cleanup;
    }
    for (; got < size; got++) {
        if (!argument_get(state, PyList_GetItem(all, (Py_ssize_t)got), &texts[got])) goto cleanup;
        argv[got] = texts[got].bytes;
    }
    tks_status status = each ? tks_raw_each_new(size, argv, &op, &err)
                             : tks_raw_new(count, argc, argv, key, node, &op, &err);
    result =
        status == TKS_OK ? tksp_py_op_new(state, op, &shape) : tksp_py_raise(state, status, &err);
cleanup:
    if (texts != NULL) tksp_py_text_clear(texts, got);
    PyMem_Free(argc);
    PyMem_Free(argv);
    PyMem_Free(texts);
    Py_XDECREF(all);
    return result;
}

PyObject *tksp_py_commands(PyObject *module, PyObject *args) {
    const tksp_py_state *state = PyModule_GetState(module);
    PyObject *commands, *key, *node, *result = NULL;
    tksp_py_text at, on;
    if (!PyArg_ParseTuple(args, "O!OO:commands", &PyTuple_Type, &commands, &key, &node)) {
        return NULL;
    }
    if (!option_get(state, key, "key", &at)) return NULL;
    if (option_get(state, node, "node", &on)) {
        result = make(state, commands, key == Py_None ? NULL : &at.bytes,
                      node == Py_None ? NULL : &on.bytes, false);
        tksp_py_text_clear(&on, 1);
    }
    tksp_py_text_clear(&at, 1);
    return result;
}

PyObject *tksp_py_each(PyObject *module, PyObject *command) {
    PyObject *commands = PyTuple_Pack(1, command);
    if (commands == NULL) return NULL;
    PyObject *result = make(PyModule_GetState(module), commands, NULL, NULL, true);
    Py_DECREF(commands);
    return result;
}

PyObject *tksp_py_ping(PyObject *module, PyObject *unused) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_shape shape = {NULL, NULL, NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_op *op = NULL;
    (void)unused;
    tks_status status = tks_ping_new(&op, &err);
    return status == TKS_OK ? tksp_py_op_new(state, op, &shape)
                            : tksp_py_raise(state, status, &err);
}

static PyType_Slot op_slots[] = {
    {Py_tp_doc, (void *)"An operation that has not run yet."},
    {Py_tp_traverse, (void *)op_traverse},
    {Py_tp_clear, (void *)op_clear},
    {Py_tp_dealloc, (void *)op_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_op_spec = {
    .name = "tokenstore._core.Op",
    .basicsize = sizeof(op_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = op_slots,
};
