/* spike_machine.h - get_token as a machine of stages; for core/src/ops/spike_op.c, _redis.c, _http.c.
 *
 * Each stage is one thing that is needed; when it is there, or could not be had, a function of the file
 * that asked for it says what comes next. `now_ms` is tks_event's boot_ms everywhere here. */
#ifndef TKSP_SPIKE_MACHINE_H
#define TKSP_SPIKE_MACHINE_H

#include "op_private.h"
#include "spike_private.h"

enum { TKS_SPIKE_HEADERS = 4 + TKSP_SPIKE_HEADERS_MAX };

typedef enum tksp_spike_stage {
    TKS_SPIKE_LOOKING,      /* HGET */
    TKS_SPIKE_LOCKING,      /* SET lock NX, HGET */
    TKS_SPIKE_WAITING,      /* a sleep, then the lock again */
    TKS_SPIKE_ASKING,       /* POST to the token endpoint */
    TKS_SPIKE_PAUSING,      /* a sleep, then the request again */
    TKS_SPIKE_DISCOVERING,  /* GET the issuer's metadata, then what needs it */
    TKS_SPIKE_FETCHING_KEY, /* GET the public key, then what asked for it */
    TKS_SPIKE_TELLING,  /* SET, and the lock given back: others must not ask either; then a pause */
    TKS_SPIKE_STORING,  /* the script spike_store */
    TKS_SPIKE_UNLOCKING /* SET and the script spike_unlock, then the failure or the result */
} tksp_spike_stage;

typedef struct tksp_spike_op {
    tks_op base;
    tks_spike *spike;
    tksp_spike_asked asked;
    tks_bytes owner; /* of the lock */
    tksp_spike_place place;
    int64_t held_until_ms;
    tksp_spike_stage stage;
    bool string_is_free; /* what spike-get-token has is ours, or nothing */
    tks_op *inner;       /* the Redis commands at hand */
    bool redis;          /* still worth asking */
    bool locked;
    bool knows_redis_time; /* otherwise ahead_ms is our clock's */
    int64_t wall_ms;       /* since 1970, by our clock */
    int64_t ahead_ms;      /* of Redis's clock, as milliseconds since 1970, to boot_ms */
    int64_t lock_until_ms; /* waiting for another's lock ends then */
    int64_t budget_until_ms;
    uint32_t tries;          /* of the request at hand */
    tksp_spike_stage paused; /* what a pause goes back to */
    int64_t pause_until_ms;
    bool fetching_keys;   /* no other operation does */
    bool awaits_keys;     /* another one fetches them */
    bool key_is_fresh;    /* it was fetched in this operation */
    bool key_is_away;     /* it could not be had for what is stored: not asked for again for that */
    uint64_t keys_before; /* how often they had been fetched when this began to await them */
    tks_bytes candidate;  /* the token that waits for a key */
    bool candidate_is_stored;
    bool key_alone;                /* load_key: no token is wanted */
    tksp_lifetime answer_lifetime; /* of an opaque candidate, and the hint of refresh_in */
    int64_t refresh_in_ms;
    int64_t answered_ms, date_ms,
        left_ms;             /* when the candidate came; by the server's clock; -1: unsaid */
    tks_spike_answer answer; /* the last one that was no token */
    tks_bytes tell_barred, tell_failed; /* for Redis; empty: nothing */
    uint32_t tell_barred_ms;            /* for so long */
    tks_http_request request;
    tks_http_header headers[TKS_SPIKE_HEADERS];
    tksp_metadata *metadata;     /* of this operation; NULL: none is needed, or none had yet */
    unsigned well_known;         /* which of the places of metadata is asked */
    tksp_spike_stage discovered; /* what comes after it */
    tks_bytes given;             /* the client's secret or assertion */
    tks_bytes hidden[TKSP_AUTH_SECRETS]; /* no message may repeat them */
    tksp_client_shown shown;
    tks_buf body;
    tks_access result;
} tksp_spike_op;

/* ---- spike_op.c: what all stages use ---- */

/* Begins a stage: says what is needed, or passes on at once. */
tks_need tksp_spike_enter(tksp_spike_op *self, tksp_spike_stage next, int64_t now_ms);

/* A line for the log; `level` is 'i' or 'w'. */
void tksp_spike_note(tksp_spike_op *self, char level, const char *text);

/* The end with a result; the end with the failure that was noted; the failure, once a lock that is held
 * has been given back. */
tks_need tksp_spike_done(tksp_spike_op *self);
tks_need tksp_spike_failed(tksp_spike_op *self);
tks_need tksp_spike_fail(tksp_spike_op *self, tks_status status, const char *message,
                         int64_t now_ms);
/* The same for a failure of the server that is the same for all such requests: it is shared with them. */
tks_need tksp_spike_fail_for_all(tksp_spike_op *self, tks_status status, const char *message,
                                 int64_t now_ms);
/* The same for one that was noted before. */
tks_need tksp_spike_fail_as(tksp_spike_op *self, const tksp_spike_failure *failure, int64_t now_ms);
tks_need tksp_spike_fail_memory(tksp_spike_op *self);

/* Makes `token` the result. */
void tksp_spike_accept(tksp_spike_op *self, tks_bytes token, const tksp_lifetime *lifetime);

/* The end of load_key. */
tks_need tksp_spike_done_bool(tksp_spike_op *self);

/* ---- spike_discovery.c ---- */

/* Where these are, by the options or the metadata; empty: not known. */
tks_bytes tksp_spike_token_url(const tksp_spike_op *self);
tks_bytes tksp_spike_key_url(const tksp_spike_op *self);

/* Is the metadata to be asked for before a request? */
bool tksp_spike_must_discover(tksp_spike_op *self, int64_t now_ms);

tks_need tksp_spike_ask_metadata(tksp_spike_op *self, int64_t now_ms);
tks_need tksp_spike_take_metadata(tksp_spike_op *self, const tks_event *event);

/* ---- spike_redis.c ---- */

/* Sends the commands of the stage at hand. */
tks_need tksp_spike_ask_redis(tksp_spike_op *self, int64_t now_ms);

/* Passes an event on to the commands at hand. */
tks_need tksp_spike_step_redis(tksp_spike_op *self, const tks_event *event);

/* ---- spike_http.c ---- */

/* Asks the token endpoint, or the key endpoint. */
tks_need tksp_spike_ask_token(tksp_spike_op *self, int64_t now_ms);
tks_need tksp_spike_ask_key(tksp_spike_op *self, int64_t now_ms);

/* A GET that is one more try; another try after a pause, or the failure that says what was tried. */
tks_need tksp_spike_get(tksp_spike_op *self, tks_bytes url, int64_t now_ms);
tks_need tksp_spike_try_later(tksp_spike_op *self, const char *why, int64_t now_ms);
/* The client must not ask for now: a pause where there is time for it, else the failure. */
tks_need tksp_spike_hold_back(tksp_spike_op *self, const tksp_spike_failure *failure,
                              int64_t now_ms);

/* What no message may repeat. */
static inline tksp_secrets tksp_spike_secrets(const tksp_spike_op *self) {
    return (tksp_secrets){self->hidden, TKSP_AUTH_SECRETS};
}

/* Sleeps until pause_until_ms. */
tks_need tksp_spike_pause(tksp_spike_op *self, int64_t now_ms);

/* What came of it: event->response, or NULL where the connection was lost. */
tks_need tksp_spike_take_token(tksp_spike_op *self, const tks_event *event);
tks_need tksp_spike_take_key(tksp_spike_op *self, const tks_event *event);

#endif
