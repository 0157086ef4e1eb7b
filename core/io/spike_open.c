/* spike_open.c - makes a Spike client of its options: all that is wrong with them is said at once, whichever
 * half it belongs to. */
#include "tokenstore/spike_client.h"

tks_status tks_spike_client_open(const tks_spike_options *options,
                                 const tks_http_options *http_options, tks_client *redis,
                                 tks_spike_client **out, tks_error *err) {
    tks_spike_options all = *options;
    tks_spike *spike = NULL;
    tks_http *http = NULL;
    tks_error why = TKS_ERROR_INIT;
    tks_buf faults;
    *out = NULL;
    tks_buf_init(&faults, SIZE_MAX);
    (void)tks_buf_append_bytes(&faults, options->faults);
    tks_status status = tks_http_new(http_options, &http, &why);
    if (status == TKS_ERR_CONFIGURATION) {
        (void)tks_buf_append(&faults, "; ", faults.size > 0 ? 2 : 0);
        (void)tks_buf_append(&faults, why.message, strlen(why.message));
        all.faults = tks_buf_bytes(&faults);
        status = TKS_OK;
    }
    if (status != TKS_OK || faults.status != TKS_OK) {
        status = tks_fail_memory(err);
    } else {
        status = tks_spike_new(&all, &spike, err);
    }
    tks_buf_clear(&faults);
    if (status != TKS_OK) {
        tks_http_free(http);
        return status;
    }
    return tks_spike_client_new(spike, http, redis, out, err);
}
