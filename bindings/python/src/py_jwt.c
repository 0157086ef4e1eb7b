/* py_jwt.c - decode and encode for tokenstore.jwt.
 *
 * Public-key cryptography releases the GIL. Meanwhile, borrowed values are held by tuples, because a list may
 * change. */
#include "py_options.h"

#include <time.h>

/* ---- lists of arguments ------------------------------------------------------------------------ */

/* Values of a list, kept alive until they are cleared. */
typedef struct held {
    PyObject *items; /* a tuple; NULL: one value, kept alive by the caller */
    void *values;    /* an array of tks_bytes or tks_key * */
    tksp_py_text *texts;
    size_t count;
} held;

static void held_clear(held *h) {
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
                      held *out) {
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

static bool refuse_key(PyObject *arg) {
    PyErr_Format(PyExc_TypeError,
                 "key must be a Key, a KeySet or a list of Keys, not %R: create one with "
                 "Key.from_secret, Key.from_pem or Key.from_jwk",
                 (PyObject *)Py_TYPE(arg));
    return false;
}

/* A Key, a KeySet or a list of Keys. `one`: storage for a single key; *public: one of them is for public-key
 * cryptography. */
static bool get_keys(const tksp_py_state *state, PyObject *arg, tks_key **one, held *out,
                     tks_key *const **keys, bool *public) {
    if (PyObject_TypeCheck(arg, state->key_type)) {
        *one = tksp_py_key_get(state, arg);
        *keys = one;
        out->count = 1;
    } else if (PyObject_TypeCheck(arg, state->keyset_type)) {
        out->count = tks_keyset_get_keys(tksp_py_keyset_get(state, arg), keys);
    } else {
        if (!PyList_Check(arg) && !PyTuple_Check(arg)) return refuse_key(arg);
        out->items = PySequence_Tuple(arg);
        size_t size = out->items != NULL ? (size_t)PyTuple_Size(out->items) : 0;
        tks_key **list = out->values = PyMem_Calloc(size + 1, sizeof(tks_key *));
        if (out->items == NULL || list == NULL) {
            if (out->items != NULL) PyErr_NoMemory();
            return false;
        }
        for (; out->count < size; out->count++) {
            PyObject *item = PyTuple_GetItem(out->items, (Py_ssize_t)out->count);
            if (!PyObject_TypeCheck(item, state->key_type)) return refuse_key(item);
            list[out->count] = tksp_py_key_get(state, item);
        }
        *keys = list;
    }
    *public = false;
    for (size_t i = 0; i < out->count; i++) {
        *public = *public || tks_key_get_kind((*keys)[i]) != TKS_KEY_SECRET;
    }
    return true;
}

/* ---- decode ------------------------------------------------------------------------------------- */

static bool get_now(const tksp_py_state *state, PyObject *arg, double *out) {
    struct timespec now;
    if (arg != Py_None) return tksp_py_seconds(state, arg, "now", out);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *out = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    return true;
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

/* A number of bytes; None: the default. */
static bool get_size(const tksp_py_state *state, PyObject *arg, size_t *out) {
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

/* What a client presented: anything but text is an invalid token. */
static bool get_token(const tksp_py_state *state, PyObject *arg, tksp_py_text *out) {
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

/* One attempt. Releases the GIL for public-key cryptography. */
static tks_status decode_with(tks_bytes token, tks_key *const *keys, size_t count, bool public,
                              const tks_jwt_policy *policy, tks_jwt *out, tks_error *err) {
    PyThreadState *thread = public ? PyEval_SaveThread() : NULL;
    tks_status status = tks_jwt_decode(token, keys, count, policy, out, err);
    if (thread != NULL) PyEval_RestoreThread(thread);
    return status;
}

/* The claims, or the exception. */
static PyObject *finish_decode(const tksp_py_state *state, const tks_jwt_policy *policy,
                               tks_status status, tks_jwt *jwt, const tks_error *err) {
    PyObject *result = status == TKS_OK ? result_of(state, jwt, !policy->claims_only)
                                        : tksp_py_raise(state, status, err);
    tks_jwt_clear(jwt);
    return result;
}

/* The same with the keys at a URL. `seen`: None: wait; or a version of the keys, 0 at first: returns an int
 * while newer keys are being fetched, to pass as `seen` in the next call. */
static PyObject *decode_remote(const tksp_py_state *state, PyObject *keys, PyObject *seen_arg,
                               PyObject *now, tks_bytes token, tks_jwt_policy *policy) {
    bool wait = seen_arg == Py_None, pending = false, newer = false;
    bool *const pending_at = wait ? NULL : &pending;
    unsigned long long seen = wait ? 0 : PyLong_AsUnsignedLongLong(seen_arg);
    tks_keyset *set = NULL;
    uint64_t version = 0;
    PyObject *result = NULL;

    if (PyErr_Occurred() || (wait && !tksp_py_remote_keys_may_wait(keys))) return NULL;
    if (seen != 0) {
        if (!tksp_py_remote_keys_get(state, keys, seen, pending_at, &set, &version)) return NULL;
        newer = set != NULL;
    }
    while (!pending) {
        tks_error err = TKS_ERROR_INIT;
        tks_keyset *next = NULL;
        tks_key *const *list;
        tks_jwt jwt;
        if (set == NULL &&
            (!tksp_py_remote_keys_get(state, keys, 0, pending_at, &set, &version) || set == NULL)) {
            break;
        }
        size_t count = tks_keyset_get_keys(set, &list);
        tks_status status = decode_with(token, list, count, true, policy, &jwt, &err);
        if (status == TKS_OK && newer) tksp_py_remote_keys_helped(keys);
        if (status != TKS_OK && jwt.key_unknown && !newer && version != seen) {
            seen = version;
            if (!tksp_py_remote_keys_get(state, keys, seen, pending_at, &next, &version) ||
                pending) {
                break;
            }
        }
        if (next == NULL) {
            result = finish_decode(state, policy, status, &jwt, &err);
            break;
        }
        newer = true;
        tks_keyset_free(set);
        set = next;
        if (!get_now(state, now, &policy->now)) break; /* time has passed */
    }
    tks_keyset_free(set);
    return pending ? PyLong_FromUnsignedLongLong(seen) : result;
}

/* jwt_decode(token, key, algorithms, audience, issuer, leeway, require, now, typ, max_size, complete,
 * any_audience, verify_exp, seen): any_audience and verify_exp are bools; for `seen`, see decode_remote */
PyObject *tksp_py_jwt_decode(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    held keys = {0}, audiences = {0}, issuers = {0}, required = {0};
    tksp_py_text texts[2] = {0};
    tks_jwt_policy policy = {0};
    tks_error err = TKS_ERROR_INIT;
    tks_key *const *list = NULL;
    tks_key *one = NULL;
    PyObject *result = NULL;
    bool public = false;
    bool remote = count > 1 && PyObject_TypeCheck(args[1], state->remote_keys_type);
    tks_jwt jwt;

    if (!tksp_py_arity("jwt_decode", count, 14) || !get_token(state, args[0], &texts[0]) ||
        !(remote || get_keys(state, args[1], &one, &keys, &list, &public)) ||
        !get_algorithms(state, args[2], &policy.algorithms) ||
        !get_texts(state, args[3], "audience", false, &audiences) ||
        !get_texts(state, args[4], "issuer", false, &issuers) ||
        !tksp_py_seconds(state, args[5], "leeway", &policy.leeway) ||
        !get_texts(state, args[6], "require", true, &required) ||
        !get_now(state, args[7], &policy.now) ||
        (args[8] != Py_None && !tksp_py_text_get(state, args[8], "typ", false, &texts[1])) ||
        !get_size(state, args[9], &policy.max_size) || !get_flag(args[12], "verify_exp")) {
        goto cleanup;
    }
    policy.any_audience = args[11] == Py_True;
    policy.any_expiry = args[12] == Py_False;
    policy.audiences = audiences.values;
    policy.audience_count = audiences.count;
    policy.issuers = issuers.values;
    policy.issuer_count = issuers.count;
    policy.required = required.values;
    policy.required_count = required.count;
    policy.typ = texts[1].bytes;
    policy.claims_only = args[10] != Py_True;
    if (remote) {
        result = decode_remote(state, args[1], args[13], args[7], texts[0].bytes, &policy);
    } else {
        tks_status status =
            decode_with(texts[0].bytes, list, keys.count, public, &policy, &jwt, &err);
        result = finish_decode(state, &policy, status, &jwt, &err);
    }
cleanup:
    tksp_py_text_clear(texts, 2);
    held_clear(&keys);
    held_clear(&audiences);
    held_clear(&issuers);
    held_clear(&required);
    return result;
}

/* jwt_header(token, max_size) -> dict */
PyObject *tksp_py_jwt_header(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tksp_py_text token = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_json *header = NULL;
    PyObject *result = NULL;
    size_t max_size;
    if (tksp_py_arity("jwt_header", count, 2) && get_token(state, args[0], &token) &&
        get_size(state, args[1], &max_size)) {
        tks_status status = tks_jwt_read_header(token.bytes, max_size, &header, &err);
        result = status == TKS_OK ? tksp_py_from_json(state, header)
                                  : tksp_py_raise(state, status, &err);
    }
    tks_json_free(header);
    tksp_py_text_clear(&token, 1);
    return result;
}

/* ---- encode ------------------------------------------------------------------------------------- */

/* jwt_encode(claims, key, algorithm, headers, max_size) -> str */
PyObject *tksp_py_jwt_encode(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    const tksp_py_state *state = PyModule_GetState(module);
    tks_buf claims, headers, token;
    tksp_py_text name = TKSP_PY_TEXT_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_jwt_alg alg;
    size_t max_size = 0;
    PyObject *result = NULL;

    tks_buf_init(&claims, TKS_JWT_SIZE_MAX);
    tks_buf_init(&headers, TKS_JWT_SIZE_MAX);
    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    if (!tksp_py_arity("jwt_encode", count, 5) || !get_size(state, args[4], &max_size)) {
        goto cleanup;
    }
    if (!PyObject_TypeCheck(args[1], state->key_type)) {
        PyErr_Format(PyExc_TypeError,
                     "key must be one Key, not %R: create one with Key.from_secret, Key.from_pem "
                     "or Key.from_jwk",
                     (PyObject *)Py_TYPE(args[1]));
        goto cleanup;
    }
    if (!tksp_py_object(state, args[0], "claims", TKS_JWT_SIZE_MAX, false, &claims) ||
        !tksp_py_text_get(state, args[2], "algorithm", true, &name) ||
        (args[3] != Py_None &&
         !tksp_py_object(state, args[3], "headers", TKS_JWT_SIZE_MAX, false, &headers))) {
        goto cleanup;
    }
    tks_key *key = tksp_py_key_get(state, args[1]);
    tks_status status = tks_jwt_alg_find(name.bytes, &alg, &err);
    if (status == TKS_OK) {
        PyThreadState *thread =
            tks_key_get_kind(key) != TKS_KEY_SECRET ? PyEval_SaveThread() : NULL;
        status = tks_jwt_encode(tks_buf_bytes(&claims), key, alg, tks_buf_bytes(&headers), max_size,
                                &token, &err);
        if (thread != NULL) PyEval_RestoreThread(thread);
    }
    if (status == TKS_OK) {
        result = PyUnicode_DecodeASCII(token.data, (Py_ssize_t)token.size, NULL);
    } else {
        tksp_py_raise(state, status, &err);
    }
cleanup:
    tksp_py_text_clear(&name, 1);
    tks_buf_clear(&claims);
    tks_buf_clear(&headers);
    tks_buf_wipe(&token);
    return result;
}
