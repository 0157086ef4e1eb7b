/* tokenstore/move.h - importing tokens from the keys of another program.
 *
 * Purpose:   one operation moves many keys, each by one script: it creates the record and its alias,
 *            and deletes the other program's key, all or nothing. The remaining time is kept. See
 *            docs/how-to/migrating.md.
 * Lifecycle: tks_move_new, any number of tks_move_add, then a driver runs it like any operation.
 * Threads:   one thread at a time.
 * Options:   of the store, only prefix, pepper and max_data_size apply, not max_age and max_per_owner: a move ends
 *            no session. created is the time of the move. */
#ifndef TOKENSTORE_MOVE_H
#define TOKENSTORE_MOVE_H

#include "tokenstore/api.h"
#include "tokenstore/tokens.h"

TKS_BEGIN_DECLS

/** A key of another program: its value, and the parts of its name. Borrowed during the call. */
typedef struct tks_foreign {
    tks_bytes key;
    tks_bytes value;                   /**< its value as it was read: a JSON object in any form */
    tks_bytes app, type, owner, token; /**< what its name says */
    bool random; /**< not a custom token: the other program cannot have created it twice */
} tks_foreign;

/** What became of a key; the result's integers. */
typedef enum tks_moved {
    TKS_MOVED_GONE,    /**< it ended before it was moved, or since: nothing is left */
    TKS_MOVED,         /**< the token is in this store, the key deleted */
    TKS_MOVED_AGAIN,   /**< the other program updated it after the move: its data is imported */
    TKS_MOVED_CHANGED, /**< its value is not what was read: read it again */
    TKS_MOVED_TAKEN    /**< this store already has that token: both are unchanged */
} tks_moved;

/** An operation for up to `capacity` keys. Result REPLIES: for each key that was added one integer, a
 * tks_moved. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_move_new(const tks_tokens *, size_t capacity, tks_op **out,
                                     tks_error *);

/** Adds a key; `tokens` is the store that the operation was made for. TKS_OK; TKS_ERR_DATA: this store cannot hold
 * it, the message says why, and the operation is unchanged; TKS_ERR_MEMORY: free the operation. */
tks_status tks_move_add(tks_op *op, const tks_tokens *tokens, const tks_foreign *key, tks_error *);

TKS_END_DECLS
#endif
