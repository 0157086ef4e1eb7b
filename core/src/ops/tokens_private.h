/* tokens_private.h - what the token operations share; for core/src/ops/tokens*.c only. */
#ifndef TKSP_TOKENS_PRIVATE_H
#define TKSP_TOKENS_PRIVATE_H

#include "key.h"
#include "names.h"
#include "op_private.h"
#include "option.h"
#include "record.h"
#include "tokenstore/tokens.h"

/* The options, checked and complete. Kept by a tks_tokens, copied into each operation. */
typedef struct tksp_tokens_config {
    tks_bytes prefix;
    tks_bytes pepper; /* in an operation: borrowed while it is made, then not set */
    tks_encoding encoding;
    size_t token_size;
    size_t max_data_size;
    int64_t max_age_ms;
    int64_t touch_interval_ms;
    int64_t max_per_owner;
    const char *owner_name; /* what messages call an owner */
} tksp_tokens_config;

extern const tks_options tksp_tokens_options;

struct tks_tokens {
    tksp_arena arena;
    tksp_tokens_config config;
};

/* One token that an operation is about. */
typedef struct tksp_slot {
    tks_bytes owner; /* as given; empty where it is not known before the record is read */
    tks_bytes token; /* the secret; empty in a listing */
    tksp_place place;
    tks_reply *reply; /* what the token's slices are borrowed from; owned */
    tks_json *data;   /* owned */
    size_t command;   /* its place among the commands, SIZE_MAX: it has none */
} tksp_slot;

typedef struct tksp_tokens_op {
    tks_op base;
    tksp_tokens_config config;
    tks_bytes app, type;
    tksp_slot *slots;
    tks_token *tokens; /* the result, one a slot */
    size_t size;       /* slots */
    int64_t duration_ms;
    bool expiry;   /* the caller asked for expires_ms */
    bool touching; /* get: the record is read, its expiry is being moved */
} tksp_tokens_op;

TKSP_ASSERT_SMALL(tksp_tokens_op);

/* Makes an operation with `size` slots; copies app and type. `*out` is set on TKS_OK alone. */
tks_status tksp_tokens_op_new(const tks_tokens *tokens, const tksp_op_kind *kind, tks_safety safety,
                              tks_bytes app, tks_bytes type, size_t size, tksp_tokens_op **out,
                              tks_error *err);

/* Ends a constructor: gives `op` to *out, or frees it when its arena or `status` has failed. */
tks_status tksp_tokens_op_ready(tksp_tokens_op *op, tks_status status, tks_op **out,
                                tks_error *err);

/* tksp_op_kind.clear for every token operation. */
void tksp_tokens_op_clear(tks_op *op);

/* Words for commands, in the operation's arena; empty when memory is short (the arena remembers). */
tks_bytes tksp_word_record_key(tksp_tokens_op *op, const tksp_place *place);
tks_bytes tksp_word_index_key(tksp_tokens_op *op, const tksp_place *owner_place, tks_bytes owner);
tks_bytes tksp_word_names(tksp_tokens_op *op);
tks_bytes tksp_word_base(tksp_tokens_op *op); /* the prefix with its colon */
tks_bytes tksp_word_check(tksp_tokens_op *op, const tksp_place *place);
tks_bytes tksp_word_max_age(tksp_tokens_op *op); /* in ms; "0": none */
/* A record's text from the owner on; `tag` is the owner's, NULL where the record's is the same. */
tks_bytes tksp_word_tail(tksp_tokens_op *op, tks_bytes owner, tks_bytes data, const char *tag);

/* A new secret: marker, tag, random bytes - what tksp_key_place reads back. In the arena. */
tks_bytes tksp_generate_token(tksp_tokens_op *op, const char *tag);

/* Adds a command of `argc` words, copied into the arena. */
tks_status tksp_tokens_add(tksp_tokens_op *op, const tksp_script *script, size_t argc,
                           const tks_bytes *argv, tks_bytes route);

/* The items of a script's reply behind its echo, which must be `place`'s check. NULL, with the error
 * noted, when it is not: the reply belongs to another request. */
const tks_reply *tksp_checked_reply(tksp_tokens_op *op, size_t command, const tksp_place *place,
                                    tks_status *status);
/* Item `i` of a checked reply as an integer, `otherwise` where it is none. */
int64_t tksp_reply_integer_at(const tks_reply *reply, size_t i, int64_t otherwise);

/* The server's clock from its reply to TIME, in ms since 1970; -1 where that is none. */
int64_t tksp_reply_time(const tks_reply *reply);

/* Reads `text`, the record of slot `i`, into tokens[i]. The slot keeps the reply it points into. */
tks_status tksp_read_token(tksp_tokens_op *op, size_t i, tks_bytes text, int64_t expires_ms);

/* Sets the id of tokens[i]: its digest, behind its tag where that is not its owner's. */
void tksp_set_id(tksp_tokens_op *op, size_t i, const char *owner_tag);

/* TKS_ERR_DATA: what is stored is not a record, as a checked reply says. */
tks_status tksp_fail_not_a_record(tksp_tokens_op *op);

#endif
