/* tokenstore/http_client.h - the blocking HTTP driver: sends one request and receives its response.
 *
 * Purpose:   HTTP/1.1 over TCP or TLS 1.2 and newer (libcurl), for requests that hold credentials.
 * Rules:     The server's certificate is verified (chain, purpose and name) unless `insecure` is set. Redirects are
 *            not followed: credentials go only to the host of the URL. Only http and https. No .netrc or cookies,
 *            and no proxy unless one is given; from the environment only the location of CA certificates is read.
 *            Unrequested gzip is decompressed. The response is limited while it streams, to `max_body` bytes of
 *            body and 64 KiB of headers. One deadline covers a whole fetch: name resolution, connecting, TLS,
 *            sending, waiting, reading.
 * Repeats:   a request on a reused connection that ended without a byte of an answer is sent once more on a new
 *            one, POST too: this is how libcurl handles servers that close idle connections. A token request may be
 *            repeated; requests that may not must not use this driver.
 * Lifecycle: tks_http_new does not connect. Connections stay open between fetches. tks_http_close may be called at
 *            any time, even twice. tks_http_free after the last user is gone.
 * Not from:  a signal handler. A request blocks until its deadline.
 * Threads:   all functions but free are thread-safe. After fork() the child does not touch the inherited
 *            connections, and opens its own.
 * Signals:   no SIGPIPE is ever raised, and the threads that look up names run no signal handlers.
 * Secrets:   the response and this driver's copies of the request are wiped; libcurl's own buffers are not.
 *            Messages contain only the host of the URL, no header value and no body.
 * Limits:    libcurl before 7.87 cannot abandon name resolution: a deadline or an interrupt then waits for the
 *            resolver's own timeout. */
#ifndef TOKENSTORE_HTTP_CLIENT_H
#define TOKENSTORE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/client.h"
#include "tokenstore/http.h"
#include "tokenstore/option.h"

TKS_BEGIN_DECLS

typedef struct tks_http tks_http;

/** All strings are copied. NULL: the default, as noted. */
typedef struct tks_http_options {
    const char *ca;    /**< CA certificates (PEM), a file or a directory (`openssl rehash`). NULL:
                          SSL_CERT_FILE, SSL_CERT_DIR; where neither is set, the system's usual places */
    const char *cert;  /**< our own certificate (PEM, with its chain). NULL: none */
    const char *key;   /**< its private key (PEM, not encrypted). NULL: it is in `cert` */
    const char *proxy; /* http://[user:password@]host[:port], https:// or socks5h://. NULL: none.
                          "env": as https_proxy, http_proxy, all_proxy and no_proxy say when
                          tks_http_new is called */
    bool insecure;     /**< true: any certificate is accepted */
    int64_t connect_timeout_ms; /**< name, TCP and TLS together; 0: 5000 */
} tks_http_options;

extern const tks_options tks_http_table; /**< of a tks_http_options */

/** `options` NULL: all defaults. Reads SSL_CERT_FILE and SSL_CERT_DIR. TKS_OK, TKS_ERR_CONFIGURATION
 * (the message names the option: an unreadable file, a proxy that is not a URL), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_http_new(const tks_http_options *options, tks_http **out,
                                     tks_error *err);

/** Is this a URL that a fetch accepts? TKS_OK, TKS_ERR_CONFIGURATION (the message does not show it),
 * TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_http_check_url(tks_bytes url, tks_error *err);

/** Sends `request` and waits for the whole answer, at most `timeout_ms`. TKS_OK: *out is the caller's,
 * to be freed by tks_http_response_free. Otherwise:
 *   TKS_ERR_CONNECTION     no connection, or it broke before the answer was complete, or the answer is not HTTP
 *   TKS_ERR_TIMEOUT        the deadline passed
 *   TKS_ERR_DATA           the answer is too large
 *   TKS_ERR_CONFIGURATION  the request breaks a rule (the message says which), or a file of the
 *                          options is unusable
 *   TKS_ERR_INTERRUPTED, TKS_ERR_CLOSED, TKS_ERR_MEMORY
 * *sent: the request, or a part of it, may have reached the server. *final: a retry cannot help (a rejected
 * certificate, a malformed URL, too large an answer). `interrupt` may be NULL; it is called at least every 50 ms. */
TKS_MUST_USE tks_status tks_http_fetch(tks_http *http, const tks_http_request *request,
                                       int64_t timeout_ms, const tks_interrupt *interrupt,
                                       tks_http_response **out, bool *sent, bool *final,
                                       tks_error *err);

/** Wipes and frees a response of tks_http_fetch: it may contain tokens. NULL is accepted. */
void tks_http_response_free(tks_http_response *response);

/** Closes idle connections now and busy ones after their fetch; later fetches are TKS_ERR_CLOSED. */
void tks_http_close(tks_http *http);

/** tks_http_close, then frees. NULL is accepted. */
void tks_http_free(tks_http *http);

TKS_END_DECLS
#endif
