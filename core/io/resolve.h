/* resolve.h - from a host name to its addresses, under a deadline.
 *
 * Purpose:   getaddrinfo() can be given no deadline and cannot be cancelled, so it runs in a thread of its
 *            own, which a caller whose time is over leaves behind. All callers that need the name while
 *            that thread runs wait for the same outcome: there is never more than one for a resolver. An
 *            address as text needs none.
 *            (glibc's getaddrinfo_a has threads that do not come along in a fork, and c-ares does not
 *            read nsswitch.conf as the rest of the machine does.)
 * Lifecycle: new, resolve any number of times, free; a thread that was left behind ends by itself and
 *            frees what it holds. A host that unloads this code must not do it before that: shared
 *            objects that hold it are linked with -z nodelete.
 * Threads:   everything but new and free is safe from many threads.
 * Fork:      a resolver belongs to the process that made it; in a child it can only be freed. */
#ifndef TKSP_IO_RESOLVE_H
#define TKSP_IO_RESOLVE_H

#include "tokenstore/url.h"
#include "wait.h"

struct addrinfo; /* netdb.h */

enum { TKSP_ADDRESSES_MAX = 32 }; /* of a name; more are left out */

typedef struct tksp_resolver tksp_resolver;

/* What a name stood for; counted. */
typedef struct tksp_lookup tksp_lookup;

/* For the host of `target`, which is borrowed for the resolver's life. NULL when memory is out. */
tksp_resolver *tksp_resolver_new(const tks_target *target);

/* NULL is accepted. */
void tksp_resolver_free(tksp_resolver *resolver);

/* Looks the host up. TKS_OK: *out is the caller's to release; TKS_ERR_TIMEOUT (the deadline of `wait`),
 * TKS_ERR_CONNECTION, TKS_ERR_CONFIGURATION (not an IPv6 address), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_resolve(tksp_resolver *resolver, tksp_wait *wait, tksp_lookup **out,
                        tks_error *err);

/* NULL is accepted. */
void tksp_lookup_release(tksp_lookup *lookup);

/* The addresses in the order in which to try them; how many. The one that worked last is the first, then
 * the families take turns (RFC 8305, section 4). Borrowed from `lookup`. */
size_t tksp_resolver_sort(tksp_resolver *resolver, const tksp_lookup *lookup,
                          const struct addrinfo *out[TKSP_ADDRESSES_MAX]);

/* The server behind the connected socket `fd` has answered. */
void tksp_resolver_note(tksp_resolver *resolver, int fd);

#endif
