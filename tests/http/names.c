/* names.c - preloaded by tests: host names that behave according to their suffix. Other names, and addresses,
 * go to the C library.
 *
 *     x.slow                   takes five seconds, and is not found then
 *     300.late                 is 127.0.0.1, after 300 milliseconds
 *     x.none                   does not exist
 *     127-0-0-2.0--1.list      has these addresses, in this order: 127.0.0.2 and 0::1
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_MAX_SIZE = 256 };

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Continues after a signal, like the C library. */
static void wait_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static int ends_with(const char *text, const char *end) {
    size_t size = text != NULL ? strlen(text) : 0;
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* Of "127-0-0-2.0--1.list" the address before `end`, and after it the rest. glibc's list of one address is
 * one allocation, and freeaddrinfo takes such lists in a chain. */
static int list(look_up *next, const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out) {
    char name[NAME_MAX_SIZE];
    size_t size = strcspn(node, ".");
    if (strcmp(node, "list") == 0) {
        *out = NULL;
        return 0;
    }
    memcpy(name, node, size);
    name[size] = '\0';
    char separator = strstr(name, "--") != NULL ? ':' : '.';
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' ? separator : *c;
    }
    int code = next(name, service, hints, out);
    return code != 0 ? code : list(next, node + size + 1, service, hints, &(*out)->ai_next);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out) {
    look_up *next;
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0) {
        return next(node, service, hints, out);
    }
    if (ends_with(node, ".slow")) {
        wait_ms(5000);
        return EAI_AGAIN;
    }
    if (ends_with(node, ".late")) {
        wait_ms(strtol(node, NULL, 10));
        return next("127.0.0.1", service, hints, out);
    }
    if (ends_with(node, ".none")) {
        return EAI_NONAME;
    }
    if (ends_with(node, ".list")) {
        return list(next, node, service, hints, out);
    }
    return next(node, service, hints, out);
}
