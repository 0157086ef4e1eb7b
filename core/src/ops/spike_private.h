/* spike_private.h - what the Spike operations share; for core/src/ops/spike*.c only. */
#ifndef TOKENSTORE_SPIKE_PRIVATE_H
#define TOKENSTORE_SPIKE_PRIVATE_H

#include <stdatomic.h>

#include "arena.h"
#include "key_source.h"
#include "oauth.h"
#include "oauth_client.h"
#include "oauth_metadata.h"
#include "tokenstore/jwt.h"
#include "tokenstore/spike.h"

struct tks_spike {
    atomic_size_t users; /* the owner and the operations under way */
    tksp_arena arena;    /* of the options' texts */
    tks_spike_options options;
    tksp_client_credentials credentials;
    tksp_metadata_place metadata;
    tksp_key_source keys;
    atomic_llong refused_until_ms; /* the client was refused: nothing is asked before then */
};

tks_spike *tksp_spike_hold(tks_spike *spike);

/* Reads JWKS or PEM and puts the keys in place of the ones there are. TKS_OK, TKS_ERR_CONFIGURATION,
 * TKS_ERR_MEMORY. */
tks_status tksp_spike_set_keys(tks_spike *spike, tks_bytes text, tks_error *err);

/* May the public keys be fetched now, for a token whose key is unknown? See key_source.h. */
bool tksp_spike_may_fetch_keys(tks_spike *spike, int64_t now_ms);

/* How long a token is good, and when to come back for the next. */
typedef struct tksp_lifetime {
    int64_t good_until_ms; /* the offset is taken off already */
    int64_t renew_at_ms;
} tksp_lifetime;

/* Whom a token says that it was given to. */
typedef enum tksp_named { TKSP_NAMES_NOBODY, TKSP_NAMES_US, TKSP_NAMES_OTHERS } tksp_named;

/* ---- spike_request.c ---- */

/* What one request means for one client. */
typedef struct tksp_spike_asked {
    tks_bytes audience;        /* empty: none */
    const tks_bytes *expected; /* `aud` must name one of these; none: it is not looked at */
    size_t expected_count;
    tks_spike_parameter *parameters; /* all that is sent, but what shows who the client is */
    size_t count;
    bool is_plain; /* as the Node packages ask: for an audience, and for nothing else */
} tksp_spike_asked;

/* All in the arena, or the options'. TKS_OK; TKS_ERR_DATA: the request breaks a limit; TKS_ERR_CONFIGURATION: it and
 * the options do not fit; TKS_ERR_MEMORY. */
tks_status tksp_spike_asked_init(const tks_spike *spike, tks_bytes request, tksp_arena *arena,
                                 tksp_spike_asked *out, tks_error *err);

/* ---- spike.c ---- */

/* Verifies `token` as a JWT of what was asked for with the keys of the moment. *key_unknown: a newer key may
 * help. `named` may be NULL. `why` (TKS_OAUTH_WHY_SIZE) says what is wrong when it returns false. */
bool tksp_spike_verify(tks_spike *spike, tks_bytes token, const tksp_spike_asked *asked,
                       int64_t now_ms, tksp_lifetime *out, tksp_named *named, bool *key_unknown,
                       char *why);

/* The lifetime of a token issued at `issued_ms` that ends at `expires_ms`; `refresh_in_ms` -1: half of
 * it. A tenth of jitter keeps processes from coming back in step. */
tksp_lifetime tksp_spike_lifetime(const tks_spike *spike, int64_t issued_ms, int64_t expires_ms,
                                  int64_t refresh_in_ms);

/* ---- spike_place.c ---- */

enum { TKSP_SPIKE_HEADERS_MAX = 32 }; /* further ones of a token request */

enum { TKSP_SPIKE_TAIL = 32 }; /* characters at a token's end, by which a claim names it */

/* Where the tokens of one request are. */
typedef struct tksp_spike_place {
    tks_bytes hash,
        audience; /* what the Node package has too, and the field; audience empty: not there */
    tks_bytes own, field; /* our own HASH, and the field */
    tks_bytes claim;  /* the field there that says who stored the shared one: owner, token's end */
    tks_bytes owner;  /* this client of this server */
    tks_bytes string; /* what spike-get-token has too; empty: nothing */
    tks_bytes lock;
} tksp_spike_place;

/* All in the arena, or the options'. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_spike_place_init(const tks_spike *spike, const tksp_spike_asked *asked,
                                 tksp_arena *arena, tksp_spike_place *out);

/* Does the claim say that this token of the shared HASH is another's? Is ours? Neither: Node's. */
bool tksp_spike_is_others(const tksp_spike_place *place, tks_bytes token, tks_bytes claim);
bool tksp_spike_is_ours(const tksp_spike_place *place, tks_bytes token, tks_bytes claim);

#endif
