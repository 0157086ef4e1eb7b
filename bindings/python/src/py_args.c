/* py_args.c - see py_args.h. */
#include "py_args.h"

#include <string.h>
#include <time.h>

#include "tokenstore/jwt_sessions.h"

/* Values of a list: rows of arguments, or single texts. */
typedef struct tksp_py_many {
    PyObject *objects; /* a tuple or list, kept alive */
    size_t row;        /* parameters in a row; 0: texts */
    size_t count;      /* rows, or texts, that are held */
    tksp_py_held *held;
    tks_arg *args;
    tks_bytes *texts;
} tksp_py_many;

/* ---- lists ------------------------------------------------------------------------------------ */

static void many_free(tksp_py_many *many, const tks_operation *each) {
    if (many == NULL) return;
    for (size_t i = 0; i < many->count; i++) {
        if (each != NULL) {
            tksp_py_args_clear(each->params, each->param_count, many->held + i * many->row);
        } else {
            tksp_py_text_clear(&many->held[i].text, 1);
        }
    }
    PyMem_Free(many->held);
    PyMem_Free(many->args);
    PyMem_Free(many->texts);
    Py_XDECREF(many->objects);
    PyMem_Free(many);
}

/* Room for what `objects`, which is taken over, will give. NULL with an exception. */
static tksp_py_many *many_new(PyObject *objects, const tks_operation *each) {
    size_t size = (size_t)PySequence_Size(objects);
    tksp_py_many *many = PyMem_Calloc(1, sizeof *many);
    if (many == NULL) {
        Py_DECREF(objects);
        PyErr_NoMemory();
        return NULL;
    }
    many->objects = objects;
    many->row = each == NULL ? 0 : each->param_count;
    many->held = PyMem_Calloc(size * (each == NULL ? 1 : many->row) + 1, sizeof *many->held);
    if (each == NULL) {
        many->texts = PyMem_Calloc(size + 1, sizeof *many->texts);
    } else {
        many->args = PyMem_Calloc(size * many->row + 1, sizeof *many->args);
    }
    if (many->held != NULL && (many->texts != NULL || many->args != NULL)) return many;
    many_free(many, each);
    PyErr_NoMemory();
    return NULL;
}

/* The texts of an iterable, but of no text, which is one of characters. `texts`: what messages call them. */
static PyObject *tuple_of_texts(PyObject *object, const char *name, const char *texts) {
    if (PyUnicode_Check(object) || PyBytes_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be several %s, not one text", name, texts);
        return NULL;
    }
    PyObject *iterator = PyObject_GetIter(object);
    PyObject *tuple = iterator == NULL ? NULL : PySequence_Tuple(iterator);
    if (iterator == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Format(PyExc_TypeError, "%s must be an iterable of %s, not %R", name, texts,
                     (PyObject *)Py_TYPE(object));
    }
    Py_XDECREF(iterator);
    return tuple;
}

static bool tokens_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                       tks_arg *arg, tksp_py_held *held) {
    PyObject *tuple = tuple_of_texts(object, param->name, "tokens");
    tksp_py_many *many = tuple == NULL ? NULL : many_new(tuple, NULL);
    if (many == NULL) return false;
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); i++) {
        tksp_py_text *text = &many->held[i].text;
        if (!tksp_py_presented_get(state, PyTuple_GetItem(tuple, i), "a token", text)) {
            many_free(many, NULL);
            return false;
        }
        many->texts[many->count++] = text->bytes;
    }
    held->many = many;
    arg->texts = many->texts;
    arg->count = many->count;
    return true;
}

/* `object`: a list of tuples, which our own classes make. */
static bool rows_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                     size_t max_size, tks_arg *arg, tksp_py_held *held) {
    const tks_operation *each = param->each;
    Py_ssize_t given = (Py_ssize_t)tksp_py_args_given(each->params, each->param_count);
    PyObject *row[TKS_PARAM_MAX] = {NULL};
    if (!PyList_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a list, not %R", param->name,
                     (PyObject *)Py_TYPE(object));
        return false;
    }
    Py_INCREF(object);
    tksp_py_many *many = many_new(object, each);
    if (many == NULL) return false;
    for (Py_ssize_t i = 0; i < PyList_Size(object); i++) {
        PyObject *tuple = PyList_GetItem(object, i);
        size_t at = many->count * many->row;
        bool good = PyTuple_Check(tuple) && PyTuple_Size(tuple) == given;
        for (Py_ssize_t k = 0; good && k < given; k++) row[k] = PyTuple_GetItem(tuple, k);
        if (!good) PyErr_Format(PyExc_TypeError, "a row must be a tuple of %zd", given);
        if (!good || !tksp_py_args_get(state, each->params, each->param_count, row, max_size,
                                       many->args + at, many->held + at)) {
            many_free(many, each);
            return false;
        }
        many->count++;
    }
    held->many = many;
    arg->rows = many->args;
    arg->count = many->count;
    return true;
}

/* ---- single values ------------------------------------------------------------------------------ */

static bool text_of(bool good, const tksp_py_held *held, tks_arg *arg) {
    if (good) arg->text = held->text.bytes;
    return good;
}

static bool object_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                       size_t max_size, tks_arg *arg, tksp_py_held *held) {
    tks_buf_init(&held->json, SIZE_MAX);
    if (!tksp_py_object(state, object, param->name, max_size, param->type == TKS_PARAM_PATCH,
                        &held->json)) {
        tks_buf_wipe(&held->json);
        return false;
    }
    arg->text = tks_buf_bytes(&held->json);
    return true;
}

/* Of a dict the members with a value, as an object, then the names of those that are UNSET, as an array. */
static bool expected_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                         size_t max_size, tks_arg *arg, tksp_py_held *held) {
    tks_buf_init(&held->json, SIZE_MAX);
    if (!tksp_py_object(state, object, param->name, max_size, true, &held->json) ||
        !tksp_py_unset_names(state, object, param->name, max_size, &held->json)) {
        tks_buf_wipe(&held->json);
        return false;
    }
    arg->text = tks_buf_bytes(&held->json);
    return true;
}

static bool fields_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                       size_t max_size, tks_arg *arg, tksp_py_held *held) {
    PyObject *tuple = tuple_of_texts(object, param->name, "names of fields");
    if (tuple == NULL) return false;
    tks_buf_init(&held->json, SIZE_MAX);
    bool good = tksp_py_names(state, tuple, param->name, max_size, &held->json);
    Py_DECREF(tuple);
    if (!good) tks_buf_wipe(&held->json);
    if (good) arg->text = tks_buf_bytes(&held->json);
    return good;
}

/* As a duration, or a text as "15 minutes". */
static bool ttl_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                    int64_t *out_ms) {
    tksp_py_text text = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    if (!PyUnicode_Check(object)) return tksp_py_duration(state, object, param->name, out_ms);
    if (!tksp_py_text_get(state, object, param->name, false, &text)) return false;
    tks_status status = tks_duration_text(text.bytes, param->name, out_ms, &err);
    tksp_py_text_clear(&text, 1);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

/* The core refuses -1, with words of its own. */
static bool limit_get(const tks_param *param, PyObject *object, int64_t *out) {
    int overflow;
    if (!PyLong_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be int, not %R", param->name,
                     (PyObject *)Py_TYPE(object));
        return false;
    }
    *out = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0 || *out < (param->type == TKS_PARAM_LIMIT)) *out = -1;
    return true;
}

static bool flag_get(PyObject *object, int64_t *out) {
    int truth = PyObject_IsTrue(object);
    *out = truth > 0;
    return truth >= 0;
}

static int64_t now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool duration_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                         int64_t *out_ms) {
    if (object != Py_None || !param->required) {
        return tksp_py_duration(state, object, param->name, out_ms);
    }
    PyErr_Format(PyExc_TypeError, "%s must be seconds or a timedelta, not None", param->name);
    return false;
}

/* A time, or none: 0, too. */
static bool grace_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                      int64_t *out_ms) {
    int given = PyBool_Check(object) ? 1 : PyObject_IsTrue(object);
    *out_ms = 0;
    return given == 0 || (given > 0 && tksp_py_duration(state, object, param->name, out_ms));
}

static bool refresh_get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                        int64_t *out_ms) {
    if (!PyBool_Check(object)) return tksp_py_duration(state, object, param->name, out_ms);
    *out_ms = object == Py_True ? TKS_OWN_IDLE : 0;
    return true;
}

/* What the core takes where the caller gave nothing. */
static void take_fallback(const tks_param *param, tks_arg *arg) {
    if (param->fallback != NULL) arg->text = tks_bytes_of(param->fallback, strlen(param->fallback));
}

static bool get(const tksp_py_state *state, const tks_param *param, PyObject *object,
                size_t max_size, tks_arg *arg, tksp_py_held *held) {
    const char *name = param->name;
    switch (param->type) {
    case TKS_PARAM_NAME:
        if (object == Py_None && !param->required) return true;
        return text_of(tksp_py_name_get(state, object, name, &held->text), held, arg);
    case TKS_PARAM_ID:
        if (object == Py_None) return true;
        return text_of(tksp_py_id_get(state, object, name, &held->text), held, arg);
    case TKS_PARAM_PRESENTED:
        return text_of(tksp_py_presented_get(state, object, name, &held->text), held, arg);
    case TKS_PARAM_JWT:
        if (!PyUnicode_Check(object) && !PyBytes_Check(object)) object = Py_None;
        return text_of(tksp_py_presented_get(state, object, name, &held->text), held, arg);
    case TKS_PARAM_TEXT:
        if (object == Py_None && !param->required) return true;
        return text_of(tksp_py_text_get(state, object, name, false, &held->text), held, arg);
    case TKS_PARAM_OBJECT:
    case TKS_PARAM_PATCH:
        if (object != Py_None || param->required) {
            return object_get(state, param, object, max_size, arg, held);
        }
        take_fallback(param, arg);
        return true;
    case TKS_PARAM_EXPECTED:
        return object == Py_None || expected_get(state, param, object, max_size, arg, held);
    case TKS_PARAM_FIELDS:
        return object == Py_None || fields_get(state, param, object, max_size, arg, held);
    case TKS_PARAM_DURATION: return duration_get(state, param, object, &arg->number);
    case TKS_PARAM_GRACE: return grace_get(state, param, object, &arg->number);
    case TKS_PARAM_REFRESH: return refresh_get(state, param, object, &arg->number);
    case TKS_PARAM_TTL: return ttl_get(state, param, object, &arg->number);
    case TKS_PARAM_LIMIT:
    case TKS_PARAM_REPLICAS: return object == Py_None || limit_get(param, object, &arg->number);
    case TKS_PARAM_FLAG:
    case TKS_PARAM_FRESH: return flag_get(object, &arg->number);
    case TKS_PARAM_TOKENS: return tokens_get(state, param, object, arg, held);
    case TKS_PARAM_ROWS: return rows_get(state, param, object, max_size, arg, held);
    case TKS_PARAM_FIXED:
    case TKS_PARAM_NOW:
    case TKS_PARAM_TIMEOUT: break;
    }
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------- */

bool tksp_py_arg_is_given(const tks_param *param) {
    return param->type < TKS_PARAM_FIXED;
}

size_t tksp_py_args_given(const tks_param *params, size_t count) {
    size_t given = 0;
    for (size_t i = 0; i < count; i++) given += tksp_py_arg_is_given(&params[i]);
    return given;
}

bool tksp_py_args_get(const tksp_py_state *state, const tks_param *params, size_t count,
                      PyObject *const *objects, size_t max_size, tks_arg *args,
                      tksp_py_held *held) {
    for (size_t i = 0; i < count; i++) {
        const tks_param *param = &params[i];
        memset(&args[i], 0, sizeof args[i]);
        memset(&held[i], 0, sizeof held[i]);
        if (tksp_py_arg_is_given(param)) {
            if (!get(state, param, *objects++, max_size, &args[i], &held[i])) {
                tksp_py_args_clear(params, i, held);
                return false;
            }
        } else if (param->type == TKS_PARAM_FIXED) {
            take_fallback(param, &args[i]);
        } else if (param->type == TKS_PARAM_NOW) {
            args[i].number = now_us();
        }
    }
    return true;
}

void tksp_py_args_clear(const tks_param *params, size_t count, tksp_py_held *held) {
    for (size_t i = 0; i < count; i++) {
        switch (params[i].type) {
        case TKS_PARAM_NAME:
        case TKS_PARAM_ID:
        case TKS_PARAM_PRESENTED:
        case TKS_PARAM_JWT:
        case TKS_PARAM_TEXT: tksp_py_text_clear(&held[i].text, 1); break;
        case TKS_PARAM_OBJECT:
        case TKS_PARAM_PATCH:
        case TKS_PARAM_EXPECTED:
        case TKS_PARAM_FIELDS: tks_buf_wipe(&held[i].json); break;
        case TKS_PARAM_TOKENS:
        case TKS_PARAM_ROWS: many_free(held[i].many, params[i].each); break;
        default: break;
        }
    }
}
