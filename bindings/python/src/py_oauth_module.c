/* py_oauth_module.c - tokenstore._oauth: what asks servers over HTTP, and so loads libcurl. Its classes use objects of
 * tokenstore._core, with the same C code in both modules. */
#include "py_oauth.h"

/* A type of tokenstore._core. */
static int take_type(PyTypeObject **type, const char *name) {
    *type = (PyTypeObject *)tksp_py_import_from("tokenstore._core", name);
    return *type == NULL ? -1 : 0;
}

static int module_exec(PyObject *module) {
    tksp_py_state *state = PyModule_GetState(module);
    tks_error err = TKS_ERROR_INIT;
    if (tksp_py_errors_init(state) < 0 || tksp_py_convert_init(state) < 0 ||
        tksp_py_member_names_init(state) < 0 || take_type(&state->client_type, "Client") < 0 ||
        take_type(&state->key_type, "Key") < 0 || take_type(&state->keyset_type, "KeySet") < 0) {
        return -1;
    }
#define ADD(name)                                                                                  \
    if (tksp_py_add_type(module, &state->name##_type, &tksp_py_##name##_spec) < 0) return -1;
    TKSP_PY_OAUTH_TYPES(ADD)
#undef ADD
    tks_status status = tks_secret_start(&err);
    if (status == TKS_OK) return 0;
    tksp_py_raise(state, status, &err);
    return -1;
}

static PyMethodDef module_methods[] = {
    {"creator_options", tksp_py_creator_options, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    TKSP_PY_DECLARED{0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tokenstore._oauth",
    .m_doc = "The part of the C core of tokenstore that needs libcurl. Private.",
    .m_size = sizeof(tksp_py_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = tksp_py_state_traverse,
    .m_clear = tksp_py_state_clear,
    .m_free = tksp_py_state_free,
};

PyMODINIT_FUNC PyInit__oauth(void) {
    return tksp_py_module_init(&module_def);
}
