/* py_options.c - the options of a store: Python values to tks_tokens_options.
 *
 * The core reads zero and empty as "not given"; here None says that, and an explicit zero or empty
 * text is refused, so that an unset pepper is never mistaken for a pepper. */
#include "py_glue.h"

static bool refuse_option(const tksp_py_state *state, const char *name, const char *problem) {
    PyErr_Format(state->exceptions[TKS_ERR_CONFIGURATION], "%s %s", name, problem);
    return false;
}

bool tksp_py_text_option(const tksp_py_state *state, PyObject *arg, const char *name,
                         tksp_py_text *text, tks_bytes *out) {
    if (!tksp_py_text_get(state, arg, name, true, text)) return false;
    *out = text->bytes;
    return out->size > 0 || refuse_option(state, name,
                                          "is empty or not valid text: leave it out, "
                                          "or give one");
}

/* A whole number from 1; the core knows the upper limits. */
static bool count_option(const tksp_py_state *state, PyObject *arg, const char *name,
                         int64_t *out) {
    int overflow;
    if (!PyLong_Check(arg) || PyBool_Check(arg)) {
        PyErr_Format(PyExc_TypeError, "%s must be int, not %R", name, (PyObject *)Py_TYPE(arg));
        return false;
    }
    *out = PyLong_AsLongLongAndOverflow(arg, &overflow);
    if (overflow > 0) *out = INT64_MAX;
    return (overflow >= 0 && *out >= 1) || refuse_option(state, name, "must be at least 1");
}

bool tksp_py_size_option(const tksp_py_state *state, PyObject *arg, const char *name, size_t *out) {
    int64_t count;
    if (!count_option(state, arg, name, &count)) return false;
    *out = (size_t)count;
    return true;
}

/* Like tksp_py_duration, but what is wrong is the configuration. 0 stands for `zero`. */
static bool duration_option(const tksp_py_state *state, PyObject *arg, const char *name,
                            bool zero_allowed, int64_t *out_ms) {
    double seconds;
    tks_error err = TKS_ERROR_INIT;
    if (!tksp_py_seconds(state, arg, name, &seconds)) return false;
    *out_ms = 0;
    if (zero_allowed && seconds == 0) return true;
    if (tks_duration(seconds, name, out_ms, &err) == TKS_OK) return true;
    tksp_py_raise(state, TKS_ERR_CONFIGURATION, &err);
    return false;
}

static bool encoding_option(const tksp_py_state *state, PyObject *arg, tks_encoding *out) {
    static const char *const names[] = {"base64url", "base64", "hex"};
    static const tks_encoding values[] = {TKS_BASE64URL, TKS_BASE64, TKS_HEX};
    if (!PyUnicode_Check(arg)) {
        PyErr_Format(PyExc_TypeError, "token_encoding must be str, not %R",
                     (PyObject *)Py_TYPE(arg));
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *out = values[i];
        if (PyUnicode_CompareWithASCIIString(arg, names[i]) == 0) return true;
    }
    return refuse_option(state, "token_encoding", "must be base64url, base64 or hex");
}

bool tksp_py_options_get(const tksp_py_state *state, PyObject *const *in, tksp_py_text *texts,
                         tks_tokens_options *out) {
    return tksp_py_text_option(state, in[0], "prefix", &texts[0], &out->prefix) &&
           tksp_py_size_option(state, in[1], "token_size", &out->token_size) &&
           encoding_option(state, in[2], &out->encoding) &&
           (in[3] == Py_None ||
            tksp_py_text_option(state, in[3], "pepper", &texts[1], &out->pepper)) &&
           (in[4] == Py_None ||
            duration_option(state, in[4], "max_age", false, &out->max_age_ms)) &&
           (in[5] == Py_None ||
            duration_option(state, in[5], "touch_interval", true, &out->touch_interval_ms)) &&
           (in[6] == Py_None || count_option(state, in[6], "max_per_owner", &out->max_per_owner)) &&
           tksp_py_size_option(state, in[7], "max_data_size", &out->max_data_size);
}
