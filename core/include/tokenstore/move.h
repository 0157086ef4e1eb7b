/* tokenstore/move.h - taking tokens over from the keys of another program.
 *
 * Purpose:   one operation moves many keys, each by one script: the record is made, listed in its
 *            owner's index, and the other program's key deleted, all of it or nothing. The time left
 *            stays. docs/migrating.md tells what that is good for.
 * Lifecycle: tks_move_new, any number of tks_move_add, then a driver runs it like any operation.
 * Threads:   one thread at a time.
 * Options:   of the store, prefix, pepper and max_data_size count. max_age and max_per_owner do not:
 *            a move ends nobody's session. created is the time of the move. */
#ifndef TOKENSTORE_MOVE_H
#define TOKENSTORE_MOVE_H

#include "tokenstore/api.h"
#include "tokenstore/tokens.h"

TKS_BEGIN_DECLS

/** A key of another program: what was read of it, and what it says. Borrowed during the call. */
typedef struct tks_foreign {
    tks_bytes key;
    tks_bytes value; /**< its value as it was read: a JSON object in any spelling */
    tks_bytes app, type, owner, token; /**< what its name says */
    bool random; /**< nobody chose the token: the other program cannot have made it twice */
} tks_foreign;

/** What became of a key; the result's integers. */
typedef enum tks_moved {
    TKS_MOVED_GONE, /**< it ended before it was moved, or since: nothing is there any more */
    TKS_MOVED,      /**< the token is in this store, the key deleted */
    TKS_MOVED_AGAIN, /**< an update of the other program came after the move: its data is taken over */
    TKS_MOVED_CHANGED, /**< its value is not what was read: read it again */
    TKS_MOVED_TAKEN    /**< this store has that token already: both stay as they are */
} tks_moved;

/** An operation for up to `capacity` keys. Result REPLIES: for each key that was added one integer, a
 * tks_moved. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_move_new(const tks_tokens *, size_t capacity, tks_op **out,
                                     tks_error *);

/** Adds a key; `tokens` is the store that the operation was made for. TKS_OK; TKS_ERR_DATA: this store
 * could not hold it, the message says why, and the operation is as it was; TKS_ERR_MEMORY: free it. */
tks_status tks_move_add(tks_op *op, const tks_tokens *tokens, const tks_foreign *key, tks_error *);

TKS_END_DECLS
#endif
