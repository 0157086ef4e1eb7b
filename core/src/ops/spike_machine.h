/* spike_machine.h - get_token as a state machine; for core/src/ops/spike_op.c, _redis.c, _http.c.
 *
 * Each stage needs one thing. When it arrives or fails, a function of the file that requested it
 * decides what comes next. `now_ms` is always tks_event's boot_ms here. */
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
    TKS_SPIKE_DISCOVERING,  /* GET the issuer's metadata, then `discovered` */
    TKS_SPIKE_FETCHING_KEY, /* GET the public key, then verify */
    TKS_SPIKE_TELLING,      /* share a failure by SET, release the lock; then a pause */
    TKS_SPIKE_STORING,      /* the script spike_store */
    TKS_SPIKE_UNLOCKING     /* SET and the script spike_unlock, then the failure or the result */
} tksp_spike_stage;

typedef struct tksp_spike_op {
    tks_op base;
    tks_spike *spike;
    tksp_spike_asked asked;
    tks_bytes owner; /* of the lock */
    tksp_spike_place place;
    int64_t held_until_ms;
    tksp_spike_stage stage;
    bool string_is_free;    /* the STRING is empty or ours: it may be written */
    tks_op *inner;          /* the current Redis commands */
    bool redis;             /* Redis still answers */
    int64_t asked_redis_ms; /* when the current Redis commands began */
    bool locked;
    bool knows_redis_time; /* else ahead_ms is that of our clock */
    int64_t wall_ms;       /* since 1970, by our clock */
    int64_t ahead_ms;      /* clock of Redis (ms since 1970) less boot_ms */
    int64_t lock_until_ms; /* when to stop waiting for another's lock */
    int64_t budget_until_ms;
    uint32_t tries;          /* of the current request */
    tksp_spike_stage paused; /* the stage after the pause */
    int64_t pause_until_ms;
    bool fetching_keys;   /* this operation fetches them */
    bool awaits_keys;     /* another operation fetches them */
    bool key_is_fresh;    /* it was fetched in this operation */
    bool key_is_away;     /* it could not be fetched for a stored token: do not retry for that */
    uint64_t keys_before; /* the number of fetches when the wait began */
    tks_bytes candidate;  /* the token that needs a key */
    bool candidate_is_stored;
    bool key_alone;                /* load_key: no token requested */
    tksp_lifetime answer_lifetime; /* of an opaque candidate, and the hint of refresh_in */
    int64_t refresh_in_ms;
    int64_t answered_ms, date_ms, left_ms; /* its arrival; by the server's clock; -1: not given */
    tks_spike_answer answer;               /* the last one without a token */
    tks_bytes tell_barred, tell_failed;    /* to share through Redis; empty: nothing */
    uint32_t tell_barred_ms;               /* for how long */
    tks_http_request request;
    tks_http_header headers[TKS_SPIKE_HEADERS];
    tksp_metadata *metadata;             /* NULL: not needed, or not fetched yet */
    unsigned well_known;                 /* index of the metadata URL being tried */
    tksp_spike_stage discovered;         /* the stage after discovery */
    tks_bytes given;                     /* the client's secret or assertion */
    tks_bytes hidden[TKSP_AUTH_SECRETS]; /* no message may repeat them */
    tksp_client_shown shown;
    tks_buf body;
    tks_access result;
} tksp_spike_op;

/* ---- spike_op.c: what all stages use ---- */

/* Begins a stage: returns what it needs, or enters the next one at once. */
tks_need tksp_spike_enter(tksp_spike_op *self, tksp_spike_stage next, int64_t now_ms);

/* Logs a line; `level` is 'i' or 'w'. */
void tksp_spike_note(tksp_spike_op *self, char level, const char *text);

/* Ends with a result; ends with the recorded failure; fails, after releasing a held lock. */
tks_need tksp_spike_done(tksp_spike_op *self);
tks_need tksp_spike_failed(tksp_spike_op *self);
tks_need tksp_spike_fail(tksp_spike_op *self, tks_status status, const char *message,
                         int64_t now_ms);
/* The same for a failure that all equal requests would get: it is shared with them. */
tks_need tksp_spike_fail_for_all(tksp_spike_op *self, tks_status status, const char *message,
                                 int64_t now_ms);
/* The same for a recorded failure. */
tks_need tksp_spike_fail_as(tksp_spike_op *self, const tksp_spike_failure *failure, int64_t now_ms);
tks_need tksp_spike_fail_memory(tksp_spike_op *self);

/* Makes `token` the result. */
void tksp_spike_accept(tksp_spike_op *self, tks_bytes token, const tksp_lifetime *lifetime);

/* The end of load_key. */
tks_need tksp_spike_done_bool(tksp_spike_op *self);

/* ---- spike_discovery.c ---- */

/* The endpoints, from the options or the metadata; empty: unknown. */
tks_bytes tksp_spike_token_url(const tksp_spike_op *self);
tks_bytes tksp_spike_key_url(const tksp_spike_op *self);

/* True if the metadata must be fetched before a request. */
bool tksp_spike_must_discover(tksp_spike_op *self, int64_t now_ms);

tks_need tksp_spike_ask_metadata(tksp_spike_op *self, int64_t now_ms);
tks_need tksp_spike_take_metadata(tksp_spike_op *self, const tks_event *event);

/* ---- spike_redis.c ---- */

/* Sends the commands of the current stage. */
tks_need tksp_spike_ask_redis(tksp_spike_op *self, int64_t now_ms);

/* Passes an event to the current commands. */
tks_need tksp_spike_step_redis(tksp_spike_op *self, const tks_event *event);

/* ---- spike_http.c ---- */

/* Sends the request to the token endpoint, or to the key endpoint. */
tks_need tksp_spike_ask_token(tksp_spike_op *self, int64_t now_ms);
tks_need tksp_spike_ask_key(tksp_spike_op *self, int64_t now_ms);

/* Sends a GET, which counts as a try; tries again after a pause, or fails with what was tried. */
tks_need tksp_spike_get(tksp_spike_op *self, tks_bytes url, int64_t now_ms);
tks_need tksp_spike_try_later(tksp_spike_op *self, const char *why, int64_t now_ms);
/* The client is barred: pauses if there is time, else fails. */
tks_need tksp_spike_hold_back(tksp_spike_op *self, const tksp_spike_failure *failure,
                              int64_t now_ms);

/* The secrets that no message may repeat. */
static inline tksp_secrets tksp_spike_secrets(const tksp_spike_op *self) {
    return (tksp_secrets){self->hidden, TKSP_AUTH_SECRETS};
}

/* Sleeps until pause_until_ms. */
tks_need tksp_spike_pause(tksp_spike_op *self, int64_t now_ms);

/* Takes the outcome: event->response, or NULL if the connection was lost. */
tks_need tksp_spike_take_token(tksp_spike_op *self, const tks_event *event);
tks_need tksp_spike_take_key(tksp_spike_op *self, const tks_event *event);

#endif
