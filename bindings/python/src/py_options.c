/* py_options.c - see py_options.h. */
#include "py_options.h"

/* ---- one option -------------------------------------------------------------------------------- */

static bool refuse_type(const tks_option *row, const char *wanted, PyObject *object) {
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "%s must be %s, not %S", row->name, wanted, name);
    }
    Py_XDECREF(name);
    return false;
}

static bool one_text_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                         tksp_py_text *out) {
    if (!tksp_py_text_get(state, object, row->name, true, out)) return false;
    if (out->bytes.size > 0 || PyBytes_Check(object) || PyUnicode_GetLength(object) == 0) {
        return true;
    }
    PyErr_Format(state->exceptions[TKS_ERR_CONFIGURATION],
                 "%s contains a surrogate that cannot be encoded: give valid text", row->name);
    return false;
}

static bool text_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                     tksp_py_option *out) {
    if (!one_text_get(state, row, object, &out->text)) return false;
    out->value.text = out->text.bytes;
    return true;
}

/* One, or a list or tuple of them. */
static bool texts_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                      tksp_py_option *out) {
    bool many = PyList_Check(object) || PyTuple_Check(object);
    if (!many && !PyUnicode_Check(object) && !PyBytes_Check(object)) {
        return refuse_type(row, "str or bytes, or a list of them", object);
    }
    out->path = many ? PySequence_Tuple(object) : PyTuple_Pack(1, object);
    if (out->path == NULL) return false;
    size_t count = (size_t)PyTuple_Size(out->path);
    tks_bytes *items = PyMem_Calloc(count + 1, sizeof *items);
    out->items = items;
    out->texts = PyMem_Calloc(count + 1, sizeof *out->texts);
    if (items == NULL || out->texts == NULL) {
        PyErr_NoMemory();
        return false;
    }
    out->value.items = items;
    out->value.count = count;
    for (size_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GetItem(out->path, (Py_ssize_t)i);
        if (!one_text_get(state, row, item, &out->texts[i])) return false;
        items[i] = out->texts[i].bytes;
    }
    return true;
}

static bool path_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                     tksp_py_option *out) {
    out->path = PyOS_FSPath(object);
    if (out->path == NULL && !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
    if (out->path != NULL && PyUnicode_Check(out->path)) {
        return text_get(state, row, out->path, out);
    }
    PyErr_Clear();
    return refuse_type(row, "a path (str or os.PathLike)", object);
}

static bool keys_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                     tksp_py_option *out) {
    if (!PyTuple_Check(object)) return refuse_type(row, "a tuple of Keys", object);
    size_t count = (size_t)PyTuple_Size(object);
    tks_key **keys = PyMem_Calloc(count + 1, sizeof(tks_key *));
    out->items = keys;
    out->value.items = keys;
    out->value.count = count;
    if (keys == NULL) PyErr_NoMemory();
    for (size_t i = 0; keys != NULL && i < count; i++) {
        keys[i] = tksp_py_key_get(state, PyTuple_GetItem(object, (Py_ssize_t)i));
        if (keys[i] == NULL) return false;
    }
    return keys != NULL;
}

/* A tuple of (name, value), each bytes, which it outlives. */
static bool pairs_get(const tks_option *row, PyObject *object, tksp_py_option *out) {
    if (!PyTuple_Check(object)) return refuse_type(row, "a tuple of pairs", object);
    size_t count = (size_t)PyTuple_Size(object);
    tks_pair *pairs = PyMem_Calloc(count + 1, sizeof *pairs);
    out->items = pairs;
    out->value.items = pairs;
    out->value.count = count;
    if (pairs == NULL) PyErr_NoMemory();
    for (size_t i = 0; pairs != NULL && i < count; i++) {
        char *name, *value;
        Py_ssize_t name_size, value_size;
        if (!PyArg_ParseTuple(PyTuple_GetItem(object, (Py_ssize_t)i), "y#y#", &name, &name_size,
                              &value, &value_size)) {
            return false;
        }
        pairs[i] = (tks_pair){tks_bytes_of(name, (size_t)name_size),
                              tks_bytes_of(value, (size_t)value_size)};
    }
    return pairs != NULL;
}

bool tksp_py_option_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                        tksp_py_option *out) {
    static const tksp_py_option nothing = {.items = NULL};
    *out = nothing;
    switch (row->type) {
    case TKS_OPTION_TEXT: return text_get(state, row, object, out);
    case TKS_OPTION_STRING:
    case TKS_OPTION_MAP: /* _options.py makes it of a dict */
    case TKS_OPTION_CHOICE:
        return PyUnicode_Check(object) ? text_get(state, row, object, out)
                                       : refuse_type(row, "str", object);
    case TKS_OPTION_PATH: return path_get(state, row, object, out);
    case TKS_OPTION_COUNT:
        if (!PyLong_Check(object) || PyBool_Check(object)) return refuse_type(row, "int", object);
        /* fall through */
    case TKS_OPTION_DURATION:
    case TKS_OPTION_NUMBER: return tksp_py_seconds(state, object, row->name, &out->value.number);
    case TKS_OPTION_FLAG:
        if (!PyBool_Check(object)) return refuse_type(row, "True or False", object);
        out->value.flag = object == Py_True;
        return true;
    case TKS_OPTION_TEXTS: return texts_get(state, row, object, out);
    case TKS_OPTION_KEYS: return keys_get(state, row, object, out);
    case TKS_OPTION_PAIRS: return pairs_get(row, object, out);
    }
    return refuse_type(row, "something else", object);
}

void tksp_py_option_clear(tksp_py_option *option) {
    tksp_py_text_clear(&option->text, 1);
    Py_CLEAR(option->path);
    if (option->texts != NULL) tksp_py_text_clear(option->texts, option->value.count);
    PyMem_Free(option->texts);
    option->texts = NULL;
    PyMem_Free(option->items);
    option->items = NULL;
}

/* ---- all of a struct ----------------------------------------------------------------------------- */

const tks_option *tksp_py_option_find(const tks_options *table, PyObject *name) {
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &size);
    if (utf8 == NULL) return NULL;
    const tks_option *row = tks_option_find(table, tks_bytes_of(utf8, (size_t)size));
    if (row == NULL) PyErr_Format(PyExc_TypeError, "there is no option %R", name);
    return row;
}

static bool set(const tksp_py_state *state, PyObject *name, PyObject *object, tks_buf *faults,
                tksp_py_options *out) {
    tks_error err = TKS_ERROR_INIT;
    const tks_option *row = tksp_py_option_find(out->table, name);
    if (row == NULL) return false;
    if (object == Py_None && row->fallback == NULL) return true;
    tksp_py_option *held = &out->held[row - out->table->rows];
    if (!tksp_py_option_get(state, row, object, held)) return false;
    tks_status status = tks_option_set(row, out->values, &held->value, &err);
    if (status == TKS_OK) return true;
    if (faults == NULL) {
        tksp_py_raise(state, status, &err);
    } else {
        tks_faults_add(faults, err.message);
    }
    return faults != NULL;
}

bool tksp_py_options_get(const tksp_py_state *state, const tks_options *table, PyObject *given,
                         tks_buf *faults, tksp_py_options *out) {
    Py_ssize_t at = 0;
    PyObject *name, *object;
    out->table = table;
    out->values = PyMem_Malloc(table->size);
    out->held = PyMem_Calloc(table->count, sizeof *out->held);
    if (out->values == NULL || out->held == NULL) {
        PyErr_NoMemory();
        return false;
    }
    memcpy(out->values, table->initial, table->size);
    bool good = true;
    while (good && given != NULL && PyDict_Next(given, &at, &name, &object)) {
        good = set(state, name, object, faults, out);
    }
    return good;
}

void tksp_py_options_clear(tksp_py_options *options) {
    for (size_t i = 0; options->held != NULL && i < options->table->count; i++) {
        tksp_py_option_clear(&options->held[i]);
    }
    PyMem_Free(options->held);
    PyMem_Free(options->values);
}
