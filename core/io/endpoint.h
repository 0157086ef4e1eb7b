/* endpoint.h - what connections to one target are made of, in one process.
 *
 * Threads: many at a time. Fork: a child has one of its own. */
#ifndef TKSP_IO_ENDPOINT_H
#define TKSP_IO_ENDPOINT_H

#include "resolve.h"
#include "tls_source.h"

typedef struct tksp_endpoint {
    const tks_target *target; /* borrowed, as `name` */
    const char *name;         /* of the target, for messages */
    tksp_tls_source *tls;     /* NULL: plain */
    tksp_resolver *resolver;  /* NULL: the target has no host */
} tksp_endpoint;

#endif
