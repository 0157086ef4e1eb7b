/* py_move.c - _core.move: the operation that takes other programs' keys over; _core.tally: what stands in hashes that a
 * SCAN found.
 *
 * Lifecycle: one call creates the whole operation; the core copies all arguments.
 * Threads:   any, with the GIL. */
#include "py_store.h"
#include "tokenstore/move.h"

enum { FIELDS = 6 }; /* key, value, app, type, owner, token; followed by random */

/* Adds one tuple of bytes to `op`: None, or why this store cannot store it. NULL: an exception. */
static PyObject *add(const tksp_py_state *state, tks_op *op, const tks_tokens *tokens,
                     PyObject *item) {
    static const char *const names[FIELDS] = {"key", "value", "app", "type", "owner", "token"};
    tksp_py_text texts[FIELDS] = {TKSP_PY_TEXT_INIT};
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    if (!PyTuple_Check(item) || PyTuple_Size(item) != FIELDS + 1) {
        PyErr_SetString(PyExc_TypeError, "an item must be a tuple of seven");
        return NULL;
    }
    for (int i = 0; i < FIELDS; i++) {
        if (!tksp_py_text_get(state, PyTuple_GetItem(item, i), names[i], false, &texts[i])) {
            goto cleanup;
        }
    }
    const tks_foreign key = {.key = texts[0].bytes,
                             .value = texts[1].bytes,
                             .app = texts[2].bytes,
                             .type = texts[3].bytes,
                             .owner = texts[4].bytes,
                             .token = texts[5].bytes,
                             .random = PyTuple_GetItem(item, FIELDS) == Py_True};
    tks_status status = tks_move_add(op, tokens, &key, &err);
    if (status == TKS_OK) {
        Py_INCREF(result = Py_None);
    } else if (status == TKS_ERR_DATA) {
        result = PyUnicode_FromString(err.message);
    } else {
        tksp_py_raise(state, status, &err);
    }
cleanup:
    tksp_py_text_clear(texts, FIELDS);
    return result;
}

PyObject *tksp_py_move(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    const tksp_py_shape shape = {NULL, NULL, NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_op *op = NULL;
    if (!tksp_py_arity("move", count, 2)) return NULL;
    const tks_tokens *tokens = tksp_py_store_get(state, args[0], &tks_redis_tokens_type);
    if (tokens == NULL || !PyList_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "move() requires a Store of redis_tokens and a list");
        return NULL;
    }
    Py_ssize_t size = PyList_Size(args[1]);
    PyObject *problems = PyList_New(size);
    if (problems == NULL) return NULL;
    tks_status status = tks_move_new(tokens, (size_t)size, &op, &err);
    if (status != TKS_OK) {
        Py_DECREF(problems);
        return tksp_py_raise(state, status, &err);
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *problem = add(state, op, tokens, PyList_GetItem(args[1], i));
        if (problem == NULL) {
            Py_DECREF(problems);
            tks_op_free(op);
            return NULL;
        }
        PyList_SetItem(problems, i, problem);
    }
    PyObject *object = tksp_py_op_new(state, op, &shape);
    PyObject *result = object == NULL ? NULL : PyTuple_Pack(2, object, problems);
    Py_XDECREF(object);
    Py_DECREF(problems);
    return result;
}

PyObject *tksp_py_tally(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    const tksp_py_shape shape = {NULL, NULL, NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_op *op = NULL;
    if (!tksp_py_arity("tally", count, 2)) return NULL;
    const tks_tokens *tokens = tksp_py_store_get(state, args[0], &tks_redis_tokens_type);
    if (tokens == NULL || !PyList_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "tally takes a Store of redis_tokens and a list of bytes");
        return NULL;
    }
    size_t size = (size_t)PyList_Size(args[1]);
    tks_bytes *keys = PyMem_Calloc(size + 1, sizeof *keys);
    if (keys == NULL) return PyErr_NoMemory();
    for (size_t i = 0; i < size; i++) {
        char *data;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GetItem(args[1], (Py_ssize_t)i), &data, &length) != 0) {
            PyMem_Free(keys);
            return NULL;
        }
        keys[i] = tks_bytes_of(data, (size_t)length);
    }
    tks_status status = tks_tokens_tally(tokens, size, keys, &op, &err);
    PyMem_Free(keys);
    return status == TKS_OK ? tksp_py_op_new(state, op, &shape)
                            : tksp_py_raise(state, status, &err);
}
