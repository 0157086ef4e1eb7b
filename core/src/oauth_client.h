/* oauth_client.h - how a client shows a token endpoint who it is.
 *
 * Purpose:   of the options that say so, what a request needs: a header, or parameters.
 * Sources:   RFC 6749 (2.3), 7523 (assertions), 8705 (mutual TLS), OpenID Connect Core (9).
 * Lifecycle: init, used by any number of requests, clear, which wipes.
 * Threads:   credentials never change after they were made. */
#ifndef TOKENSTORE_OAUTH_CLIENT_H
#define TOKENSTORE_OAUTH_CLIENT_H

#include "arena.h"
#include "tokenstore/spike.h"

enum { TKSP_AUTH_PARAMETERS = 3 };

typedef struct tksp_client_credentials {
    tks_client_auth auth;
    tksp_arena arena;
    tks_bytes id, secret;    /* secret: of post alone */
    tks_bytes token_url;     /* whom assertions are for */
    tks_bytes authorization; /* the value of the header; empty: none is sent */
    tks_key *key;            /* of assertions; owned */
    tks_jwt_alg algorithm;
} tksp_client_credentials;

/* TKS_OK; TKS_ERR_CONFIGURATION: what is missing or contradicts itself; TKS_ERR_MEMORY. To be cleared in any
 * case. */
tks_status tksp_client_credentials_init(tksp_client_credentials *out,
                                        const tks_spike_options *options, tks_error *err);

void tksp_client_credentials_clear(tksp_client_credentials *credentials);

/* The parameters of one request, up to TKSP_AUTH_PARAMETERS; how many is *count. What they point at lies in
 * `arena`, or in the credentials. An assertion is new each time. TKS_OK, TKS_ERR_MEMORY,
 * TKS_ERR_CONFIGURATION: it could not be signed. */
tks_status tksp_client_parameters(const tksp_client_credentials *credentials, int64_t now_ms,
                                  tksp_arena *arena, tks_spike_parameter *out, size_t *count,
                                  tks_error *err);

#endif
