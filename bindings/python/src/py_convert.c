/* py_convert.c - Python values to bytes, milliseconds and JSON, and JSON and replies to Python values.
 *
 * Conversion to JSON runs no Python code: it reads only the C-level contents of str, int, float, list, tuple,
 * dict and their subclasses, so a value cannot change meanwhile. Sizes are still read again at each step. */
#include "py_glue.h"

#include <math.h>

PyObject *tksp_py_import_from(const char *module, const char *name) {
    PyObject *from = PyImport_ImportModule(module);
    PyObject *object = from == NULL ? NULL : PyObject_GetAttrString(from, name);
    Py_XDECREF(from);
    return object;
}

int tksp_py_convert_init(tksp_py_state *state) {
    state->unset = tksp_py_import_from("tokenstore._types", "UNSET");
    state->timedelta = state->unset == NULL ? NULL : tksp_py_import_from("datetime", "timedelta");
    state->namespace =
        state->timedelta == NULL ? NULL : tksp_py_import_from("types", "SimpleNamespace");
    return state->namespace == NULL ? -1 : 0;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static bool text_of_surrogates(const tksp_py_state *state, PyObject *arg, const char *name,
                               bool presented, tksp_py_text *out) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();
    out->owner = PyUnicode_AsEncodedString(arg, "utf-8", "surrogateescape");
    if (out->owner != NULL) {
        out->bytes = tks_bytes_of(PyBytes_AsString(out->owner), (size_t)PyBytes_Size(out->owner));
        return true;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();
    if (presented) return true;
    PyErr_Format(state->exceptions[TKS_ERR_DATA],
                 "%s contains a surrogate that cannot be encoded: pass valid text or bytes", name);
    return false;
}

bool tksp_py_text_get(const tksp_py_state *state, PyObject *arg, const char *name, bool presented,
                      tksp_py_text *out) {
    Py_ssize_t size;
    *out = (tksp_py_text){tks_bytes_of("", 0), NULL, NULL};
    if (PyUnicode_Check(arg)) {
        const char *data = PyUnicode_AsUTF8AndSize(arg, &size);
        if (data == NULL) return text_of_surrogates(state, arg, name, presented, out);
        out->bytes = tks_bytes_of(data, (size_t)size);
        out->str = PyUnicode_CheckExact(arg) ? arg : NULL;
        return true;
    }
    if (PyBytes_Check(arg)) {
        out->bytes = tks_bytes_of(PyBytes_AsString(arg), (size_t)PyBytes_Size(arg));
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s must be str or bytes, not %R", name,
                 (PyObject *)Py_TYPE(arg));
    return false;
}

bool tksp_py_presented_get(const tksp_py_state *state, PyObject *arg, const char *name,
                           tksp_py_text *out) {
    if (arg != Py_None) return tksp_py_text_get(state, arg, name, true, out);
    *out = (tksp_py_text){tks_bytes_of("", 0), NULL, NULL};
    return true;
}

/* If uuid is not imported, nothing is a UUID. -1 with an exception. */
static int is_uuid(PyObject *arg) {
    PyObject *name = PyUnicode_FromString("uuid");
    PyObject *module = name == NULL ? NULL : PyImport_GetModule(name);
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "UUID");
    int answer = type != NULL ? PyObject_IsInstance(arg, type) : PyErr_Occurred() ? -1 : 0;
    Py_XDECREF(name);
    Py_XDECREF(module);
    Py_XDECREF(type);
    return answer;
}

static bool digits_get(const tksp_py_state *state, PyObject *arg, const char *name,
                       tksp_py_text *out) {
    out->owner = PyNumber_ToBase(arg, 10);
    if (out->owner == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear(); /* sys.set_int_max_str_digits */
        PyErr_Format(state->exceptions[TKS_ERR_DATA], "%s is longer than %d bytes", name,
                     TKS_NAME_MAX);
    }
    return out->owner != NULL;
}

bool tksp_py_name_get(const tksp_py_state *state, PyObject *arg, const char *name,
                      tksp_py_text *out) {
    Py_ssize_t size;
    if (PyUnicode_Check(arg) || PyBytes_Check(arg)) {
        return tksp_py_text_get(state, arg, name, false, out);
    }
    *out = (tksp_py_text){tks_bytes_of("", 0), NULL, NULL};
    if (PyLong_Check(arg) && !PyBool_Check(arg)) {
        if (!digits_get(state, arg, name, out)) return false;
    } else {
        int uuid = is_uuid(arg);
        if (uuid < 0) return false;
        if (uuid == 0) {
            PyErr_Format(PyExc_TypeError, "%s must be str, bytes, int or uuid.UUID, not %R", name,
                         (PyObject *)Py_TYPE(arg));
            return false;
        }
        if ((out->owner = PyObject_Str(arg)) == NULL) return false;
    }
    out->str = out->owner;
    const char *data = PyUnicode_AsUTF8AndSize(out->owner, &size);
    if (data != NULL) out->bytes = tks_bytes_of(data, (size_t)size);
    return data != NULL;
}

bool tksp_py_id_get(const tksp_py_state *state, PyObject *arg, const char *name,
                    tksp_py_text *out) {
    bool text = arg == Py_None || PyUnicode_Check(arg) || PyBytes_Check(arg);
    return text ? tksp_py_presented_get(state, arg, name, out)
                : tksp_py_name_get(state, arg, name, out);
}

void tksp_py_text_clear(tksp_py_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++) Py_CLEAR(texts[i].owner);
}

PyObject *tksp_py_str(tks_bytes bytes) {
    return PyUnicode_DecodeUTF8(bytes.data, (Py_ssize_t)bytes.size, "surrogateescape");
}

bool tksp_py_arity(const char *function, Py_ssize_t count, Py_ssize_t wanted) {
    if (count == wanted) return true;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, %zd were given", function, wanted,
                 count);
    return false;
}

/* ---- durations ------------------------------------------------------------------------------ */

bool tksp_py_seconds(const tksp_py_state *state, PyObject *arg, const char *name, double *out) {
    PyObject *number = NULL;
    int is_timedelta = PyObject_IsInstance(arg, state->timedelta);
    if (is_timedelta > 0) {
        number = PyObject_CallMethod(arg, "total_seconds", NULL);
    } else if (is_timedelta == 0) {
        Py_INCREF(arg);
        number = arg;
    }
    if (number == NULL) return false;
    if (PyFloat_Check(number)) {
        *out = PyFloat_AsDouble(number);
    } else if (PyLong_Check(number) && !PyBool_Check(number)) {
        *out = PyLong_AsDouble(number);
        if (PyErr_Occurred()) { /* too large for a double: above any limit */
            PyErr_Clear();
            *out = HUGE_VAL;
        }
    } else {
        PyErr_Format(PyExc_TypeError, "%s must be seconds or a timedelta, not %R", name,
                     (PyObject *)Py_TYPE(number));
    }
    Py_DECREF(number);
    return !PyErr_Occurred();
}

bool tksp_py_duration(const tksp_py_state *state, PyObject *arg, const char *name,
                      int64_t *out_ms) {
    double seconds;
    tks_error err = TKS_ERROR_INIT;
    *out_ms = 0;
    if (arg == Py_None) return true;
    if (!tksp_py_seconds(state, arg, name, &seconds)) return false;
    tks_status status = tks_duration(seconds, name, out_ms, &err);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* ---- data to JSON --------------------------------------------------------------------------- */

static const char not_utf8[] = "contains a surrogate, which UTF-8 cannot encode: pass valid text";

static tks_status write_value(tks_json_writer *w, PyObject *value);

/* The UTF-8 of a str, cached in it. TKS_ERR_DATA sets no message: the caller knows the path. */
static tks_status utf8_of(PyObject *text, tks_bytes *out) {
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data != NULL) {
        *out = tks_bytes_of(data, (size_t)size);
        return TKS_OK;
    }
    bool wrong = PyErr_ExceptionMatches(PyExc_UnicodeEncodeError);
    PyErr_Clear();
    return wrong ? TKS_ERR_DATA : TKS_ERR_MEMORY;
}

static tks_status write_text(tks_json_writer *w, PyObject *value) {
    tks_bytes text;
    tks_status status = utf8_of(value, &text);
    if (status == TKS_ERR_DATA) return tks_json_refuse(w, not_utf8);
    return status != TKS_OK ? tks_fail_memory(w->err) : tks_json_write_string(w, text);
}

static tks_status write_integer(tks_json_writer *w, PyObject *value) {
    int overflow;
    int64_t integer = PyLong_AsLongLongAndOverflow(value, &overflow);
    return tks_json_write_integer(w, overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : integer);
}

static tks_status write_list(tks_json_writer *w, PyObject *value) {
    tks_status status = tks_json_begin_array(w);
    for (Py_ssize_t i = 0; status == TKS_OK && i < PyList_Size(value); i++) {
        PyObject *item = PyList_GetItem(value, i);
        Py_INCREF(item);
        status = write_value(w, item);
        Py_DECREF(item);
    }
    return status == TKS_OK ? tks_json_end_array(w) : status;
}

static tks_status write_member(tks_json_writer *w, PyObject *key, PyObject *value) {
    tks_bytes name;
    if (!PyUnicode_Check(key)) return tks_json_refuse(w, "has a key that is not a string");
    tks_status status = utf8_of(key, &name);
    if (status == TKS_ERR_DATA) {
        return tks_json_refuse(w, "has a key with a surrogate, which UTF-8 cannot encode");
    }
    if (status != TKS_OK) return tks_fail_memory(w->err);
    status = tks_json_write_name(w, name);
    return status == TKS_OK ? write_value(w, value) : status;
}

/* `unset`: the marker for members to omit; NULL: none. */
static tks_status write_dict(tks_json_writer *w, PyObject *value, const PyObject *unset) {
    Py_ssize_t at = 0;
    PyObject *key, *member;
    tks_status status = tks_json_begin_object(w);
    while (status == TKS_OK && PyDict_Next(value, &at, &key, &member)) {
        if (member == unset) continue;
        Py_INCREF(key);
        Py_INCREF(member);
        status = write_member(w, key, member);
        Py_DECREF(key);
        Py_DECREF(member);
    }
    return status == TKS_OK ? tks_json_end_object(w) : status;
}

static tks_status write_value(tks_json_writer *w, PyObject *value) {
    if (PyUnicode_Check(value)) return write_text(w, value);
    if (PyBool_Check(value)) return tks_json_write_bool(w, value == Py_True);
    if (PyLong_Check(value)) return write_integer(w, value);
    if (value == Py_None) return tks_json_write_null(w);
    if (PyFloat_Check(value)) return tks_json_write_double(w, PyFloat_AsDouble(value));
    if (PyList_Check(value)) return write_list(w, value);
    if (PyTuple_Check(value)) {
        return tks_json_refuse(w, "is a tuple, which would be read back as a list: pass a list");
    }
    if (PyDict_Check(value)) return write_dict(w, value, NULL);
    return tks_json_refuse(
        w,
        "is of a type that JSON cannot represent: use dict, list, str, int, float, bool or None");
}

bool tksp_py_object(const tksp_py_state *state, PyObject *object, const char *name, size_t max_size,
                    bool patch, tks_buf *out) {
    tks_error err = TKS_ERROR_INIT;
    tks_json_writer w;
    if (!PyDict_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a dict, not %R", name,
                     (PyObject *)Py_TYPE(object));
        return false;
    }
    tks_json_writer_init(&w, out, max_size, name, &err);
    tks_status status = write_dict(&w, object, patch ? state->unset : NULL);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* Writes the names that `write` writes as an array. */
static bool write_array(const tksp_py_state *state, PyObject *object, const char *name,
                        size_t max_size, tks_buf *out,
                        tks_status (*write)(const tksp_py_state *, tks_json_writer *, PyObject *)) {
    tks_error err = TKS_ERROR_INIT;
    tks_json_writer w;
    tks_json_writer_init(&w, out, max_size, name, &err);
    tks_status status = tks_json_begin_array(&w);
    if (status == TKS_OK) status = write(state, &w, object);
    if (status == TKS_OK) status = tks_json_end_array(&w);
    if (status != TKS_OK && !PyErr_Occurred()) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

static tks_status write_unset(const tksp_py_state *state, tks_json_writer *w, PyObject *object) {
    Py_ssize_t at = 0;
    PyObject *key, *member;
    tks_status status = TKS_OK;
    while (status == TKS_OK && PyDict_Next(object, &at, &key, &member)) {
        if (member != state->unset) continue;
        status = PyUnicode_Check(key) ? write_text(w, key)
                                      : tks_json_refuse(w, "has a key that is not a string");
    }
    return status;
}

bool tksp_py_unset_names(const tksp_py_state *state, PyObject *object, const char *name,
                         size_t max_size, tks_buf *out) {
    return write_array(state, object, name, max_size, out, write_unset);
}

static tks_status write_names(const tksp_py_state *state, tks_json_writer *w, PyObject *tuple) {
    tks_status status = TKS_OK;
    (void)state;
    for (Py_ssize_t i = 0; status == TKS_OK && i < PyTuple_Size(tuple); i++) {
        PyObject *item = PyTuple_GetItem(tuple, i);
        if (!PyUnicode_Check(item)) {
            PyErr_Format(PyExc_TypeError, "%s[%zd] must be str, not %R", w->root, i,
                         (PyObject *)Py_TYPE(item));
            return TKS_ERR_DATA;
        }
        status = write_text(w, item);
    }
    return status;
}

bool tksp_py_names(const tksp_py_state *state, PyObject *tuple, const char *name, size_t max_size,
                   tks_buf *out) {
    return write_array(state, tuple, name, max_size, out, write_names);
}

/* ---- JSON and replies to Python --------------------------------------------------------------- */

/* An integer beyond 64 bits. Python has its own limit on digits, which a program may have lowered. */
static PyObject *from_digits(const tksp_py_state *state, tks_bytes digits) {
    PyObject *integer = PyLong_FromString(digits.data, NULL, 10);
    if (integer != NULL || !PyErr_ExceptionMatches(PyExc_ValueError)) return integer;
    PyErr_Clear();
    PyErr_Format(state->exceptions[TKS_ERR_DATA],
                 "the server returned an integer of %zu digits, over Python's limit: see "
                 "sys.set_int_max_str_digits",
                 digits.size);
    return NULL;
}

PyObject *tksp_py_json_text(tks_bytes text) {
    PyObject *str = PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, NULL);
    if (str != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return str;
    PyErr_Clear(); /* an unpaired surrogate */
    return PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, "surrogatepass");
}

static PyObject *from_array(const tksp_py_state *state, const tks_json *node) {
    PyObject *list = PyList_New((Py_ssize_t)tks_json_get_size(node));
    Py_ssize_t i = 0;
    for (const tks_json *child = tks_json_get_child(node); list != NULL && child != NULL;
         child = tks_json_get_next(child)) {
        PyObject *item = tksp_py_from_json(state, child);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, i++, item);
        }
    }
    return list;
}

static PyObject *from_object(const tksp_py_state *state, const tks_json *node) {
    PyObject *dict = PyDict_New();
    for (const tks_json *child = tks_json_get_child(node); dict != NULL && child != NULL;
         child = tks_json_get_next(child)) {
        PyObject *key = tksp_py_member_name(state, tks_json_get_name(child));
        PyObject *value = key == NULL ? NULL : tksp_py_from_json(state, child);
        if (value == NULL || PyDict_SetItem(dict, key, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

/* The reader has limited the depth to TKS_JSON_DEPTH_MAX. */
PyObject *tksp_py_from_json(const tksp_py_state *state, const tks_json *node) {
    switch (tks_json_get_type(node)) {
    case TKS_JSON_BOOL: return PyBool_FromLong(tks_json_get_bool(node));
    case TKS_JSON_INTEGER: return PyLong_FromLongLong(tks_json_get_integer(node));
    case TKS_JSON_DOUBLE: return PyFloat_FromDouble(tks_json_get_double(node));
    case TKS_JSON_BIG: return from_digits(state, tks_json_get_string(node));
    case TKS_JSON_STRING: return tksp_py_json_text(tks_json_get_string(node));
    case TKS_JSON_ARRAY: return from_array(state, node);
    case TKS_JSON_OBJECT: return from_object(state, node);
    case TKS_JSON_NULL:
    default: Py_RETURN_NONE;
    }
}

static PyObject *from_replies(const tksp_py_state *state, const tks_reply *reply) {
    size_t size = tks_reply_get_size(reply);
    PyObject *list = PyList_New((Py_ssize_t)size);
    for (size_t i = 0; list != NULL && i < size; i++) {
        PyObject *item = tksp_py_from_reply(state, tks_reply_get_item(reply, i));
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

/* Creates an exception without raising it: in a pipeline's results it takes the place of the reply. */
static PyObject *from_error(const tksp_py_state *state, const tks_reply *reply) {
    char message[1024];
    bool oversized = tks_reply_get_type(reply) == TKS_REPLY_OVERSIZED;
    tks_reply_describe_error(reply, message, sizeof message);
    return PyObject_CallFunction(state->exceptions[oversized ? TKS_ERR_LIMIT : TKS_ERR_SERVER], "s",
                                 message);
}

PyObject *tksp_py_quoted_word(PyObject *module, PyObject *message) {
    (void)module;
    PyObject *utf8 = PyUnicode_AsEncodedString(message, "utf-8", "replace");
    if (utf8 == NULL) return NULL;
    tks_bytes text = tks_bytes_of(PyBytes_AsString(utf8), (size_t)PyBytes_Size(utf8));
    PyObject *word = tksp_py_str(tks_resp_quoted_word(text));
    Py_DECREF(utf8);
    return word;
}

PyObject *tksp_py_from_reply(const tksp_py_state *state, const tks_reply *reply) {
    tks_bytes bytes;
    switch (tks_reply_get_type(reply)) {
    case TKS_REPLY_STRING:
        bytes = tks_reply_get_bytes(reply);
        return PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.size);
    case TKS_REPLY_STATUS: return tksp_py_str(tks_reply_get_bytes(reply));
    case TKS_REPLY_ERROR:
    case TKS_REPLY_OVERSIZED: return from_error(state, reply);
    case TKS_REPLY_INTEGER: return PyLong_FromLongLong(tks_reply_get_integer(reply));
    case TKS_REPLY_ARRAY: return from_replies(state, reply);
    case TKS_REPLY_NIL:
    default: Py_RETURN_NONE;
    }
}
