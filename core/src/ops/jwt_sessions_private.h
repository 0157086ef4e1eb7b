/* jwt_sessions_private.h - shared by the operations of RedisJWT; for core/src/ops/jwt_sessions*.c
 * only. */
#ifndef TKSP_JWT_SESSIONS_PRIVATE_H
#define TKSP_JWT_SESSIONS_PRIVATE_H

#include <stdatomic.h>

#include "names.h"
#include "op_private.h"
#include "option.h"
#include "scan.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/secret.h"

enum { TKS_RJWT_SUFFIX = 11 }; /* characters of a session's key after "<id>:" */

/* How to find sessions, as the last `sign` learned from the server; shared by later operations. */
typedef struct tksp_rjwt_memory {
    atomic_uint references;
    _Atomic int64_t said; /* 0: unknown; else 2 * time in ms since 1970; odd: SCAN */
} tksp_rjwt_memory;

extern const tks_options tksp_rjwt_options;

struct tks_jwt_sessions {
    tks_key **keys;
    size_t key_count;
    tks_jwt_alg algorithm;
    int64_t max_sessions;
    bool node_writers;
    size_t max_data_size, max_size;
    tks_durability durability;
    tksp_rjwt_memory *memory;
};

/* How to find a user's sessions that the index does not list. */
typedef enum tksp_rjwt_look {
    TKSP_RJWT_FOUND,  /* the index is enough, or all were found */
    TKSP_RJWT_RECALL, /* reuse the last answer, else ASK */
    TKSP_RJWT_ASK,    /* INFO: SCAN if the server evicts keys (sign: if there are few) */
    TKSP_RJWT_SCAN    /* by SCAN */
} tksp_rjwt_look;

/* An operation about one user's sessions. */
typedef struct tksp_rjwt_op tksp_rjwt_op;

struct tksp_rjwt_op {
    tks_op op;
    tks_bytes id, index; /* index: the key of the user's index */
    tks_bytes key;       /* the session's key, if the operation has one */
    tks_bytes subject;   /* echoed by scripts: the id, or the key */
    /* Sends the main command, after the user's sessions have been found. */
    tks_status (*send)(tksp_rjwt_op *self);
    tks_status (*take)(tksp_rjwt_op *self); /* takes its reply */
    tksp_rjwt_look looking;
    tksp_rjwt_memory *memory; /* only in `sign`, else NULL */
    tks_safety safety;        /* safety of the main command */
    unsigned asked;           /* how often it wanted further keys */
    tks_bytes pattern;        /* of SCAN */
    tksp_slot_scan scan;      /* likewise */
    tks_bytes *found;         /* keys of sessions, in the arena */
    size_t found_count, found_room;
    tks_session *sessions; /* result SESSIONS, in the arena */
    tks_json **records;    /* owners of their data */
    size_t size;
    /* sign, put */
    tks_bytes token, value, ttl, max;
    bool capped;   /* `max` applies */
    bool cleaning; /* it is done; only the index is being cleaned */
    /* verify, exists, ttl, get_value */
    int64_t ttl_left;          /* as returned by TTL */
    tks_json *claims, *record; /* parsed only if necessary */
    tks_session session;
    bool value_session;
    tksp_near_entry
        *near; /* verify: what the session's data are borrowed from, if it was near; owned */
    tksp_near_ticket ticket; /* verify: of the question */
    /* list, count, get_values */
    tks_result_type wanted;
};

TKSP_ASSERT_SMALL(tksp_rjwt_op);

/* As tksp_op_kind.find, for verify. */
bool tksp_rjwt_find_verified(tks_op *op);

extern const char tksp_rjwt_cluster_advice[];
extern const tksp_op_kind tksp_rjwt_kind;

/* Checks that the id is a name without ':'. TKS_OK or TKS_ERR_DATA. */
tks_status tksp_rjwt_check_id(tks_bytes id, tks_error *err);

/* Extracts the id of `<id>:<suffix>`. False: not a session's key. */
bool tksp_rjwt_split(tks_bytes key, tks_bytes *id);

/* The key of the user's index, in the arena; empty: out of memory. */
tks_bytes tksp_rjwt_index(tksp_arena *arena, tks_bytes id);

/* Creates an operation for the user `id` and the session `key` (may be empty). */
tks_status tksp_rjwt_op_new(tks_safety safety, tks_bytes id, tks_bytes key, tksp_rjwt_op **out,
                            tks_error *err);

/* Adds the first command, according to `look`, and passes the operation to *out. On failure frees
 * it. */
tks_status tksp_rjwt_op_ready(tksp_rjwt_op *self, tksp_rjwt_look look, tks_op **out,
                              tks_error *err);

/* Finds the user's sessions according to `look`, then calls `send`. */
tks_status tksp_rjwt_send_look(tksp_rjwt_op *self, tksp_rjwt_look look);

/* Takes the replies of the search. `now_ms`: the wall clock. */
tks_status tksp_rjwt_take_look(tksp_rjwt_op *self, int64_t now_ms);

/* NULL: out of memory. */
tksp_rjwt_memory *tksp_rjwt_memory_new(void);
tksp_rjwt_memory *tksp_rjwt_memory_ref(tksp_rjwt_memory *memory);
void tksp_rjwt_memory_free(tksp_rjwt_memory *memory); /* NULL is accepted */

/* Adds a plain command. */
tks_status tksp_rjwt_send(tksp_rjwt_op *self, size_t count, const tks_bytes *words);

/* Adds a script, whose keys are `keys`, then the sessions found by SCAN. */
tks_status tksp_rjwt_send_script(tksp_rjwt_op *self, const tksp_script *script, size_t key_count,
                                 const tks_bytes *keys, size_t arg_count, const tks_bytes *args);

/* If the script wants further keys, sends it again with them, as the main command, and sets *again. */
tks_status tksp_rjwt_declare(tksp_rjwt_op *self, bool *again);

/* The reply of a script whose first item must be the subject. NULL: failed, see *status. */
const tks_reply *tksp_rjwt_checked_reply(tksp_rjwt_op *self, tks_status *status);

/* Item `i` of a reply as an integer, or `otherwise` if it is not one. */
int64_t tksp_rjwt_integer(const tks_reply *reply, size_t i, int64_t otherwise);

/* Requests the record of the session `key` and its TTL. */
tks_status tksp_rjwt_send_record(tksp_rjwt_op *self);

/* Takes the replies: sets `found`, `text` and `ttl_left`. */
tks_status tksp_rjwt_take_record(tksp_rjwt_op *self, bool *found, tks_bytes *text);

/* Checks that `text` is the complete record of the session `key`. Passes its tree to *out unless
 * that is NULL. TKS_OK, TKS_ERR_DATA, TKS_ERR_MEMORY. */
tks_status tksp_rjwt_read_record(tks_bytes key, tks_bytes text, tks_json **out, tks_error *err);

/* Counts the keys of the server, or of the cluster. */
tks_status tksp_rjwt_size(tks_op **out, tks_error *err);

#endif
