/* py_jwt_given.c - see py_jwt.h. */
#include "py_jwt.h"

#include <time.h>

/* ---- lists of arguments ------------------------------------------------------------------------ */

void tksp_py_held_clear(tksp_py_held *h) {
    if (h->texts != NULL) tksp_py_text_clear(h->texts, h->count);
    PyMem_Free(h->texts);
    PyMem_Free(h->values);
    Py_CLEAR(h->items);
}

/* A list, tuple or set as a tuple. A str is rejected: it would be read character by character. */
static PyObject *as_tuple(PyObject *arg, const char *name, const char *of) {
    if (PyList_Check(arg) || PyTuple_Check(arg) || PyAnySet_Check(arg)) {
        return PySequence_Tuple(arg);
    }
    return PyErr_Format(PyExc_TypeError, "%s must be a list of %s, not %R", name, of,
                        (PyObject *)Py_TYPE(arg));
}

/* None, a text, or a list of texts; with `many`, only a list. */
static bool get_texts(const tksp_py_state *state, PyObject *arg, const char *name, bool many,
                      tksp_py_held *out) {
    bool one = !many && (PyUnicode_Check(arg) || PyBytes_Check(arg));
    if (arg == Py_None) return true;
    if (!one && (out->items = as_tuple(arg, name, "str")) == NULL) return false;
    size_t size = one ? 1 : (size_t)PyTuple_Size(out->items);
    if (size == 0 && !many) {
        PyErr_Format(state->exceptions[TKS_ERR_CONFIGURATION],
                     "%s is an empty list: pass None to accept any", name);
        return false;
    }
    out->values = PyMem_Calloc(size + 1, sizeof(tks_bytes));
    out->texts = PyMem_Calloc(size + 1, sizeof(tksp_py_text));
    if (out->values == NULL || out->texts == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (; out->count < size; out->count++) {
        PyObject *item = one ? arg : PyTuple_GetItem(out->items, (Py_ssize_t)out->count);
        if (!tksp_py_text_get(state, item, name, false, &out->texts[out->count])) return false;
        ((tks_bytes *)out->values)[out->count] = out->texts[out->count].bytes;
    }
    return true;
}

static bool get_algorithms(const tksp_py_state *state, PyObject *arg, uint32_t *out) {
    PyObject *names = as_tuple(arg, "algorithms", "str such as [\"RS256\"]");
    bool good = names != NULL;
    for (Py_ssize_t i = 0; good && i < PyTuple_Size(names); i++) {
        good = tksp_py_algorithm_add(state, PyTuple_GetItem(names, i), out);
    }
    Py_XDECREF(names);
    return good;
}

/* ---- arguments ----------------------------------------------------------------------------------- */

bool tksp_py_jwt_now(const tksp_py_state *state, PyObject *arg, double *out) {
    struct timespec now;
    if (arg != Py_None) return tksp_py_seconds(state, arg, "now", out);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *out = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    return true;
}

bool tksp_py_jwt_size(const tksp_py_state *state, PyObject *arg, size_t *out) {
    static const tks_option row = {.name = "max_size",
                                   .type = TKS_OPTION_COUNT,
                                   .size = sizeof *out,
                                   .min = 1,
                                   .max = TKS_JWT_SIZE_MAX};
    tksp_py_option given;
    tks_error err = TKS_ERROR_INIT;
    *out = 0;
    if (arg == Py_None) return true;
    if (!tksp_py_option_get(state, &row, arg, &given)) return false;
    tks_status status = tks_option_set(&row, out, &given.value, &err);
    if (status != TKS_OK) tksp_py_raise(state, status, &err);
    return status == TKS_OK;
}

bool tksp_py_jwt_token(const tksp_py_state *state, PyObject *arg, tksp_py_text *out) {
    if (PyUnicode_Check(arg) || PyBytes_Check(arg)) {
        return tksp_py_presented_get(state, arg, "token", out);
    }
    return tksp_py_presented_get(state, Py_None, "token", out);
}

/* Only a real bool: a value such as None or 0 must not turn a check off by accident. */
static bool get_flag(PyObject *arg, const char *name) {
    if (PyBool_Check(arg)) return true;
    PyErr_Format(PyExc_TypeError, "%s must be True or False, not %R", name,
                 (PyObject *)Py_TYPE(arg));
    return false;
}

bool tksp_py_jwt_given_get(const tksp_py_state *state, PyObject *const *args,
                           tksp_py_jwt_given *out) {
    tks_jwt_policy *policy = &out->policy;
    *out = (tksp_py_jwt_given){.now = args[6]};
    if (!tksp_py_jwt_token(state, args[0], &out->texts[0]) ||
        !get_algorithms(state, args[1], &policy->algorithms) ||
        !get_texts(state, args[2], "audience", false, &out->audiences) ||
        !get_texts(state, args[3], "issuer", false, &out->issuers) ||
        !tksp_py_seconds(state, args[4], "leeway", &policy->leeway) ||
        !get_texts(state, args[5], "require", true, &out->required) ||
        !tksp_py_jwt_now(state, args[6], &policy->now) ||
        (args[7] != Py_None && !tksp_py_text_get(state, args[7], "typ", false, &out->texts[1])) ||
        !tksp_py_jwt_size(state, args[8], &policy->max_size) || !get_flag(args[11], "verify_exp")) {
        return false;
    }
    out->token = out->texts[0].bytes;
    policy->claims_only = args[9] != Py_True;
    policy->any_audience = args[10] == Py_True;
    policy->any_expiry = args[11] == Py_False;
    policy->audiences = out->audiences.values;
    policy->audience_count = out->audiences.count;
    policy->issuers = out->issuers.values;
    policy->issuer_count = out->issuers.count;
    policy->required = out->required.values;
    policy->required_count = out->required.count;
    policy->typ = out->texts[1].bytes;
    return true;
}

void tksp_py_jwt_given_clear(tksp_py_jwt_given *given) {
    tksp_py_text_clear(given->texts, 2);
    tksp_py_held_clear(&given->audiences);
    tksp_py_held_clear(&given->issuers);
    tksp_py_held_clear(&given->required);
}

/* ---- decode ------------------------------------------------------------------------------------- */

tks_status tksp_py_jwt_try(const tksp_py_jwt_given *given, tks_key *const *keys, size_t count,
                           bool public, tks_jwt *out, tks_error *err) {
    PyThreadState *thread = public ? PyEval_SaveThread() : NULL;
    tks_status status = tks_jwt_decode(given->token, keys, count, &given->policy, out, err);
    if (thread != NULL) PyEval_RestoreThread(thread);
    return status;
}

/* The claims, or with `complete` (header, claims). */
static PyObject *result_of(const tksp_py_state *state, const tks_jwt *jwt, bool complete) {
    PyObject *claims = tksp_py_from_json(state, jwt->claims);
    if (!complete || claims == NULL) return claims;
    PyObject *header = tksp_py_from_json(state, jwt->header);
    PyObject *both = header != NULL ? PyTuple_Pack(2, header, claims) : NULL;
    Py_XDECREF(header);
    Py_DECREF(claims);
    return both;
}

PyObject *tksp_py_jwt_result(const tksp_py_state *state, const tksp_py_jwt_given *given,
                             tks_status status, tks_jwt *jwt, const tks_error *err) {
    PyObject *result = status == TKS_OK ? result_of(state, jwt, !given->policy.claims_only)
                                        : tksp_py_raise(state, status, err);
    tks_jwt_clear(jwt);
    return result;
}
