/* oauth_metadata.h - what an authorization server publishes of itself.
 *
 * Sources:   RFC 8414; OpenID Connect Discovery 1.0 (4).
 * Lifecycle: immutable and counted: read gives one reference. A place keeps the one of the moment.
 * Threads:   all but init and clear of a place may be called from many threads. */
#ifndef TKSP_OAUTH_METADATA_H
#define TKSP_OAUTH_METADATA_H

#include <stdatomic.h>

#include "arena.h"
#include "tokenstore/spike.h"

enum { TKSP_METADATA_AGE_MS = 24 * 60 * 60 * 1000 }; /* it is asked for again after that */

typedef struct tksp_metadata {
    atomic_size_t users;
    tksp_arena arena;
    tks_bytes token_url;
    tks_bytes key_url; /* empty: none is named */
    uint32_t methods;  /* 1 << tks_client_auth for each that is named and known here */
    int64_t read_ms;
} tksp_metadata;

/* May this be an issuer: https, or http on this machine, without user, query and fragment (RFC 8414, 2)? */
bool tksp_metadata_is_issuer(tks_bytes issuer);

/* Where its metadata is: 0, `<issuer>/.well-known/openid-configuration`; 1, with
 * `/.well-known/oauth-authorization-server` between host and path. TKS_OK or the buffer's error. */
enum { TKSP_METADATA_PLACES = 2 };
tks_status tksp_metadata_url(tks_bytes issuer, unsigned place, tks_buf *out);

/* Reads an answer's body. TKS_OK; TKS_ERR_SPIKE: it is not this issuer's, or breaks a rule, which the message says;
 * TKS_ERR_DATA: it is no JSON object; TKS_ERR_MEMORY. */
tks_status tksp_metadata_read(tks_bytes issuer, tks_bytes body, int64_t now_ms, tksp_metadata **out,
                              tks_error *err);

/* Gives a reference back. NULL is accepted. */
void tksp_metadata_leave(tksp_metadata *metadata);

/* ---- the one of the moment ---- */

typedef struct tksp_metadata_place {
    atomic_flag busy; /* guards the rest, for a few instructions */
    tksp_metadata *now;
} tksp_metadata_place;

void tksp_metadata_place_init(tksp_metadata_place *place);
void tksp_metadata_place_clear(tksp_metadata_place *place);
void tksp_metadata_place_after_fork(tksp_metadata_place *place);

/* A reference to it; NULL: none yet. */
tksp_metadata *tksp_metadata_get(tksp_metadata_place *place);

/* Puts `metadata`, of which the caller keeps its reference, in place of the one there is. */
void tksp_metadata_put(tksp_metadata_place *place, tksp_metadata *metadata);

#endif
