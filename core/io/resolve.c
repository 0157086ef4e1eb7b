/* resolve.c - see resolve.h. */
#define _GNU_SOURCE

#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "thread.h"

/* Everything that the thread uses, reference counted: the thread may outlive the resolver. */
struct tksp_lookup {
    atomic_uint users;
    pthread_mutex_t mutex; /* guards `over`; once it is set, the members below do not change */
    pthread_cond_t ended;
    bool over;
    int code, error; /* the result of getaddrinfo(), and errno */
    struct addrinfo *list;
    char port[8];
    char host[];
};

struct tksp_resolver {
    const tks_target *target;
    pthread_mutex_t mutex;
    tksp_lookup *latest; /* in progress or ended; or NULL */
    struct sockaddr_storage good;
    socklen_t good_size; /* 0: unknown */
};

/* ---- a lookup ---------------------------------------------------------------------------------- */

static tksp_lookup *lookup_new(const tks_target *target) {
    size_t size = strlen(target->host) + 1;
    tksp_lookup *lookup = calloc(1, sizeof *lookup + size);
    if (lookup == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&lookup->mutex, NULL) != 0) {
        free(lookup);
        return NULL;
    }
    if (!tksp_wait_cond_init(&lookup->ended)) {
        (void)pthread_mutex_destroy(&lookup->mutex);
        free(lookup);
        return NULL;
    }
    atomic_init(&lookup->users, 1);
    (void)snprintf(lookup->port, sizeof lookup->port, "%u", (unsigned)target->port);
    memcpy(lookup->host, target->host, size);
    return lookup;
}

void tksp_lookup_release(tksp_lookup *lookup) {
    if (lookup == NULL || atomic_fetch_sub(&lookup->users, 1) != 1) {
        return;
    }
    if (lookup->list != NULL) {
        freeaddrinfo(lookup->list);
    }
    (void)pthread_cond_destroy(&lookup->ended);
    (void)pthread_mutex_destroy(&lookup->mutex);
    free(lookup);
}

static tksp_lookup *share(tksp_lookup *lookup) {
    atomic_fetch_add(&lookup->users, 1);
    return lookup;
}

static bool is_over(tksp_lookup *lookup) {
    (void)pthread_mutex_lock(&lookup->mutex);
    bool over = lookup->over;
    (void)pthread_mutex_unlock(&lookup->mutex);
    return over;
}

static void ask(tksp_lookup *lookup, int flags, struct addrinfo **list, int *code, int *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    hints.ai_flags = flags | AI_NUMERICSERV;
    *code = getaddrinfo(lookup->host, lookup->port, &hints, list);
    *error = errno;
}

static void *look_up(void *context) {
    tksp_lookup *lookup = context;
    struct addrinfo *list = NULL;
    int code, error;
    ask(lookup, 0, &list, &code, &error);
    (void)pthread_mutex_lock(&lookup->mutex);
    lookup->list = code == 0 ? list : NULL;
    lookup->code = code;
    lookup->error = error;
    lookup->over = true;
    (void)pthread_cond_broadcast(&lookup->ended);
    (void)pthread_mutex_unlock(&lookup->mutex);
    tksp_lookup_release(lookup);
    return NULL;
}

/* Rejects an address in brackets that the system does not accept: its zone does not exist, or it is not an
 * address. */
static tks_status refuse_ipv6(const char *host, tks_error *err) {
    char address[INET6_ADDRSTRLEN] = "";
    struct in6_addr parsed;
    const char *zone = strchr(host, '%');
    if (zone != NULL && (size_t)(zone - host) < sizeof address) {
        memcpy(address, host, (size_t)(zone - host));
        if (inet_pton(AF_INET6, address, &parsed) == 1) {
            const char *why = if_nametoindex(zone + 1) != 0
                                  ? "only a link-local address (fe80::...) has one: remove it"
                                  : "this machine has no network interface of that name";
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the IPv6 address in the URL has the zone \"%.40s\", and %s", zone + 1,
                            why);
        }
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "the host in brackets is not an IPv6 address: correct the URL");
}

static tks_status judge(const tksp_lookup *lookup, tks_error *err) {
    int code = lookup->code;
    if (code == EAI_MEMORY) {
        return tks_fail_memory(err);
    }
    if (code == EAI_NONAME && strchr(lookup->host, ':') != NULL) {
        return refuse_ipv6(lookup->host, err);
    }
    if (code != 0) {
        return tks_fail(err, TKS_ERR_CONNECTION, "the host name cannot be resolved: %s",
                        code == EAI_SYSTEM ? strerror(lookup->error) : gai_strerror(code));
    }
    return TKS_OK;
}

/* ---- the resolver ------------------------------------------------------------------------------ */

tksp_resolver *tksp_resolver_new(const tks_target *target) {
    tksp_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&resolver->mutex, NULL) != 0) {
        free(resolver);
        return NULL;
    }
    resolver->target = target;
    return resolver;
}

void tksp_resolver_free(tksp_resolver *resolver) {
    if (resolver == NULL) {
        return;
    }
    tksp_lookup_release(resolver->latest);
    (void)pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

/* Starts a lookup, which ends at once for an address as text, else runs in a thread. The resolver's mutex is
 * held. */
static tks_status begin(tksp_resolver *resolver, tks_error *err) {
    pthread_t thread;
    tksp_lookup *lookup = lookup_new(resolver->target);
    if (lookup == NULL) {
        return tks_fail_memory(err);
    }
    ask(lookup, AI_NUMERICHOST, &lookup->list, &lookup->code, &lookup->error);
    lookup->over = lookup->code != EAI_NONAME || strchr(lookup->host, ':') != NULL;
    if (!lookup->over) {
        if (!tksp_thread_start(&thread, look_up, share(lookup))) {
            tksp_lookup_release(lookup); /* the thread's reference */
            tksp_lookup_release(lookup); /* NOLINT(clang-analyzer-unix.Malloc): and ours */
            return tks_fail(err, TKS_ERR_CONNECTION,
                            "could not start a thread to resolve the host name: this process or "
                            "machine is at its limit");
        }
        (void)pthread_detach(thread);
    }
    tksp_lookup_release(resolver->latest);
    resolver->latest = lookup;
    return TKS_OK;
}

static tks_status wait_for(tksp_lookup *lookup, tksp_wait *wait, tks_error *err) {
    tks_status status = TKS_OK;
    (void)pthread_mutex_lock(&lookup->mutex);
    while (status == TKS_OK && !lookup->over) {
        status = tksp_wait_cond(wait, &lookup->ended, &lookup->mutex, err);
    }
    if (status == TKS_ERR_TIMEOUT && lookup->over) {
        status = TKS_OK;
    }
    if (status == TKS_OK || getpid() == wait->pid) {
        (void)pthread_mutex_unlock(&lookup->mutex);
    }
    return status == TKS_OK ? judge(lookup, err) : status;
}

tks_status tksp_resolve(tksp_resolver *resolver, tksp_wait *wait, tksp_lookup **out,
                        tks_error *err) {
    tks_status status = TKS_OK;
    tksp_lookup *lookup = NULL;
    *out = NULL;
    (void)pthread_mutex_lock(&resolver->mutex);
    if (resolver->latest == NULL || is_over(resolver->latest)) {
        status = begin(resolver, err);
    }
    if (status == TKS_OK) {
        lookup = share(resolver->latest);
    }
    (void)pthread_mutex_unlock(&resolver->mutex);
    if (status == TKS_OK) {
        status = wait_for(lookup, wait, err);
    }
    if (status != TKS_OK) {
        tksp_lookup_release(lookup);
        return status;
    }
    *out = lookup;
    return TKS_OK;
}

/* ---- which address first ----------------------------------------------------------------------- */

static bool is_good(const tksp_resolver *resolver, const struct addrinfo *a) {
    return a->ai_addrlen == resolver->good_size &&
           memcmp(a->ai_addr, &resolver->good, a->ai_addrlen) == 0;
}

/* Moves out[from] forward to out[to]; those between keep their order. */
static void move_forward(const struct addrinfo **out, size_t from, size_t to) {
    const struct addrinfo *moved = out[from];
    memmove(&out[to + 1], &out[to], (from - to) * sizeof *out);
    out[to] = moved;
}

size_t tksp_resolver_sort(tksp_resolver *resolver, const tksp_lookup *lookup,
                          const struct addrinfo *out[TKSP_ADDRESSES_MAX]) {
    size_t count = 0;
    for (const struct addrinfo *a = lookup->list; a != NULL && count < TKSP_ADDRESSES_MAX;
         a = a->ai_next) {
        out[count++] = a;
    }
    (void)pthread_mutex_lock(&resolver->mutex);
    for (size_t i = 1; i < count; i++) {
        if (is_good(resolver, out[i])) {
            move_forward(out, i, 0);
        }
    }
    (void)pthread_mutex_unlock(&resolver->mutex);
    for (size_t i = 1; i < count; i++) {
        for (size_t next = i; next < count; next++) {
            if (out[next]->ai_family != out[i - 1]->ai_family) {
                move_forward(out, next, i);
                break;
            }
        }
    }
    return count;
}

void tksp_resolver_note(tksp_resolver *resolver, int fd) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    memset(&peer, 0, sizeof peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || size > sizeof peer) {
        return;
    }
    (void)pthread_mutex_lock(&resolver->mutex);
    resolver->good = peer;
    resolver->good_size = size;
    (void)pthread_mutex_unlock(&resolver->mutex);
}
