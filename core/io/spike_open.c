/* spike_open.c - creates a Spike client from its options. Reports all invalid options at once, those of the
 * spike and those of the HTTP client. */
#include <string.h>

#include "http_text.h"
#include "spike_file.h"
#include "tokenstore/spike_client.h"

static void fault(tks_buf *faults, const char *what, const char *why) {
    if (faults->size > 0) (void)tks_buf_append(faults, "; ", 2);
    (void)tks_buf_append(faults, what, strlen(what));
    (void)tks_buf_append(faults, why, strlen(why));
}

static void fault_of(tks_status status, const tks_error *why, tks_buf *faults) {
    if (status == TKS_ERR_SPIKE) fault(faults, "", why->message);
    if (status == TKS_ERR_MEMORY) faults->status = TKS_ERR_MEMORY;
}

/* Another scheme is reported by tks_spike_new. */
static tks_status check_url(tks_bytes url, const char *what, tks_buf *faults) {
    tks_error why = TKS_ERROR_INIT;
    tks_status status = tksp_http_is_url(url) ? tks_http_check_url(url, &why) : TKS_OK;
    if (status != TKS_ERR_CONFIGURATION) return status;
    fault(faults, what, why.message);
    return TKS_OK;
}

tks_status tks_spike_client_open(const tks_spike_options *options,
                                 const tks_http_options *http_options, tks_client *redis,
                                 tks_spike_client **out, tks_error *err) {
    tks_spike_options all = *options;
    tks_spike *spike = NULL;
    tks_http *http = NULL;
    tks_error why = TKS_ERROR_INIT, file = TKS_ERROR_INIT;
    tks_buf faults, text, binding;
    *out = NULL;
    tks_buf_init(&faults, SIZE_MAX);
    (void)tks_buf_append_bytes(&faults, options->faults);
    tks_status status = tks_http_new(http_options, &http, &why);
    if (status == TKS_ERR_CONFIGURATION) {
        fault(&faults, "", why.message);
        status = TKS_OK;
    }
    if (status == TKS_OK) status = check_url(options->token_url, "the server's url: ", &faults);
    if (status == TKS_OK) status = check_url(options->key_url, "the public key's url: ", &faults);
    if (options->client_auth == TKS_AUTH_TLS && http_options->cert == NULL) {
        fault(&faults, "cert is missing: ", "client_auth 'tls' needs it");
    }
    tks_buf_init(&text, SIZE_MAX);
    tks_buf_init(&binding, SIZE_MAX);
    if (options->client_file.size >
        0) { /* read again for each fetch; this reports problems early */
        fault_of(tksp_spike_read_file(options->client_file, &text, &file), &file, &faults);
    }
    if (http_options->cert != NULL &&
        tksp_spike_digest_file(http_options->cert, &binding, NULL) == TKS_OK) {
        all.binding =
            tks_buf_bytes(&binding); /* if it cannot be read, tks_http_new has reported it */
    }
    tks_buf_wipe(&text);
    if (redis != NULL && tks_client_get_target(redis)->asks) {
        fault(&faults, "redis: ",
              "Spike needs a client with user and password in its URL: its background thread "
              "cannot call the credentials function");
    }
    all.faults = tks_buf_bytes(&faults);
    if (status != TKS_OK || faults.status != TKS_OK) {
        status = tks_fail_memory(err);
    } else {
        status = tks_spike_new(&all, &spike, err);
    }
    tks_buf_clear(&faults);
    tks_buf_clear(&binding);
    if (status != TKS_OK) {
        tks_http_free(http);
        return status;
    }
    return tks_spike_client_new(spike, http, redis, out, err);
}
