/* embedded_files.c - removing files and closing descriptors with system calls alone.
 *
 * Purpose:   opendir and similar functions call malloc, whose lock another thread may have held during the
 *            fork.
 * Threads:   safe anywhere, also between fork and exec. */
#define _GNU_SOURCE
#include "embedded_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An entry of getdents64: see getdents(2). */
typedef struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} entry;

static void remove_level(int fd, unsigned depth) {
    _Alignas(entry) char entries[1024];
    long size;
    while ((size = syscall(SYS_getdents64, (long)fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < size;) {
            const entry *e = (const entry *)(const void *)(entries + at);
            at += e->size;
            if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0) continue;
            if (unlinkat(fd, e->name, 0) == 0 || errno != EISDIR || depth == 0) continue;
            int sub = openat(fd, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub < 0) continue;
            remove_level(sub, depth - 1);
            close(sub);
            unlinkat(fd, e->name, AT_REMOVEDIR);
        }
    }
}

void tksp_remove_entries(int fd) {
    remove_level(fd, 2); /* with appendonly, a server creates one directory, appendonlydir */
}

/* Closes `first` … `last`. */
static void close_span(unsigned first, unsigned last) {
    if (first > last || syscall(SYS_close_range, (long)first, (long)last, 0L) == 0) return;
    /* Linux before 5.9. RLIMIT_NOFILE may be a billion, far more than are ever open. */
    unsigned end = 65536;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end) {
        end = (unsigned)limit.rlim_cur;
    }
    for (unsigned fd = first; fd <= last && fd < end; fd++) close((int)fd);
}

void tksp_close_all_but(int a, int b) {
    int low = a < b ? a : b;
    int high = a < b ? b : a;
    unsigned next = 3;
    if (low >= 3) {
        close_span(next, (unsigned)low - 1);
        next = (unsigned)low + 1;
    }
    if (high >= 3 && high != low) {
        close_span(next, (unsigned)high - 1);
        next = (unsigned)high + 1;
    }
    close_span(next, ~0U);
}
