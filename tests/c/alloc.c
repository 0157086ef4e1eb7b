/* alloc.c - allocations that fail on purpose. */
#include "alloc.h"

#include <stddef.h>
#include <stdlib.h>

/* glibc's own, under the names it exports for this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static long live, counted, fail_at;
static bool counting, failed;

void alloc_fail_at(long n) {
    counted = 0;
    fail_at = n;
    failed = false;
}

void alloc_enter(void) {
    counting = true;
}

void alloc_leave(void) {
    counting = false;
}

bool alloc_failed(void) {
    return failed;
}

long alloc_live(void) {
    return live;
}

static bool must_fail(void) {
    if (!counting || ++counted != fail_at) return false;
    failed = true;
    return true;
}

/* The build hides symbols; the libraries must find these. */
#pragma GCC visibility push(default)
void *malloc(size_t size) {
    void *block = must_fail() ? NULL : __libc_malloc(size);
    live += block != NULL;
    return block;
}

void *calloc(size_t count, size_t size) {
    void *block = must_fail() ? NULL : __libc_calloc(count, size);
    live += block != NULL;
    return block;
}

void *realloc(void *old, size_t size) {
    void *block = must_fail() ? NULL : __libc_realloc(old, size);
    live += old == NULL && block != NULL;
    live -= old != NULL && block == NULL && size == 0;
    return block;
}

void free(void *block) {
    live -= block != NULL;
    __libc_free(block);
}
#pragma GCC visibility pop
