/* endpoint.h - what the connections to one target share, in one process.
 *
 * Threads: safe from many threads. Fork: a child makes its own. */
#ifndef TKSP_IO_ENDPOINT_H
#define TKSP_IO_ENDPOINT_H

#include "resolve.h"
#include "tls_source.h"

typedef struct tksp_endpoint {
    const tks_target *target; /* borrowed, like `name` */
    const char *name;         /* of the target, for messages */
    tksp_tls_source *tls;     /* NULL: plain */
    tksp_resolver *resolver;  /* NULL: the target has no host */
} tksp_endpoint;

#endif
