/* oauth.h - the two messages of a token request, as text: what is asked and what was answered.
 *
 * Source: RFC 6749: 2.3.1 (client password), 4.4 (client credentials), 5.1 (token), 5.2 (error).
 * Threads: pure. */
#ifndef TKSP_OAUTH_H
#define TKSP_OAUTH_H

#include "oauth_said.h"
#include "tokenstore/http.h"
#include "tokenstore/json.h"
#include "tokenstore/spike.h"

/* Appends the request's body, a form or a JSON object: the request, and the client's credentials. TKS_OK or
 * the buffer's error; TKS_ERR_DATA where JSON cannot hold a value, or a name that comes twice. */
tks_status tksp_oauth_write_body(bool json, const tks_spike_parameter *asked, size_t asked_count,
                                 const tks_spike_parameter *client, size_t client_count,
                                 tks_buf *out);

/* What an answer means for the caller. */
typedef enum tksp_oauth_verdict {
    TKS_OAUTH_GRANTED, /* a token */
    TKS_OAUTH_REFUSED, /* 400, 401, 403, or an error in a 200: the client or its request; asking again cannot
                          help */
    TKS_OAUTH_LATER, /* 408, 425, 429, 5xx, or an error that says so: try again, not before
                          `retry_after_ms` */
    TKS_OAUTH_WRONG  /* no answer of a token endpoint: another status, not JSON, no token in it */
} tksp_oauth_verdict;

enum {
    TKS_OAUTH_WHY_SIZE = 600,
    TKS_OAUTH_TOKEN_MAX = 64 * 1024 /* bytes: larger than any header that could carry it */
};

typedef struct tksp_oauth_answer {
    tks_json *tree;               /* owned; NULL unless granted */
    tks_bytes access_token;       /* of the tree */
    int64_t expires_in_ms;        /* -1: not said */
    int64_t refresh_in_ms;        /* -1: not said; some servers tell when to come back */
    int64_t retry_after_ms;       /* -1: not said */
    int64_t date_ms;              /* since 1970, by its clock; 0: not said */
    tks_spike_answer said;        /* unless granted */
    bool client_refused;          /* whatever is asked for: the error invalid_client */
    char why[TKS_OAUTH_WHY_SIZE]; /* unless granted: for messages; holds no secret */
} tksp_oauth_answer;

/* Reads an answer. Only memory can fail it; then the verdict is WRONG and says so. `now_ms`: since 1970. */
tksp_oauth_verdict tksp_oauth_read_answer(const tks_http_response *response,
                                          const tksp_secrets *secrets, int64_t now_ms,
                                          tksp_oauth_answer *out);

/* What an answer says beside its body: status, date, where a redirect leads. */
void tksp_oauth_read_head(const tks_http_response *response, const tksp_secrets *secrets,
                          int64_t now_ms, tksp_oauth_answer *out);

/* Is it what RFC 6749 (A.12) calls an access token, and not larger than any header that could carry it? */
bool tksp_oauth_is_token(tks_bytes token);

/* Wipes and frees what the answer owns. */
void tksp_oauth_answer_clear(tksp_oauth_answer *answer);

#endif
