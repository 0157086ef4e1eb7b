/* py_store_make.c - functions of the module that make a store of its options: redis_tokens, sessions, tokenstore,
 * redis_jwt. See py_store.h for what they return. */
#include "py_options.h"
#include "py_store.h"

/* (value_type, **options): the class of what is found, but of RedisJWT, and the options of the store's table. */
static PyObject *make(PyObject *module, PyObject *args, PyObject *kwargs,
                      const tks_store_type *type) {
    const tksp_py_state *state = PyModule_GetState(module);
    bool of_records = type->operations[0].result == TKS_RESULT_TOKEN;
    PyTypeObject *value_type = NULL;
    tksp_py_options options;
    tks_error err = TKS_ERROR_INIT;
    PyObject *result = NULL;
    void *core = NULL;
    if (!PyArg_ParseTuple(args, "|O!", &PyType_Type, &value_type)) return NULL;
    if (of_records && (value_type == NULL || !PyType_IsSubtype(value_type, state->record_type))) {
        PyErr_SetString(PyExc_TypeError, "value_type must be a subclass of Record");
        return NULL;
    }
    if (tksp_py_options_get(state, type->options, kwargs, NULL, &options)) {
        tks_status status = type->make(options.values, &core, &err);
        result = status != TKS_OK ? tksp_py_raise(state, status, &err)
                                  : tksp_py_store_new(state, type, core, value_type);
    }
    tksp_py_options_clear(&options);
    return result;
}

PyObject *tksp_py_redis_tokens(PyObject *module, PyObject *args, PyObject *kwargs) {
    return make(module, args, kwargs, &tks_redis_tokens_type);
}

PyObject *tksp_py_sessions(PyObject *module, PyObject *args, PyObject *kwargs) {
    return make(module, args, kwargs, &tks_sessions_type);
}

PyObject *tksp_py_tokenstore(PyObject *module, PyObject *args, PyObject *kwargs) {
    return make(module, args, kwargs, &tks_tokenstore_type);
}

PyObject *tksp_py_redis_jwt(PyObject *module, PyObject *args, PyObject *kwargs) {
    return make(module, args, kwargs, &tks_redis_jwt_type);
}
