/* spike_http.c - the HTTP stages of get_token: ask for a token, fetch the public key, judge. */
#include "spike_machine.h"

#include <stdio.h>

#include "tokenstore/secret.h"

enum { BODY_MAX = 1024 * 1024 };

/* ---- asking ---- */

static tks_need ask_http(tksp_spike_op *self, bool post, tks_bytes url, int64_t now_ms) {
    const tks_spike_options *options = &self->spike->options;
    int64_t left = self->budget_until_ms - now_ms;
    size_t n = 0;
    self->headers[n++] = (tks_http_header){TKS_LITERAL("Accept"), TKS_LITERAL("application/json")};
    if (!post) self->headers[0].value = TKS_LITERAL("*/*");
    if (options->host_header.size > 0)
        self->headers[n++] = (tks_http_header){TKS_LITERAL("Host"), options->host_header};
    if (post && self->shown.authorization.size > 0)
        self->headers[n++] =
            (tks_http_header){TKS_LITERAL("Authorization"), self->shown.authorization};
    for (size_t i = 0; post && i < options->header_count; i++)
        self->headers[n++] = (tks_http_header){options->headers[i].name, options->headers[i].value};
    if (post)
        self->headers[n++] = (tks_http_header){
            TKS_LITERAL("Content-Type"), options->json_body
                                             ? TKS_LITERAL("application/json")
                                             : TKS_LITERAL("application/x-www-form-urlencoded")};
    self->request = (tks_http_request){
        .post = post,
        .url = url,
        .headers = self->headers,
        .header_count = n,
        .body = post ? tks_buf_bytes(&self->body) : tks_bytes_of(NULL, 0),
        .max_body = BODY_MAX,
        .timeout_ms = left > 1 ? (uint32_t)left : 1,
    };
    self->base.request = &self->request;
    return TKS_NEED_HTTP;
}

/* All tries share one budget, and the key is part of them. */
static void start_budget(tksp_spike_op *self, int64_t now_ms) {
    if (self->budget_until_ms == 0) self->budget_until_ms = now_ms + self->spike->options.budget_ms;
}

/* Each request has its own: an assertion is good once. */
static tks_status write_body(tksp_spike_op *self, int64_t now_ms, tks_error *err) {
    tks_spike *spike = self->spike;
    tks_client_auth auth = spike->credentials.auth;
    tks_buf_reset(&self->body);
    tks_status status = TKS_OK;
    if (auth == TKS_AUTH_AUTO)
        status = tksp_client_choose(&spike->credentials, self->metadata->methods, &auth, err);
    if (status == TKS_OK)
        status =
            tksp_client_show(&spike->credentials, auth, self->given, tksp_spike_token_url(self),
                             now_ms, &self->base.arena, &self->shown, err);
    if (status != TKS_OK) return status;
    status =
        tksp_oauth_write_body(spike->options.json_body, self->asked.parameters, self->asked.count,
                              self->shown.parameters, self->shown.count, &self->body);
    return status == TKS_OK ? TKS_OK
                            : tks_fail(err, status, "the token request could not be written");
}

tks_need tksp_spike_ask_token(tksp_spike_op *self, int64_t now_ms) {
    tks_error why = TKS_ERROR_INIT;
    /* Not for longer than that, where the clock was set back since. */
    int64_t refused_ms = atomic_load(&self->spike->refused_until_ms) - now_ms;
    if (refused_ms > 0 && refused_ms <= self->spike->options.refusal_ms)
        return tksp_spike_fail(
            self, TKS_ERR_SPIKE_AUTH,
            "the client was refused a moment ago: check client_id and client_secret", now_ms);
    tks_status status = write_body(self, now_ms, &why);
    if (status != TKS_OK) return tksp_spike_fail(self, status, why.message, now_ms);
    start_budget(self, now_ms);
    self->tries++;
    tksp_spike_note(self, 'i', "asking the token endpoint");
    return ask_http(self, true, tksp_spike_token_url(self), now_ms);
}

tks_need tksp_spike_get(tksp_spike_op *self, tks_bytes url, int64_t now_ms) {
    start_budget(self, now_ms);
    self->tries++;
    return ask_http(self, false, url, now_ms);
}

tks_need tksp_spike_ask_key(tksp_spike_op *self, int64_t now_ms) {
    const tks_bytes url = tksp_spike_key_url(self);
    if (url.size > 0) return tksp_spike_get(self, url, now_ms);
    return tksp_spike_fail(self, TKS_ERR_SPIKE,
                           "no public key: the issuer's metadata names no jwks_uri; give jwks_url",
                           now_ms);
}

/* Another try after a pause, or the failure that says what was tried. */
static tks_need try_later(tksp_spike_op *self, const char *why, int64_t retry_after_ms,
                          int64_t now_ms) {
    const tks_spike_options *options = &self->spike->options;
    char text[TKS_ERROR_SIZE];
    double ceiling = options->pause_ms;
    for (uint32_t i = 1; i < self->tries && ceiling < options->pause_max_ms; i++)
        ceiling *= options->factor;
    if (ceiling > options->pause_max_ms) ceiling = options->pause_max_ms;
    uint32_t pause = tks_random_below((uint32_t)ceiling + 1); /* full jitter */
    if (retry_after_ms > (int64_t)pause)
        pause = retry_after_ms < UINT32_MAX ? (uint32_t)retry_after_ms : UINT32_MAX;

    if (self->tries > options->retries || now_ms + pause >= self->budget_until_ms) {
        int64_t spent = now_ms - (self->budget_until_ms - options->budget_ms);
        (void)snprintf(text, sizeof text, "no token after %u tr%s in %.1f s; last: %s", self->tries,
                       self->tries == 1 ? "y" : "ies", (double)spent / 1000, why);
        tksp_spike_note(self, 'w', text);
        return tksp_spike_fail(self, TKS_ERR_SPIKE, text, now_ms);
    }
    (void)snprintf(text, sizeof text, "retry %u of %u in %u ms: %s", self->tries, options->retries,
                   pause, why);
    tksp_spike_note(self, 'w', text);
    self->paused = self->stage;
    self->stage = TKS_SPIKE_PAUSING;
    self->base.sleep_ms = pause;
    return TKS_NEED_SLEEP;
}

/* A refused client is not sent again for a while; a refused audience or scope says nothing of others. */
static tks_need refuse(tksp_spike_op *self, const tksp_oauth_answer *answer, int64_t now_ms) {
    if (answer->client_refused)
        atomic_store(&self->spike->refused_until_ms, now_ms + self->spike->options.refusal_ms);
    tksp_spike_note(self, 'w', answer->why);
    return tksp_spike_fail(self, TKS_ERR_SPIKE_AUTH, answer->why, now_ms);
}

tks_need tksp_spike_try_later(tksp_spike_op *self, const char *why, int64_t now_ms) {
    return try_later(self, why, -1, now_ms);
}

/* The fetched candidate, once a key is there. */
static tks_need judge_fetched(tksp_spike_op *self, int64_t now_ms) {
    char why[TKS_OAUTH_WHY_SIZE], text[TKS_ERROR_SIZE];
    tksp_lifetime lifetime = self->answer_lifetime;
    bool key_unknown = false;
    if (!self->spike->options.opaque) {
        if (!tksp_spike_verify(self->spike, self->candidate, &self->asked, now_ms, &lifetime, NULL,
                               &key_unknown, why)) {
            if (key_unknown && !self->key_is_fresh &&
                tksp_spike_may_fetch_keys(self->spike, now_ms)) {
                self->candidate_is_stored = false;
                self->tries = 0;
                return tksp_spike_enter(self, TKS_SPIKE_FETCHING_KEY, now_ms);
            }
            (void)snprintf(text, sizeof text, "the token that the server gave is not good: %s",
                           why);
            return tksp_spike_fail(self, TKS_ERR_SPIKE, text, now_ms);
        }
        if (self->key_is_fresh) tksp_key_source_helped(&self->spike->keys);
        if (self->refresh_in_ms >= 0 && now_ms + self->refresh_in_ms < lifetime.good_until_ms)
            lifetime.renew_at_ms = now_ms + self->refresh_in_ms;
    }
    if (lifetime.good_until_ms <= now_ms)
        return tksp_spike_fail(
            self, TKS_ERR_SPIKE,
            "the token that the server gave ends within expiration_offset: give it a "
            "longer life, or make expiration_offset smaller",
            now_ms);
    tksp_spike_accept(self, self->candidate, &lifetime);
    return self->redis ? tksp_spike_enter(self, TKS_SPIKE_STORING, now_ms) : tksp_spike_done(self);
}

tks_need tksp_spike_take_token(tksp_spike_op *self, const tks_event *event) {
    tksp_oauth_answer answer;
    int64_t now_ms = event->now_ms;
    if (event->response == NULL) {
        const char *why = event->why != NULL ? event->why->message : "the connection was lost";
        if (event->final) return tksp_spike_fail(self, TKS_ERR_SPIKE, why, now_ms);
        return try_later(self, why, -1, now_ms);
    }
    switch (tksp_oauth_read_answer(event->response, now_ms, &answer)) {
    case TKS_OAUTH_REFUSED: return refuse(self, &answer, now_ms);
    case TKS_OAUTH_WRONG:
        tksp_spike_note(self, 'w', answer.why);
        return tksp_spike_fail(self, TKS_ERR_SPIKE, answer.why, now_ms);
    case TKS_OAUTH_LATER:
        if (event->response->status == 429 && answer.retry_after_ms < 0)
            return tksp_spike_fail(self, TKS_ERR_SPIKE, answer.why, now_ms);
        return try_later(self, answer.why, answer.retry_after_ms, now_ms);
    case TKS_OAUTH_GRANTED: break;
    }
    self->candidate = tksp_arena_dup(&self->base.arena, answer.access_token);
    self->refresh_in_ms = answer.refresh_in_ms;
    if (answer.expires_in_ms < 0 && self->spike->options.default_lifetime_ms > 0)
        answer.expires_in_ms = self->spike->options.default_lifetime_ms;
    if (self->spike->options.opaque)
        self->answer_lifetime = tksp_spike_lifetime(
            self->spike, now_ms, answer.expires_in_ms < 0 ? now_ms : now_ms + answer.expires_in_ms,
            answer.refresh_in_ms);
    bool unlimited = self->spike->options.opaque && answer.expires_in_ms < 0;
    tksp_oauth_answer_clear(&answer);
    if (self->base.arena.status != TKS_OK) return tksp_spike_fail_memory(self);
    if (unlimited)
        return tksp_spike_fail(
            self, TKS_ERR_SPIKE,
            "the server gave an opaque token without expires_in: how long it is good is "
            "not known; default_lifetime may say it",
            now_ms);
    return judge_fetched(self, now_ms);
}

/* A key endpoint that cannot be reached now may be in a moment. */
static bool is_passing(const tks_event *event) {
    if (event->response == NULL) return !event->final;
    return event->response->status == 429 || event->response->status >= 500;
}

/* Without a key: the failure, unless what is stored needs none. */
static tks_need without_key(tksp_spike_op *self, const char *why, const tks_event *event) {
    char text[TKS_ERROR_SIZE];
    (void)snprintf(text, sizeof text, "no public key: %.280s", why);
    if (self->candidate_is_stored) {
        tksp_spike_note(self, 'w', text);
        self->key_is_away = true;
        self->tries = 0;
        return tksp_spike_enter(self, self->locked ? TKS_SPIKE_ASKING : TKS_SPIKE_LOCKING,
                                event->now_ms);
    }
    if (is_passing(event)) return try_later(self, text, -1, event->now_ms);
    tksp_spike_note(self, 'w', text);
    return tksp_spike_fail(self, TKS_ERR_SPIKE, text, event->now_ms);
}

tks_need tksp_spike_take_key(tksp_spike_op *self, const tks_event *event) {
    tks_error err = TKS_ERROR_INIT;
    if (event->response == NULL) {
        (void)tks_fail(&err, TKS_ERR_SPIKE, "%s",
                       event->why != NULL ? event->why->message : "the connection was lost");
    } else if (event->response->status != 200) {
        (void)tks_fail(&err, TKS_ERR_SPIKE, "the key endpoint answered %d",
                       event->response->status);
    } else {
        (void)tksp_spike_set_keys(self->spike, event->response->body, &err);
    }
    if (err.status != TKS_OK) return without_key(self, err.message, event);
    tksp_spike_note(self, 'i', "public key refreshed");
    self->key_is_fresh = true;
    self->tries = 0;
    if (self->key_alone) return tksp_spike_done_bool(self);
    if (self->candidate_is_stored) return tksp_spike_enter(self, TKS_SPIKE_LOOKING, event->now_ms);
    return judge_fetched(self, event->now_ms);
}
