/* arena.h - memory for one operation: many small copies, wiped and freed at once.
 *
 * Pointers stay valid until tksp_arena_clear. Errors are sticky: after a failed allocation `status` is
 * TKS_ERR_MEMORY, so a series of copies needs only one check at its end. One thread at a time. */
#ifndef TKSP_ARENA_H
#define TKSP_ARENA_H

#include "tokenstore/buf.h"

typedef struct tksp_arena_chunk tksp_arena_chunk;

typedef struct tksp_arena {
    tksp_arena_chunk *chunks; /* newest first */
    tks_status status;
} tksp_arena;

#define TKS_ARENA_INIT                                                                             \
    { NULL, TKS_OK }

/* `size` bytes, aligned for any type; NULL: out of memory. */
void *tksp_arena_alloc(tksp_arena *arena, size_t size);

/* A copy of `bytes`; empty: out of memory. */
tks_bytes tksp_arena_dup(tksp_arena *arena, tks_bytes bytes);

/* `value` as decimal digits; empty: out of memory. */
tks_bytes tksp_arena_int(tksp_arena *arena, int64_t value);

/* Wipes and frees everything. */
void tksp_arena_clear(tksp_arena *arena);

#endif
