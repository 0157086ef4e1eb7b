/* resp_private.h - what a reply is made of; for core/src/resp*.c only.
 *
 * A whole reply is one tree of blocks. An item is sixteen bytes and stands in its array: integers and nil
 * need nothing else, the bytes of strings stand in a block behind. So a reply takes little more memory
 * than it has on the wire, and is freed without being walked. */
#ifndef TOKENSTORE_RESP_PRIVATE_H
#define TOKENSTORE_RESP_PRIVATE_H

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
    bool secret; /* holds strings, perhaps */
};

typedef struct tksp_tree {
    tks_reply root;     /* first: the root is what callers hold and free */
    tksp_block *blocks; /* the one that is being filled, then full ones */
    tksp_block first;   /* last: its memory follows */
} tksp_tree;

#endif
