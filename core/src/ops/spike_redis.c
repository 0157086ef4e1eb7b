/* spike_redis.c - the Redis stages of get_token: look, lock, store, unlock.
 *
 * The commands run as a separate operation (`inner`), so that op.c handles NOSCRIPT and the like as
 * usual. A lost Redis ends only that part: this operation continues without it. */
#include "spike_machine.h"

#include <stdio.h>

#include "tokenstore/secret.h"

enum {
    REDIS_PATIENCE_MS = 1000, /* a hanging Redis costs this much once per operation */
    LEAST_PATIENCE_MS = 50    /* for an answer, however long the way to the right server was */
};

/* ---- commands ---- */

static tks_status finish_inner(tks_op *op, int64_t now_ms) {
    (void)op;
    (void)now_ms;
    return TKS_OK;
}

static const tksp_op_kind inner_kind = {.finish = finish_inner};

static tks_status add(tks_op *inner, const tksp_script *script, size_t argc,
                      const tks_bytes *argv) {
    tks_bytes *words = tksp_arena_alloc(&inner->arena, argc * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < argc; i++) words[i] = tksp_arena_dup(&inner->arena, argv[i]);
    tks_bytes key = argc > 1 ? words[1] : tks_bytes_of(NULL, 0);
    tks_status status = tksp_op_add(inner, script, words, argc, key);
    return status == TKS_OK ? inner->arena.status : status;
}

static tks_bytes digits(char *out, size_t size, int64_t value) {
    int n = snprintf(out, size, "%lld", (long long)value);
    return tks_bytes_of(out, (size_t)n);
}

/* Writes a value of our own HASH: `<expiry, by the clock of Redis, in ms since 1970>:<token>`. */
static tks_bytes own_form(tksp_spike_op *self, int64_t end_ms) {
    char prefix[24];
    size_t size = (size_t)snprintf(prefix, sizeof prefix, "%lld:", (long long)end_ms);
    char *text = tksp_arena_alloc(&self->base.arena, size + self->result.token.size);
    if (text == NULL) return tks_bytes_of(NULL, 0);
    memcpy(text, prefix, size);
    memcpy(text + size, self->result.token.data, self->result.token.size);
    return tks_bytes_of(text, size + self->result.token.size);
}

/* The read commands: the time, the shared failures, our own token, the shared token and its claim,
 * and the STRING of spike-get-token. The first three may be forbidden, and the last may have
 * another type. */
enum { CLOCK, BARRED, FAILED, OWN, SHARED, CLAIM, STRING };

static tks_status add_raw(tks_op *inner, size_t argc, const tks_bytes *argv) {
    tks_status status = add(inner, NULL, argc, argv);
    if (status == TKS_OK) inner->commands[inner->count - 1].raw = true;
    return status;
}

static tks_status look(const tksp_spike_place *place, tks_op *inner) {
    const tks_bytes hget = TKS_LITERAL("HGET"), get = TKS_LITERAL("GET");
    const tks_bytes time[] = {TKS_LITERAL("TIME")};
    const tks_bytes barred[] = {get, place->barred};
    const tks_bytes failed[] = {get, place->failed};
    const tks_bytes own[] = {hget, place->own, place->field};
    const tks_bytes shared[] = {hget, place->hash, place->audience};
    const tks_bytes claim[] = {hget, place->own, place->claim};
    const tks_bytes string[] = {get, place->string};
    tks_status status = add_raw(inner, 1, time);
    /* The clock that ends these keys. */
    if (status == TKS_OK) inner->commands[inner->count - 1].route = place->own;
    if (status == TKS_OK) status = add_raw(inner, 2, barred);
    if (status == TKS_OK) status = add_raw(inner, 2, failed);
    if (status == TKS_OK) status = add(inner, NULL, 3, own);
    if (status == TKS_OK && place->audience.size > 0) status = add(inner, NULL, 3, shared);
    if (status == TKS_OK && place->audience.size > 0) status = add(inner, NULL, 3, claim);
    if (status == TKS_OK && place->string.size > 0) status = add_raw(inner, 2, string);
    return status;
}

static tks_status store(tksp_spike_op *self, int64_t now_ms) {
    const tksp_spike_place *place = &self->place;
    const tks_bytes token = self->result.token;
    const size_t tail = token.size < TKSP_SPIKE_TAIL ? token.size : TKSP_SPIKE_TAIL;
    int64_t expires_ms = self->result.good_until_ms + self->spike->options.offset_ms;
    int64_t left = expires_ms - now_ms;
    int64_t end_ms = expires_ms + self->ahead_ms;
    char number[24], claim[TKS_DIGEST_TEXT_SIZE + TKSP_SPIKE_TAIL + 24];
    memcpy(claim, place->owner.data, TKS_DIGEST_TEXT_SIZE);
    memcpy(claim + TKS_DIGEST_TEXT_SIZE, token.data + token.size - tail, tail);
    size_t claim_size = TKS_DIGEST_TEXT_SIZE + tail;
    claim_size += (size_t)snprintf(claim + claim_size, 24, "%lld", (long long)end_ms);
    tks_bytes ttl = digits(number, sizeof number, left > 1 ? left : 1);
    const tks_bytes script[] = {
        TKS_LITERAL("3"),      place->hash,  place->own,
        place->lock,           token,        ttl,
        self->owner,           place->field, place->audience,
        place->owner,          place->claim, tks_bytes_of(claim, claim_size),
        own_form(self, end_ms)};
    const tks_bytes string[] = {TKS_LITERAL("SET"), place->string, token, TKS_LITERAL("PX"), ttl};
    tks_status status = add(self->inner, &tksp_script_spike_store, 13, script);
    if (status != TKS_OK || !self->string_is_free) return status;
    return add(self->inner, NULL, 5, string);
}

/* Shares a failure before others can take the lock. */
static tks_status tell(tksp_spike_op *self) {
    char number[24];
    const tks_bytes set = TKS_LITERAL("SET"), px = TKS_LITERAL("PX");
    const tks_bytes barred[] = {set, self->place.barred, self->tell_barred, px,
                                digits(number, sizeof number, self->tell_barred_ms)};
    tks_status status = self->tell_barred.size > 0 ? add_raw(self->inner, 5, barred) : TKS_OK;
    const tks_bytes failed[] = {set, self->place.failed, self->tell_failed, px,
                                digits(number, sizeof number, TKS_SPIKE_FAILURE_MS)};
    if (status == TKS_OK && self->tell_failed.size > 0) status = add_raw(self->inner, 5, failed);
    const tks_bytes unlock[] = {TKS_LITERAL("1"), self->place.lock, self->owner};
    if (status == TKS_OK && self->locked) {
        status = add(self->inner, &tksp_script_spike_unlock, 3, unlock);
    }
    self->tell_barred = self->tell_failed = tks_bytes_of(NULL, 0);
    self->locked = false;
    return status;
}

static tks_status fill(tksp_spike_op *self, int64_t now_ms) {
    char number[24];
    tks_status status;
    switch (self->stage) {
    case TKS_SPIKE_LOCKING: {
        const tks_bytes lock[] = {
            TKS_LITERAL("SET"), self->place.lock,
            self->owner,        TKS_LITERAL("NX"),
            TKS_LITERAL("PX"),  digits(number, sizeof number, TKS_SPIKE_LOCK_MS)};
        status = add(self->inner, NULL, 6, lock);
        return status == TKS_OK ? look(&self->place, self->inner) : status;
    }
    case TKS_SPIKE_STORING: return store(self, now_ms);
    case TKS_SPIKE_TELLING:
    case TKS_SPIKE_UNLOCKING: return tell(self);
    default: return look(&self->place, self->inner);
    }
}

static tks_need after_redis(tksp_spike_op *self, int64_t now_ms);

/* Passes an event to the current commands, and returns what they need. A sleep or a loss means that
 * Redis does not answer: this operation continues without it. But where there are several servers,
 * the right one may have to be found first. */
tks_need tksp_spike_step_redis(tksp_spike_op *self, const tks_event *event) {
    int64_t left_ms = self->asked_redis_ms + REDIS_PATIENCE_MS - event->now_ms;
    bool seeks = self->base.router != NULL && left_ms > 0;
    bool ends = event->type == TKS_EVENT_DEADLINE || (event->type == TKS_EVENT_LOST && !seeks);
    tks_need need = ends ? TKS_FAILED : tks_op_step(self->inner, event);
    self->base.trust = tks_op_get_trust(self->inner);
    if (need == TKS_NEED_SEND) {
        self->base.batch = *tks_op_get_batch(self->inner);
        bool enough = left_ms > LEAST_PATIENCE_MS;
        self->base.batch.patience_ms = enough ? (uint32_t)left_ms : LEAST_PATIENCE_MS;
        return need;
    }
    if (need == TKS_NEED_SLEEP && seeks) {
        self->base.sleep_ms = tks_op_get_sleep(self->inner);
        return need;
    }
    if (need != TKS_DONE) {
        char text[TKS_ERROR_SIZE + 40];
        const char *why = event->why != NULL            ? event->why->message
                          : self->inner->reason != NULL ? self->inner->reason
                                                        : tks_op_get_error(self->inner)->message;
        (void)snprintf(text, sizeof text, "continuing without Redis: %s", why);
        tksp_spike_note(self, 'w', text);
        self->redis = false;
        tks_op_free(self->inner);
        self->inner = NULL;
    }
    tks_need next = after_redis(self, event->now_ms);
    return next;
}

tks_need tksp_spike_ask_redis(tksp_spike_op *self, int64_t now_ms) {
    tks_event start = {.type = TKS_EVENT_START, .now_ms = now_ms};
    self->asked_redis_ms = now_ms;
    self->inner = tksp_op_new(sizeof(tks_op), &inner_kind, TKS_IDEMPOTENT);
    if (self->inner == NULL || fill(self, now_ms) != TKS_OK) return tksp_spike_fail_memory(self);
    if (self->base.router != NULL) tks_op_set_router(self->inner, self->base.router);
    self->inner->undivided = true; /* its keys share a slot, but for one of another program */
    return tksp_spike_step_redis(self, &start);
}

/* ---- stored tokens ---- */

/* Undoes own_form. */
static bool read_own(tks_bytes stored, tks_bytes *token, int64_t *end_ms) {
    const char *colon = stored.size > 0 ? memchr(stored.data, ':', stored.size) : NULL;
    if (colon == NULL) return false;
    size_t size = (size_t)(colon - stored.data);
    *end_ms = tksp_spike_read_digits(tks_bytes_of(stored.data, size));
    *token = tks_bytes_of(colon + 1, stored.size - size - 1);
    return *end_ms >= 0 && tksp_oauth_is_token(*token);
}

static tks_bytes text_of(const tks_reply *reply) {
    if (reply == NULL || tks_reply_get_type(reply) != TKS_REPLY_STRING) {
        return tks_bytes_of(NULL, 0);
    }
    return tks_reply_get_bytes(reply);
}

/* The writer of a token: us; another program, under this client's name; any program. */
typedef enum origin { FROM_US, FROM_NODE, FROM_ANYBODY } origin;

/* Sets the result if the token from Redis is valid, ours, and better than the caller's. `end_ms`:
 * by the clock of Redis; -1: unknown. *need_key: a key must be fetched first. */
static bool take_one(tksp_spike_op *self, tks_bytes text, int64_t end_ms, origin from,
                     int64_t now_ms, tksp_named *named, bool *need_key) {
    char why[TKS_OAUTH_WHY_SIZE];
    tksp_lifetime lifetime;
    bool key_unknown = false;
    int64_t redis_ms = now_ms + self->ahead_ms;
    *named = TKSP_NAMES_NOBODY;
    if (text.size == 0) return false;
    tksp_spike_now now = {.boot_ms = now_ms,
                          .wall_ms = self->wall_ms,
                          .other_ms = self->knows_redis_time ? redis_ms : 0,
                          .other_name = "Redis",
                          .left_ms = end_ms < 0          ? -1
                                     : end_ms < redis_ms ? 0
                                                         : end_ms - redis_ms};
    tks_bytes token = tksp_arena_dup(&self->base.arena, text);
    if (self->spike->options.opaque) {
        if (end_ms < 0) return false;
        lifetime = tksp_spike_lifetime(self->spike, now_ms, 0, now.left_ms, -1);
    } else if (!tksp_spike_verify(self->spike, token, &self->asked, &now, &lifetime, named,
                                  &key_unknown, why)) {
        *need_key = *need_key || (key_unknown && !self->key_is_fresh && !self->key_is_away);
        return false;
    }
    if (from == FROM_NODE && *named == TKSP_NAMES_OTHERS) return false;
    if (from == FROM_ANYBODY && *named != TKSP_NAMES_US) return false;
    if (lifetime.good_until_ms <= now_ms || lifetime.good_until_ms <= self->held_until_ms) {
        return false;
    }
    if (self->key_is_fresh) tksp_key_source_helped(&self->spike->keys);
    tksp_spike_accept(self, token, &lifetime);
    return true;
}

static const tks_reply *inner_reply(const tksp_spike_op *self, size_t i);

/* TIME returns seconds and microseconds. */
static void take_clock(tksp_spike_op *self, const tks_reply *reply, int64_t now_ms) {
    if (reply == NULL || tks_reply_get_type(reply) != TKS_REPLY_ARRAY ||
        tks_reply_get_size(reply) != 2) {
        return;
    }
    int64_t s = tksp_spike_read_digits(text_of(tks_reply_get_item(reply, 0)));
    int64_t us = tksp_spike_read_digits(text_of(tks_reply_get_item(reply, 1)));
    if (s < 0 || us < 0) return;
    self->knows_redis_time = true;
    self->ahead_ms = s * 1000 + us / 1000 - now_ms;
}

/* What Redis has; its answers start at index `first`. */
typedef struct findings {
    bool good;     /* the result is set */
    bool need_key; /* something is stored that needs another key */
    bool barred;   /* the client is barred; tksp_spike_is_barred returns the reason */
    bool failed;   /* a shared failure, in `failure` */
    tksp_spike_failure failure;
} findings;

static void take_failures(tksp_spike_op *self, size_t first, int64_t now_ms, findings *out) {
    const tksp_secrets secrets = tksp_spike_secrets(self);
    out->barred = tksp_spike_failure_read(text_of(inner_reply(self, first + BARRED)),
                                          self->ahead_ms, now_ms, &secrets, &out->failure);
    out->failure.answer.of_client = true;
    if (out->barred) tksp_spike_bar(self->spike, &out->failure);
    out->failed = tksp_spike_failure_read(text_of(inner_reply(self, first + FAILED)),
                                          self->ahead_ms, now_ms, &secrets, &out->failure);
    out->failure.answer.of_client = false;
}

static bool take_tokens(tksp_spike_op *self, size_t first, int64_t now_ms, bool *need_key) {
    const tksp_spike_place *place = &self->place;
    tksp_named named;
    tks_bytes own;
    int64_t end_ms;
    if (read_own(text_of(inner_reply(self, first + OWN)), &own, &end_ms) &&
        take_one(self, own, end_ms, FROM_US, now_ms, &named, need_key)) {
        return true;
    }
    if (place->audience.size == 0) return false;
    tks_bytes shared = text_of(inner_reply(self, first + SHARED));
    tksp_claimed by =
        tksp_spike_read_claim(place, shared, text_of(inner_reply(self, first + CLAIM)), &end_ms);
    if (by != TKSP_BY_OTHERS &&
        take_one(self, shared, end_ms, by == TKSP_BY_US ? FROM_US : FROM_NODE, now_ms, &named,
                 need_key)) {
        return true;
    }
    if (place->string.size == 0) return false;
    const tks_reply *string = inner_reply(self, first + STRING);
    bool good = take_one(self, text_of(string), -1, FROM_ANYBODY, now_ms, &named, need_key);
    self->string_is_free = tks_reply_get_type(string) == TKS_REPLY_NIL || named == TKSP_NAMES_US;
    return good;
}

static void take_stored(tksp_spike_op *self, size_t first, int64_t now_ms, findings *out) {
    out->good = out->need_key = out->barred = out->failed = false;
    if (self->inner == NULL) return;
    take_clock(self, inner_reply(self, first + CLOCK), now_ms);
    take_failures(self, first, now_ms, out);
    out->good = take_tokens(self, first, now_ms, &out->need_key);
}

/* ---- stages ---- */

static const tks_reply *inner_reply(const tksp_spike_op *self, size_t i) {
    return self->inner != NULL ? self->inner->commands[i].reply : NULL;
}

static void end_inner(tksp_spike_op *self) {
    tks_op_free(self->inner);
    self->inner = NULL;
}

/* Ends with the stored token. */
static tks_need take(tksp_spike_op *self, int64_t now_ms) {
    return self->locked ? tksp_spike_enter(self, TKS_SPIKE_UNLOCKING, now_ms)
                        : tksp_spike_done(self);
}

/* Fetches a key to verify a stored token. */
static tks_need fetch_key(tksp_spike_op *self, int64_t now_ms) {
    self->candidate_is_stored = true;
    return tksp_spike_enter(self, TKS_SPIKE_FETCHING_KEY, now_ms);
}

/* Handles the outcomes common to both reads; false: none of them. */
static bool settle(tksp_spike_op *self, const findings *found, int64_t now_ms, tks_need *next) {
    end_inner(self);
    if (found->good) {
        *next = take(self, now_ms);
    } else if (found->barred) {
        *next = tksp_spike_enter(self, TKS_SPIKE_ASKING, now_ms); /* it pauses or fails */
    } else if (found->failed) {
        *next = tksp_spike_fail_as(self, &found->failure, now_ms);
    } else if (found->need_key && tksp_spike_may_fetch_keys(self->spike, now_ms)) {
        *next = fetch_key(self, now_ms);
    } else {
        return false;
    }
    return true;
}

static tks_need after_looking(tksp_spike_op *self, int64_t now_ms) {
    findings found;
    tks_need next;
    take_stored(self, 0, now_ms, &found);
    if (settle(self, &found, now_ms, &next)) return next;
    return tksp_spike_enter(
        self, self->redis && !self->locked ? TKS_SPIKE_LOCKING : TKS_SPIKE_ASKING, now_ms);
}

static tks_need after_locking(tksp_spike_op *self, int64_t now_ms) {
    const tks_reply *lock = inner_reply(self, 0);
    findings found;
    tks_need next;
    self->locked = lock != NULL && tks_reply_get_type(lock) == TKS_REPLY_STATUS;
    take_stored(self, 1, now_ms, &found);
    bool redis = self->inner != NULL;
    if (settle(self, &found, now_ms, &next)) return next;
    if (!redis || self->locked || now_ms >= self->lock_until_ms) {
        return tksp_spike_enter(self, TKS_SPIKE_ASKING, now_ms);
    }
    return tksp_spike_enter(self, TKS_SPIKE_WAITING, now_ms);
}

static tks_need after_redis(tksp_spike_op *self, int64_t now_ms) {
    switch (self->stage) {
    case TKS_SPIKE_LOOKING: return after_looking(self, now_ms);
    case TKS_SPIKE_LOCKING: return after_locking(self, now_ms);
    case TKS_SPIKE_TELLING: end_inner(self); return tksp_spike_pause(self, now_ms);
    default: /* TKS_SPIKE_STORING, TKS_SPIKE_UNLOCKING: done, even if Redis failed */
        end_inner(self);
        return self->base.failure == TKS_OK ? tksp_spike_done(self) : tksp_spike_failed(self);
    }
}
