/* oauth.h - the body of a token request and the interpretation of its response.
 *
 * Source: RFC 6749: 2.3.1 (client password), 4.4 (client credentials), 5.1 (token), 5.2 (error).
 * Threads: no state. */
#ifndef TKSP_OAUTH_H
#define TKSP_OAUTH_H

#include "oauth_said.h"
#include "tokenstore/http.h"
#include "tokenstore/json.h"
#include "tokenstore/spike.h"

/* Appends the request's body, a form or a JSON object: the parameters and the client's credentials. TKS_OK or
 * the buffer's error; TKS_ERR_DATA if JSON cannot represent a value, or for a duplicate name. */
tks_status tksp_oauth_write_body(bool json, const tks_spike_parameter *asked, size_t asked_count,
                                 const tks_spike_parameter *client, size_t client_count,
                                 tks_buf *out);

/* What a response means for the caller. */
typedef enum tksp_oauth_verdict {
    TKS_OAUTH_GRANTED, /* a token */
    TKS_OAUTH_REFUSED, /* 400, 401, 403, or an error in a 200: the client or its request is at fault; retrying
                          cannot help */
    TKS_OAUTH_LATER, /* 408, 425, 429, 5xx, or such an error: retry, not before
                          `retry_after_ms` */
    TKS_OAUTH_WRONG  /* not a response of a token endpoint: another status, not JSON, no token */
} tksp_oauth_verdict;

enum {
    TKS_OAUTH_WHY_SIZE = 600,
    TKS_OAUTH_TOKEN_MAX = 64 * 1024 /* bytes: more than fits into a header */
};

typedef struct tksp_oauth_answer {
    tks_json *tree;               /* owned; NULL unless granted */
    tks_bytes access_token;       /* borrowed from the tree */
    int64_t expires_in_ms;        /* -1: not said */
    int64_t refresh_in_ms;        /* -1: not given; some servers say when to renew */
    int64_t retry_after_ms;       /* -1: not said */
    int64_t date_ms;              /* since 1970, by the server's clock; 0: not given */
    tks_spike_answer said;        /* unless granted */
    bool client_refused;          /* error invalid_client: applies to all requests of this client */
    char why[TKS_OAUTH_WHY_SIZE]; /* unless granted: for messages; contains no secret */
} tksp_oauth_answer;

/* Reads a response. Fails only if out of memory: then the verdict is WRONG, with that reason. `now_ms`: since
 * 1970. */
tksp_oauth_verdict tksp_oauth_read_answer(const tks_http_response *response,
                                          const tksp_secrets *secrets, int64_t now_ms,
                                          tksp_oauth_answer *out);

/* Reads the status, the date and the redirect location. */
void tksp_oauth_read_head(const tks_http_response *response, const tksp_secrets *secrets,
                          int64_t now_ms, tksp_oauth_answer *out);

/* True for a valid access token (RFC 6749, A.12) of at most TKS_OAUTH_TOKEN_MAX bytes. */
bool tksp_oauth_is_token(tks_bytes token);

/* Wipes and frees the answer's contents. */
void tksp_oauth_answer_clear(tksp_oauth_answer *answer);

#endif
