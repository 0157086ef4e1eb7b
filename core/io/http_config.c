/* http_config.c - the options of the HTTP driver, and where this system keeps its CA certificates.
 *
 * libcurl has a compiled-in path of CA certificates, that of the system it was built on. A wheel runs on
 * other systems, so that path is never used: it is looked up when a tks_http is created.
 * Threads: reads the environment; like getenv(), it must not run concurrently with setenv(). */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_private.h"
#include "http_text.h"
#include "option.h"
#include "tokenstore/secret.h"

enum { CONNECT_TIMEOUT_MS = 5000 };
#define CONNECT_TIMEOUT_MAX_MS INT64_C(86400000)

/* A copy of `text` in *out; NULL stays NULL. */
static tks_status copy(const char *text, char **out, tks_error *err) {
    if (text == NULL) {
        return TKS_OK;
    }
    *out = strdup(text);
    return *out != NULL ? TKS_OK : tks_fail_memory(err);
}

static tks_status bad_file(const char *option, const char *path, int error, tks_error *err) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "cannot use %s=%.150s: %s", option, path,
                    strerror(error));
}

/* Copies a path that must be a readable file. */
static tks_status copy_file(const char *option, const char *path, char **out, tks_error *err) {
    if (path != NULL && access(path, R_OK) != 0) {
        return bad_file(option, path, errno, err);
    }
    return copy(path, out, err);
}

/* ---- CA certificates ------------------------------------------------------------------------- */

static tks_status set_given_ca(tksp_http_config *config, const char *ca, tks_error *err) {
    struct stat info;
    if (stat(ca, &info) != 0 || access(ca, R_OK) != 0) {
        return bad_file("ca", ca, errno, err);
    }
    return copy(ca, S_ISDIR(info.st_mode) ? &config->ca_dir : &config->ca_file, err);
}

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *first_readable(const char *const *paths) {
    while (*paths != NULL && access(*paths, R_OK) != 0) {
        paths++;
    }
    return *paths;
}

/* If the variables are set, only they are used: naming one CA excludes all others. */
static tks_status set_system_ca(tksp_http_config *config, tks_error *err) {
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Alpine */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* the same, older */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/ssl/cert.pem",                                 /* Alpine, BSD, macOS */
        NULL,
    };
    static const char *const directories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs", NULL};
    const char *file = environment("SSL_CERT_FILE");
    const char *directory = environment("SSL_CERT_DIR");
    if (file == NULL && directory == NULL) {
        file = first_readable(files);
        directory = file == NULL ? first_readable(directories) : NULL;
    }
    tks_status status = copy(file, &config->ca_file, err);
    return status == TKS_OK ? copy(directory, &config->ca_dir, err) : status;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* libcurl quotes a proxy URL that it cannot parse, password included, so the URL is checked first. */
static tks_status check_proxy(const char *proxy, tks_error *err) {
    static const char *const schemes[] = {"http", "https", "socks5", "socks5h", NULL};
    const char *const *scheme = schemes;
    char *found = NULL;
    CURLU *url = curl_url();
    if (url == NULL) {
        return tks_fail_memory(err);
    }
    CURLUcode code = curl_url_set(url, CURLUPART_URL, proxy, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK) {
        code = curl_url_get(url, CURLUPART_SCHEME, &found, 0);
    }
    while (code == CURLUE_OK && *scheme != NULL &&
           !tksp_http_name_is(tks_bytes_of(found, strlen(found)), *scheme)) {
        scheme++;
    }
    curl_free(found);
    curl_url_cleanup(url);
    if (code == CURLUE_OUT_OF_MEMORY) {
        return tks_fail_memory(err);
    }
    if (code != CURLUE_OK || *scheme == NULL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "proxy must be a URL such as http://host:port, with the scheme http, "
                        "https, socks5 or socks5h");
    }
    return TKS_OK;
}

/* The first variable that is set; the name is for messages. */
static const char *first_set(const char *const *names, const char **name) {
    const char *value = NULL;
    while (*names != NULL && value == NULL) {
        *name = *names++;
        value = environment(*name);
    }
    return value;
}

/* The proxy of a variable as a URL. As in other programs, a host and port without a scheme is an HTTP proxy.
 * */
static tks_status take_variable(const char *const *names, char **out, tks_error *err) {
    const char *name = NULL;
    const char *value = first_set(names, &name);
    if (value == NULL) {
        return TKS_OK;
    }
    const char *scheme = strstr(value, "://") == NULL ? "http://" : "";
    size_t size = strlen(scheme) + strlen(value) + 1;
    *out = malloc(size);
    if (*out == NULL) {
        return tks_fail_memory(err);
    }
    memcpy(*out, scheme, strlen(scheme));
    memcpy(*out + strlen(scheme), value, strlen(value) + 1);
    tks_status status = check_proxy(*out, NULL);
    return status == TKS_ERR_CONFIGURATION
               ? tks_fail(err, status, "proxy=\"env\": %s is not a proxy URL", name)
               : status;
}

/* Reads the environment as libcurl does, but once, now: getenv() in a thread is not safe beside setenv().
 * HTTP_PROXY in capitals is ignored: in CGI it is the request header Proxy. */
static tks_status take_environment(tksp_http_config *config, tks_error *err) {
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                        NULL};
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const none[] = {"no_proxy", "NO_PROXY", NULL};
    const char *name = NULL;
    config->proxy_by_scheme = true;
    tks_status status = take_variable(https, &config->proxy, err);
    if (status == TKS_OK) {
        status = take_variable(http, &config->proxy_http, err);
    }
    return status == TKS_OK ? copy(first_set(none, &name), &config->no_proxy, err) : status;
}

#define TKSP_OPTIONS_OF tks_http_options
#define FILE_NAME(member)                                                                          \
    TKSP_OPTION(#member, TKS_OPTION_PATH, member), .min = 1, .max = 4095, .wanted = "a file name"

static const tks_option rows[] = {
    {FILE_NAME(ca)},
    {FILE_NAME(cert)},
    {FILE_NAME(key)},
    {TKSP_OPTION("proxy", TKS_OPTION_STRING, proxy), .min = 1, .max = 8192},
    {TKSP_OPTION("insecure", TKS_OPTION_FLAG, insecure), .fallback = "false"},
    {TKSP_OPTION("connect_timeout", TKS_OPTION_DURATION, connect_timeout_ms), .min = 1,
     .max = INT64_C(315360000000), .fallback = "5"},
};

static const tks_http_options nothing;
const tks_options tks_http_table = TKSP_OPTIONS(rows, nothing);

tks_status tksp_http_config_init(tksp_http_config *config, const tks_http_options *options,
                                 tks_error *err) {
    static const tks_http_options defaults = {0};
    tks_status status;
    *config = (tksp_http_config){0};
    if (options == NULL) {
        options = &defaults;
    }
    config->insecure = options->insecure;
    config->connect_timeout_ms =
        options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    if (config->connect_timeout_ms > CONNECT_TIMEOUT_MAX_MS) {
        config->connect_timeout_ms = CONNECT_TIMEOUT_MAX_MS;
    }
    if (options->key != NULL && options->cert == NULL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "key= is given without cert=: give the client certificate too");
    }
    status =
        options->ca != NULL ? set_given_ca(config, options->ca, err) : set_system_ca(config, err);
    if (status == TKS_OK) {
        status = copy_file("cert", options->cert, &config->cert, err);
    }
    if (status == TKS_OK) {
        const char *key = options->key != NULL ? options->key : options->cert;
        status = copy_file("key", key, &config->key, err);
    }
    if (status == TKS_OK && options->proxy != NULL && strcmp(options->proxy, "env") == 0) {
        return take_environment(config, err);
    }
    if (status == TKS_OK && options->proxy != NULL) {
        status = check_proxy(options->proxy, err);
    }
    return status == TKS_OK ? copy(options->proxy, &config->proxy, err) : status;
}

void tksp_http_config_clear(tksp_http_config *config) {
    if (config->proxy != NULL) {
        tks_wipe(config->proxy, strlen(config->proxy));
    }
    if (config->proxy_http != NULL) {
        tks_wipe(config->proxy_http, strlen(config->proxy_http));
    }
    free(config->proxy_http);
    free(config->no_proxy);
    free(config->ca_file);
    free(config->ca_dir);
    free(config->cert);
    free(config->key);
    free(config->proxy);
}
