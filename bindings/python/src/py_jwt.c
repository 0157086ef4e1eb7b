/* py_jwt.c - decode and encode for tokenstore.jwt. */
#include "py_jwt.h"

/* ---- keys --------------------------------------------------------------------------------------- */

static bool refuse_key(PyObject *arg) {
    PyErr_Format(PyExc_TypeError,
                 "key must be a Key, a KeySet or a list of Keys, not %R: create one with "
                 "Key.from_secret, Key.from_pem or Key.from_jwk",
                 (PyObject *)Py_TYPE(arg));
    return false;
}

/* A Key, a KeySet or a list of Keys. `one`: storage for a single key; *public: one of them is for public-key
 * cryptography. */
static bool get_keys(const tksp_py_state *state, PyObject *arg, tks_key **one, tksp_py_held *out,
                     tks_key *const **keys, bool *public) {
    if (PyObject_TypeCheck(arg, state->key_type)) {
        *one = tksp_py_key_get(state, arg);
        *keys = one;
        out->count = 1;
    } else if (PyObject_TypeCheck(arg, state->keyset_type)) {
        out->count = tks_keyset_get_keys(tksp_py_keyset_get(state, arg), keys);
    } else {
        if (!PyList_Check(arg) && !PyTuple_Check(arg)) return refuse_key(arg);
        out->items = PySequence_Tuple(arg);
        size_t size = out->items != NULL ? (size_t)PyTuple_Size(out->items) : 0;
        tks_key **list = out->values = PyMem_Calloc(size + 1, sizeof(tks_key *));
        if (out->items == NULL || list == NULL) {
            if (out->items != NULL) PyErr_NoMemory();
            return false;
        }
        for (; out->count < size; out->count++) {
            PyObject *item = PyTuple_GetItem(out->items, (Py_ssize_t)out->count);
            if (!PyObject_TypeCheck(item, state->key_type)) return refuse_key(item);
            list[out->count] = tksp_py_key_get(state, item);
        }
        *keys = list;
    }
    *public = false;
    for (size_t i = 0; i < out->count; i++) {
        *public = *public || tks_key_get_kind((*keys)[i]) != TKS_KEY_SECRET;
    }
    return true;
}

/* ---- decode ------------------------------------------------------------------------------------- */

/* jwt_decode(key, …): a Key, a KeySet or a list of Keys, and the arguments of tksp_py_jwt_given_get */
PyObject *tksp_py_jwt_decode(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_held keys = {0};
    tksp_py_jwt_given given = {.now = NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_key *const *list = NULL;
    tks_key *one = NULL;
    PyObject *result = NULL;
    bool public = false;
    tks_jwt jwt;

    if (!tksp_py_arity("jwt_decode", count, 1 + TKSP_PY_JWT_GIVEN)) return NULL;
    if (get_keys(state, args[0], &one, &keys, &list, &public) &&
        tksp_py_jwt_given_get(state, args + 1, &given)) {
        tks_status status = tksp_py_jwt_try(&given, list, keys.count, public, &jwt, &err);
        result = tksp_py_jwt_result(state, &given, status, &jwt, &err);
    }
    tksp_py_jwt_given_clear(&given);
    tksp_py_held_clear(&keys);
    return result;
}

/* jwt_header(token, max_size) -> dict */
PyObject *tksp_py_jwt_header(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_text token = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_json *header = NULL;
    PyObject *result = NULL;
    size_t max_size;
    if (tksp_py_arity("jwt_header", count, 2) && tksp_py_jwt_token(state, args[0], &token) &&
        tksp_py_jwt_size(state, args[1], &max_size)) {
        tks_status status = tks_jwt_read_header(token.bytes, max_size, &header, &err);
        result = status == TKS_OK ? tksp_py_from_json(state, header)
                                  : tksp_py_raise(state, status, &err);
    }
    tks_json_free(header);
    tksp_py_text_clear(&token, 1);
    return result;
}

/* ---- encode ------------------------------------------------------------------------------------- */

/* jwt_encode(claims, key, algorithm, headers, max_size) -> str */
PyObject *tksp_py_jwt_encode(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tks_buf claims, headers, token;
    tksp_py_text name = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt_alg alg;
    size_t max_size = 0;
    PyObject *result = NULL;

    tks_buf_init(&claims, TKS_JWT_SIZE_MAX);
    tks_buf_init(&headers, TKS_JWT_SIZE_MAX);
    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    if (!tksp_py_arity("jwt_encode", count, 5) || !tksp_py_jwt_size(state, args[4], &max_size)) {
        goto cleanup;
    }
    if (!PyObject_TypeCheck(args[1], state->key_type)) {
        PyErr_Format(PyExc_TypeError,
                     "key must be one Key, not %R: create one with Key.from_secret, Key.from_pem "
                     "or Key.from_jwk",
                     (PyObject *)Py_TYPE(args[1]));
        goto cleanup;
    }
    if (!tksp_py_object(state, args[0], "claims", TKS_JWT_SIZE_MAX, false, &claims) ||
        !tksp_py_text_get(state, args[2], "algorithm", true, &name) ||
        (args[3] != Py_None &&
         !tksp_py_object(state, args[3], "headers", TKS_JWT_SIZE_MAX, false, &headers))) {
        goto cleanup;
    }
    tks_key *key = tksp_py_key_get(state, args[1]);
    tks_status status = tks_jwt_alg_find(name.bytes, &alg, &err);
    if (status == TKS_OK) {
        PyThreadState *thread =
            tks_key_get_kind(key) != TKS_KEY_SECRET ? PyEval_SaveThread() : NULL;
        status = tks_jwt_encode(tks_buf_bytes(&claims), key, alg, tks_buf_bytes(&headers), max_size,
                                &token, &err);
        if (thread != NULL) PyEval_RestoreThread(thread);
    }
    if (status == TKS_OK) {
        result = PyUnicode_DecodeASCII(token.data, (Py_ssize_t)token.size, NULL);
    } else {
        tksp_py_raise(state, status, &err);
    }
cleanup:
    tksp_py_text_clear(&name, 1);
    tks_buf_clear(&claims);
    tks_buf_clear(&headers);
    tks_buf_wipe(&token);
    return result;
}
