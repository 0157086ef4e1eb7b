/* remote_keys_download.c - one request for the keys at a URL, and its outcome. */
#define _POSIX_C_SOURCE 200809L

#include <string.h>

#include "http_text.h"
#include "remote_keys_private.h"

static tks_status fail_status(const tks_remote_keys *keys, int status, tks_error *err) {
    return tks_fail(err, TKS_ERR_CONNECTION, "%s answered %d to the request for its keys%s",
                    keys->name, status,
                    status >= 300 && status < 400 ? ": use the URL that it redirects to" : "");
}

/* How long the keys of this response are fresh: as the server says, within the limits of the options. */
static int64_t fresh_ms_of(const tks_remote_keys *keys, const tks_http_response *response) {
    int64_t seconds;
    if (!tksp_http_max_age(response->cache_control, &seconds)) {
        return keys->options.max_age_ms;
    }
    int64_t ms =
        seconds * 1000 > keys->options.interval_ms ? seconds * 1000 : keys->options.interval_ms;
    return ms < keys->options.max_age_ms ? ms : keys->options.max_age_ms;
}

tks_status tksp_keys_download(tks_remote_keys *keys, const tks_interrupt *interrupt,
                              tks_keyset **out, tks_buf *text, int64_t *fresh_ms, tks_error *err) {
    const tks_http_header accept = {TKS_LITERAL("Accept"),
                                    TKS_LITERAL("application/jwk-set+json, application/json, */*")};
    const tks_http_request request = {.url = tks_bytes_of(keys->url, strlen(keys->url)),
                                      .headers = &accept,
                                      .header_count = 1,
                                      .max_body = TKS_JWK_SIZE_MAX};
    tks_error why = TKS_ERROR_INIT;
    tks_http_response *response;
    bool sent, final;
    *out = NULL;
    tks_status status = tks_http_fetch(keys->http, &request, keys->options.timeout_ms, interrupt,
                                       &response, &sent, &final, err);
    if (status != TKS_OK) {
        return status;
    }
    if (response->status != 200) {
        status = fail_status(keys, response->status, err);
    } else if (tks_keyset_from_published(response->body, out, &why) != TKS_OK) {
        status = why.status == TKS_ERR_MEMORY
                     ? tks_fail_memory(err)
                     : tks_fail(err, TKS_ERR_DATA, "%s returned unusable keys: %.250s", keys->name,
                                why.message);
    } else if (text != NULL && tks_buf_append_bytes(text, response->body) != TKS_OK) {
        status = tks_fail_memory(err);
    }
    *fresh_ms = fresh_ms_of(keys, response);
    tks_http_response_free(response);
    if (status != TKS_OK) {
        tks_keyset_free(*out);
        *out = NULL;
    }
    return status;
}
