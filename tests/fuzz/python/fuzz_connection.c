/* fuzz_connection.c - the C half of the asyncio driver (bindings/python/src: driver.h) in an embedded
 * interpreter, with instrumented glue and core. Input: see connection_case.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../fuzz.h"

PyMODINIT_FUNC PyInit__core(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Uses the extension linked into this program, not the one beside the package. */
static const char boot[] =
    "import sys\n"
    "from importlib.machinery import BuiltinImporter, ModuleSpec\n"
    "class Finder:\n"
    "    def find_spec(name, path=None, target=None):\n"
    "        return ModuleSpec(name, BuiltinImporter) if name == 'tokenstore._core' else None\n"
    "sys.meta_path.insert(0, Finder)\n"
    "sys.path[:0] = ['bindings/python', 'tests/fuzz/python']\n"
    "from connection_case import one\n";

static PyObject *one;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    REQUIRE(PyImport_AppendInittab("tokenstore._core", PyInit__core) == 0);
    Py_InitializeEx(0);
    REQUIRE(PyRun_SimpleString(boot) == 0);
    one = PyObject_GetAttrString(PyImport_AddModule("__main__"), "one");
    REQUIRE(one != NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *result = PyObject_CallFunction(one, "y#", (const char *)data, (Py_ssize_t)size);
    if (result == NULL) PyErr_Print();
    REQUIRE(result != NULL);
    Py_DECREF(result);
    return 0;
}
