/* py_jwt_key.c - keys and key sets for tokenstore.jwt.
 *
 * A Key and a KeySet are immutable and may be shared between threads. */
#include "py_glue.h"

typedef struct key_object {
    PyObject head;
    tks_key *key;
} key_object;

typedef struct keyset_object {
    PyObject head;
    tks_keyset *set;
} keyset_object;

static tks_key *key_of(PyObject *self) {
    return ((key_object *)self)->key;
}

const tks_keyset *tksp_py_keyset_get(const tksp_py_state *state, PyObject *object) {
    return PyObject_TypeCheck(object, state->keyset_type) ? ((keyset_object *)object)->set : NULL;
}

tks_key *tksp_py_key_get(const tksp_py_state *state, PyObject *object) {
    if (PyObject_TypeCheck(object, state->key_type)) return key_of(object);
    PyErr_Format(PyExc_TypeError, "a Key is required, not %R", (PyObject *)Py_TYPE(object));
    return NULL;
}

/* ---- algorithms ----------------------------------------------------------------------------- */

bool tksp_py_algorithm_add(const tksp_py_state *state, PyObject *name, uint32_t *set) {
    tks_error err = TKS_ERROR_INIT;
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "an algorithm must be str, not %R",
                     (PyObject *)Py_TYPE(name));
        return false;
    }
    if (!tksp_py_text_get(state, name, "algorithm", true, &text)) return false;
    tks_status status = tks_jwt_alg_add(text.bytes, set, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

static PyObject *algorithm_names(uint32_t set) {
    PyObject *list = PyList_New(0);
    PyObject *tuple = NULL;
    for (unsigned i = 0; list != NULL && i < TKS_JWT_ALG_COUNT; i++) {
        if ((set & TKS_JWT_BIT(i)) == 0) continue;
        PyObject *name = PyUnicode_FromString(tks_jwt_alg_name((tks_jwt_alg)i));
        if (name == NULL || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    if (list != NULL) tuple = PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

/* ---- Key ------------------------------------------------------------------------------------- */

static void key_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    tks_key_free(key_of(self));
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Keys are created by the functions below; calling the class would create an empty one. */
static PyObject *refuse_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args;
    (void)kwargs;
    return PyErr_Format(
        PyExc_TypeError,
        "%R cannot be created directly: use from_pem, from_secret, from_jwk or from_jwks",
        (PyObject *)type);
}

static PyObject *key_get_kid(PyObject *self, void *closure) {
    (void)closure;
    tks_bytes kid = tks_key_get_kid(key_of(self));
    if (kid.size == 0) Py_RETURN_NONE;
    return tksp_py_str(kid);
}

static PyObject *key_get_kind(PyObject *self, void *closure) {
    (void)closure;
    return PyUnicode_FromString(tks_key_get_kind_name(key_of(self)));
}

static PyObject *key_get_algorithms(PyObject *self, void *closure) {
    (void)closure;
    return algorithm_names(tks_key_get_algorithms(key_of(self)));
}

static PyObject *key_get_can_sign(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(tks_key_can_sign(key_of(self)));
}

static PyGetSetDef key_getset[] = {
    {"kid", key_get_kid, NULL, "The key id, or None.", NULL},
    {"kind", key_get_kind, NULL, "secret, RSA, P-256, P-384, P-521 or Ed25519.", NULL},
    {"algorithms", key_get_algorithms, NULL, "The algorithms that the key can be used with.", NULL},
    {"can_sign", key_get_can_sign, NULL, "True for a secret or a private key.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot key_slots[] = {
    {Py_tp_doc, (void *)"An immutable key."},
    {Py_tp_new, (void *)refuse_new},
    {Py_tp_getset, key_getset},
    {Py_tp_dealloc, (void *)key_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_key_spec = {
    .name = "tokenstore._core.Key",
    .basicsize = sizeof(key_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = key_slots,
};

/* An object of `type`, a subclass of Key, for `key`; takes ownership, on failure too. */
static PyObject *wrap_key(PyObject *type, tks_key *key) {
    key_object *self = (key_object *)PyType_GenericAlloc((PyTypeObject *)type, 0);
    if (self == NULL) {
        tks_key_free(key);
    } else {
        self->key = key;
    }
    return (PyObject *)self;
}

/* True if `type` is a subclass of `base`. Only our own Python code should call this. */
static bool check_class(PyObject *type, PyTypeObject *base) {
    if (PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, base)) return true;
    PyErr_Format(PyExc_TypeError, "a subclass of %R is required", (PyObject *)base);
    return false;
}

/* The text of a JWK or JWKS: str, bytes, or a dict, which is written as JSON into `room`. */
static bool get_json(const tksp_py_state *state, PyObject *arg, const char *name,
                     tksp_py_text *text, tks_buf *room) {
    if (!PyDict_Check(arg)) return tksp_py_text_get(state, arg, name, true, text);
    if (!tksp_py_object(state, arg, name, TKS_JWK_SIZE_MAX, false, room)) return false;
    text->bytes = tks_buf_bytes(room);
    return true;
}

/* key_load(class, "pem" | "secret" | "jwk", text, kid, algorithm, password) -> Key */
PyObject *tksp_py_key_load(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_text texts[4] = {0};
    tks_key_options options = {.algorithms = 0};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    PyObject *result = NULL;
    tks_key *key = NULL;
    tks_buf room; /* a dict as JSON: it may be a private key */

    tks_buf_init(&room, TKS_JWK_SIZE_MAX);
    if (!tksp_py_arity("key_load", count, 6) || !check_class(args[0], state->key_type) ||
        !tksp_py_text_get(state, args[1], "kind", true, &texts[0])) {
        goto cleanup;
    }
    bool is_jwk = tks_bytes_equal(texts[0].bytes, TKS_LITERAL("jwk"));
    if (!(is_jwk ? get_json(state, args[2], "jwk", &texts[1], &room)
                 : tksp_py_text_get(state, args[2], "the key", true, &texts[1])) ||
        (args[3] != Py_None && !tksp_py_text_get(state, args[3], "kid", false, &texts[2])) ||
        (args[4] != Py_None && !tksp_py_algorithm_add(state, args[4], &options.algorithms)) ||
        (args[5] != Py_None && !tksp_py_text_get(state, args[5], "password", true, &texts[3]))) {
        goto cleanup;
    }
    options.kid = texts[2].bytes;
    if (args[5] != Py_None) {
        options.password = texts[3].bytes;
        if (options.password.data == NULL) options.password.data = "";
    }
    if (is_jwk) {
        status = tks_key_from_jwk(texts[1].bytes, tks_jwt_openssl(), &key, &err);
    } else if (tks_bytes_equal(texts[0].bytes, TKS_LITERAL("pem"))) {
        status = tks_key_from_pem(texts[1].bytes, &options, &key, &err);
    } else {
        status = tks_key_from_secret(texts[1].bytes, &options, tks_jwt_openssl(), &key, &err);
    }
    result = status == TKS_OK ? wrap_key(args[0], key) : tksp_py_raise(state, status, &err);
cleanup:
    tksp_py_text_clear(texts, 4);
    tks_buf_wipe(&room);
    return result;
}

/* key_to_jwk(key, private) -> dict */
PyObject *tksp_py_key_to_jwk(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tks_error err = TKS_ERROR_INIT;
    tks_json *jwk = NULL;
    tks_key *key = NULL;
    if (!tksp_py_arity("key_to_jwk", count, 2) || (key = tksp_py_key_get(state, args[0])) == NULL) {
        return NULL;
    }
    if (!PyBool_Check(args[1])) {
        return PyErr_Format(PyExc_TypeError, "private must be True or False, not %R",
                            (PyObject *)Py_TYPE(args[1]));
    }
    tks_status status = tks_key_to_jwk(key, args[1] == Py_True, &jwk, &err);
    PyObject *result =
        status == TKS_OK ? tksp_py_from_json(state, jwk) : tksp_py_raise(state, status, &err);
    tks_json_free(jwk);
    return result;
}

/* key_thumbprint(key) -> str */
PyObject *tksp_py_key_thumbprint(PyObject *module, PyObject *object) {
    const tksp_py_state *state = PyModule_GetState(module);
    char text[TKS_THUMBPRINT_SIZE];
    tks_error err = TKS_ERROR_INIT;
    const tks_key *key = tksp_py_key_get(state, object);
    if (key == NULL) return NULL;
    tks_status status = tks_key_thumbprint(key, text, &err);
    if (status != TKS_OK) return tksp_py_raise(state, status, &err);
    return PyUnicode_DecodeASCII(text, sizeof text, NULL);
}

/* ---- KeySet ---------------------------------------------------------------------------------- */

static void keyset_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    tks_keyset_free(((keyset_object *)self)->set);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static Py_ssize_t keyset_length(PyObject *self) {
    tks_key *const *keys;
    return (Py_ssize_t)tks_keyset_get_keys(((keyset_object *)self)->set, &keys);
}

static PyObject *keyset_get_skipped(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromSize_t(tks_keyset_get_skipped(((keyset_object *)self)->set));
}

static PyGetSetDef keyset_getset[] = {
    {"skipped", keyset_get_skipped, NULL, "How many entries could not be used.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot keyset_slots[] = {
    {Py_tp_doc, (void *)"The keys of a JWKS; immutable."},
    {Py_tp_new, (void *)refuse_new},
    {Py_tp_getset, keyset_getset},
    {Py_sq_length, (void *)keyset_length},
    {Py_tp_dealloc, (void *)keyset_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_keyset_spec = {
    .name = "tokenstore._core.KeySet",
    .basicsize = sizeof(keyset_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = keyset_slots,
};

/* keyset_load(class, text) -> KeySet */
PyObject *tksp_py_keyset_load(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_keyset *set = NULL;
    keyset_object *self = NULL;
    tks_buf room;

    tks_buf_init(&room, TKS_JWK_SIZE_MAX);
    if (!tksp_py_arity("keyset_load", count, 2) || !check_class(args[0], state->keyset_type) ||
        !get_json(state, args[1], "jwks", &text, &room)) {
        goto cleanup;
    }
    tks_status status = tks_keyset_from_jwks(text.bytes, tks_jwt_openssl(), &set, &err);
    if (status != TKS_OK) {
        tksp_py_raise(state, status, &err);
        goto cleanup;
    }
    self = (keyset_object *)PyType_GenericAlloc((PyTypeObject *)args[0], 0);
    if (self == NULL) {
        tks_keyset_free(set);
    } else {
        self->set = set;
    }
cleanup:
    tksp_py_text_clear(&text, 1);
    tks_buf_wipe(&room);
    return (PyObject *)self;
}

PyObject *tksp_py_key_list(const tksp_py_state *state, PyObject *cls, const tks_keyset *set) {
    tks_key *const *keys;
    if (!check_class(cls, state->key_type)) return NULL;
    size_t size = tks_keyset_get_keys(set, &keys);
    PyObject *list = PyList_New((Py_ssize_t)size);
    for (size_t i = 0; list != NULL && i < size; i++) {
        PyObject *key = wrap_key(cls, tks_key_ref(keys[i]));
        if (key == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, key);
        }
    }
    return list;
}

/* keyset_keys(keyset, class) -> list of Key */
PyObject *tksp_py_keyset_keys(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    if (!tksp_py_arity("keyset_keys", count, 2)) return NULL;
    if (!PyObject_TypeCheck(args[0], state->keyset_type)) {
        return PyErr_Format(PyExc_TypeError, "a KeySet is required");
    }
    return tksp_py_key_list(state, args[1], ((keyset_object *)args[0])->set);
}
