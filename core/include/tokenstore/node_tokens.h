/* tokenstore/node_tokens.h - tokens in the format of the Node package tokenstore 0.0.4: the class Tokenstore.
 *
 * Purpose:   one function per operation; each returns a tks_op for a driver to run. The stored format is that
 *            package's, so that both can share a database (docs/reference/tokenstore.md):
 *                <prefix>:key:<KEY>          the token, JSON: {"owner_id", "attrs", "key", "id"}
 *                <prefix>:id:<ID>            KEY
 *                <prefix>:tokens:<OWNER_ID>  a SET of ids
 *                <prefix>:hash:<HASH>        a value
 *            A KEY is the secret; an ID is public.
 * Lifecycle: a tks_node_tokens holds options, is immutable and may be freed while its operations live
 *            (they copy what they need). All bytes given are copied.
 * Threads:   a tks_node_tokens may be used from many threads.
 * Statuses:  each constructor returns TKS_OK, TKS_ERR_DATA (an argument breaks a limit; the message
 *            names it), TKS_ERR_MEMORY; `*out` is NULL then.
 * Limits:    owners and keys that are stored: 1 … 1024 bytes of UTF-8, no NUL. A *presented* id, key or
 *            hash that cannot exist is not found, without asking a server.
 * Clusters:  a token's keys are in different slots, unless the prefix has a hash tag ("{token}"). A rejection by a
 *            cluster is TKS_ERR_SERVER, and the message says so. */
#ifndef TOKENSTORE_NODE_TOKENS_H
#define TOKENSTORE_NODE_TOKENS_H

#include "tokenstore/api.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

TKS_BEGIN_DECLS

enum {
    TKS_NODE_KEY_SIZE_MIN = 8, /**< characters; 24 in the package */
    TKS_NODE_KEY_SIZE_MAX = 256,
    TKS_NODE_HASH_SIZE_MIN = 8, /**< bytes of randomness, as in the package */
    TKS_NODE_HASH_SIZE_MAX = 64
};
#define TKS_NODE_HASH_TTL_MS INT64_C(3600000) /**< of a hash, if none is given */

typedef struct tks_node_tokens tks_node_tokens;

typedef struct tks_node_tokens_options {
    tks_bytes prefix;          /**< "token" when empty */
    size_t size;               /**< characters of a key; 0: 24 */
    size_t hash_size;          /**< bytes of randomness in a hash; 0: 16 */
    size_t max_data_size;      /**< bytes of attrs as JSON, and of a hashed value; 0: 64 KiB */
    tks_durability durability; /**< of changes; `timeout_ms` 0: 1000 */
} tks_node_tokens_options;

/** TKS_OK, TKS_ERR_CONFIGURATION (the message names the option), TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_node_tokens_new(const tks_node_tokens_options *options,
                                            tks_node_tokens **out, tks_error *err);
void tks_node_tokens_free(tks_node_tokens *store);
size_t tks_node_tokens_get_max_data_size(const tks_node_tokens *store) TKS_ALL_NONNULL;

/* ---- tokens ---- */

/** Result JSON: the new token. `attrs`: canonical object text. `key.data` NULL: a random one; of another
 * length than `size` it is TKS_ERR_DATA, as is one in use when it runs. `duration_ms` 0: no expiry. */
TKS_MUST_USE tks_status tks_node_tokens_add(const tks_node_tokens *, tks_bytes owner_id,
                                            tks_bytes attrs, tks_bytes key, int64_t duration_ms,
                                            tks_op **out, tks_error *);
/** Result JSON: the token, as it is stored; NULL when there is none. */
TKS_MUST_USE tks_status tks_node_tokens_get(const tks_node_tokens *, tks_bytes id, tks_op **out,
                                            tks_error *);
TKS_MUST_USE tks_status tks_node_tokens_get_key(const tks_node_tokens *, tks_bytes key,
                                                tks_op **out, tks_error *);
/** Result BOOL: found, and its attrs replaced by `attrs`, canonical object text. Everything else stored with it is
 * unchanged, and so is its expiry. */
TKS_MUST_USE tks_status tks_node_tokens_set(const tks_node_tokens *, tks_bytes id, tks_bytes attrs,
                                            tks_op **out, tks_error *);
/** Result BOOL: it was live. */
TKS_MUST_USE tks_status tks_node_tokens_delete(const tks_node_tokens *, tks_bytes id, tks_op **out,
                                               tks_error *);
TKS_MUST_USE tks_status tks_node_tokens_delete_key(const tks_node_tokens *, tks_bytes key,
                                                   tks_op **out, tks_error *);
/** Result JSONS: the owner's live tokens, in no order. Three round trips, a fourth if ids without a token were found:
 * they are dropped. Unreadable tokens are skipped, and a warning is noted; if there is nothing else, TKS_ERR_DATA. */
TKS_MUST_USE tks_status tks_node_tokens_list(const tks_node_tokens *, tks_bytes owner_id,
                                             tks_op **out, tks_error *);
/** Result COUNT: how many tokens were removed. Removes everything with this prefix, hashes too, by SCAN. */
TKS_MUST_USE tks_status tks_node_tokens_reset(const tks_node_tokens *, tks_op **out, tks_error *);

/* ---- hashes: a value behind a random name ---- */

/** Result TEXT: the hash. `value` may contain any byte. */
TKS_MUST_USE tks_status tks_node_tokens_make_hash(const tks_node_tokens *, tks_bytes value,
                                                  int64_t ttl_ms, tks_op **out, tks_error *);
/** Result TEXT: the value, or none. */
TKS_MUST_USE tks_status tks_node_tokens_get_hash(const tks_node_tokens *, tks_bytes hash,
                                                 tks_op **out, tks_error *);
/** Result TEXT, as get_hash; the hash is then deleted. Of racing callers exactly one gets the value. */
TKS_MUST_USE tks_status tks_node_tokens_take_hash(const tks_node_tokens *, tks_bytes hash,
                                                  tks_op **out, tks_error *);
/** Result BOOL: it was live. */
TKS_MUST_USE tks_status tks_node_tokens_del_hash(const tks_node_tokens *, tks_bytes hash,
                                                 tks_op **out, tks_error *);

TKS_END_DECLS
#endif
