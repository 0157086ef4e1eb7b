/* tokenstore/http.h - an HTTP request as an operation asks for it, and the answer it is handed.
 *
 * Purpose:   the two messages alone, without I/O; tokenstore/http_client.h has a driver that carries
 *            one to a server and brings back the other.
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

/** The driver frames the message itself: Content-Length, Transfer-Encoding, Connection, Expect are not
 * for the operation to give. A body of POST without a Content-Type is called a form. */
typedef struct tks_http_request {
    bool post;     /**< false: GET, without a body */
    tks_bytes url; /**< http or https; no user and password in it */
    const tks_http_header *headers;
    size_t header_count;
    tks_bytes body;  /**< of a POST; may be empty */
    size_t max_body; /**< bytes that the answer's body may have */
    uint32_t
        timeout_ms; /**< for the whole exchange, where that ends before the driver's deadline; 0:
                            the deadline alone */
} tks_http_request;

/** An answer of any status: a redirect (3xx) and an error (4xx, 5xx) are answers like others. */
typedef struct tks_http_response {
    int status;             /**< 200 … 599 */
    tks_bytes content_type; /**< the header's value as it came; empty: there was none */
    tks_bytes retry_after, date, location; /**< likewise */
    tks_bytes cache_control;               /**< likewise; of several the last */
    tks_bytes body;                        /**< unpacked, where it came packed by gzip */
} tks_http_response;

TKS_END_DECLS
#endif
