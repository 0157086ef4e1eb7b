/* py_spike_creator.c - the options of get_token_creator. */
#include "py_oauth.h"

#include "tokenstore/spike_creator.h"

static bool creator_set(const tksp_py_state *state, tks_creator *creator, PyObject *name,
                        PyObject *value) {
    tks_creator_value v = {.type = TKS_CREATOR_OTHER};
    tksp_py_text texts[2] = {TKSP_PY_TEXT_INIT, TKSP_PY_TEXT_INIT};
    bool good = tksp_py_text_get(state, name, "an option's name", false, &texts[0]);
    if (good && PyUnicode_Check(value)) {
        v.type = TKS_CREATOR_TEXT;
        good = tksp_py_text_get(state, value, "an option", false, &texts[1]);
        v.text = texts[1].bytes;
    } else if (PyBool_Check(value)) {
        v.type = TKS_CREATOR_BOOL;
        v.number = value == Py_True;
    } else if (PyLong_Check(value) || PyFloat_Check(value)) {
        v.type = TKS_CREATOR_NUMBER;
        v.number = PyFloat_AsDouble(value);
        PyErr_Clear(); /* too large for a double: reported by the range check */
    }
    if (good) tks_creator_set(creator, texts[0].bytes, &v);
    tksp_py_text_clear(texts, 2);
    return good;
}

static PyObject *creator_dict(const tks_creator_options *o) {
    const struct {
        const char *name;
        tks_bytes text;
    } texts[] = {
        {"client_id", o->client_id},       {"client_secret", o->client_secret},
        {"token_url", o->token_url},       {"key_url", o->key_url},
        {"key_path", o->key_path},         {"grant_type", o->grant_type},
        {"audience", o->audience},         {"redis_key", o->redis_key},
        {"redis_string", o->redis_string}, {"redis_host", o->redis_host},
        {"host_header", o->host_header},
    };
    PyObject *dict =
        Py_BuildValue("{s:O,s:I,s:I,s:I}", "validate", o->validate ? Py_True : Py_False, "retries",
                      o->retries, "sleep_ms", o->sleep_ms, "budget_ms", o->budget_ms);
    for (size_t i = 0; dict != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        PyObject *text = tksp_py_str(texts[i].text);
        if (text == NULL || PyDict_SetItemString(dict, texts[i].name, text) < 0) Py_CLEAR(dict);
        Py_XDECREF(text);
    }
    return dict;
}

PyObject *tksp_py_creator_options(PyObject *module, PyObject *options) {
    const tksp_py_state *state = PyModule_GetState(module);
    tks_creator_options out;
    tks_error err = TKS_ERROR_INIT;
    PyObject *name, *value, *result = NULL;
    Py_ssize_t at = 0;
    bool good = true;
    if (!PyDict_Check(options)) {
        PyErr_SetString(PyExc_TypeError, "options must be a mapping");
        return NULL;
    }
    tks_creator *creator = tks_creator_new();
    if (creator == NULL) return PyErr_NoMemory();
    while (good && PyDict_Next(options, &at, &name, &value)) {
        if (value != Py_None) good = creator_set(state, creator, name, value);
    }
    if (good) {
        tks_status status = tks_creator_finish(creator, &out, &err);
        result = status == TKS_OK ? creator_dict(&out) : tksp_py_raise(state, status, &err);
    }
    tks_creator_free(creator);
    return result;
}
