/* oauth_client.h - client authentication at a token endpoint.
 *
 * Purpose:   of the options that say so, what a request needs: a header, or parameters.
 * Sources:   RFC 6749 (2.3), 7523 (assertions), 8705 (mutual TLS), OpenID Connect Core (9).
 * Lifecycle: init, used by any number of requests, clear, which wipes.
 * Threads:   credentials never change after they were made. */
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
    bool given;          /* the secret, or the assertion, comes with each request */
    tks_key *key;        /* of private_key_jwt; owned */
    tks_bytes algorithm; /* as it was asked for; empty: the first that the key can do */
    tks_bytes audience;  /* of assertions; empty: the token endpoint */
    tks_bytes headers;   /* of assertions, as JSON; empty: none */
} tksp_client_credentials;

/* TKS_OK; TKS_ERR_CONFIGURATION: what is missing or contradicts itself; TKS_ERR_MEMORY. To be cleared in any
 * case. */
tks_status tksp_client_credentials_init(tksp_client_credentials *out,
                                        const tks_spike_options *options, tks_error *err);

void tksp_client_credentials_clear(tksp_client_credentials *credentials);

/* The header x5t#S256 as JSON for assertions by `key`, in the arena. TKS_OK; TKS_ERR_CONFIGURATION: `pem` is no
 * certificate of that key; TKS_ERR_MEMORY. */
tks_status tksp_certificate_header(tks_bytes pem, const tks_key *key, tksp_arena *arena,
                                   tks_bytes *out, tks_error *err);

/* How "auto" shows it to a server that takes `methods` (1 << tks_client_auth). TKS_OK, or TKS_ERR_CONFIGURATION: the
 * server takes none that the client has. */
tks_status tksp_client_choose(const tksp_client_credentials *credentials, uint32_t methods,
                              tks_client_auth *out, tks_error *err);

/* The credentials of one request. */
typedef struct tksp_client_shown {
    tks_bytes authorization; /* the value of the header; empty: none is sent */
    tks_spike_parameter parameters[TKSP_AUTH_PARAMETERS];
    size_t count;
} tksp_client_shown;

/* By `auth`, which is not "auto", for the endpoint `token_url`. `given`: the secret or the assertion where the
 * credentials say so. What *out points at lies in `arena`, or in the credentials. An assertion that is made here is
 * new each time. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONFIGURATION: it cannot be made. */
tks_status tksp_client_show(const tksp_client_credentials *credentials, tks_client_auth auth,
                            tks_bytes given, tks_bytes token_url, int64_t now_ms, tksp_arena *arena,
                            tksp_client_shown *out, tks_error *err);

/* What no message may repeat: the first two of `out`, which has TKSP_AUTH_SECRETS, become the secret as it is and as a
 * form has it, or the assertion; the third is for tksp_client_shown's authorization. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_client_hide(const tksp_client_credentials *credentials, tks_bytes given,
                            tksp_arena *arena, tks_bytes *out);

#endif
