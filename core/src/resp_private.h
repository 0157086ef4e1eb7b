/* resp_private.h - how a reply is laid out and built; for core/src/resp*.c only.
 *
 * A whole reply is one tree of blocks. An item is sixteen bytes within its array: integers and nil need nothing
 * else, the bytes of strings are in a block after it. So a reply takes little more memory than it has on the wire,
 * and is freed without being walked. */
#ifndef TKSP_RESP_PRIVATE_H
#define TKSP_RESP_PRIVATE_H

#include "tokenstore/resp.h"

struct tks_reply {
    union {
        int64_t integer;
        char *bytes;
        tks_reply *items;
    } u;
    uint32_t size; /* bytes of a string, items of an array */
    tks_reply_type type;
};

/* Memory for a reply's items and strings: `size` bytes, behind this header or of their own, `used` of them
 * filled. */
typedef struct tksp_block tksp_block;
struct tksp_block {
    tksp_block *next;
    char *data;
    size_t size, used;
    size_t skipped; /* of a block that is one string: bytes before it */
    bool secret;    /* holds strings, perhaps */
};

typedef struct tksp_tree {
    tks_reply root;     /* first: the root is what callers hold and free */
    tksp_block *blocks; /* the one that is being filled, then full ones */
    tksp_block first;   /* last: its memory follows */
} tksp_tree;

/* The message of a reply that was too large: for `max_reply` bytes, or 0 where it was nested too deep. */
void tksp_describe_oversized(int64_t max_reply, char *out, size_t size);

/* ---- building: hiredis' reader, in resp_build.c ------------------------------------------------ */

enum { TKSP_DEPTH_MAX = 32 }; /* arrays in arrays, whichever hiredis it is */

typedef struct tksp_builder tksp_builder;

tksp_builder *tksp_builder_new(void); /* NULL: memory is short */
void tksp_builder_free(tksp_builder *builder);

/* Forgets the reply under way. */
void tksp_builder_drop(tksp_builder *builder);

/* `size` bytes of RESP2, which end with a reply or within one. *out: the reply that has ended, the caller's to
 * free, or NULL. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONNECTION; after a failure the builder must be dropped. */
tks_status tksp_builder_feed(tksp_builder *builder, const char *data, size_t size, tks_reply **out);

/* The next string that is fed, an empty one, stands for a text that is not: a long one is not held twice. The first
 * `skipped` bytes of it are left out. set_aside makes room for `size` bytes and gives the place, which fill
 * fills, before that string is fed; NULL: memory is short. adopt takes the storage of `line`, whose text ends at
 * `size`. */
char *tksp_builder_set_aside(tksp_builder *builder, size_t size, size_t skipped);
void tksp_builder_fill(tksp_builder *builder, const char *data, size_t size);
bool tksp_builder_adopt(tksp_builder *builder, tks_buf *line, size_t skipped, size_t size);

/* A reply of the type OVERSIZED. NULL: memory is short. */
tks_reply *tksp_builder_mark(tksp_builder *builder, int64_t value);

#endif
