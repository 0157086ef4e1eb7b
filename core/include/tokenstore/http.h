/* tokenstore/http.h - an operation's HTTP request, and the response it is given.
 *
 * Purpose:   only the two messages, without I/O; tokenstore/http_client.h has the driver that exchanges them.
 * Lifecycle: plain values; everything in them is borrowed. A request's bytes belong to the operation
 *            until its next step, a response's to the driver until the step it is given to ends.
 * Threads:   no state. */
#ifndef TOKENSTORE_HTTP_H
#define TOKENSTORE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"

TKS_BEGIN_DECLS

typedef struct tks_http_header {
    tks_bytes name, value;
} tks_http_header;

/** The driver frames the message: an operation must not give Content-Length, Transfer-Encoding, Connection or
 * Expect. A POST body without a Content-Type is sent as a form. */
typedef struct tks_http_request {
    bool post;     /**< false: GET, without a body */
    tks_bytes url; /**< http or https; no user and password in it */
    const tks_http_header *headers;
    size_t header_count;
    tks_bytes body;      /**< of a POST; may be empty */
    size_t max_body;     /**< bytes that the answer's body may have */
    uint32_t timeout_ms; /**< for the whole exchange, if that ends before the driver's
                              deadline; 0: the deadline alone */
} tks_http_request;

/** A response of any status, including redirects (3xx) and errors (4xx, 5xx). */
typedef struct tks_http_response {
    int status;             /**< 200 … 599 */
    tks_bytes content_type; /**< the header's value as it came; empty: there was none */
    tks_bytes retry_after, date, location; /**< likewise */
    tks_bytes cache_control;               /**< likewise; of several the last */
    tks_bytes body;                        /**< decompressed if it was gzip */
} tks_http_response;

TKS_END_DECLS
#endif
