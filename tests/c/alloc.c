/* alloc.c - allocations that fail on purpose. */
#define _GNU_SOURCE /* memmem, strdup */

#include "alloc.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The underlying allocator, by the names it exports for this: the sanitizer's or glibc's. */
#ifdef __SANITIZE_ADDRESS__
#define BELOW(name) __interceptor_##name
#else
#define BELOW(name) __libc_##name
#endif
extern void *BELOW(malloc)(size_t size);
extern void *BELOW(calloc)(size_t count, size_t size);
extern void *BELOW(realloc)(void *block, size_t size);
extern void BELOW(free)(void *block);

static long live, counted, fail_at;
static ptrdiff_t bytes, bytes_most; /* since alloc_peak_begin */
static bool counting, measuring, failed;
static const char *watched;
static size_t watched_size;
static long spilled;

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

void alloc_peak_begin(void) {
    bytes = bytes_most = 0;
    measuring = true;
}

size_t alloc_peak(void) {
    measuring = false;
    return (size_t)bytes_most;
}

/* Called only when needed: the sanitizer does not know sizes while it starts. */
static ptrdiff_t size_of(void *block) {
    if (!measuring || block == NULL) return 0;
    return (ptrdiff_t)(malloc_usable_size(block) + sizeof(size_t));
}

static void *note_made(void *block) {
    live += block != NULL;
    bytes += size_of(block);
    if (bytes > bytes_most) bytes_most = bytes;
    return block;
}

void alloc_watch(const char *secret, size_t size) {
    watched = secret;
    watched_size = size;
    spilled = 0;
}

long alloc_spilled(void) {
    return spilled;
}

static bool holds_secret(void *block) {
    return watched != NULL && block != NULL && block != watched &&
           memmem(block, malloc_usable_size(block), watched, watched_size) != NULL;
}

static bool must_fail(void) {
    if (!counting || ++counted != fail_at) return false;
    failed = true;
    return true;
}

/* Hidden by default; the libraries must find these symbols. */
#pragma GCC visibility push(default)
void *malloc(size_t size) {
    return note_made(must_fail() ? NULL : BELOW(malloc)(size));
}

void *calloc(size_t count, size_t size) {
    return note_made(must_fail() ? NULL : BELOW(calloc)(count, size));
}

void *realloc(void *old, size_t size) {
    bool held = holds_secret(old);
    ptrdiff_t old_size = size_of(old);
    void *block = must_fail() ? NULL : BELOW(realloc)(old, size);
    if (block != NULL || size == 0) bytes = bytes - old_size + size_of(block);
    if (bytes > bytes_most) bytes_most = bytes;
    spilled += held && block != old;
    live += old == NULL && block != NULL;
    live -= old != NULL && block == NULL && size == 0;
    return block;
}

void free(void *block) {
    spilled += holds_secret(block);
    bytes -= size_of(block);
    live -= block != NULL;
    BELOW(free)(block);
}

#ifdef __SANITIZE_ADDRESS__
/* The sanitizer's strdup would not call the malloc above. */
char *strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}
#endif
#pragma GCC visibility pop
