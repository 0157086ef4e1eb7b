/* oauth_client.h - client authentication at a token endpoint.
 *
 * Purpose:   turns the client's credentials into what a request needs: a header or parameters.
 * Sources:   RFC 6749 (2.3), 7523 (assertions), 8705 (mutual TLS), OpenID Connect Core (9).
 * Lifecycle: init, use for any number of requests, clear (wipes).
 * Threads:   credentials are immutable. */
#ifndef TKSP_OAUTH_CLIENT_H
#define TKSP_OAUTH_CLIENT_H

#include "arena.h"
#include "oauth_said.h"
#include "tokenstore/spike.h"

enum { TKSP_AUTH_PARAMETERS = 3, TKSP_AUTH_SECRETS = 3 };

typedef struct tksp_client_credentials {
    tks_client_auth auth;
    tksp_arena arena;
    tks_bytes id, secret;
    bool has_certificate;
    bool given;          /* the secret or assertion is supplied for each request */
    tks_key *key;        /* of private_key_jwt; owned */
    tks_bytes algorithm; /* as requested; empty: the first that the key supports */
    tks_bytes audience;  /* of assertions; empty: the token endpoint */
    tks_bytes headers;   /* of assertions, as JSON; empty: none */
} tksp_client_credentials;

/* TKS_OK; TKS_ERR_CONFIGURATION: missing or contradictory options; TKS_ERR_MEMORY. Must be cleared in any
 * case. */
tks_status tksp_client_credentials_init(tksp_client_credentials *out,
                                        const tks_spike_options *options, tks_error *err);

void tksp_client_credentials_clear(tksp_client_credentials *credentials);

/* The header x5t#S256 as JSON for assertions by `key`, in the arena. TKS_OK; TKS_ERR_CONFIGURATION: `pem` is
 * not a certificate of that key; TKS_ERR_MEMORY. */
tks_status tksp_certificate_header(tks_bytes pem, const tks_key *key, tksp_arena *arena,
                                   tks_bytes *out, tks_error *err);

/* Resolves "auto" for a server that supports `methods` (1 << tks_client_auth). TKS_OK, or
 * TKS_ERR_CONFIGURATION: no method in common. */
tks_status tksp_client_choose(const tksp_client_credentials *credentials, uint32_t methods,
                              tks_client_auth *out, tks_error *err);

/* The credentials of one request. */
typedef struct tksp_client_shown {
    tks_bytes authorization; /* the value of the header; empty: none is sent */
    tks_spike_parameter parameters[TKSP_AUTH_PARAMETERS];
    size_t count;
} tksp_client_shown;

/* Creates the credentials for `auth`, which is not "auto", and the endpoint `token_url`. `given`: the
 * supplied secret or assertion, if any. *out points into `arena` or the credentials. Each assertion is new.
 * TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONFIGURATION: an assertion could not be created. */
tks_status tksp_client_show(const tksp_client_credentials *credentials, tks_client_auth auth,
                            tks_bytes given, tks_bytes token_url, int64_t now_ms, tksp_arena *arena,
                            tksp_client_shown *out, tks_error *err);

/* Lists what no message may repeat: the first two of `out`, which has TKSP_AUTH_SECRETS items, are the secret
 * unchanged and form-encoded, or the assertion. The third is for tksp_client_shown's authorization. TKS_OK,
 * TKS_ERR_MEMORY. */
tks_status tksp_client_hide(const tksp_client_credentials *credentials, tks_bytes given,
                            tksp_arena *arena, tks_bytes *out);

#endif
