/* py_module.c - tokenstore._core: multi-phase initialisation and the module's state. */
#include "py_driver.h"
#include "py_measure.h"
#include "tokenstore/version.h"

static int module_exec(PyObject *module) {
    tksp_py_state *state = PyModule_GetState(module);
    tks_error err = TKS_ERROR_INIT;
    if (tksp_py_errors_init(state) < 0 || tksp_py_convert_init(state) < 0 ||
        tksp_py_member_names_init(state) < 0 || tksp_py_driver_init(module, state) < 0) {
        return -1;
    }
#define ADD(name)                                                                                  \
    if (tksp_py_add_type(module, &state->name##_type, &tksp_py_##name##_spec) < 0) return -1;
    TKSP_PY_CORE_TYPES(ADD)
#undef ADD
    if (PyModule_AddStringConstant(module, "__version__", tks_version()) < 0) return -1;
    tks_status status = tks_secret_start(&err);
    if (status != TKS_OK) {
        tksp_py_raise(state, status, &err);
        return -1;
    }
    return 0;
}

static PyMethodDef module_methods[] = {
    {"commands", tksp_py_commands, METH_VARARGS, NULL},
    {"each", tksp_py_each, METH_O, NULL},
    {"ping", tksp_py_ping, METH_NOARGS, NULL},
    {"timeout", tksp_py_timeout_of, METH_O, NULL},
    {"audit", tksp_py_audit, METH_VARARGS, NULL},
    {"events", tksp_py_events, METH_O, NULL},
    {"write_events", tksp_py_write_events, METH_O, NULL},
    {"quoted_word", tksp_py_quoted_word, METH_O, NULL},
    {"meter_bounds", tksp_py_meter_bounds, METH_NOARGS, NULL},
    {"wake", tksp_py_wake, METH_O, NULL},
    TKSP_PY_KEYWORDS("redis_tokens", tksp_py_redis_tokens),
    TKSP_PY_KEYWORDS("sessions", tksp_py_sessions),
    TKSP_PY_KEYWORDS("tokenstore", tksp_py_tokenstore),
    TKSP_PY_KEYWORDS("redis_jwt", tksp_py_redis_jwt),
    TKSP_PY_FAST("move", tksp_py_move),
    TKSP_PY_FAST("tally", tksp_py_tally),
    TKSP_PY_FAST("key_load", tksp_py_key_load),
    TKSP_PY_FAST("keyset_load", tksp_py_keyset_load),
    TKSP_PY_FAST("keyset_keys", tksp_py_keyset_keys),
    TKSP_PY_FAST("key_to_jwk", tksp_py_key_to_jwk),
    {"key_thumbprint", tksp_py_key_thumbprint, METH_O, NULL},
    TKSP_PY_FAST("jwt_header", tksp_py_jwt_header),
    TKSP_PY_FAST("jwt_decode", tksp_py_jwt_decode),
    TKSP_PY_FAST("jwt_encode", tksp_py_jwt_encode),
    {"session_channels", tksp_py_session_channels, METH_O, NULL},
    {"session_event", tksp_py_session_event, METH_VARARGS, NULL},
    {"session_notify", tksp_py_session_notify, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    TKSP_PY_DECLARED{0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tokenstore._core",
    .m_doc = "The C core of tokenstore. Private: use the classes of the package.",
    .m_size = sizeof(tksp_py_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = tksp_py_state_traverse,
    .m_clear = tksp_py_state_clear,
    .m_free = tksp_py_state_free,
};

PyMODINIT_FUNC PyInit__core(void) {
    return tksp_py_module_init(&module_def);
}
