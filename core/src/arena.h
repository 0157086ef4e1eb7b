/* arena.h - memory that lives as long as one operation: many small copies, one release, wiped.
 *
 * Pointers stay valid until tksp_arena_clear. Failure sticks: after one failed allocation `status` is
 * TKS_ERR_MEMORY, so a run of copies needs one check at its end. One thread at a time. */
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

/* `size` bytes aligned for anything; NULL when memory is short. */
void *tksp_arena_alloc(tksp_arena *arena, size_t size);

/* A copy of `bytes`; empty when memory is short. */
tks_bytes tksp_arena_dup(tksp_arena *arena, tks_bytes bytes);

/* `value` as decimal digits; empty when memory is short. */
tks_bytes tksp_arena_int(tksp_arena *arena, int64_t value);

/* Wipes and frees everything. */
void tksp_arena_clear(tksp_arena *arena);

#endif
