/* arena.h - memory that lives as long as one operation: many small copies, one release, wiped.
 *
 * Pointers stay valid until tks_arena_clear. Failure sticks: after one failed allocation `status` is
 * TKS_ERR_MEMORY, so a run of copies needs one check at its end. One thread at a time. */
#ifndef TOKENSTORE_ARENA_H
#define TOKENSTORE_ARENA_H

#include "tokenstore/buf.h"

typedef struct tks_arena_chunk tks_arena_chunk;

typedef struct tks_arena {
    tks_arena_chunk *chunks; /* newest first */
    tks_status status;
} tks_arena;

#define TKS_ARENA_INIT {NULL, TKS_OK}

/* `size` bytes aligned for anything; NULL when memory is short. */
void *tks_arena_alloc(tks_arena *arena, size_t size);

/* A copy of `bytes`; empty when memory is short. */
tks_bytes tks_arena_dup(tks_arena *arena, tks_bytes bytes);

/* Wipes and frees everything. */
void tks_arena_clear(tks_arena *arena);

#endif
