/* py_spike_args.c - see py_spike_args.h. */
#include "py_spike_args.h"

/* A tuple of (name, value) pairs of bytes, which are borrowed; to be freed by PyMem_Free. NULL with an exception. */
static tks_spike_parameter *pairs_get(PyObject *pairs, size_t *count) {
    *count = (size_t)PyTuple_Size(pairs);
    tks_spike_parameter *out = PyMem_Calloc(*count + 1, sizeof *out);
    if (out == NULL) return (tks_spike_parameter *)(void *)PyErr_NoMemory();
    for (size_t i = 0; i < *count; i++) {
        char *name, *value;
        Py_ssize_t name_size, value_size;
        if (!PyArg_ParseTuple(PyTuple_GetItem(pairs, (Py_ssize_t)i), "y#y#", &name, &name_size,
                              &value, &value_size)) {
            PyMem_Free(out);
            return NULL;
        }
        out[i] = (tks_spike_parameter){tks_bytes_of(name, (size_t)name_size),
                                       tks_bytes_of(value, (size_t)value_size)};
    }
    return out;
}

bool tksp_py_spike_args_get(const tksp_py_state *state, PyObject *args, PyObject *kwargs,
                            spike_args *out) {
    static const char *const names[] = {"redis",
                                        "log",
                                        "discover",
                                        "token_url",
                                        "key_url",
                                        "key_text",
                                        "client_id",
                                        "client_secret",
                                        "client_auth",
                                        "client_key",
                                        "client_certificate",
                                        "client_algorithm",
                                        "assertion_audience",
                                        "grant_type",
                                        "scope",
                                        "audience_parameter",
                                        "expect_audience",
                                        "any_audience",
                                        "parameters",
                                        "headers",
                                        "ask",
                                        "client_given",
                                        "client_file",
                                        "host_header",
                                        "json_body",
                                        "opaque",
                                        "redis_key",
                                        "redis_string",
                                        "issuer",
                                        "offset_ms",
                                        "default_lifetime_ms",
                                        "retries",
                                        "factor",
                                        "pause_ms",
                                        "pause_max_ms",
                                        "budget_ms",
                                        "ca",
                                        "cert",
                                        "key",
                                        "proxy",
                                        "insecure",
                                        "connect_timeout_ms",
                                        "faults",
                                        NULL};
    tks_spike_options *o = &out->spike;
    char *text[20] = {NULL};
    Py_ssize_t size[20] = {0}, path_size; /* paths hold no NUL: spike.py has seen to it */
    int json_body, opaque, insecure, any_audience, client_given;
    PyObject *key;
    tks_bytes auth, audience_parameter;
    long long offset_ms, lifetime_ms, connect_timeout_ms;
    unsigned int retries, pause_ms, pause_max_ms, budget_ms;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs,
            "$OOy#y#y#y#y#y#y#Oy#y#y#y#y#y#y#pO!O!Opy#y#ppy#y#y#LLIdIIIz#z#z#z#pLy#:Spike",
            (char **)names, &out->redis, &out->log, &text[18], &size[18], &text[0], &size[0],
            &text[1], &size[1], &text[2], &size[2], &text[3], &size[3], &text[4], &size[4],
            &text[10], &size[10], &key, &text[19], &size[19], &text[11], &size[11], &text[17],
            &size[17], &text[5], &size[5], &text[6], &size[6], &text[14], &size[14], &text[15],
            &size[15], &any_audience, &PyTuple_Type, &out->pairs, &PyTuple_Type, &out->header_pairs,
            &out->ask, &client_given, &text[16], &size[16], &text[7], &size[7], &json_body, &opaque,
            &text[8], &size[8], &text[12], &size[12], &text[13], &size[13], &offset_ms,
            &lifetime_ms, &retries, &o->factor, &pause_ms, &pause_max_ms, &budget_ms, &out->http.ca,
            &path_size, &out->http.cert, &path_size, &out->http.key, &path_size, &out->http.proxy,
            &path_size, &insecure, &connect_timeout_ms, &text[9], &size[9])) {
        return false;
    }
    if (out->redis != Py_None && !Py_IS_TYPE(out->redis, state->client_type)) {
        PyErr_SetString(PyExc_TypeError, "redis must be a _core.Client or None");
        return false;
    }
    tks_bytes *texts[] = {&o->token_url,
                          &o->key_url,
                          &o->key_text,
                          &o->client_id,
                          &o->client_secret,
                          &o->grant_type,
                          &o->scope,
                          &o->host_header,
                          &o->redis_key,
                          &o->faults,
                          &auth,
                          &o->client_algorithm,
                          &o->redis_string,
                          &o->issuer,
                          &audience_parameter,
                          &o->expect_audience,
                          &o->client_file,
                          &o->assertion_audience,
                          &o->discover,
                          &o->client_certificate};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = tks_bytes_of(text[i], (size_t)size[i]);
    }
    o->client_auth = tks_client_auth_find(auth);
    o->audience_parameter = tks_audience_parameter_find(audience_parameter);
    o->any_audience = any_audience != 0;
    o->client_given = client_given != 0;
    if (key != Py_None && (o->client_key = tksp_py_key_get(state, key)) == NULL) return false;
    o->json_body = json_body != 0;
    o->opaque = opaque != 0;
    o->offset_ms = offset_ms;
    o->default_lifetime_ms = lifetime_ms;
    o->retries = retries;
    o->pause_ms = pause_ms;
    o->pause_max_ms = pause_max_ms;
    o->budget_ms = budget_ms;
    out->http.insecure = insecure != 0;
    out->http.connect_timeout_ms = connect_timeout_ms;
    o->parameters = out->parameters = pairs_get(out->pairs, &o->parameter_count);
    if (out->parameters == NULL) return false;
    o->headers = out->headers = pairs_get(out->header_pairs, &o->header_count);
    return out->headers != NULL;
}
