/* interrupted.c - preloaded by tests: interrupts reads of regular files, as signals do on some file systems.
 * Every second read() fails with EINTR, the others return at most 100 bytes; the fgets() after a PEM block
 * fails too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_uint reads;
static atomic_bool ended;

ssize_t read(int fd, void *buffer, size_t size) {
    static ssize_t (*next)(int, void *, size_t);
    struct stat info;
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "read");
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        if (atomic_fetch_add(&reads, 1) % 2 == 0) {
            errno = EINTR;
            return -1;
        }
        size = size < 100 ? size : 100;
    }
    return next(fd, buffer, size);
}

char *fgets(char *buffer, int size, FILE *stream) {
    static char *(*next)(char *, int, FILE *);
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "fgets");
    if (atomic_exchange(&ended, false)) {
        errno = EINTR;
        return NULL;
    }
    char *line = next(buffer, size, stream);
    atomic_store(&ended, line != NULL && strncmp(line, "-----END ", 9) == 0);
    return line;
}
