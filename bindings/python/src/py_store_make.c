/* py_store_make.c - functions of the module that make a store of its options: redis_tokens, sessions, tokenstore,
 * redis_jwt. See py_store.h for what they return. */
#include "py_store.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/node_tokens.h"

/* ---- RedisTokens, Sessions -------------------------------------------------------------------- */

/* (value_type, …): what follows, tksp_py_options_get names */
static PyObject *make_tokens(PyObject *module, PyObject *args, const tks_store_type *type) {
    const tksp_py_state *state = PyModule_GetState(module);
    PyObject *in[9], *result = NULL;
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_tokens *core = NULL;
    if (!PyArg_ParseTuple(args, "O!OOOOOOOO", &PyType_Type, &in[0], &in[1], &in[2], &in[3], &in[4],
                          &in[5], &in[6], &in[7], &in[8])) {
        return NULL;
    }
    options.session = type == &tks_sessions_type;
    if (!PyType_IsSubtype((PyTypeObject *)in[0], state->record_type)) {
        PyErr_SetString(PyExc_TypeError, "value_type must be a subclass of Record");
        return NULL;
    }
    if (tksp_py_options_get(state, &in[1], texts, &options)) {
        tks_status status = tks_tokens_new(&options, &core, &err);
        result = status != TKS_OK ? tksp_py_raise(state, status, &err)
                                  : tksp_py_store_new(state, type, core, (PyTypeObject *)in[0]);
    }
    tksp_py_text_clear(texts, 2);
    return result;
}

PyObject *tksp_py_redis_tokens(PyObject *module, PyObject *args) {
    return make_tokens(module, args, &tks_redis_tokens_type);
}

PyObject *tksp_py_sessions(PyObject *module, PyObject *args) {
    return make_tokens(module, args, &tks_sessions_type);
}

/* ---- Tokenstore ------------------------------------------------------------------------------- */

/* tokenstore(value_type, prefix, size, hash_size, max_data_size) */
PyObject *tksp_py_tokenstore(PyObject *module, PyObject *args) {
    const tksp_py_state *state = PyModule_GetState(module);
    PyObject *in[5], *result = NULL;
    tksp_py_text prefix = TKSP_PY_TEXT_INIT;
    tks_node_tokens_options options = {0};
    tks_error err = TKS_ERROR_INIT;
    tks_node_tokens *core = NULL;
    if (!PyArg_ParseTuple(args, "O!OOOO", &PyType_Type, &in[0], &in[1], &in[2], &in[3], &in[4])) {
        return NULL;
    }
    if (tksp_py_text_option(state, in[1], "prefix", &prefix, &options.prefix) &&
        tksp_py_size_option(state, in[2], "size", &options.size) &&
        tksp_py_size_option(state, in[3], "hash_size", &options.hash_size) &&
        tksp_py_size_option(state, in[4], "max_data_size", &options.max_data_size)) {
        tks_status status = tks_node_tokens_new(&options, &core, &err);
        result = status != TKS_OK
                     ? tksp_py_raise(state, status, &err)
                     : tksp_py_store_new(state, &tks_tokenstore_type, core, (PyTypeObject *)in[0]);
    }
    tksp_py_text_clear(&prefix, 1);
    return result;
}

/* ---- RedisJWT --------------------------------------------------------------------------------- */

static bool algorithm_get(const tksp_py_state *state, PyObject *name, tks_jwt_alg *out) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    if (!tksp_py_text_get(state, name, "algorithm", true, &text)) return false;
    tks_status status = tks_jwt_alg_find(text.bytes, out, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* redis_jwt(keys, algorithm, max_sessions, node_writers, max_data_size, max_size): keys is a tuple of Key; max_sessions 0
 * stands for any number */
PyObject *tksp_py_redis_jwt(PyObject *module, PyObject *args) {
    const tksp_py_state *state = PyModule_GetState(module);
    PyObject *keys, *algorithm, *max_data_size, *max_size, *result = NULL;
    tks_jwt_sessions_options options = {.keys = NULL};
    long long max_sessions;
    int node_writers;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt_sessions *core = NULL;
    if (!PyArg_ParseTuple(args, "O!OLpOO", &PyTuple_Type, &keys, &algorithm, &max_sessions,
                          &node_writers, &max_data_size, &max_size)) {
        return NULL;
    }
    options.key_count = (size_t)PyTuple_Size(keys);
    options.max_sessions = max_sessions;
    options.node_writers = node_writers != 0;
    tks_key **list = PyMem_Calloc(options.key_count + 1, sizeof *list);
    if (list == NULL) return PyErr_NoMemory();
    options.keys = list;
    bool good = true;
    for (size_t i = 0; good && i < options.key_count; i++) {
        list[i] = tksp_py_key_get(state, PyTuple_GetItem(keys, (Py_ssize_t)i));
        good = list[i] != NULL;
    }
    if (good && algorithm_get(state, algorithm, &options.algorithm) &&
        tksp_py_size_option(state, max_data_size, "max_data_size", &options.max_data_size) &&
        tksp_py_size_option(state, max_size, "max_size", &options.max_size)) {
        tks_status status = tks_jwt_sessions_new(&options, &core, &err);
        result = status != TKS_OK ? tksp_py_raise(state, status, &err)
                                  : tksp_py_store_new(state, &tks_redis_jwt_type, core, NULL);
    }
    PyMem_Free(list);
    return result;
}
