/* node_tokens_private.h - shared by the operations of Tokenstore; for core/src/ops/node_*.c only. */
#ifndef TKSP_NODE_TOKENS_PRIVATE_H
#define TKSP_NODE_TOKENS_PRIVATE_H

#include "audit.h"
#include "names.h"
#include "op_private.h"
#include "option.h"
#include "tokenstore/node_tokens.h"
#include "tokenstore/secret.h"

extern const tks_options tksp_node_options;

struct tks_node_tokens {
    tksp_arena arena;
    tks_bytes base; /* the prefix and a colon: the beginning of every key */
    size_t key_size, hash_size, max_data_size;
    tks_durability durability;
};

typedef struct tksp_node_op {
    tks_op op;
    tks_bytes base;
    tks_bytes subject;       /* the id, key, hash or owner concerned; scripts echo it */
    const tks_json **values; /* the result; owned */
    size_t size;
    tks_safety safety; /* of a script that has all its keys; without them it changes nothing */
    unsigned asked;    /* how often one wanted further keys */
} tksp_node_op;

/* Creates an operation of `bytes` bytes (a struct that begins with tksp_node_op) for `subject`.
 * `*out` is NULL on failure. */
tks_status tksp_node_op_new(const tks_node_tokens *store, size_t bytes, const tksp_op_kind *kind,
                            tks_safety safety, tks_bytes subject, tksp_node_op **out,
                            tks_error *err);

/* Completes a constructor: passes `op` to *out, or frees it if its arena or `status` has failed. */
tks_status tksp_node_op_ready(tksp_node_op *op, tks_status status, tks_op **out, tks_error *err);

/* tksp_op_kind.clear for every operation of Tokenstore. */
void tksp_node_op_clear(tks_op *op);

/* For tksp_op_kind.audit, of those that create and end tokens. */
extern const tksp_audit_kind tksp_node_audit;

/* For tksp_op_kind.cluster_advice. */
extern const char tksp_node_cluster_advice[];

/* True if such an id or hash could exist. None contains a colon, which could lead to keys of
 * another prefix. */
bool tksp_node_is_possible_id(tks_bytes id);

/* The key of `kind` ("id:") for `name`, in the arena; empty: out of memory. */
tks_bytes tksp_node_word(tksp_node_op *op, const char *kind, tks_bytes name);

/* Adds a command of `argc` words, copied into the arena. script NULL: a plain command. */
tks_status tksp_node_send(tksp_node_op *op, const tksp_script *script, size_t argc,
                          const tks_bytes *argv, tks_bytes route);

/* Reads `key` with GET, behind an ECHO of the subject, which the value does not name. */
tks_status tksp_node_send_get(tksp_node_op *op, tks_bytes key);

/* Its value; NULL, with TKS_OK: not found, or another program's key. */
tks_status tksp_node_take_get(tksp_node_op *op, const tks_reply **value);

/* The echo of command `command` must be `echo`. */
tks_status tksp_node_check_echo(tksp_node_op *op, size_t command, tks_bytes echo);

typedef struct tksp_node_id {
    tks_bytes id, key; /* key: empty if the id has none, or it is not known */
} tksp_node_id;

/* Adds the script that drops `count` of these ids, without a token, from `set`, the key of the owner's ids. One with a record
 * stays, and one of which the script finds a key that is not known. */
tks_status tksp_node_send_clean(tksp_node_op *op, tks_bytes set, const tksp_node_id *gone,
                                size_t count);

/* The reply of a script whose first item must be `echo`. NULL, with the error recorded: the reply
 * belongs to another request. */
const tks_reply *tksp_node_checked_reply(tksp_node_op *op, size_t command, tks_bytes echo,
                                         tks_status *status);

/* finish for a script that returns {subject, 1, 0 or -1}, or wants further keys. */
tks_status tksp_node_finish_bool(tks_op *op, int64_t now_ms);

/* Reads `record`, the token stored under `key`, into values[size], and counts it if it has this
 * `id` (empty: any). TKS_ERR_DATA: unreadable, or it belongs to another key. */
tks_status tksp_node_read(tksp_node_op *op, tks_bytes id, tks_bytes key, tks_bytes record);

#endif
