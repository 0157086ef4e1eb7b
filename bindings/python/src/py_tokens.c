/* py_tokens.c - _core.Tokens: the options of a store, and one function per operation.
 *
 * Lifecycle: immutable after it is made. Each function takes positional arguments in the order that
 *            tokens.py gives them, calls the core, and returns an Op; nothing is sent here.
 * Threads:   any, with the GIL. */
#include "py_glue.h"

typedef struct tokens_object {
    PyObject head;
    tks_tokens *tokens;
    PyTypeObject *value_type; /* Token or Session: what the results become */
    const char *owner_name;   /* what the caller calls an owner */
} tokens_object;

/* ---- making -------------------------------------------------------------------------------- */

/* Tokens(value_type, …, session=False): what is between, tksp_py_options_get names */
static PyObject *tokens_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    const tksp_py_state *state = PyType_GetModuleState(type);
    PyObject *in[9];
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_error err = TKS_ERROR_INIT;
    tokens_object *self = NULL;
    int session = 0;
    if (!PyArg_ParseTuple(args, "O!OOOOOOOO|p:Tokens", &PyType_Type, &in[0], &in[1], &in[2], &in[3],
                          &in[4], &in[5], &in[6], &in[7], &in[8], &session)) {
        return NULL;
    }
    options.session = session != 0;
    if (!PyType_IsSubtype((PyTypeObject *)in[0], state->record_type)) {
        PyErr_SetString(PyExc_TypeError, "value_type must be a subclass of Record");
        return NULL;
    }
    if (tksp_py_options_get(state, &in[1], texts, &options)) {
        self = (tokens_object *)PyType_GenericAlloc(type, 0);
        tks_status status = self == NULL ? TKS_OK : tks_tokens_new(&options, &self->tokens, &err);
        if (status != TKS_OK) {
            Py_CLEAR(self);
            tksp_py_raise(state, status, &err);
        }
    }
    if (self != NULL) {
        Py_INCREF(in[0]);
        self->value_type = (PyTypeObject *)in[0];
        self->owner_name = session ? "owner_id" : "owner";
    }
    tksp_py_text_clear(texts, 2);
    return (PyObject *)self;
}

/* ---- operations ----------------------------------------------------------------------------- */

/* app, type and one more: what nearly every operation begins with. */
typedef struct identity {
    tksp_py_text texts[3];
    tks_bytes app, type, third;
} identity;

static void identity_clear(identity *id) {
    tksp_py_text_clear(id->texts, 3);
}

/* Whether the third argument is one presented, or a name. */
typedef enum third { TOKEN, OWNER } third;

static bool third_get(PyObject *self, PyObject *arg, third what, tksp_py_text *out) {
    const tksp_py_state *state = tksp_py_state_of(self);
    if (what == TOKEN) return tksp_py_presented_get(state, arg, "token", out);
    return tksp_py_name_get(state, arg, ((tokens_object *)self)->owner_name, out);
}

/* The first three of exactly `wanted` arguments. */
static bool identity_get(PyObject *self, const char *function, PyObject *const *args,
                         Py_ssize_t count, Py_ssize_t wanted, third what, identity *out) {
    const tksp_py_state *state = tksp_py_state_of(self);
    memset(out, 0, sizeof *out);
    if (!tksp_py_arity(function, count, wanted) ||
        !tksp_py_name_get(state, args[0], "app", &out->texts[0]) ||
        !tksp_py_name_get(state, args[1], "type", &out->texts[1]) ||
        !third_get(self, args[2], what, &out->texts[2])) {
        identity_clear(out);
        return false;
    }
    out->app = out->texts[0].bytes;
    out->type = out->texts[1].bytes;
    out->third = out->texts[2].bytes;
    return true;
}

/* The Op of what a constructor of the core returned, or its exception. `names`: app and type of all
 * tokens in the result, where they have them in common. */
static PyObject *finish(PyObject *self, tks_status status, const tks_error *err, tks_op *op,
                        const tksp_py_text *names) {
    const tksp_py_state *state = tksp_py_state_of(self);
    if (status != TKS_OK) return tksp_py_raise(state, status, err);
    tksp_py_shape shape = {((tokens_object *)self)->value_type, NULL, NULL};
    if (names != NULL) {
        shape.app = names[0].str;
        shape.type = names[1].str;
    }
    return tksp_py_op_new(state, op, &shape);
}

static tks_tokens *core_of(PyObject *self) {
    return ((tokens_object *)self)->tokens;
}

const tks_tokens *tksp_py_tokens_get(PyObject *object) {
    return core_of(object);
}

/* ---- create */

/* What the core borrows for one new token. */
typedef struct new_token {
    tksp_py_text texts[4];
    tks_buf data;
} new_token;

static void new_token_clear(new_token *held) {
    tksp_py_text_clear(held->texts, 4);
    tks_buf_wipe(&held->data);
}

/* app, type, owner, data, duration, custom_token. The caller clears `held`, on failure too. */
static bool new_token_get(PyObject *self, PyObject *const *args, new_token *held,
                          tks_new_token *out) {
    const tksp_py_state *state = tksp_py_state_of(self);
    size_t max_size = tks_tokens_get_max_data_size(core_of(self));
    memset(held, 0, sizeof *held);
    tks_buf_init(&held->data, SIZE_MAX);
    if (!tksp_py_name_get(state, args[0], "app", &held->texts[0]) ||
        !tksp_py_name_get(state, args[1], "type", &held->texts[1]) ||
        !third_get(self, args[2], OWNER, &held->texts[2]) ||
        !tksp_py_data(state, args[3], max_size, false, &held->data) ||
        !tksp_py_duration(state, args[4], "duration", &out->duration_ms)) {
        return false;
    }
    out->app = held->texts[0].bytes;
    out->type = held->texts[1].bytes;
    out->owner = held->texts[2].bytes;
    out->data = tks_buf_bytes(&held->data);
    out->custom_token = tks_bytes_of(NULL, 0); /* a random one; an empty text is not NULL */
    if (args[5] == Py_None) return true;
    if (!tksp_py_text_get(state, args[5], "custom_token", false, &held->texts[3])) return false;
    out->custom_token = held->texts[3].bytes;
    return true;
}

static PyObject *tokens_create(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    new_token held;
    tks_new_token token;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!tksp_py_arity("create", count, 6)) return NULL;
    if (new_token_get(self, args, &held, &token)) {
        tks_status status = tks_tokens_create(core_of(self), &token, &op, &err);
        result = finish(self, status, &err, op, held.texts);
    }
    new_token_clear(&held);
    return result;
}

/* create_many([(app, type, owner, data, duration, custom_token), …]): a list of our own making */
static PyObject *tokens_create_many(PyObject *self, PyObject *list) {
    PyObject *result = NULL;
    size_t got = 0, count = PyList_Check(list) ? (size_t)PyList_Size(list) : 0;
    new_token *held = PyMem_Calloc(count + 1, sizeof *held);
    tks_new_token *tokens = PyMem_Calloc(count + 1, sizeof *tokens);
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    if (held == NULL || tokens == NULL) {
        PyErr_NoMemory();
        goto cleanup;
    }
    while (got < count) {
        PyObject *item = PyList_GetItem(list, (Py_ssize_t)got);
        PyObject *args[6];
        if (!PyArg_ParseTuple(item, "OOOOOO", &args[0], &args[1], &args[2], &args[3], &args[4],
                              &args[5])) {
            goto cleanup;
        }
        got++;
        if (!new_token_get(self, args, &held[got - 1], &tokens[got - 1])) goto cleanup;
    }
    tks_status status = tks_tokens_create_many(core_of(self), count, tokens, &op, &err);
    result = finish(self, status, &err, op, NULL);
cleanup:
    for (size_t i = 0; i < got; i++) new_token_clear(&held[i]);
    PyMem_Free(held);
    PyMem_Free(tokens);
    return result;
}

/* ---- get */

/* get(app, type, token, refresh, expiry) */
static PyObject *tokens_get(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    identity id;
    int64_t refresh_ms;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "get", args, count, 5, TOKEN, &id)) return NULL;
    int expiry = PyObject_IsTrue(args[4]);
    if (expiry >= 0 && tksp_py_duration(state, args[3], "refresh", &refresh_ms)) {
        tks_status status = tks_tokens_get(core_of(self), id.app, id.type, id.third, refresh_ms,
                                           expiry > 0, &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    identity_clear(&id);
    return result;
}

/* Texts of all `tokens`, a tuple; the caller clears `texts` up to *got. */
static bool many_get(const tksp_py_state *state, PyObject *tokens, tksp_py_text *texts,
                     tks_bytes *out, size_t *got) {
    size_t count = (size_t)PyTuple_Size(tokens);
    for (; *got < count; (*got)++) {
        PyObject *token = PyTuple_GetItem(tokens, (Py_ssize_t)*got);
        if (!tksp_py_presented_get(state, token, "a token", &texts[*got])) return false;
        out[*got] = texts[*got].bytes;
    }
    return true;
}

/* Those of an iterable, but of no text, which is one of characters. */
static PyObject *tuple_of_tokens(PyObject *arg) {
    if (PyUnicode_Check(arg) || PyBytes_Check(arg)) {
        PyErr_SetString(PyExc_TypeError, "tokens must be several tokens, not one text");
        return NULL;
    }
    PyObject *iterator = PyObject_GetIter(arg);
    PyObject *tokens = iterator == NULL ? NULL : PySequence_Tuple(iterator);
    if (iterator == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Format(PyExc_TypeError, "tokens must be an iterable of tokens, not %R",
                     (PyObject *)Py_TYPE(arg));
    }
    Py_XDECREF(iterator);
    return tokens;
}

/* get_many(app, type, tokens) */
static PyObject *tokens_get_many(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    tksp_py_text names[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    tksp_py_text *texts = NULL;
    tks_bytes *list = NULL;
    size_t got = 0;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL, *tokens = NULL;
    if (!tksp_py_arity("get_many", count, 3)) return NULL;
    tokens = tuple_of_tokens(args[2]);
    if (tokens == NULL || !tksp_py_name_get(state, args[0], "app", &names[0]) ||
        !tksp_py_name_get(state, args[1], "type", &names[1])) {
        goto cleanup;
    }
    texts = PyMem_Calloc((size_t)PyTuple_Size(tokens) + 1, sizeof *texts);
    list = PyMem_Calloc((size_t)PyTuple_Size(tokens) + 1, sizeof *list);
    if (texts == NULL || list == NULL) {
        PyErr_NoMemory();
        goto cleanup;
    }
    if (!many_get(state, tokens, texts, list, &got)) goto cleanup;
    tks_status status =
        tks_tokens_get_many(core_of(self), names[0].bytes, names[1].bytes, got, list, &op, &err);
    result = finish(self, status, &err, op, names);
cleanup:
    if (texts != NULL) tksp_py_text_clear(texts, got);
    tksp_py_text_clear(names, 2);
    PyMem_Free(texts);
    PyMem_Free(list);
    Py_XDECREF(tokens);
    return result;
}

/* ---- change */

/* refresh(app, type, token, duration) */
static PyObject *tokens_refresh(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    identity id;
    int64_t duration_ms;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "refresh", args, count, 4, TOKEN, &id)) return NULL;
    if (args[3] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "duration must be seconds or a timedelta, not None");
    } else if (tksp_py_duration(state, args[3], "duration", &duration_ms)) {
        tks_status status =
            tks_tokens_refresh(core_of(self), id.app, id.type, id.third, duration_ms, &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    identity_clear(&id);
    return result;
}

/* update(app, type, token, data) */
static PyObject *tokens_update(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    size_t max_size = tks_tokens_get_max_data_size(core_of(self));
    identity id;
    tks_buf patch;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "update", args, count, 4, TOKEN, &id)) return NULL;
    tks_buf_init(&patch, SIZE_MAX);
    if (tksp_py_data(state, args[3], max_size, true, &patch)) {
        tks_status status = tks_tokens_update(core_of(self), id.app, id.type, id.third,
                                              tks_buf_bytes(&patch), &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    tks_buf_wipe(&patch);
    identity_clear(&id);
    return result;
}

/* rotate(app, type, token, duration) */
static PyObject *tokens_rotate(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    identity id;
    int64_t duration_ms;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "rotate", args, count, 4, TOKEN, &id)) return NULL;
    if (tksp_py_duration(state, args[3], "duration", &duration_ms)) {
        tks_status status =
            tks_tokens_rotate(core_of(self), id.app, id.type, id.third, duration_ms, &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    identity_clear(&id);
    return result;
}

/* ---- end and list */

typedef tks_status operation(const tks_tokens *, tks_bytes, tks_bytes, tks_bytes, tks_op **,
                             tks_error *);

/* (app, type, third), and nothing more. */
static PyObject *simple(PyObject *self, const char *function, operation *make, third what,
                        PyObject *const *args, Py_ssize_t count) {
    identity id;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    if (!identity_get(self, function, args, count, 3, what, &id)) return NULL;
    tks_status status = make(core_of(self), id.app, id.type, id.third, &op, &err);
    PyObject *result = finish(self, status, &err, op, id.texts);
    identity_clear(&id);
    return result;
}

static PyObject *tokens_delete(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return simple(self, "delete", tks_tokens_delete, TOKEN, args, count);
}

static PyObject *tokens_delete_all(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return simple(self, "delete_all", tks_tokens_delete_all, OWNER, args, count);
}

static PyObject *tokens_count(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return simple(self, "count", tks_tokens_count, OWNER, args, count);
}

/* An int, or None for no limit; the core refuses -1. */
static bool limit_get(PyObject *arg, int64_t *out) {
    int overflow;
    *out = 0;
    if (arg == Py_None) return true;
    if (!PyLong_Check(arg) || PyBool_Check(arg)) {
        PyErr_Format(PyExc_TypeError, "limit must be int, not %R", (PyObject *)Py_TYPE(arg));
        return false;
    }
    *out = PyLong_AsLongLongAndOverflow(arg, &overflow);
    if (overflow != 0 || *out < 1) *out = -1;
    return true;
}

/* list(app, type, owner, limit, after) */
static PyObject *tokens_list(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    identity id;
    tks_page page = {0, {NULL, 0}};
    tksp_py_text after = TKSP_PY_TEXT_INIT;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "list", args, count, 5, OWNER, &id)) return NULL;
    bool given = args[4] != Py_None;
    if (limit_get(args[3], &page.limit) &&
        (!given || tksp_py_id_get(state, args[4], "after", &after))) {
        if (given) page.after = after.bytes;
        tks_status status =
            tks_tokens_list(core_of(self), id.app, id.type, id.third, &page, &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    tksp_py_text_clear(&after, 1);
    identity_clear(&id);
    return result;
}

/* delete_by_id(app, type, owner, id) */
static PyObject *tokens_delete_by_id(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = tksp_py_state_of(self);
    identity id;
    tksp_py_text public_id = TKSP_PY_TEXT_INIT;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!identity_get(self, "delete_by_id", args, count, 4, OWNER, &id)) return NULL;
    if (tksp_py_id_get(state, args[3], "id", &public_id)) {
        tks_status status = tks_tokens_delete_by_id(core_of(self), id.app, id.type, id.third,
                                                    public_id.bytes, &op, &err);
        result = finish(self, status, &err, op, id.texts);
    }
    tksp_py_text_clear(&public_id, 1);
    identity_clear(&id);
    return result;
}

/* ---- the type ------------------------------------------------------------------------------- */

static int tokens_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((tokens_object *)self)->value_type);
    return 0;
}

static int tokens_clear(PyObject *self) {
    Py_CLEAR(((tokens_object *)self)->value_type);
    return 0;
}

static void tokens_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tks_tokens_free(core_of(self));
    tokens_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef tokens_methods[] = {
    TKSP_PY_FAST("create", tokens_create),
    {"create_many", tokens_create_many, METH_O, NULL},
    TKSP_PY_FAST("get", tokens_get),
    TKSP_PY_FAST("get_many", tokens_get_many),
    TKSP_PY_FAST("refresh", tokens_refresh),
    TKSP_PY_FAST("update", tokens_update),
    TKSP_PY_FAST("rotate", tokens_rotate),
    TKSP_PY_FAST("delete", tokens_delete),
    TKSP_PY_FAST("delete_all", tokens_delete_all),
    TKSP_PY_FAST("delete_by_id", tokens_delete_by_id),
    TKSP_PY_FAST("count", tokens_count),
    TKSP_PY_FAST("list", tokens_list),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tokens_slots[] = {
    {Py_tp_doc, (void *)"The options of a store, and its operations."},
    {Py_tp_new, (void *)tokens_new},
    {Py_tp_methods, tokens_methods},
    {Py_tp_traverse, (void *)tokens_traverse},
    {Py_tp_clear, (void *)tokens_clear},
    {Py_tp_dealloc, (void *)tokens_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_tokens_spec = {
    .name = "tokenstore._core.Tokens",
    .basicsize = sizeof(tokens_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = tokens_slots,
};
