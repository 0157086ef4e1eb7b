/* http_setup.c - a request as libcurl's options: only what is allowed explicitly, no defaults. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_private.h"
#include "http_text.h"
#include "tokenstore/secret.h"

enum { URL_MAX = 16 * 1024, HEADER_MAX = 64 * 1024 };

/* Headers that control the message's framing: set by the driver only. */
static const char *const FRAMING[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                      "Expect"};

/* ---- the URL --------------------------------------------------------------------------------- */

static tks_status bad_url(CURLUcode code, tks_error *err) {
    switch (code) {
    case CURLUE_OUT_OF_MEMORY: return tks_fail_memory(err);
    case CURLUE_UNSUPPORTED_SCHEME:
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the URL must begin with https:// or http://");
    case CURLUE_USER_NOT_ALLOWED:
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "the URL contains a user or a password: remove them, and give credentials as options");
    default:
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the URL is malformed: it must look like https://host/path");
    }
}

/* "https://host:port", for messages. The rest of the URL may be secret. */
static CURLUcode name_server(tksp_http_setup *setup) {
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    CURLUcode code = curl_url_get(setup->url, CURLUPART_SCHEME, &scheme, 0);
    if (code == CURLUE_OK) {
        code = curl_url_get(setup->url, CURLUPART_HOST, &host, 0);
    }
    if (code == CURLUE_OK) {
        code = curl_url_get(setup->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    }
    if (code == CURLUE_OK) {
        (void)snprintf(setup->name, sizeof setup->name, "%s://%.253s:%s", scheme, host, port);
        code = strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0
                   ? CURLUE_OK
                   : CURLUE_UNSUPPORTED_SCHEME;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return code;
}

static tks_status set_url(tksp_http_setup *setup, tks_bytes url, tks_error *err) {
    CURLUcode code = CURLUE_MALFORMED_INPUT;
    tks_buf text;
    tks_buf_init(&text, URL_MAX);
    setup->url = curl_url();
    if (setup->url == NULL) {
        return tks_fail_memory(err);
    }
    (void)tks_buf_append_bytes(&text, url);
    (void)tks_buf_append_char(&text, '\0');
    if (text.status == TKS_ERR_MEMORY) {
        code = CURLUE_OUT_OF_MEMORY;
    } else if (text.status == TKS_OK && strlen(text.data) == url.size) {
        code = curl_url_set(setup->url, CURLUPART_URL, text.data, CURLU_DISALLOW_USER);
    }
    tks_buf_wipe(&text);
    if (code == CURLUE_OK) {
        code = name_server(setup);
    }
    return code == CURLUE_OK ? TKS_OK : bad_url(code, err);
}

tks_status tks_http_check_url(tks_bytes url, tks_error *err) {
    tksp_http_setup setup = {0};
    tks_status status = set_url(&setup, url, err);
    curl_url_cleanup(setup.url);
    return status;
}

/* ---- headers --------------------------------------------------------------------------------- */

static tks_status check_header(const tks_http_header *header, tks_error *err) {
    if (!tksp_http_is_header_name(header->name) || header->name.size > 100) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "a header's name is empty, too long, or contains an invalid character");
    }
    if (!tksp_http_is_header_value(header->value)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the value of the header %.*s contains a control character or begins or "
                        "ends with whitespace: remove it",
                        (int)header->name.size, header->name.data);
    }
    for (size_t i = 0; i < sizeof FRAMING / sizeof FRAMING[0]; i++) {
        if (tksp_http_name_is(header->name, FRAMING[i])) {
            return tks_fail(err, TKS_ERR_CONFIGURATION, "the header %s cannot be set", FRAMING[i]);
        }
    }
    return TKS_OK;
}

/* Appends `line`, which libcurl copies. */
static bool append(tksp_http_setup *setup, const char *line) {
    struct curl_slist *longer = curl_slist_append(setup->headers, line);
    if (longer != NULL) {
        setup->headers = longer;
    }
    return longer != NULL;
}

static tks_status add_header(tksp_http_setup *setup, const tks_http_header *header,
                             tks_error *err) {
    tks_buf line;
    tks_status status = check_header(header, err);
    if (status != TKS_OK) {
        return status;
    }
    tks_buf_init(&line, HEADER_MAX);
    (void)tks_buf_append_bytes(&line, header->name);
    /* For libcurl "Name:" removes a header and "Name;" sends an empty one. */
    (void)tks_buf_append_bytes(&line,
                               header->value.size > 0 ? TKS_LITERAL(": ") : TKS_LITERAL(";"));
    (void)tks_buf_append_bytes(&line, header->value);
    (void)tks_buf_append_char(&line, '\0');
    if (line.status == TKS_ERR_DATA) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION, "the header %.*s is longer than %d bytes",
                          (int)header->name.size, header->name.data, HEADER_MAX);
    } else if (line.status != TKS_OK || !append(setup, line.data)) {
        status = tks_fail_memory(err);
    }
    tks_buf_wipe(&line);
    return status;
}

static tks_status set_headers(tksp_http_setup *setup, const tks_http_request *request,
                              tks_error *err) {
    /* Without this libcurl may send "Expect: 100-continue" before a large body and wait a second. */
    bool good = append(setup, "Expect:") && append(setup, "Accept-Encoding:");
    tks_status status = good ? TKS_OK : tks_fail_memory(err);
    for (size_t i = 0; i < request->header_count && status == TKS_OK; i++) {
        status = add_header(setup, &request->headers[i], err);
    }
    return status;
}

/* ---- options --------------------------------------------------------------------------------- */

/* Sets an option if all before it succeeded. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK) code = curl_easy_setopt(easy, (option), (value));                    \
    } while (0)

static CURLcode set_rules(CURL *easy) {
    CURLcode code = CURLE_OK;
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up that hangs */
#endif
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip, deflate"); /* not requested, but some servers send it */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    return code;
}

static CURLcode set_tls(CURL *easy, const tksp_http_config *config) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* every connection verifies the certificate */
    SET(CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    SET(CURLOPT_CAINFO, config->ca_file);
    SET(CURLOPT_CAPATH, config->ca_dir);
    SET(CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_NO_PARTIALCHAIN);
    if (config->cert != NULL) {
        SET(CURLOPT_SSLCERT, config->cert);
        SET(CURLOPT_SSLKEY, config->key);
        SET(CURLOPT_KEYPASSWD, ""); /* or OpenSSL prompts for it at the terminal */
    }
    return code;
}

static CURLcode set_proxy(CURL *easy, const tksp_http_config *config, bool is_https) {
    CURLcode code = CURLE_OK;
    const char *proxy = config->proxy_by_scheme && !is_https ? config->proxy_http : config->proxy;
    SET(CURLOPT_PROXY,
        proxy != NULL ? proxy : ""); /* "": disables libcurl's own reading of the environment */
    SET(CURLOPT_NOPROXY, config->no_proxy != NULL ? config->no_proxy : "");
    if (proxy == NULL) {
        return code;
    }
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* our headers are not sent to a proxy */
    if (strncmp(proxy, "https:", 6) == 0) {
        SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_PROXY_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
        SET(CURLOPT_PROXY_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
        SET(CURLOPT_PROXY_CAINFO, config->ca_file);
        SET(CURLOPT_PROXY_CAPATH, config->ca_dir);
        SET(CURLOPT_PROXY_SSL_OPTIONS, (long)CURLSSLOPT_NO_PARTIALCHAIN);
    }
    return code;
}

static CURLcode set_request(CURL *easy, tksp_http_setup *setup, const tks_http_request *request) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, setup->detail);
    SET(CURLOPT_CURLU, setup->url);
    SET(CURLOPT_HTTPHEADER, setup->headers);
    if (request->post) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        /* Borrowed, not copied. With NULL libcurl would read standard input. */
        SET(CURLOPT_POSTFIELDS, request->body.size > 0 ? request->body.data : "");
    }
    return code;
}

tks_status tksp_http_setup_init(tksp_http_setup *setup, tksp_http_handle *handle,
                                const tksp_http_config *config, const tks_http_request *request,
                                tks_error *err) {
    CURL *easy = handle->easy;
    *setup = (tksp_http_setup){.url = NULL};
    tks_status status = set_url(setup, request->url, err);
    if (status == TKS_OK) {
        status = set_headers(setup, request, err);
    }
    if (status != TKS_OK) {
        return status;
    }
    if (strncmp(setup->name, "https:", 6) == 0 && !config->insecure && config->ca_file == NULL &&
        config->ca_dir == NULL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "%s: this system has no CA certificates: install the package "
                        "ca-certificates, or give a file with ca= or SSL_CERT_FILE",
                        setup->name);
    }
    CURLcode code = set_rules(easy);
    if (code == CURLE_OK) {
        code = set_tls(easy, config);
    }
    if (code == CURLE_OK) {
        code = set_proxy(easy, config, strncmp(setup->name, "https:", 6) == 0);
    }
    if (code == CURLE_OK) {
        code = set_request(easy, setup, request);
    }
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    if (code == CURLE_OUT_OF_MEMORY) {
        return tks_fail_memory(err);
    }
    if (code != CURLE_OK) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "this libcurl lacks a feature: %s",
                        curl_easy_strerror(code));
    }
    return TKS_OK;
}

void tksp_http_setup_clear(tksp_http_setup *setup) {
    for (struct curl_slist *at = setup->headers; at != NULL; at = at->next) {
        tks_wipe(at->data, strlen(at->data));
    }
    curl_slist_free_all(setup->headers);
    curl_url_cleanup(setup->url);
}
