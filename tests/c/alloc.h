/* alloc.h - allocations that fail on purpose.
 *
 * malloc, calloc and realloc of this program are ours, for the libraries too: between enter and leave
 * they are counted, and the chosen one gives NULL. Live blocks are counted always. For glibc and
 * for gcc's sanitizer, which let us call theirs by other names; not for valgrind.
 * Threads: one. */
#ifndef TKS_ALLOC_H
#define TKS_ALLOC_H

#include <stdbool.h>

/* The `n`th counted allocation from now on will fail; 0: none. */
void alloc_fail_at(long n);
void alloc_enter(void);
void alloc_leave(void);

/* Has it? */
bool alloc_failed(void);

/* Blocks that are allocated and not freed. */
long alloc_live(void);

#endif
