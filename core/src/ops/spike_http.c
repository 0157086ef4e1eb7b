/* spike_http.c - the HTTP stages of get_token: request a token, fetch the public key, verify. */
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
    if (options->host_header.size > 0) {
        self->headers[n++] = (tks_http_header){TKS_LITERAL("Host"), options->host_header};
    }
    if (post && self->shown.authorization.size > 0) {
        self->headers[n++] =
            (tks_http_header){TKS_LITERAL("Authorization"), self->shown.authorization};
    }
    for (size_t i = 0; post && i < options->header_count; i++) {
        self->headers[n++] = (tks_http_header){options->headers[i].name, options->headers[i].value};
    }
    if (post) {
        self->headers[n++] = (tks_http_header){
            TKS_LITERAL("Content-Type"), options->json_body
                                             ? TKS_LITERAL("application/json")
                                             : TKS_LITERAL("application/x-www-form-urlencoded")};
    }
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

/* All tries share one budget, including those for the key. */
static void start_budget(tksp_spike_op *self, int64_t now_ms) {
    if (self->budget_until_ms == 0) self->budget_until_ms = now_ms + self->spike->options.budget_ms;
}

/* The text after "Basic ". */
static void hide_authorization(tksp_spike_op *self) {
    const tks_bytes header = self->shown.authorization;
    const char *blank = header.size > 0 ? memchr(header.data, ' ', header.size) : NULL;
    if (blank == NULL) return;
    size_t skipped = (size_t)(blank + 1 - header.data);
    self->hidden[TKSP_AUTH_SECRETS - 1] = tks_bytes_of(blank + 1, header.size - skipped);
}

/* A new body for each request, because an assertion is valid only once. */
static tks_status write_body(tksp_spike_op *self, int64_t now_ms, tks_error *err) {
    tks_spike *spike = self->spike;
    tks_client_auth auth = spike->credentials.auth;
    tks_buf_reset(&self->body);
    tks_status status = TKS_OK;
    if (auth == TKS_AUTH_AUTO) {
        status = tksp_client_choose(&spike->credentials, self->metadata->methods, &auth, err);
    }
    if (status == TKS_OK) {
        status =
            tksp_client_show(&spike->credentials, auth, self->given, tksp_spike_token_url(self),
                             now_ms, &self->base.arena, &self->shown, err);
    }
    if (status != TKS_OK) return status;
    hide_authorization(self);
    status =
        tksp_oauth_write_body(spike->options.json_body, self->asked.parameters, self->asked.count,
                              self->shown.parameters, self->shown.count, &self->body);
    return status == TKS_OK ? TKS_OK : tks_fail(err, status, "could not build the token request");
}

tks_need tksp_spike_ask_token(tksp_spike_op *self, int64_t now_ms) {
    tks_error why = TKS_ERROR_INIT;
    tksp_spike_failure barred;
    if (tksp_spike_is_barred(self->spike, now_ms, &barred)) {
        return tksp_spike_hold_back(self, &barred, now_ms);
    }
    tks_status status = write_body(self, self->wall_ms, &why);
    if (status != TKS_OK) return tksp_spike_fail(self, status, why.message, now_ms);
    start_budget(self, now_ms);
    self->tries++;
    self->answer = (tks_spike_answer){0};
    tksp_spike_note(self, 'i', "requesting a token");
    return ask_http(self, true, tksp_spike_token_url(self), now_ms);
}

tks_need tksp_spike_get(tksp_spike_op *self, tks_bytes url, int64_t now_ms) {
    start_budget(self, now_ms);
    self->tries++;
    self->answer = (tks_spike_answer){0};
    return ask_http(self, false, url, now_ms);
}

/* ---- pauses ---- */

tks_need tksp_spike_pause(tksp_spike_op *self, int64_t now_ms) {
    int64_t left = self->pause_until_ms - now_ms;
    self->stage = TKS_SPIKE_PAUSING;
    self->base.sleep_ms = left < 1 ? 1 : left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
    return TKS_NEED_SLEEP;
}

/* Pauses; then looks in Redis and takes the lock again, since others may have fetched the token
 * meanwhile. */
static tks_need pause_for_all(tksp_spike_op *self, int64_t until_ms, int64_t now_ms) {
    self->pause_until_ms = until_ms;
    self->paused = self->redis ? TKS_SPIKE_LOCKING : TKS_SPIKE_ASKING;
    return self->redis && (self->locked || self->tell_barred.size > 0)
               ? tksp_spike_enter(self, TKS_SPIKE_TELLING, now_ms)
               : tksp_spike_pause(self, now_ms);
}

tks_need tksp_spike_hold_back(tksp_spike_op *self, const tksp_spike_failure *failure,
                              int64_t now_ms) {
    tksp_spike_failure again = *failure;
    start_budget(self, now_ms);
    if (failure->status == TKS_ERR_SPIKE && failure->until_ms < self->budget_until_ms) {
        return pause_for_all(self, failure->until_ms, now_ms);
    }
    (void)snprintf(again.why, sizeof again.why, "%.500s, a moment ago", failure->why);
    return tksp_spike_fail_as(self, &again, now_ms);
}

/* Bars all requests of this client until then, with the reason. */
static void bar(tksp_spike_op *self, tks_status status, const char *why, int64_t wait_ms,
                int64_t now_ms) {
    tksp_spike_failure failure = {.status = status};
    if (wait_ms > TKS_SPIKE_RETRY_AFTER_MAX_MS) wait_ms = TKS_SPIKE_RETRY_AFTER_MAX_MS;
    self->answer.retry_after_ms = wait_ms;
    self->answer.of_client = true;
    failure.until_ms = now_ms + wait_ms;
    failure.answer = self->answer;
    (void)snprintf(failure.why, sizeof failure.why, "%s", why);
    tksp_spike_bar(self->spike, &failure);
    if (self->redis && status == TKS_ERR_SPIKE) {
        self->tell_barred = tksp_spike_failure_write(&failure, self->ahead_ms, &self->base.arena);
        self->tell_barred_ms = (uint32_t)wait_ms;
    }
}

static uint32_t draw_pause(const tksp_spike_op *self) {
    const tks_spike_options *options = &self->spike->options;
    double ceiling = options->pause_ms;
    for (uint32_t i = 1; i < self->tries && ceiling < options->pause_max_ms; i++) {
        ceiling *= options->factor;
    }
    if (ceiling > options->pause_max_ms) ceiling = options->pause_max_ms;
    return tks_random_below((uint32_t)ceiling + 1); /* full jitter */
}

/* Tries again after a pause, or fails with what was tried. */
static tks_need try_later(tksp_spike_op *self, const char *why, int64_t retry_after_ms,
                          int64_t now_ms) {
    const tks_spike_options *options = &self->spike->options;
    char text[TKS_ERROR_SIZE];
    int64_t pause = draw_pause(self);
    if (retry_after_ms > 0) bar(self, TKS_ERR_SPIKE, why, retry_after_ms, now_ms);
    if (retry_after_ms > pause) pause = retry_after_ms;

    if (self->tries > options->retries || now_ms + pause >= self->budget_until_ms) {
        int64_t spent = now_ms - (self->budget_until_ms - options->budget_ms);
        (void)snprintf(text, sizeof text, "no token after %u tr%s in %.1f s; last error: %s",
                       self->tries, self->tries == 1 ? "y" : "ies", (double)spent / 1000, why);
        tksp_spike_note(self, 'w', text);
        return self->answer.status > 0 ? tksp_spike_fail_for_all(self, TKS_ERR_SPIKE, text, now_ms)
                                       : tksp_spike_fail(self, TKS_ERR_SPIKE, text, now_ms);
    }
    (void)snprintf(text, sizeof text, "retry %u of %u in %lld ms: %s", self->tries,
                   options->retries, (long long)pause, why);
    tksp_spike_note(self, 'w', text);
    self->pause_until_ms = now_ms + pause;
    if (retry_after_ms > 0) return pause_for_all(self, self->pause_until_ms, now_ms);
    self->paused = self->stage;
    return tksp_spike_pause(self, now_ms);
}

tks_need tksp_spike_try_later(tksp_spike_op *self, const char *why, int64_t now_ms) {
    return try_later(self, why, -1, now_ms);
}

/* ---- a token ---- */

/* A rejected client is barred for a while; a rejected audience or scope does not affect others.
 * Other clients of that name may have another secret, so this is not shared with them. */
static tks_need refuse(tksp_spike_op *self, const tksp_oauth_answer *answer, int64_t now_ms) {
    char text[TKS_ERROR_SIZE];
    tksp_spike_note(self, 'w', answer->why);
    if (answer->client_refused) {
        (void)snprintf(text, sizeof text, "%.500s; check client_id and client_secret", answer->why);
        bar(self, TKS_ERR_SPIKE_AUTH, text, self->spike->options.refusal_ms, now_ms);
        return tksp_spike_fail(self, TKS_ERR_SPIKE_AUTH, text, now_ms);
    }
    return answer->said.status == 401
               ? tksp_spike_fail(self, TKS_ERR_SPIKE_AUTH, answer->why, now_ms)
               : tksp_spike_fail_for_all(self, TKS_ERR_SPIKE_AUTH, answer->why, now_ms);
}

/* Verifies the fetched candidate, once there is a key. */
static tks_need judge_fetched(tksp_spike_op *self, int64_t now_ms) {
    char why[TKS_OAUTH_WHY_SIZE], text[TKS_ERROR_SIZE];
    const int64_t since = now_ms - self->answered_ms;
    const tksp_spike_now now = {.boot_ms = now_ms,
                                .wall_ms = self->wall_ms,
                                .other_ms = self->date_ms > 0 ? self->date_ms + since : 0,
                                .other_name = "the server's Date",
                                .left_ms = self->left_ms < 0        ? -1
                                           : self->left_ms <= since ? 0
                                                                    : self->left_ms - since,
                                .fresh = true};
    tksp_lifetime lifetime = self->answer_lifetime;
    bool key_unknown = false;
    if (!self->spike->options.opaque) {
        if (!tksp_spike_verify(self->spike, self->candidate, &self->asked, &now, &lifetime, NULL,
                               &key_unknown, why)) {
            if (key_unknown && !self->key_is_fresh &&
                tksp_spike_may_fetch_keys(self->spike, now_ms)) {
                self->candidate_is_stored = false;
                self->tries = 0;
                return tksp_spike_enter(self, TKS_SPIKE_FETCHING_KEY, now_ms);
            }
            (void)snprintf(
                text, sizeof text, "the server issued an invalid access token: %s%s", why,
                key_unknown && !self->key_is_fresh ? " (the public key was fetched a moment ago)"
                                                   : "");
            return tksp_spike_fail(self, TKS_ERR_SPIKE, text, now_ms);
        }
        if (self->key_is_fresh) tksp_key_source_helped(&self->spike->keys);
        if (why[0] != '\0') tksp_spike_note(self, 'w', why);
        if (self->refresh_in_ms >= 0 && now_ms + self->refresh_in_ms < lifetime.good_until_ms) {
            lifetime.renew_at_ms = now_ms + self->refresh_in_ms;
        }
    }
    if (lifetime.good_until_ms <= now_ms) {
        return tksp_spike_fail(self, TKS_ERR_SPIKE,
                               "the issued token expires within expiration_offset: raise its "
                               "lifetime, or lower expiration_offset",
                               now_ms);
    }
    tksp_spike_accept(self, self->candidate, &lifetime);
    return self->redis ? tksp_spike_enter(self, TKS_SPIKE_STORING, now_ms) : tksp_spike_done(self);
}

static tks_need take_granted(tksp_spike_op *self, tksp_oauth_answer *answer, int64_t now_ms) {
    const tks_spike_options *options = &self->spike->options;
    self->candidate = tksp_arena_dup(&self->base.arena, answer->access_token);
    self->refresh_in_ms = answer->refresh_in_ms;
    self->answered_ms = now_ms;
    self->date_ms = answer->date_ms;
    self->left_ms = answer->expires_in_ms;
    tksp_oauth_answer_clear(answer);
    if (self->base.arena.status != TKS_OK) return tksp_spike_fail_memory(self);
    if (options->opaque && self->left_ms < 0 && options->default_lifetime_ms > 0) {
        self->left_ms = options->default_lifetime_ms;
    }
    if (options->opaque && self->left_ms < 0) {
        return tksp_spike_fail(
            self, TKS_ERR_SPIKE,
            "the server issued an opaque token without expires_in: set default_lifetime", now_ms);
    }
    self->answer_lifetime =
        tksp_spike_lifetime(self->spike, now_ms, 0, self->left_ms, self->refresh_in_ms);
    return judge_fetched(self, now_ms);
}

tks_need tksp_spike_take_token(tksp_spike_op *self, const tks_event *event) {
    tksp_oauth_answer answer;
    const tksp_secrets secrets = tksp_spike_secrets(self);
    int64_t now_ms = event->now_ms;
    if (event->response == NULL) {
        const char *why = event->why != NULL ? event->why->message : "the connection was lost";
        if (event->final) return tksp_spike_fail(self, TKS_ERR_SPIKE, why, now_ms);
        return try_later(self, why, -1, now_ms);
    }
    tksp_oauth_verdict verdict =
        tksp_oauth_read_answer(event->response, &secrets, self->wall_ms, &answer);
    if (verdict == TKS_OAUTH_GRANTED) return take_granted(self, &answer, now_ms);
    self->answer = answer.said;
    switch (verdict) {
    case TKS_OAUTH_REFUSED: return refuse(self, &answer, now_ms);
    case TKS_OAUTH_LATER:
        if (answer.said.status != 429 || answer.retry_after_ms >= 0) {
            return try_later(self, answer.why, answer.retry_after_ms, now_ms);
        }
        return tksp_spike_fail_for_all(self, TKS_ERR_SPIKE, answer.why, now_ms);
    default: break;
    }
    tksp_spike_note(self, 'w', answer.why);
    return answer.said.status >= 300
               ? tksp_spike_fail_for_all(self, TKS_ERR_SPIKE, answer.why, now_ms)
               : tksp_spike_fail(self, TKS_ERR_SPIKE, answer.why, now_ms);
}

/* ---- the public key ---- */

enum { KEY_POLL_MS = 20 }; /* poll interval while another operation fetches */

/* How often keys have been fetched. */
static uint64_t count_keys(const tksp_spike_op *self) {
    uint64_t count;
    tks_keyset_free(tksp_key_source_get(&self->spike->keys, &count));
    return count;
}

static void end_keys(tksp_spike_op *self) {
    if (self->fetching_keys) tksp_spike_end_keys(self->spike);
    self->fetching_keys = false;
    self->awaits_keys = false;
}

/* No key could be fetched: fails, unless a stored token needs none. */
static tks_need without_key(tksp_spike_op *self, const char *why, bool passing, int64_t now_ms) {
    char text[TKS_ERROR_SIZE];
    (void)snprintf(text, sizeof text, "no public key: %.500s", why);
    if (!self->candidate_is_stored && passing) return try_later(self, text, -1, now_ms);
    end_keys(self);
    tksp_spike_note(self, 'w', text);
    if (!self->candidate_is_stored) return tksp_spike_fail(self, TKS_ERR_SPIKE, text, now_ms);
    self->key_is_away = true;
    self->tries = 0;
    return tksp_spike_enter(self, self->locked ? TKS_SPIKE_ASKING : TKS_SPIKE_LOCKING, now_ms);
}

/* Continues with a new key. */
static tks_need with_key(tksp_spike_op *self, int64_t now_ms) {
    end_keys(self);
    self->key_is_fresh = true;
    self->tries = 0;
    if (self->key_alone) return tksp_spike_done_bool(self);
    if (self->candidate_is_stored) return tksp_spike_enter(self, TKS_SPIKE_LOOKING, now_ms);
    return judge_fetched(self, now_ms);
}

/* Waits for another operation to fetch them. */
static tks_need await_keys(tksp_spike_op *self, int64_t now_ms) {
    if (now_ms >= self->budget_until_ms) {
        return tksp_spike_fail(self, TKS_ERR_SPIKE, "no public key: it was not fetched in time",
                               now_ms);
    }
    if (!self->awaits_keys) self->keys_before = count_keys(self);
    self->awaits_keys = true;
    self->paused = TKS_SPIKE_FETCHING_KEY;
    self->pause_until_ms = now_ms + KEY_POLL_MS;
    return tksp_spike_pause(self, now_ms);
}

tks_need tksp_spike_ask_key(tksp_spike_op *self, int64_t now_ms) {
    const tks_bytes url = tksp_spike_key_url(self);
    if (url.size == 0) {
        return tksp_spike_fail(
            self, TKS_ERR_SPIKE,
            "no public key: the issuer's metadata has no jwks_uri: give jwks_url", now_ms);
    }
    start_budget(self, now_ms);
    if (self->awaits_keys && count_keys(self) != self->keys_before) return with_key(self, now_ms);
    if (!self->fetching_keys) {
        if (!tksp_spike_begin_keys(self->spike)) return await_keys(self, now_ms);
        self->fetching_keys = true;
    }
    return tksp_spike_get(self, url, now_ms);
}

/* True for a failure of the key endpoint that may soon pass. */
static bool is_passing(const tks_event *event) {
    if (event->response == NULL) return !event->final;
    return event->response->status == 429 || event->response->status >= 500;
}

tks_need tksp_spike_take_key(tksp_spike_op *self, const tks_event *event) {
    const tksp_secrets secrets = tksp_spike_secrets(self);
    tksp_oauth_answer answer;
    tks_error err = TKS_ERROR_INIT;
    if (event->response == NULL) {
        (void)tks_fail(&err, TKS_ERR_SPIKE, "%s",
                       event->why != NULL ? event->why->message : "the connection was lost");
    } else if (event->response->status != 200) {
        tksp_oauth_read_head(event->response, &secrets, self->wall_ms, &answer);
        self->answer = answer.said;
        (void)tks_fail(
            &err, TKS_ERR_SPIKE, "the key endpoint answered %d%s%s", event->response->status,
            answer.said.location[0] != '\0' ? ": it redirects to " : "", answer.said.location);
    } else {
        (void)tksp_spike_set_keys(self->spike, event->response->body, &err);
    }
    if (err.status != TKS_OK) {
        return without_key(self, err.message, is_passing(event), event->now_ms);
    }
    tksp_spike_note(self, 'i', "public key refreshed");
    return with_key(self, event->now_ms);
}
