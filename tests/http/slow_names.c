/* slow_names.c - preloaded by the HTTP tests: host names that end in ".slow" take five seconds to look
 * up, those that end in ".none" do not exist. Others, and addresses, go to the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int ends_with(const char *text, const char *end) {
    size_t size = text != NULL ? strlen(text) : 0;
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out) {
    if (ends_with(node, ".slow")) {
        sleep(5);
        return EAI_AGAIN;
    }
    if (ends_with(node, ".none")) {
        return EAI_NONAME;
    }
    look_up *next;
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next(node, service, hints, out);
}
