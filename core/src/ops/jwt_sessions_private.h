/* jwt_sessions_private.h - what the operations of RedisJWT share; for core/src/ops/jwt_sessions*.c only. */
#ifndef TKSP_JWT_SESSIONS_PRIVATE_H
#define TKSP_JWT_SESSIONS_PRIVATE_H

#include <stdatomic.h>

#include "names.h"
#include "op_private.h"
#include "option.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/secret.h"

enum { TKS_RJWT_SUFFIX = 11 }; /* characters of a session's key behind "<id>:" */

/* How the last sign that asked the server was to look; shared by the operations that go by it. */
typedef struct tksp_rjwt_memory {
    atomic_uint references;
    _Atomic int64_t said; /* 0: none asked; else when, in ms since 1970, times 2; odd: by SCAN */
} tksp_rjwt_memory;

extern const tks_options tksp_rjwt_options;

struct tks_jwt_sessions {
    tks_key **keys;
    size_t key_count;
    tks_jwt_alg algorithm;
    int64_t max_sessions;
    bool node_writers;
    size_t max_data_size, max_size;
    tksp_rjwt_memory *memory;
};

/* How the sessions of a user are found that the index does not list. */
typedef enum tksp_rjwt_look {
    TKSP_RJWT_FOUND,  /* the index is enough, or all were found */
    TKSP_RJWT_RECALL, /* as it was found lately, else ASK */
    TKSP_RJWT_ASK, /* by SCAN if the server evicts keys, which INFO says; sign only of few keys */
    TKSP_RJWT_SCAN /* by SCAN */
} tksp_rjwt_look;

/* An operation about one user's sessions. */
typedef struct tksp_rjwt_op tksp_rjwt_op;

struct tksp_rjwt_op {
    tks_op op;
    tks_bytes id, index; /* index: the key of the user's index */
    tks_bytes key;       /* the session's, where it is about one */
    tks_bytes subject;   /* what scripts echo: the id, or the key */
    /* What is to be sent once the user's sessions were looked for, or at once. */
    tks_status (*send)(tksp_rjwt_op *self);
    tks_status (*take)(tksp_rjwt_op *self); /* what was answered to that */
    tksp_rjwt_look looking;
    tksp_rjwt_memory *memory; /* of sign; NULL: it is another operation */
    tks_safety safety;        /* of what `send` sends */
    tks_bytes pattern;        /* of SCAN */
    tks_bytes *found;         /* suffixes, in the arena */
    size_t found_count, found_room;
    tks_session *sessions; /* of a result SESSIONS, in the arena */
    tks_json **records;    /* what they borrow from; owned */
    size_t size;
    /* sign, put */
    tks_bytes token, value, ttl, max;
    bool capped; /* by max */
    /* verify, exists, ttl, get_value */
    int64_t ttl_left;          /* as TTL gives it */
    tks_json *claims, *record; /* read only where they must be */
    tks_session session;
    bool value_session;
    /* list, count, get_values */
    tks_result_type wanted;
};

TKSP_ASSERT_SMALL(tksp_rjwt_op);

extern const char tksp_rjwt_cluster_advice[];
extern const tksp_op_kind tksp_rjwt_kind;

/* Is this a name without ':'? TKS_OK, TKS_ERR_DATA. */
tks_status tksp_rjwt_check_id(tks_bytes id, tks_error *err);

/* `<id>:<suffix>` into its id; false: it is no session's key. */
bool tksp_rjwt_split(tks_bytes key, tks_bytes *id);

/* Makes an operation about the user `id`, and the session `key` (may be empty). */
tks_status tksp_rjwt_op_new(tks_safety safety, tks_bytes id, tks_bytes key, tksp_rjwt_op **out,
                            tks_error *err);

/* Sends the first command - what `look` wants, or what `send` sends - and gives the operation to *out, or
 * frees it. */
tks_status tksp_rjwt_op_ready(tksp_rjwt_op *self, tksp_rjwt_look look, tks_op **out,
                              tks_error *err);

/* Looks for the sessions of the user in that way, then sends what `send` sends. */
tks_status tksp_rjwt_send_look(tksp_rjwt_op *self, tksp_rjwt_look look);

/* What was answered while looking. `now_ms`: the wall clock. */
tks_status tksp_rjwt_take_look(tksp_rjwt_op *self, int64_t now_ms);

/* NULL: no memory. */
tksp_rjwt_memory *tksp_rjwt_memory_new(void);
tksp_rjwt_memory *tksp_rjwt_memory_ref(tksp_rjwt_memory *memory);
void tksp_rjwt_memory_free(tksp_rjwt_memory *memory); /* NULL is accepted */

/* Adds a command: `head` words, then the suffixes found by SCAN. All in the arena. */
tks_status tksp_rjwt_send(tksp_rjwt_op *self, const tksp_script *script, size_t count,
                          const tks_bytes *head);

/* The reply of a script that echoes the subject first. NULL: *status says why. */
const tks_reply *tksp_rjwt_checked_reply(tksp_rjwt_op *self, tks_status *status);

/* Item `i` of a reply as an integer, `otherwise` where it is none. */
int64_t tksp_rjwt_integer(const tks_reply *reply, size_t i, int64_t otherwise);

/* Asks for the record of the session `key` and its TTL. */
tks_status tksp_rjwt_send_record(tksp_rjwt_op *self);

/* What was answered to that: `found` says whether there is a text, `ttl_left` is set. */
tks_status tksp_rjwt_take_record(tksp_rjwt_op *self, bool *found, tks_bytes *text);

/* Is `text` the record of the session `key`, whole and saying so itself? Gives its tree to *out, unless that
 * is NULL. TKS_OK, TKS_ERR_DATA, TKS_ERR_MEMORY. */
tks_status tksp_rjwt_read_record(tks_bytes key, tks_bytes text, tks_json **out, tks_error *err);

#endif
