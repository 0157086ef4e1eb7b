/* http_private.h - what core/io/http*.c share.
 *
 *     http.c           lifecycle, the pool of handles, fork
 *     http_config.c    the options, and the paths of CA certificates
 *     http_handle.c    a libcurl handle and its sockets
 *     http_setup.c     a request as libcurl's options
 *     http_exchange.c  one request on one handle, and its outcome
 *     http_signals.c   no signal handler runs inside libcurl */
#ifndef TKSP_IO_HTTP_PRIVATE_H
#define TKSP_IO_HTTP_PRIVATE_H

#include <curl/curl.h>
#include <signal.h>

#include "sock.h"
#include "tokenstore/http_client.h"
#include "wait.h"

/* ---- options --------------------------------------------------------------------------------- */

/* The options, checked and complete. Immutable. */
typedef struct tksp_http_config {
    char *ca_file, *ca_dir; /* one or both; both NULL: this system has none */
    char *cert, *key;       /* NULL, or both */
    char *proxy;            /* NULL: none */
    char *proxy_http;       /* for http only; NULL: `proxy` is for both schemes */
    char *no_proxy;         /* hosts that bypass the proxy; NULL: none */
    bool proxy_by_scheme;   /* from the environment: `proxy` for https, `proxy_http` for http */
    bool insecure;
    int64_t connect_timeout_ms;
} tksp_http_config;

/* TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. Must be cleared in any case. */
tks_status tksp_http_config_init(tksp_http_config *config, const tks_http_options *options,
                                 tks_error *err);
void tksp_http_config_clear(tksp_http_config *config);

/* ---- a handle -------------------------------------------------------------------------------- */

enum { TKSP_HTTP_CONNECTIONS = 4, TKSP_HTTP_SOCKETS = 16 };

/* One transfer at a time, and up to TKSP_HTTP_CONNECTIONS open connections. */
typedef struct tksp_http_handle {
    struct tksp_http_handle *next; /* in its pool */
    bool busy;
    CURLM *multi;
    CURL *easy;
    /* The sockets that libcurl has opened: more than connections, as it tries several addresses at once. */
    tksp_sock sockets[TKSP_HTTP_SOCKETS];
} tksp_http_handle;

/* Initializes libcurl, once per process; may be called again. TKS_OK, TKS_ERR_CONFIGURATION. */
tks_status tksp_http_start(tks_error *err);

/* NULL: out of memory. */
tksp_http_handle *tksp_http_handle_new(void);

/* Resets everything of the last request: options, pointers, texts. Keeps the connections. TKS_OK,
 * TKS_ERR_MEMORY. */
tks_status tksp_http_handle_reset(tksp_http_handle *handle);

/* Closes its connections and frees. */
void tksp_http_handle_free(tksp_http_handle *handle);

/* In a forked child: frees a handle of the parent without sending anything. Of a busy one, whose thread may
 * have been changing it during the fork, only the sockets are closed. */
void tksp_http_handle_free_inherited(tksp_http_handle *handle);

/* ---- a request ------------------------------------------------------------------------------- */

enum {
    TKSP_HTTP_NAME_SIZE = 300,        /* scheme, host and port for messages, truncated */
    TKSP_HTTP_HEADERS_MAX = 64 * 1024 /* total bytes of a response's headers */
};

/* What libcurl borrows during a request. */
typedef struct tksp_http_setup {
    CURLU *url;
    struct curl_slist *headers;
    char name[TKSP_HTTP_NAME_SIZE];
    char detail[CURL_ERROR_SIZE]; /* libcurl's own message */
} tksp_http_setup;

/* Prepares `handle` for `request`. TKS_OK, TKS_ERR_CONFIGURATION (the request breaks a rule),
 * TKS_ERR_MEMORY. `setup` must be cleared in any case, after the handle was reset. */
tks_status tksp_http_setup_init(tksp_http_setup *setup, tksp_http_handle *handle,
                                const tksp_http_config *config, const tks_http_request *request,
                                tks_error *err);
void tksp_http_setup_clear(tksp_http_setup *setup);

/* tks_http_fetch on `handle`. Afterwards the handle is idle, unless the process forked meanwhile: then it
 * must not be used again. */
tks_status tksp_http_exchange(tksp_http_handle *handle, const tksp_http_config *config,
                              const tks_http_request *request, tksp_wait *wait,
                              tks_http_response **out, bool *sent, bool *final, tks_error *err);

/* ---- signals --------------------------------------------------------------------------------- */

/* Held around every call in which libcurl may write or start a thread. */
typedef struct tksp_signals {
    sigset_t before;
    bool pipe_pending; /* a SIGPIPE was already pending: it is not ours */
} tksp_signals;

/* Blocks this thread's signals until tksp_signals_release, except those that report a crash (such as
 * SIGSEGV). A SIGPIPE caused by a write in between is discarded. Preserves errno. */
void tksp_signals_hold(tksp_signals *signals);
void tksp_signals_release(const tksp_signals *signals);

#endif
