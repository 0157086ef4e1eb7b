/* alloc.h - allocations that fail on purpose, and blocks that are freed with a secret in them.
 *
 * malloc, calloc and realloc of this program are ours, for the libraries too: between enter and leave
 * they are counted, and the chosen one gives NULL. Live blocks are counted always. For glibc and
 * for gcc's sanitizer, which let us call theirs by other names; not for valgrind.
 * Threads: one. */
#ifndef TKSP_TESTS_ALLOC_H
#define TKSP_TESTS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The `n`th counted allocation from now on will fail; 0: none. */
void alloc_fail_at(long n);
void alloc_enter(void);
void alloc_leave(void);

/* Has it? */
bool alloc_failed(void);

/* Blocks that are allocated and not freed. */
long alloc_live(void);

/* The most bytes that were allocated at a time since alloc_peak_begin, over those that were then; with what
 * the allocator adds to each block. */
void alloc_peak_begin(void);
size_t alloc_peak(void);

/* From now on blocks that are freed, or left behind by realloc, while they hold these bytes are counted;
 * NULL: no more. `secret` stays the caller's. */
void alloc_watch(const char *secret, size_t size);
long alloc_spilled(void);

#endif
