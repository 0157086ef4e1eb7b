/* spike_private.h - what the Spike operations share; for core/src/ops/spike*.c only. */
#ifndef TKSP_SPIKE_PRIVATE_H
#define TKSP_SPIKE_PRIVATE_H

#include <stdatomic.h>

#include "arena.h"
#include "key_source.h"
#include "oauth.h"
#include "oauth_client.h"
#include "oauth_metadata.h"
#include "tokenstore/jwt.h"
#include "tokenstore/spike.h"

/* Why there was no token, and for how long the server is not asked again. */
typedef struct tksp_spike_failure {
    tks_status status;
    int64_t until_ms; /* tks_event's boot_ms */
    tks_spike_answer answer;
    char why[TKS_OAUTH_WHY_SIZE];
} tksp_spike_failure;

struct tks_spike {
    atomic_size_t users; /* the owner and the operations under way */
    tksp_arena arena;    /* of the options' texts */
    tks_spike_options options;
    tksp_client_credentials credentials;
    tksp_metadata_place metadata;
    tksp_key_source keys;
    atomic_bool fetching_keys; /* an operation is on it */
    atomic_flag busy;          /* guards `barred` for a copy */
    tksp_spike_failure barred; /* of the client, whatever it asks for; over: nothing is */
};

tks_spike *tksp_spike_hold(tks_spike *spike);

/* Reads JWKS or PEM and puts the keys in place of the ones there are. TKS_OK, TKS_ERR_CONFIGURATION,
 * TKS_ERR_MEMORY. */
tks_status tksp_spike_set_keys(tks_spike *spike, tks_bytes text, tks_error *err);

/* May the public keys be fetched now, for a token whose key is unknown? See key_source.h. */
bool tksp_spike_may_fetch_keys(tks_spike *spike, int64_t boot_ms);

/* One operation at a time fetches keys; false: another is on it. */
bool tksp_spike_begin_keys(tks_spike *spike);
void tksp_spike_end_keys(tks_spike *spike);

/* The client is not to ask for anything before failure->until_ms, unless it must not for longer already. */
void tksp_spike_bar(tks_spike *spike, const tksp_spike_failure *failure);
bool tksp_spike_is_barred(tks_spike *spike, int64_t boot_ms, tksp_spike_failure *out);

/* ---- spike_failure.c: failures as texts in Redis ---- */

enum { TKSP_SPIKE_NOTE_SIZE = 1500 };

/* As a text in `arena`, its end by the clock of Redis, which is `ahead_ms` ahead of boot_ms. Empty: memory is short. */
tks_bytes tksp_spike_failure_write(const tksp_spike_failure *failure, int64_t ahead_ms,
                                   tksp_arena *arena);

/* Undoes it; what others wrote is cleaned. False: there is none, it is over, or it is no such text. */
bool tksp_spike_failure_read(tks_bytes text, int64_t ahead_ms, int64_t boot_ms,
                             const tksp_secrets *secrets, tksp_spike_failure *out);

/* ---- spike_request.c ---- */

/* What one request means for one client. */
typedef struct tksp_spike_asked {
    tks_bytes audience;        /* empty: none */
    const tks_bytes *expected; /* `aud` must name one of these; none: it is not looked at */
    size_t expected_count;
    tks_spike_parameter *parameters; /* all that is sent, except the client's credentials */
    size_t count;
    bool is_plain; /* as the Node packages ask: for an audience, and for nothing else */
} tksp_spike_asked;

/* All in the arena, or the options'. TKS_OK; TKS_ERR_DATA: the request breaks a limit; TKS_ERR_CONFIGURATION: it and
 * the options do not fit; TKS_ERR_MEMORY. */
tks_status tksp_spike_asked_init(const tks_spike *spike, tks_bytes request, tksp_arena *arena,
                                 tksp_spike_asked *out, tks_error *err);

/* ---- spike_token.c ---- */

/* How long a token is good, and when to come back for the next: boot_ms. */
typedef struct tksp_lifetime {
    int64_t good_until_ms; /* the offset is taken off already */
    int64_t renew_at_ms;
} tksp_lifetime;

/* Whom a token says that it was given to. */
typedef enum tksp_named { TKSP_NAMES_NOBODY, TKSP_NAMES_US, TKSP_NAMES_OTHERS } tksp_named;

/* The clocks at one moment. */
typedef struct tksp_spike_now {
    int64_t boot_ms;
    int64_t wall_ms;        /* ours */
    int64_t other_ms;       /* since 1970, by the clock of the token's source; 0: not known */
    const char *other_name; /* "the server's Date", "Redis" */
    int64_t left_ms;        /* how long it is valid, according to its source; -1: not given */
    bool fresh;             /* it comes from the server */
} tksp_spike_now;

/* Verifies `token` as a JWT of what was asked for with the keys of the moment. It is good until the earliest of what is known:
 * exp by our clock, by the other one, left_ms. *key_unknown: a newer key may help. `named` may be NULL. `why`
 * (TKS_OAUTH_WHY_SIZE) says what is wrong when it returns false, or is empty. */
bool tksp_spike_verify(tks_spike *spike, tks_bytes token, const tksp_spike_asked *asked,
                       const tksp_spike_now *now, tksp_lifetime *out, tksp_named *named,
                       bool *key_unknown, char *why);

/* The lifetime of a token that is `age_ms` old and good for `left_ms` more; `refresh_in_ms` -1: it is renewed past
 * half of its life. A tenth of jitter keeps processes from coming back in step. */
tksp_lifetime tksp_spike_lifetime(const tks_spike *spike, int64_t boot_ms, int64_t age_ms,
                                  int64_t left_ms, int64_t refresh_in_ms);

/* ---- spike_place.c ---- */

enum { TKSP_SPIKE_HEADERS_MAX = 32 }; /* further ones of a token request */

enum { TKSP_SPIKE_TAIL = 32 }; /* characters at a token's end, by which a claim names it */

/* Where the tokens of one request are. */
typedef struct tksp_spike_place {
    tks_bytes hash,
        audience; /* what the Node package has too, and the field; audience empty: not there */
    tks_bytes own, field; /* our own HASH, and the field */
    tks_bytes claim;      /* the field there that names the shared one's owner and end */
    tks_bytes owner;      /* this client of this server */
    tks_bytes string;     /* what spike-get-token has too; empty: nothing */
    tks_bytes lock;
    tks_bytes barred; /* why this client must not ask for anything */
    tks_bytes failed; /* why this request brings nothing */
} tksp_spike_place;

/* All in the arena, or the options'. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_spike_place_init(const tks_spike *spike, const tksp_spike_asked *asked,
                                 tksp_arena *arena, tksp_spike_place *out);

/* What a claim says of this token of the shared HASH. Neither: it is Node's. */
typedef enum tksp_claimed { TKSP_BY_NODE, TKSP_BY_US, TKSP_BY_OTHERS } tksp_claimed;

/* *end_ms: when it ends, by Redis's clock, where it is ours. */
tksp_claimed tksp_spike_read_claim(const tksp_spike_place *place, tks_bytes token, tks_bytes claim,
                                   int64_t *end_ms);

/* Digits and nothing else, up to fifteen; -1: something else. */
int64_t tksp_spike_read_digits(tks_bytes text);

#endif
