/* resp_private.h - the layout and construction of replies; for core/src/resp*.c only.
 *
 * A reply is one tree of blocks. An item is sixteen bytes within its array: integers and nil need nothing
 * else, the bytes of strings follow in a block. So a reply takes little more memory than on the wire and is
 * freed without traversal. */
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

/* Memory for a reply's items and strings: `size` bytes, after this header or allocated separately, `used` of
 * them filled. */
typedef struct tksp_block tksp_block;
struct tksp_block {
    tksp_block *next;
    char *data;
    size_t size, used;
    size_t skipped; /* in a block with one string: bytes before it */
    bool secret;    /* may contain strings */
};

typedef struct tksp_tree {
    tks_reply root;     /* first: callers hold and free the root */
    tksp_block *blocks; /* the one being filled, then full ones */
    tksp_block first;   /* last: its memory follows */
} tksp_tree;

/* The message for a reply larger than `max_reply` bytes, or, if that is 0, nested too deeply. */
void tksp_describe_oversized(int64_t max_reply, char *out, size_t size);

/* ---- building: hiredis' reader, in resp_build.c ------------------------------------------------ */

enum { TKSP_DEPTH_MAX = 32 }; /* nested arrays, with any version of hiredis */

typedef struct tksp_builder tksp_builder;

tksp_builder *tksp_builder_new(void); /* NULL: memory is short */
void tksp_builder_free(tksp_builder *builder);

/* Discards the reply being built. */
void tksp_builder_drop(tksp_builder *builder);

/* Feeds `size` bytes of RESP2, which end with a reply or within one. *out: the finished reply, freed by the
 * caller, or NULL. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONNECTION; after a failure the builder must be dropped.
 * */
tks_status tksp_builder_feed(tksp_builder *builder, const char *data, size_t size, tks_reply **out);

/* For long strings, which bypass hiredis to avoid a second copy: an empty string is fed instead. The first
 * `skipped` bytes are omitted. set_aside allocates `size` bytes and returns them, to be filled before the
 * empty string is fed; NULL: out of memory. adopt takes ownership of the storage of `line`, whose text ends
 * at `size`. */
char *tksp_builder_set_aside(tksp_builder *builder, size_t size, size_t skipped);
void tksp_builder_fill(tksp_builder *builder, const char *data, size_t size);
bool tksp_builder_adopt(tksp_builder *builder, tks_buf *line, size_t skipped, size_t size);

/* A reply of type OVERSIZED. NULL: out of memory. */
tks_reply *tksp_builder_mark(tksp_builder *builder, int64_t value);

#endif
