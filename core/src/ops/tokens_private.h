/* tokens_private.h - what the token operations share; for core/src/ops/tokens*.c only. */
#ifndef TKSP_TOKENS_PRIVATE_H
#define TKSP_TOKENS_PRIVATE_H

#include "audit.h"
#include "key.h"
#include "names.h"
#include "op_private.h"
#include "option.h"
#include "record.h"
#include "rotation.h"
#include "tokenstore/tokens.h"

/* The options, checked and complete. Kept by a tks_tokens, copied into each operation. */
typedef struct tksp_tokens_config {
    tks_bytes prefix;
    /* The first makes tokens, each finds them; without any, one that is empty. In an operation: borrowed while it is
     * made, then not set. */
    const tks_bytes *peppers;
    size_t pepper_count;
    tks_encoding encoding;
    size_t token_size;
    size_t max_data_size;
    int64_t max_age_ms;
    int64_t touch_interval_ms;
    int64_t max_per_owner;
    tks_when_full when_full;
    tks_reuse reuse;
    int64_t reuse_window_ms;
    const char *owner_name; /* what messages call an owner */
} tksp_tokens_config;

extern const tks_options tksp_tokens_options;
extern const char *const tksp_when_full[]; /* the words for tks_when_full */

struct tks_tokens {
    tksp_arena arena;
    unsigned char question_key[TKS_FINGERPRINT_KEY_SIZE]; /* of this store alone */
    tksp_tokens_config config;
    tks_durability durability;
};

/* One token that an operation is about. */
typedef struct tksp_slot {
    tks_bytes owner; /* as given; empty where it is not known before the record is read */
    tks_bytes token; /* the secret; empty in a listing, and where no such token can exist */
    tksp_place place;
    bool located;   /* `place.locator` is known: at once, but for custom tokens */
    bool aliased;   /* it has an alias: a custom token */
    bool generated; /* a token of this form was presented */
    bool gone;      /* get: the field ended between two commands */
    bool read;      /* get: there is nothing to ask for any more */
    tksp_near_entry
        *near; /* get: what the token's slices are borrowed from, if it was near; owned */
    tksp_near_ticket ticket; /* get: of the question */
    bool by_id;              /* its field is an id that the caller gave: a sid, perhaps */
    unsigned hops;           /* forwards that were followed */
    bool superseded;         /* the place is that of a token that it was rotated to */
    bool reused;             /* it was rotated, and its grace has ended: `family` is to be ended */
    tks_reply *reply;        /* what the token's slices are borrowed from; owned */
    tks_json *data;          /* owned */
    tks_bytes alias;         /* what its alias holds */
    tks_bytes family;        /* reused */
    int64_t stamp_ms;        /* of the record: when it ends, 0: it says nothing */
    bool lasts;              /* of the record: it never ends */
    int64_t
        until_ms; /* of the record: how long after its creation no use lets it live; 0: no limit */
    int64_t clock_ms; /* get: the server's; -1: not known, */
    size_t time;      /* which this command asks for; SIZE_MAX: none does */
    int64_t ends_ms;  /* get: when the server ends the field, 0: it does not, or was not asked */
    /* of create: */
    bool custom;   /* the caller chose it */
    bool claimed;  /* its alias is: to be dropped, if the operation fails */
    bool made;     /* its record is, as far as a failed operation knows */
    uint32_t kind; /* its kind of key, which this operation registers; 0: it is known */
    int64_t ttl_ms;
    tks_bytes tail;        /* of the record */
    tks_bytes found_alias; /* what another creation left */
    int64_t stamp_us;      /* created by HSETEX, then; 0: by the script */
    size_t command;        /* its place among the commands, SIZE_MAX: it has none */
} tksp_slot;

typedef struct tksp_tokens_op tksp_tokens_op;

/* A custom token's locator is in its alias, which is read first. So an operation has two halves: commands are added
 * when all places are known, and when the server is. */
typedef struct tksp_tokens_kind {
    tksp_op_kind base;
    /* Adds the commands; none where nothing can be found. TKS_OK or a failure that is noted. */
    tks_status (*begin)(tksp_tokens_op *op);
    /* As tksp_op_kind.finish, of those commands; also where there are none. */
    tks_status (*finish)(tksp_tokens_op *op);
    bool
        reads; /* by each pepper at once; else the field that exists is found first, and has slot 0 */
    bool spares_reused; /* a reused token is not found, and no reason to fail */
} tksp_tokens_kind;

/* What rotate does. */
typedef struct tksp_turn {
    tks_rotation wanted;
    tks_bytes
        secret; /* what the next token follows from: the presented one, or what that was rotated to */
    tksp_place old, made;  /* the places of the old token and of the new one */
    tks_bytes forward;     /* what a forward says; empty: none is wanted */
    tks_bytes spent_alias; /* the key of the old token's alias, which has no purpose any more */
    bool done;             /* the result is there: only that alias has still to go */
    /* Across servers (tokens_bind.c): the step; the records as they were read; when the new token ends, 0: never. */
    enum { TKSP_AT_ONCE, TKSP_READ, TKSP_ADOPT, TKSP_END, TKSP_UNDO, TKSP_FORGET } step;
    unsigned tries;
    tks_bytes old_record, made_record;
    int64_t made_ends_ms;
} tksp_turn;

/* Where a custom token that is to be created may live already, by a pepper that is not the first. */
typedef struct tksp_older {
    size_t i; /* the slot */
    tksp_place place;
    bool located;   /* not before its alias is read, if it has one */
    size_t command; /* SIZE_MAX: it has none */
} tksp_older;

struct tksp_tokens_op {
    tks_op base;
    tksp_tokens_config config;
    tks_bytes app, type;
    tksp_slot *slots;
    tks_token *tokens; /* the result, one a slot */
    size_t size;       /* slots */
    size_t width;      /* as many of them are about one token, by one pepper each */
    int64_t duration_ms;
    const tks_update *update; /* what is to change, in the arena */
    tks_page page;            /* list */
    tks_bytes *keep;          /* delete_all: the fields of which the first live one stays */
    size_t keep_count;
    tksp_older *older; /* create */
    size_t older_count;
    tksp_turn *turn; /* of rotate */
    enum { TKSP_NEW, TKSP_RESOLVING, TKSP_CHOOSING, TKSP_BEGUN, TKSP_REVOKING } phase;
    enum {
        TKSP_SEEK,
        TKSP_SOUND,
        TKSP_CLAIM,
        TKSP_CHECK,
        TKSP_RECLAIM,
        TKSP_CREATE,
        TKSP_SETTLE,
        TKSP_CONFIRM
    } step;     /* of create */
    bool plain; /* create: without scripts */
    bool keeps_pepper;
    bool expiry;     /* the caller asked for expires_ms */
    bool ends_asked; /* get: the server was asked when the fields end */
    bool timing;     /* get: the records are read, the server's clock is being asked for */
    bool picked;     /* get: each token's slot is the one with its record */
    bool touching;   /* get, update: the record is read, its expiry or its alias's is being moved */
};

TKSP_ASSERT_SMALL(tksp_tokens_op);

/* The members of tksp_op_kind that all token operations share. */
#define TKSP_TOKENS_BASE                                                                           \
    .finish = tksp_tokens_finish, .clear = tksp_tokens_op_clear, .audit = &tksp_tokens_audit

extern const tksp_audit_kind tksp_tokens_audit; /* tokens_audit.c */

/* What scripts answer of a token that was rotated: see absent in core/scripts/lib/hash.lua. */
enum { TKSP_FORWARD = -5, TKSP_TOMBSTONE = -6 };

/* Makes an operation with `size` slots; copies app and type. `*out` is set on TKS_OK alone. */
tks_status tksp_tokens_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                              tks_safety safety, tks_bytes app, tks_bytes type, size_t size,
                              tksp_tokens_op **out, tks_error *err);

/* Ends a constructor: gives `op` to *out, or frees it when its arena or `status` has failed. */
tks_status tksp_tokens_op_ready(tksp_tokens_op *op, tks_status status, tks_op **out,
                                tks_error *err);

/* The same for what goes by an owner, and for one of its tokens by the id: checks the names, and knows the place. */
tks_status tksp_owner_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                             tks_safety safety, tks_bytes app, tks_bytes type, tks_bytes owner,
                             tksp_tokens_op **out, tks_error *err);
tks_status tksp_id_op_new(const tks_tokens *tokens, const tksp_tokens_kind *kind, tks_safety safety,
                          tks_bytes app, tks_bytes type, tks_bytes owner, tks_bytes id,
                          tksp_tokens_op **out, tks_error *err);

bool tksp_is_id(tks_bytes id);

tks_status tksp_tokens_finish(tks_op *op, int64_t now_ms);
void tksp_tokens_op_clear(tks_op *op);

/* delete and delete_by_id. */
extern const tksp_tokens_kind tksp_delete_kind;

/* Keeps the first pepper beyond the constructor. */
void tksp_keep_pepper(tksp_tokens_op *op);

/* create (tokens_new.c): checks the arguments of one token, TKS_ERR_DATA names the wrong one; fills slot `i` and its token
 * from them. app and type may differ from slot to slot. */
tks_status tksp_new_token_check(const tks_tokens *tokens, const tks_new_token *new, tks_error *err);
tks_status tksp_new_token_fill(tksp_tokens_op *op, size_t i, const tks_new_token *new,
                               tks_error *err);

/* As tksp_tokens_op_new, for `count` tokens that a client presented, with `width` slots for each. */
tks_status tksp_tokens_op_new_for(const tks_tokens *tokens, const tksp_tokens_kind *kind,
                                  tks_safety safety, tks_bytes app, tks_bytes type, size_t count,
                                  tksp_tokens_op **out, tks_error *err);

/* Token `i` of those. */
void tksp_present(tksp_tokens_op *op, size_t i, tks_bytes token);

/* What was read of slot `i` does not count: it is asked for again. */
void tksp_forget_slot(tksp_tokens_op *op, size_t i);

/* Puts slot `from` in the place of slot `to`, and the other way round. */
void tksp_swap_slots(tksp_tokens_op *op, size_t to, size_t from);

/* An alias outlives its token by so much: it is never the reason why one is not found. */
enum { TKSP_ALIAS_SLACK_MS = 60000 };

/* Where the token is a custom one, adds what lets its alias live as long as the record is going to: duration_ms. */
tks_status tksp_extend_alias(tksp_tokens_op *op);

/* The same for the alias at `key`, where it may also live longer than that. */
tks_status tksp_lengthen_alias(tksp_tokens_op *op, tks_bytes key);

/* Where the token is a custom one, adds what removes its alias, whose key this is, unless it is another creation's. */
tks_status tksp_drop_alias(tksp_tokens_op *op, tks_bytes key);

/* ---- the near cache (tokens_near.c) ---- */

/* Fills the slots whose records are near. */
tks_status tksp_take_near(tksp_tokens_op *op);

/* Lets a view be left with the record of slot 0, if the presented token leads nowhere else. */
void tksp_offer_view(tksp_tokens_op *op);

/* Slot `i` is about to be asked for; `text` was read of it. */
void tksp_reserve_near(tksp_tokens_op *op, size_t i);
void tksp_put_near(tksp_tokens_op *op, size_t i, tks_bytes text);

/* ---- rotated tokens (tokens_rotated.c) ---- */

/* Where a token that was rotated has its tombstone. */
tks_bytes tksp_word_tombstone(tksp_tokens_op *op, const tksp_place *place);

/* Reads what was found in the place of slot `i`'s record, or of its tombstone. False: it is no rotation's. Else the slot leads
 * on to the new token, or is reused. */
bool tksp_take_rotated(tksp_tokens_op *op, size_t i, tks_bytes text);

/* Where a script has answered that the token of slot 0 was rotated: *again is set, and begin must be called again,
 * or the families of reused slots be ended. */
tks_status tksp_take_absent(tksp_tokens_op *op, bool *again);

/* Ends the families of reused slots: adds the commands; takes their replies, behind which the operation fails, or finishes. */
bool tksp_has_reused(const tksp_tokens_op *op);
tks_status tksp_revoke(tksp_tokens_op *op);
tks_status tksp_take_revoked(tksp_tokens_op *op);

/* ---- rotate (tokens_rotate.c; tokens_bind.c across servers) ---- */

/* What the scripts take: the owner as JSON, empty: it stays; the changes of the data in pairs, of which there is room at
 * `out`. */
tks_bytes tksp_word_owner(tksp_tokens_op *op);
size_t tksp_count_changes(const tksp_tokens_op *op);
size_t tksp_put_changes(const tksp_tokens_op *op, tks_bytes *out);

/* Fails as an answer of the script says: its code. TKS_OK: it is none of the failures. */
tks_status tksp_fail_rotation(tksp_tokens_op *op, int64_t code);

/* Rotates in three steps, where one script cannot, because its keys are on different servers: adds the first command; takes a
 * step's reply. Where the old token was not found, or has become another, tksp_take_absent has seen to it. */
tks_status tksp_bind_begin(tksp_tokens_op *op);
tks_status tksp_bind_step(tksp_tokens_op *op);
bool tksp_bind_undo(tks_op *base);

/* Is there something to ask for in slot `i`? It may be one without a token, of delete_by_id. */
bool tksp_is_askable(const tksp_tokens_op *op, size_t i);

/* create without scripts (tokens_hsetex.c): whether that is possible, as far as is known; adds its commands, unless the server's
 * clock is not known; takes their replies, of which *refused says that the server does not do this, so the script must;
 * and what is left to do where the owner's hash is from before an upgrade, in place of these commands. */
bool tksp_may_hsetex(const tksp_tokens_op *op);
tks_status tksp_add_hsetex(tksp_tokens_op *op, bool *added);
tks_status tksp_take_hsetex(tksp_tokens_op *op, bool *refused);
tks_status tksp_settle_old(tksp_tokens_op *op);

/* Words for commands, in the operation's arena; empty when memory is short (the arena remembers). */
tks_bytes tksp_word_key(tksp_tokens_op *op, const tksp_place *place);
tks_bytes tksp_word_alias(tksp_tokens_op *op, const tksp_place *place);
tks_bytes tksp_word_field(tksp_tokens_op *op, const tksp_place *place);
/* The field; of a slot by an id "=" and that, which a script finds by a sid, too. */
tks_bytes tksp_word_name(tksp_tokens_op *op, const tksp_slot *slot);
tks_bytes tksp_word_max_age(tksp_tokens_op *op); /* in ms; "0": none */
/* A script's first argument, which it gives back: the place's check, and whether the server can end fields, "0" if it
 * is known that it cannot. What comes back as it was sent says nothing: it may have been sent a second time, to another
 * server than the one that this was known of. */
tks_bytes tksp_word_echo(tksp_tokens_op *op, const tksp_place *place);
void tksp_learn_from_echo(tksp_tokens_op *op, size_t command, tks_bytes echo);
/* A record's text from behind its end on. */
tks_bytes tksp_word_tail(tksp_tokens_op *op, const tksp_record *record);

/* A new secret for the owner at `locator`, NULL for none. In the arena. */
tks_bytes tksp_generate_token(tksp_tokens_op *op, const char *locator);

/* Adds a command of `argc` words, copied into the arena. */
tks_status tksp_tokens_add(tksp_tokens_op *op, const tksp_script *script, size_t argc,
                           const tks_bytes *argv, tks_bytes route);

/* Adds what the scripts about one record take first, and most of them alone: the hash and the echo of `place`, `name` as
 * tksp_word_name gives it, max_age; then one more word, unless its data is NULL. */
tks_status tksp_add_about(tksp_tokens_op *op, const tksp_script *script, const tksp_place *place,
                          tks_bytes name, tks_bytes more);

/* The items of a script's reply behind its echo, which must be `place`'s check. NULL, with the error
 * noted, when it is not: the reply belongs to another request. */
const tks_reply *tksp_checked_reply(tksp_tokens_op *op, size_t command, const tksp_place *place,
                                    tks_status *status);
/* Item `i` of a checked reply as an integer, `otherwise` where it is none. */
int64_t tksp_reply_integer_at(const tks_reply *reply, size_t i, int64_t otherwise);

/* The server's clock from its reply to TIME, in microseconds since 1970; -1 where that is none. */
int64_t tksp_reply_time(const tks_reply *reply);

/* Reads `text`, the record of slot `i`, into tokens[i]. The slot keeps the reply it points into. */
tks_status tksp_read_token(tksp_tokens_op *op, size_t i, tks_bytes text, int64_t expires_ms);

/* Finishes an operation with {echo, record, its end[, its field]} as the first reply; {echo, 0} is not found. */
tks_status tksp_finish_token(tksp_tokens_op *op);

/* What a checked reply says. TKS_ERR_DATA: what is stored is not a record, or would become too large; TKS_ERR_LIMIT: the owner has
 * as many tokens as it may. */
tks_status tksp_fail_not_a_record(tksp_tokens_op *op);
tks_status tksp_fail_too_large(tksp_tokens_op *op);
tks_status tksp_fail_full(tksp_tokens_op *op);

#endif
