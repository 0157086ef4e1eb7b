/* py_member_names.c - a cache of JSON member names as str.
 *
 * Purpose:   values read from Redis repeat the same few names. A cached str is found faster than a new one is
 *            created, and has its hash, which a dict needs.
 * Lifecycle: a table of fixed size for each module object; a name replaces another one with the same index.
 *            Only names are kept, never values.
 * Threads:   needs the GIL. */
#include "py_glue.h"

#include <string.h>

enum { PLACES = 256, KEPT_SIZE = 32 }; /* longer names are not kept */

/* FNV-1a. Crafted collisions only disable the cache. */
static size_t place_of(tks_bytes name) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.size; i++) hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    return (hash ^ hash >> 16) % PLACES;
}

/* True if `text`, which may be NULL, equals the name. */
static bool is_name(PyObject *text, tks_bytes name) {
    Py_ssize_t size;
    const char *data = text != NULL ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    return data != NULL && (size_t)size == name.size && memcmp(data, name.data, name.size) == 0;
}

PyObject *tksp_py_member_name(const tksp_py_state *state, tks_bytes name) {
    PyObject **kept = name.size <= KEPT_SIZE ? &state->member_names[place_of(name)] : NULL;
    if (kept != NULL && is_name(*kept, name)) {
        Py_INCREF(*kept);
        return *kept;
    }
    PyObject *text = tksp_py_json_text(name);
    if (kept == NULL || text == NULL) return text;
    if (PyUnicode_AsUTF8AndSize(text, NULL) == NULL) { /* cached now, so that is_name cannot fail */
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear(); /* an unpaired surrogate: not cached */
            return text;
        }
        Py_DECREF(text);
        return NULL;
    }
    PyObject *before = *kept;
    Py_INCREF(text);
    *kept = text;
    Py_XDECREF(before);
    return text;
}

int tksp_py_member_names_init(tksp_py_state *state) {
    state->member_names = PyMem_Calloc(PLACES, sizeof(PyObject *));
    if (state->member_names != NULL) return 0;
    PyErr_NoMemory();
    return -1;
}

void tksp_py_member_names_clear(tksp_py_state *state) {
    for (size_t i = 0; state->member_names != NULL && i < PLACES; i++) {
        Py_CLEAR(state->member_names[i]);
    }
    PyMem_Free(state->member_names);
    state->member_names = NULL;
}
