/* py_spike_open.c - what is behind a _oauth.Spike, made of its options. */
#include "py_oauth.h"
#include "py_options.h"

tks_spike_client *tksp_py_spike_open(const tksp_py_state *state, const tksp_py_spike_args *in) {
    tksp_py_options options = {.held = NULL}, http = {.held = NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_spike_client *client = NULL;
    tks_client *redis = in->redis == Py_None ? NULL : tksp_py_client_get(in->redis);
    tks_key *key = in->key == Py_None ? NULL : tksp_py_key_get(state, in->key);
    tks_buf faults;
    if (in->key != Py_None && key == NULL) return NULL;
    tks_buf_init(&faults, SIZE_MAX);
    (void)tks_buf_append_bytes(&faults, in->faults); /* errors stick */
    if (tksp_py_options_get(state, &tks_spike_table, in->options, &faults, &options) &&
        tksp_py_options_get(state, &tks_http_table, in->http, &faults, &http)) {
        tks_spike_options *o = options.values;
        o->client_key = key;
        o->faults = tks_buf_bytes(&faults);
        tks_status status = faults.status;
        if (status == TKS_OK) status = tks_spike_client_open(o, http.values, redis, &client, &err);
        if (status != TKS_OK) tksp_py_raise(state, status, &err);
    }
    tksp_py_options_clear(&options);
    tksp_py_options_clear(&http);
    tks_buf_clear(&faults);
    return client;
}
