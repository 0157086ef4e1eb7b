/* resolve.h - resolves a host name to its addresses, under a deadline.
 *
 * Purpose:   getaddrinfo() has no deadline and cannot be cancelled, so it runs in a separate thread, which a
 *            caller abandons at its deadline. All callers wait for the same lookup: a resolver has at most
 *            one thread. An address as text needs no thread. (The threads of glibc's getaddrinfo_a do not
 *            survive a fork, and c-ares does not read nsswitch.conf as other programs do.)
 * Lifecycle: new, resolve any number of times, free; an abandoned thread ends by itself and frees its memory.
 *            This code must not be unloaded before that: shared objects that contain it are linked with -z
 *            nodelete.
 * Threads:   everything but new and free is safe from many threads.
 * Fork:      a resolver belongs to the process that made it; in a child it can only be freed. */
#ifndef TKSP_IO_RESOLVE_H
#define TKSP_IO_RESOLVE_H

#include "tokenstore/url.h"
#include "wait.h"

struct addrinfo; /* netdb.h */

enum { TKSP_ADDRESSES_MAX = 32 }; /* of a name; more are ignored */

typedef struct tksp_resolver tksp_resolver;

/* The addresses of a name; reference counted. */
typedef struct tksp_lookup tksp_lookup;

/* A resolver for the host of `target`, which is borrowed and must outlive it. NULL: out of memory. */
tksp_resolver *tksp_resolver_new(const tks_target *target);

/* NULL is accepted. */
void tksp_resolver_free(tksp_resolver *resolver);

/* Resolves the host. TKS_OK: the caller releases *out; TKS_ERR_TIMEOUT (the deadline of `wait`),
 * TKS_ERR_CONNECTION, TKS_ERR_CONFIGURATION (not an IPv6 address), TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_resolve(tksp_resolver *resolver, tksp_wait *wait, tksp_lookup **out,
                        tks_error *err);

/* NULL is accepted. */
void tksp_lookup_release(tksp_lookup *lookup);

/* Stores the addresses in the order in which to try them; returns their number. The one that worked last
 * comes first, then the families alternate (RFC 8305, section 4). Borrowed from `lookup`. */
size_t tksp_resolver_sort(tksp_resolver *resolver, const tksp_lookup *lookup,
                          const struct addrinfo *out[TKSP_ADDRESSES_MAX]);

/* Records that the server behind the connected socket `fd` has answered. */
void tksp_resolver_note(tksp_resolver *resolver, int fd);

#endif
