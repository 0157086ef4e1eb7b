/* spike_private.h - shared by the Spike operations; for core/src/ops/spike*.c only. */
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

/* A failure, and how long it suppresses new requests. */
typedef struct tksp_spike_failure {
    tks_status status;
    int64_t until_ms; /* tks_event's boot_ms */
    tks_spike_answer answer;
    char why[TKS_OAUTH_WHY_SIZE];
} tksp_spike_failure;

struct tks_spike {
    atomic_size_t users; /* the owner and the running operations */
    tksp_arena arena;    /* holds the options' texts */
    tks_spike_options options;
    tksp_client_credentials credentials;
    tksp_metadata_place metadata;
    tksp_key_source keys;
    atomic_bool fetching_keys; /* an operation is fetching them */
    atomic_flag busy;          /* guards `barred` while it is copied */
    tksp_spike_failure barred; /* of the client, for all its requests; until_ms in the past: none */
};

tks_spike *tksp_spike_hold(tks_spike *spike);

/* Reads JWKS or PEM and replaces the current keys. TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY. */
tks_status tksp_spike_set_keys(tks_spike *spike, tks_bytes text, tks_error *err);

/* True if the public keys may be fetched now for a token with an unknown key. See key_source.h. */
bool tksp_spike_may_fetch_keys(tks_spike *spike, int64_t boot_ms);

/* One operation at a time fetches keys. False: another one is fetching. */
bool tksp_spike_begin_keys(tks_spike *spike);
void tksp_spike_end_keys(tks_spike *spike);

/* Bars the client until failure->until_ms, unless it is already barred for longer. */
void tksp_spike_bar(tks_spike *spike, const tksp_spike_failure *failure);
bool tksp_spike_is_barred(tks_spike *spike, int64_t boot_ms, tksp_spike_failure *out);

/* ---- spike_failure.c: failures as texts in Redis ---- */

enum { TKSP_SPIKE_NOTE_SIZE = 1500 };

/* Writes it as text into `arena`, its end by the clock of Redis, which is `ahead_ms` ahead of
 * boot_ms. Empty: out of memory. */
tks_bytes tksp_spike_failure_write(const tksp_spike_failure *failure, int64_t ahead_ms,
                                   tksp_arena *arena);

/* Reads such a text, and sanitizes what others wrote. False: empty, expired or invalid. */
bool tksp_spike_failure_read(tks_bytes text, int64_t ahead_ms, int64_t boot_ms,
                             const tksp_secrets *secrets, tksp_spike_failure *out);

/* ---- spike_request.c ---- */

/* One request, with the client's options applied. */
typedef struct tksp_spike_asked {
    tks_bytes audience;        /* empty: none */
    const tks_bytes *expected; /* `aud` must contain one of these; none: not checked */
    size_t expected_count;
    tks_spike_parameter *parameters; /* all parameters except the client's credentials */
    size_t count;
    bool is_plain; /* like the Node packages' requests: an audience only */
} tksp_spike_asked;

/* Everything is in the arena or belongs to the options. TKS_OK; TKS_ERR_DATA: the request exceeds a
 * limit; TKS_ERR_CONFIGURATION: it does not fit the options; TKS_ERR_MEMORY. */
tks_status tksp_spike_asked_init(const tks_spike *spike, tks_bytes request, tksp_arena *arena,
                                 tksp_spike_asked *out, tks_error *err);

/* ---- spike_token.c ---- */

/* How long a token is valid, and when to renew it, in boot_ms. */
typedef struct tksp_lifetime {
    int64_t good_until_ms; /* less the offset */
    int64_t renew_at_ms;
} tksp_lifetime;

/* The client that a token names. */
typedef enum tksp_named { TKSP_NAMES_NOBODY, TKSP_NAMES_US, TKSP_NAMES_OTHERS } tksp_named;

/* The clocks at one moment. */
typedef struct tksp_spike_now {
    int64_t boot_ms;
    int64_t wall_ms;        /* ours */
    int64_t other_ms;       /* since 1970, by the clock of the token's source; 0: not known */
    const char *other_name; /* "the server's Date", "Redis" */
    int64_t left_ms;        /* how long it is valid, according to its source; -1: not given */
    bool fresh;             /* it was just fetched from the server */
} tksp_spike_now;

/* Verifies `token` as a JWT for this request with the current keys. It is valid until the earliest
 * known end: exp by our clock, exp by the other clock, left_ms. *key_unknown: a newer key may help.
 * `named` may be NULL. If it returns false, `why` (TKS_OAUTH_WHY_SIZE) is the reason, or empty. */
bool tksp_spike_verify(tks_spike *spike, tks_bytes token, const tksp_spike_asked *asked,
                       const tksp_spike_now *now, tksp_lifetime *out, tksp_named *named,
                       bool *key_unknown, char *why);

/* The lifetime of a token that is `age_ms` old and valid for another `left_ms`. `refresh_in_ms` -1:
 * it is renewed past half of its life. Up to a tenth of jitter keeps processes from renewing in
 * step. */
tksp_lifetime tksp_spike_lifetime(const tks_spike *spike, int64_t boot_ms, int64_t age_ms,
                                  int64_t left_ms, int64_t refresh_in_ms);

/* ---- spike_place.c ---- */

enum { TKSP_SPIKE_HEADERS_MAX = 32 }; /* additional headers of a token request */

enum { TKSP_SPIKE_TAIL = 32 }; /* a token's last characters, by which a claim identifies it */

/* The Redis keys of one request's tokens. */
typedef struct tksp_spike_place {
    tks_bytes hash,
        audience;         /* the HASH shared with Node, and its field; empty audience: not used */
    tks_bytes own, field; /* our own HASH, and the field */
    tks_bytes claim;      /* its field with the owner and the expiry of the shared token */
    tks_bytes owner;      /* this client of this server */
    tks_bytes string;     /* the STRING shared with spike-get-token; empty: not used */
    tks_bytes lock;
    tks_bytes barred; /* why this client is barred */
    tks_bytes failed; /* why this request failed */
} tksp_spike_place;

/* Everything is in the arena or belongs to the options. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_spike_place_init(const tks_spike *spike, const tksp_spike_asked *asked,
                                 tksp_arena *arena, tksp_spike_place *out);

/* The writer of a token in the shared HASH, by its claim. Without a matching claim: Node. */
typedef enum tksp_claimed { TKSP_BY_NODE, TKSP_BY_US, TKSP_BY_OTHERS } tksp_claimed;

/* *end_ms: its expiry by the clock of Redis, if it is ours. */
tksp_claimed tksp_spike_read_claim(const tksp_spike_place *place, tks_bytes token, tks_bytes claim,
                                   int64_t *end_ms);

/* Reads up to fifteen digits; -1: anything else. */
int64_t tksp_spike_read_digits(tks_bytes text);

#endif
