/* failing_memory.c - preloaded by the HTTP tests: the n-th allocation of the requesting thread fails. Live
 * blocks are counted meanwhile. Only with glibc, whose own functions are called. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

/* Looked up by name by the program. */
_Thread_local long failing_countdown; /* 0: nothing fails */
atomic_long failing_live;             /* blocks of all threads */

static int fails(void) {
    if (failing_countdown > 0 && --failing_countdown == 0) {
        errno = ENOMEM;
        return 1;
    }
    return 0;
}

static void *counted(void *block) {
    if (block != NULL) {
        atomic_fetch_add(&failing_live, 1);
    }
    return block;
}

void *malloc(size_t size) {
    return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size) {
    if (fails()) {
        return NULL;
    }
    void *moved = __libc_realloc(block, size);
    return block == NULL ? counted(moved) : moved;
}

void free(void *block) {
    if (block != NULL) {
        atomic_fetch_sub(&failing_live, 1);
        __libc_free(block);
    }
}
