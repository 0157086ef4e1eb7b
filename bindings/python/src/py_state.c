/* py_state.c - the state of a module of the extension, which _core and _oauth have each. */
#include "py_glue.h"

int tksp_py_add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec) {
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

enum { FIRST_WITH_SLOTS = 0x030C0000 };

PyObject *tksp_py_module_init(PyModuleDef *def) {
    PyObject *version =
        PySys_GetObject("hexversion"); /* of the CPython that runs, not of the headers */
    if (version == NULL || PyLong_AsLong(version) < FIRST_WITH_SLOTS) {
        def->m_slots[1] = (PyModuleDef_Slot){0, NULL};
    }
    return PyModuleDef_Init(def);
}

int tksp_py_state_traverse(PyObject *module, visitproc visit, void *arg) {
    tksp_py_state *state = PyModule_GetState(module);
#define VISIT(name) Py_VISIT(state->name##_type);
    TKSP_PY_TYPES(VISIT)
#undef VISIT
    for (size_t i = 0; i < TKS_STATUS_COUNT; i++) Py_VISIT(state->exceptions[i]);
    Py_VISIT(state->unset);
    Py_VISIT(state->timedelta);
    Py_VISIT(state->namespace);
    Py_VISIT(state->cancelled);
    Py_VISIT(state->running_loop);
    for (size_t i = 0; i < TKSP_PY_NAME_COUNT; i++) Py_VISIT(state->names[i]);
    return 0;
}

int tksp_py_state_clear(PyObject *module) {
    tksp_py_state *state = PyModule_GetState(module);
#define CLEAR(name) Py_CLEAR(state->name##_type);
    TKSP_PY_TYPES(CLEAR)
#undef CLEAR
    for (size_t i = 0; i < TKS_STATUS_COUNT; i++) Py_CLEAR(state->exceptions[i]);
    Py_CLEAR(state->unset);
    Py_CLEAR(state->timedelta);
    Py_CLEAR(state->namespace);
    Py_CLEAR(state->cancelled);
    Py_CLEAR(state->running_loop);
    for (size_t i = 0; i < TKSP_PY_NAME_COUNT; i++) Py_CLEAR(state->names[i]);
    tksp_py_member_names_clear(state);
    return 0;
}

void tksp_py_state_free(void *module) {
    (void)tksp_py_state_clear(module);
}
