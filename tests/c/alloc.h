/* alloc.h - allocations that fail on purpose, and detection of freed blocks that contain a secret.
 *
 * This program replaces malloc, calloc and realloc, for the libraries too. Between enter and leave they are
 * counted, and the chosen one returns NULL. Live blocks are always counted. Works with glibc and gcc's
 * sanitizer, which export their functions by other names; not with valgrind.
 * Threads: one. */
#ifndef TKSP_TESTS_ALLOC_H
#define TKSP_TESTS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The `n`th counted allocation from now on will fail; 0: none. */
void alloc_fail_at(long n);
void alloc_enter(void);
void alloc_leave(void);

/* True if it has failed. */
bool alloc_failed(void);

/* The number of live blocks. */
long alloc_live(void);

/* The peak of allocated bytes since alloc_peak_begin, relative to the number then; includes the allocator's
 * overhead. */
void alloc_peak_begin(void);
size_t alloc_peak(void);

/* Counts blocks that are freed, or released by realloc, while they contain these bytes; NULL: stops. `secret`
 * is borrowed. */
void alloc_watch(const char *secret, size_t size);
long alloc_spilled(void);

#endif
