/* http_exchange.c - one request on one handle: waiting, the response as it arrives, the outcome. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_private.h"
#include "http_text.h"
#include "tokenstore/secret.h"

/* The response, with the storage of its bytes. */
typedef struct answer {
    tks_http_response response; /* first: the pointer that the caller gets */
    tks_buf content_type, retry_after, cache_control, date, location, body;
} answer;

/* The part of the response that has arrived. Header lines after the head are trailers. */
typedef enum part { NOTHING, HEAD, WHOLE_HEAD, BODY } part;

typedef enum excess { NO_EXCESS, EXCESS_OF_HEADERS, EXCESS_OF_BODY, EXCESS_OF_MEMORY } excess;

typedef struct exchange {
    tksp_http_handle *handle;
    tksp_http_setup setup;
    answer *answer;
    size_t header_size;
    part part;
    excess excess;
} exchange;

/* ---- the response ---------------------------------------------------------------------------- */

static answer *new_answer(size_t max_body) {
    answer *a = calloc(1, sizeof *a);
    if (a != NULL) {
        tks_buf_init(&a->content_type, TKSP_HTTP_HEADERS_MAX);
        tks_buf_init(&a->retry_after, TKSP_HTTP_HEADERS_MAX);
        tks_buf_init(&a->cache_control, TKSP_HTTP_HEADERS_MAX);
        tks_buf_init(&a->date, TKSP_HTTP_HEADERS_MAX);
        tks_buf_init(&a->location, TKSP_HTTP_HEADERS_MAX);
        tks_buf_init(&a->body, max_body);
    }
    return a;
}

void tks_http_response_free(tks_http_response *response) {
    answer *a = (answer *)(void *)response;
    if (a == NULL) {
        return;
    }
    tks_buf_wipe(&a->content_type);
    tks_buf_wipe(&a->retry_after);
    tks_buf_wipe(&a->cache_control);
    tks_buf_wipe(&a->date);
    tks_buf_wipe(&a->location);
    tks_buf_wipe(&a->body);
    free(a);
}

static bool keep(exchange *x, tks_buf *out, tks_bytes value) {
    tks_buf_reset(out);
    if (tks_buf_append_bytes(out, value) != TKS_OK) {
        x->excess = EXCESS_OF_MEMORY;
    }
    return x->excess == NO_EXCESS;
}

/* libcurl passes complete header lines, also those of interim responses (100 Continue). Returning less than
 * the size ends the transfer. */
static size_t take_header(char *data, size_t one, size_t size, void *context) {
    exchange *x = context;
    tks_bytes line = tks_bytes_of(data, one * size);
    x->header_size += line.size;
    if (line.size == 0 || x->header_size > TKSP_HTTP_HEADERS_MAX) {
        x->excess = EXCESS_OF_HEADERS;
        return 0;
    }
    if (x->part != BODY && line.size >= 5 && memcmp(line.data, "HTTP/", 5) == 0) {
        x->part = HEAD;
        tks_buf_reset(&x->answer->content_type);
        tks_buf_reset(&x->answer->retry_after);
        tks_buf_reset(&x->answer->cache_control);
        tks_buf_reset(&x->answer->date);
        tks_buf_reset(&x->answer->location);
        return line.size;
    }
    if (x->part == HEAD && (line.data[0] == '\r' || line.data[0] == '\n')) {
        x->part = WHOLE_HEAD;
    }
    const char *colon = memchr(line.data, ':', line.size);
    if (x->part != HEAD || colon == NULL) {
        return line.size;
    }
    tks_bytes name = tks_bytes_of(line.data, (size_t)(colon - line.data));
    tks_bytes value = tks_bytes_of(colon + 1, line.size - name.size - 1);
    while (value.size > 0 && strchr("\r\n", value.data[value.size - 1]) != NULL) {
        value.size--;
    }
    value = tksp_http_trim(value);
    bool kept = true;
    if (tksp_http_name_is(name, "Content-Type")) {
        kept = keep(x, &x->answer->content_type, value);
    } else if (tksp_http_name_is(name, "Retry-After")) {
        kept = keep(x, &x->answer->retry_after, value);
    } else if (tksp_http_name_is(name, "Cache-Control")) {
        kept = keep(x, &x->answer->cache_control, value);
    } else if (tksp_http_name_is(name, "Date")) {
        kept = keep(x, &x->answer->date, value);
    } else if (tksp_http_name_is(name, "Location")) {
        kept = keep(x, &x->answer->location, value);
    }
    return kept ? line.size : 0;
}

static size_t take_body(char *data, size_t one, size_t size, void *context) {
    exchange *x = context;
    x->part = BODY;
    tks_status status = tks_buf_append(&x->answer->body, data, one * size);
    if (status != TKS_OK) {
        x->excess = status == TKS_ERR_DATA ? EXCESS_OF_BODY : EXCESS_OF_MEMORY;
        return 0;
    }
    return one * size;
}

/* ---- the waiting ----------------------------------------------------------------------------- */

static CURLMcode perform(CURLM *multi) {
    tksp_signals signals;
    int running;
    tksp_signals_hold(&signals);
    CURLMcode code = curl_multi_perform(multi, &running);
    tksp_signals_release(&signals);
    return code;
}

/* Waits until the transfer has ended: TKS_OK, with libcurl's result in *code. TKS_ERR_TIMEOUT (without a
 * message), TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION (this is a forked child now), TKS_ERR_MEMORY. */
static tks_status wait_for_end(const exchange *x, tksp_wait *wait, CURLcode *code, tks_error *err) {
    CURLM *multi = x->handle->multi;
    for (;;) {
        int messages;
        int ready = 0;
        if (perform(multi) != CURLM_OK) {
            return tks_fail_memory(err);
        }
        const CURLMsg *message = curl_multi_info_read(multi, &messages);
        if (message != NULL) {
            *code = message->data.result;
            return TKS_OK;
        }
        int64_t now = tksp_clock();
        if (now >= wait->deadline) {
            return TKS_ERR_TIMEOUT;
        }
        if (now >= wait->next_check) {
            tks_status status = tksp_wait_check(wait, err);
            if (status != TKS_OK) {
                return status;
            }
        }
        int64_t until = wait->deadline < wait->next_check ? wait->deadline : wait->next_check;
        int64_t left = until > now ? (until - now + TKSP_MS - 1) / TKSP_MS : 0;
        if (curl_multi_poll(multi, NULL, 0, (int)left, &ready) != CURLM_OK) {
            return tks_fail_memory(err);
        }
        if (ready == 0) {
            wait->next_check = 0; /* perhaps a signal: run its handler now */
        }
    }
}

/* ---- the outcome ----------------------------------------------------------------------------- */

/* libcurl's own message, where it says more than the code and quotes neither the request nor the response. It
 * may contain a certificate's names, so only printable characters are kept. */
static const char *describe(exchange *x, CURLcode code) {
    char *text = x->setup.detail;
    bool telling = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
                   code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR ||
                   code == CURLE_SEND_ERROR;
    if (!telling || text[0] == '\0') {
        return curl_easy_strerror(code);
    }
    for (char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
    return text;
}

static tks_status fail_headers(const exchange *x, tks_error *err) {
    return tks_fail(err, TKS_ERR_DATA,
                    "%s: the response has too many headers, or they are larger than %d bytes",
                    x->setup.name, TKSP_HTTP_HEADERS_MAX);
}

/* Final: a retry would get the same response. */
static tks_status judge_excess(const exchange *x, const tks_http_request *request, bool *final,
                               tks_error *err) {
    *final = x->excess != EXCESS_OF_MEMORY;
    switch (x->excess) {
    case EXCESS_OF_HEADERS: return fail_headers(x, err);
    case EXCESS_OF_BODY:
        return tks_fail(err, TKS_ERR_DATA, "%s: the response is larger than %zu bytes",
                        x->setup.name, request->max_body);
    default: return tks_fail_memory(err);
    }
}

/* Maps libcurl's code to a status and a message. */
static tks_status judge(exchange *x, CURLcode code, const tks_http_request *request,
                        const tksp_http_config *config, bool *final, tks_error *err) {
    const char *name = x->setup.name;
    switch (code) {
    case CURLE_WRITE_ERROR: return judge_excess(x, request, final, err);
    case CURLE_OUT_OF_MEMORY: return tks_fail_memory(err);
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE: /* libcurl limits the number of header lines */
        *final = true;
        return fail_headers(x, err);
#endif
    case CURLE_PEER_FAILED_VERIFICATION:
        *final = true;
        return tks_fail(err, TKS_ERR_CONNECTION, "%s: the server's certificate was rejected: %s",
                        name, describe(x, code));
    case CURLE_SSL_CACERT_BADFILE:
        *final = true;
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "%s: the CA certificates in %.120s cannot be read: the file must contain "
                        "PEM certificates",
                        name, config->ca_file != NULL ? config->ca_file : config->ca_dir);
    case CURLE_SSL_CERTPROBLEM:
        *final = true;
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "%s: cannot use cert=%.60s with key=%.60s: they must be PEM and match, and "
                        "the key must not be encrypted",
                        name, config->cert, config->key);
    case CURLE_OPERATION_TIMEDOUT:
        return tks_fail(err, TKS_ERR_CONNECTION, "%s: could not connect within %lld ms", name,
                        (long long)config->connect_timeout_ms);
    case CURLE_UNSUPPORTED_PROTOCOL: /* the response's: the URL's scheme was checked */
    case CURLE_WEIRD_SERVER_REPLY:
        return tks_fail(err, TKS_ERR_CONNECTION, "%s: the server's response is not HTTP/1", name);
    default: return tks_fail(err, TKS_ERR_CONNECTION, "%s: %s", name, describe(x, code));
    }
}

static tks_status fail_timeout(const exchange *x, bool sent, tks_error *err) {
    return tks_fail(err, TKS_ERR_TIMEOUT, "%s: the timeout expired %s", x->setup.name,
                    sent ? "before the response arrived" : "before the request was sent");
}

/* ---- the exchange ---------------------------------------------------------------------------- */

static tks_status start(exchange *x, tks_error *err) {
    CURL *easy = x->handle->easy;
    bool started = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
                   curl_easy_setopt(easy, CURLOPT_HEADERDATA, x) == CURLE_OK &&
                   curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
                   curl_easy_setopt(easy, CURLOPT_WRITEDATA, x) == CURLE_OK &&
                   curl_multi_add_handle(x->handle->multi, easy) == CURLM_OK;
    return started ? TKS_OK : tks_fail_memory(err);
}

/* Removes the transfer from the handle; an unfinished one loses its connection. */
static void stop(const exchange *x) {
    tksp_signals signals;
    tksp_signals_hold(&signals);
    (void)curl_multi_remove_handle(x->handle->multi, x->handle->easy);
    tksp_signals_release(&signals);
}

static void give(exchange *x, tks_http_response **out) {
    answer *a = x->answer;
    a->response.content_type = tks_buf_bytes(&a->content_type);
    a->response.retry_after = tks_buf_bytes(&a->retry_after);
    a->response.cache_control = tks_buf_bytes(&a->cache_control);
    a->response.date = tks_buf_bytes(&a->date);
    a->response.location = tks_buf_bytes(&a->location);
    a->response.body = tks_buf_bytes(&a->body);
    *out = &a->response;
    x->answer = NULL;
}

/* Runs the transfer. Afterwards the handle is idle, unless this is a forked child. */
static tks_status run(exchange *x, const tksp_http_config *config, const tks_http_request *request,
                      tksp_wait *wait, tks_http_response **out, bool *sent, bool *final,
                      tks_error *err) {
    CURLcode code = CURLE_OK;
    long bytes = 0;
    long http = 0;
    tks_status status = start(x, err);
    if (status != TKS_OK) {
        return status;
    }
    status = wait_for_end(x, wait, &code, err);
    if (getpid() != wait->pid) {
        *sent = true;
        return status;
    }
    (void)curl_easy_getinfo(x->handle->easy, CURLINFO_REQUEST_SIZE, &bytes);
    (void)curl_easy_getinfo(x->handle->easy, CURLINFO_RESPONSE_CODE, &http);
    *sent = bytes > 0;
    if (status == TKS_ERR_TIMEOUT) {
        status = fail_timeout(x, *sent, err);
    } else if (status == TKS_OK && code != CURLE_OK) {
        status = judge(x, code, request, config, final, err);
    } else if (status == TKS_OK && (http < 200 || x->part < WHOLE_HEAD)) {
        status = tks_fail(err, TKS_ERR_CONNECTION, "%s: the server's response ended early",
                          x->setup.name);
    }
    stop(x);
    if (status == TKS_OK) {
        x->answer->response.status = (int)http;
        give(x, out);
    }
    return status;
}

tks_status tksp_http_exchange(tksp_http_handle *handle, const tksp_http_config *config,
                              const tks_http_request *request, tksp_wait *wait,
                              tks_http_response **out, bool *sent, bool *final, tks_error *err) {
    exchange x = {.handle = handle};
    tks_status status = tksp_http_setup_init(&x.setup, handle, config, request, err);
    *final = status == TKS_ERR_CONFIGURATION;
    if (status == TKS_OK) {
        x.answer = new_answer(request->max_body);
        status = x.answer != NULL ? run(&x, config, request, wait, out, sent, final, err)
                                  : tks_fail_memory(err);
    }
    if (getpid() == wait->pid && tksp_http_handle_reset(handle) != TKS_OK && status == TKS_OK) {
        tks_http_response_free(*out);
        *out = NULL;
        status = tks_fail_memory(err);
    }
    tksp_http_setup_clear(&x.setup);
    tks_http_response_free(x.answer != NULL ? &x.answer->response : NULL);
    return status;
}
