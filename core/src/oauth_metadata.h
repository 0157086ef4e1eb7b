/* oauth_metadata.h - the metadata of an authorization server.
 *
 * Sources:   RFC 8414; OpenID Connect Discovery 1.0 (4).
 * Lifecycle: immutable and reference counted: read returns one reference. A place holds the current one.
 * Threads:   all functions except init and clear of a place may be called from many threads. */
#ifndef TKSP_OAUTH_METADATA_H
#define TKSP_OAUTH_METADATA_H

#include <stdatomic.h>

#include "arena.h"
#include "tokenstore/spike.h"

enum { TKSP_METADATA_AGE_MS = 24 * 60 * 60 * 1000 }; /* it is fetched again after that */

typedef struct tksp_metadata {
    atomic_size_t users;
    tksp_arena arena;
    tks_bytes token_url;
    tks_bytes key_url; /* empty: none */
    uint32_t methods;  /* 1 << tks_client_auth for each listed method that is supported here */
    int64_t read_ms;
} tksp_metadata;

/* True for a valid issuer: https, or http on this machine, without user, query and fragment (RFC 8414, 2). */
bool tksp_metadata_is_issuer(tks_bytes issuer);

/* The URLs of its metadata: 0, `<issuer>/.well-known/openid-configuration`; 1, with
 * `/.well-known/oauth-authorization-server` between host and path. TKS_OK or the buffer's error. */
enum { TKSP_METADATA_PLACES = 2 };
tks_status tksp_metadata_url(tks_bytes issuer, unsigned place, tks_buf *out);

/* Reads a response's body. TKS_OK; TKS_ERR_SPIKE: another issuer's, or invalid, as the message says;
 * TKS_ERR_DATA: not a JSON object; TKS_ERR_MEMORY. */
tks_status tksp_metadata_read(tks_bytes issuer, tks_bytes body, int64_t now_ms, tksp_metadata **out,
                              tks_error *err);

/* Releases a reference. NULL is accepted. */
void tksp_metadata_leave(tksp_metadata *metadata);

/* ---- the current metadata ----- */

typedef struct tksp_metadata_place {
    atomic_flag busy; /* a spin lock for the rest */
    tksp_metadata *now;
} tksp_metadata_place;

void tksp_metadata_place_init(tksp_metadata_place *place);
void tksp_metadata_place_clear(tksp_metadata_place *place);
void tksp_metadata_place_after_fork(tksp_metadata_place *place);

/* A reference to the current metadata; NULL: none yet. */
tksp_metadata *tksp_metadata_get(tksp_metadata_place *place);

/* Replaces the current metadata by `metadata`; the caller keeps its reference. */
void tksp_metadata_put(tksp_metadata_place *place, tksp_metadata *metadata);

#endif
