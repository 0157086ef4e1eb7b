/* arena.c - a list of chunks, filled from the front. */
#include "arena.h"

#include <stdlib.h>

#include "tokenstore/secret.h"

enum { CHUNK_SIZE = 960, ALIGNMENT = 16 };

struct tksp_arena_chunk {
    tksp_arena_chunk *next;
    size_t size, used; /* bytes after this header */
    _Alignas(ALIGNMENT) char data[];
};

void *tksp_arena_alloc(tksp_arena *arena, size_t size) {
    tksp_arena_chunk *chunk = arena->chunks;
    if (arena->status != TKS_OK || size > SIZE_MAX / 2) {
        arena->status = TKS_ERR_MEMORY;
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = malloc(sizeof *chunk + room);
        if (chunk == NULL) {
            arena->status = TKS_ERR_MEMORY;
            return NULL;
        }
        chunk->next = arena->chunks;
        chunk->size = room;
        chunk->used = 0;
        arena->chunks = chunk;
    }
    void *at = chunk->data + chunk->used;
    chunk->used += size;
    return at;
}

tks_bytes tksp_arena_dup(tksp_arena *arena, tks_bytes bytes) {
    char *copy = tksp_arena_alloc(arena, bytes.size);
    if (copy == NULL) return tks_bytes_of(NULL, 0);
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    return tks_bytes_of(copy, bytes.size);
}

tks_bytes tksp_arena_int(tksp_arena *arena, int64_t value) {
    char digits[TKS_INT_SIZE];
    return tksp_arena_dup(arena, tks_bytes_of(digits, tks_format_int(value, digits)));
}

void tksp_arena_clear(tksp_arena *arena) {
    while (arena->chunks != NULL) {
        tksp_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        tks_wipe(chunk->data, chunk->used);
        free(chunk);
    }
    arena->status = TKS_OK;
}
