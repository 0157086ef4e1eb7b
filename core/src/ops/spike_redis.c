/* spike_redis.c - the Redis stages of get_token: look, lock, store, unlock.
 *
 * The commands run as an operation of their own (`inner`), so that NOSCRIPT and the like are handled
 * where they always are. A Redis that is lost only ends that part: this operation can do without. */
#include "spike_machine.h"

#include <stdio.h>

#include "tokenstore/secret.h"

enum {
    REDIS_PATIENCE_MS = 1000, /* a Redis that hangs costs this once an operation, no more */
    EXPIRES_DIGITS = 15
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
    tks_status status = tksp_op_add(inner, script, words, argc, words[1]);
    return status == TKS_OK ? inner->arena.status : status;
}

static tks_bytes digits(char *out, size_t size, int64_t value) {
    int n = snprintf(out, size, "%lld", (long long)value);
    return tks_bytes_of(out, (size_t)n);
}

/* What stands in the HASH: the JWT, or `<expires in ms since 1970>:<token>` where the token itself does
 * not tell. */
static tks_bytes stored_form(tksp_spike_op *self, int64_t expires_ms) {
    char prefix[24];
    if (!self->spike->options.opaque) return self->result.token;
    size_t size = (size_t)snprintf(prefix, sizeof prefix, "%lld:", (long long)expires_ms);
    char *text = tksp_arena_alloc(&self->base.arena, size + self->result.token.size);
    if (text == NULL) return tks_bytes_of(NULL, 0);
    memcpy(text, prefix, size);
    memcpy(text + size, self->result.token.data, self->result.token.size);
    return tks_bytes_of(text, size + self->result.token.size);
}

/* The commands that look: our own, the shared one and its claim, and what spike-get-token has. */
enum { OWN, SHARED, CLAIM, STRING };

static tks_status look(const tksp_spike_place *place, tks_op *inner) {
    const tks_bytes hget = TKS_LITERAL("HGET");
    const tks_bytes own[] = {hget, place->own, place->field};
    const tks_bytes shared[] = {hget, place->hash, place->audience};
    const tks_bytes claim[] = {hget, place->own, place->claim};
    const tks_bytes string[] = {TKS_LITERAL("GET"), place->string};
    tks_status status = add(inner, NULL, 3, own);
    if (status == TKS_OK && place->audience.size > 0) status = add(inner, NULL, 3, shared);
    if (status == TKS_OK && place->audience.size > 0) status = add(inner, NULL, 3, claim);
    if (status != TKS_OK || place->string.size == 0) return status;
    status = add(inner, NULL, 2, string);
    if (status == TKS_OK) inner->commands[inner->count - 1].raw = true; /* it may be no string */
    return status;
}

static tks_status store(tksp_spike_op *self, int64_t now_ms) {
    const tksp_spike_place *place = &self->place;
    const tks_bytes token = self->result.token;
    const size_t tail = token.size < TKSP_SPIKE_TAIL ? token.size : TKSP_SPIKE_TAIL;
    int64_t expires_ms = self->result.good_until_ms + self->spike->options.offset_ms;
    int64_t left = expires_ms - now_ms;
    char number[24], claim[TKS_DIGEST_TEXT_SIZE + TKSP_SPIKE_TAIL];
    memcpy(claim, place->owner.data, TKS_DIGEST_TEXT_SIZE);
    memcpy(claim + TKS_DIGEST_TEXT_SIZE, token.data + token.size - tail, tail);
    tks_bytes ttl = digits(number, sizeof number, left > 1 ? left : 1);
    const tks_bytes script[] = {TKS_LITERAL("3"),
                                place->hash,
                                place->own,
                                place->lock,
                                stored_form(self, expires_ms),
                                ttl,
                                self->owner,
                                place->field,
                                place->audience,
                                place->owner,
                                place->claim,
                                tks_bytes_of(claim, TKS_DIGEST_TEXT_SIZE + tail)};
    const tks_bytes string[] = {TKS_LITERAL("SET"), place->string, token, TKS_LITERAL("PX"), ttl};
    tks_status status = add(self->inner, &tksp_script_spike_store, 12, script);
    if (status != TKS_OK || !self->string_is_free) return status;
    return add(self->inner, NULL, 5, string);
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
    case TKS_SPIKE_UNLOCKING: {
        const tks_bytes unlock[] = {TKS_LITERAL("1"), self->place.lock, self->owner};
        return add(self->inner, &tksp_script_spike_unlock, 3, unlock);
    }
    default: return look(&self->place, self->inner);
    }
}

static tks_need after_redis(tksp_spike_op *self, int64_t now_ms);

/* Passes an event to the commands at hand, and what they need on; a sleep or a loss means that
 * Redis does not answer now, and this operation can do without. */
tks_need tksp_spike_step_redis(tksp_spike_op *self, const tks_event *event) {
    tks_need need = event->type == TKS_EVENT_LOST || event->type == TKS_EVENT_DEADLINE
                        ? TKS_FAILED
                        : tks_op_step(self->inner, event);
    self->base.trust = tks_op_get_trust(self->inner);
    if (need == TKS_NEED_SEND) {
        self->base.batch = *tks_op_get_batch(self->inner);
        self->base.batch.patience_ms = REDIS_PATIENCE_MS;
        return need;
    }
    if (need != TKS_DONE) {
        char text[TKS_ERROR_SIZE + 40];
        const char *why = event->why != NULL            ? event->why->message
                          : self->inner->reason != NULL ? self->inner->reason
                                                        : tks_op_get_error(self->inner)->message;
        (void)snprintf(text, sizeof text, "redis down, going on without it: %s", why);
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
    self->inner = tksp_op_new(sizeof(tks_op), &inner_kind, TKS_IDEMPOTENT);
    if (self->inner == NULL || fill(self, now_ms) != TKS_OK) return tksp_spike_fail_memory(self);
    return tksp_spike_step_redis(self, &start);
}

/* ---- stored tokens ---- */

/* Undoes stored_form of an opaque token. */
static bool read_opaque(tksp_spike_op *self, tks_bytes stored, int64_t now_ms, tks_bytes *token,
                        tksp_lifetime *lifetime) {
    int64_t expires = 0;
    size_t i = 0;
    for (; i < stored.size && i < EXPIRES_DIGITS && stored.data[i] >= '0' && stored.data[i] <= '9';
         i++)
        expires = expires * 10 + (stored.data[i] - '0');
    if (i == 0 || i + 1 >= stored.size || stored.data[i] != ':') return false;
    *token = tks_bytes_of(stored.data + i + 1, stored.size - i - 1);
    if (!tksp_oauth_is_token(*token)) return false;
    *lifetime = tksp_spike_lifetime(self->spike, now_ms, expires, -1);
    return true;
}

static tks_bytes text_of(const tks_reply *reply) {
    if (reply == NULL || tks_reply_get_type(reply) != TKS_REPLY_STRING)
        return tks_bytes_of(NULL, 0);
    return tks_reply_get_bytes(reply);
}

/* Who stored a token: we; somebody in a place of this client's; anybody. */
typedef enum origin { FROM_US, FROM_NODE, FROM_ANYBODY } origin;

/* Is what Redis had good, ours, and better than what the caller holds? Sets the result then. A key that is
 * not there yet is asked for: *need_key. */
static bool take_one(tksp_spike_op *self, tks_bytes text, origin from, int64_t now_ms,
                     tksp_named *named, bool *need_key) {
    char why[TKS_OAUTH_WHY_SIZE];
    tksp_lifetime lifetime;
    bool key_unknown = false;
    *named = TKSP_NAMES_NOBODY;
    if (text.size == 0) return false;
    tks_bytes stored = tksp_arena_dup(&self->base.arena, text);
    tks_bytes token = stored;
    if (self->spike->options.opaque) {
        if (!read_opaque(self, stored, now_ms, &token, &lifetime)) return false;
    } else if (!tksp_spike_verify(self->spike, token, &self->asked, now_ms, &lifetime, named,
                                  &key_unknown, why)) {
        *need_key = *need_key || (key_unknown && !self->key_is_fresh && !self->key_is_away);
        return false;
    }
    if (from == FROM_NODE && *named == TKSP_NAMES_OTHERS) return false;
    if (from == FROM_ANYBODY && *named != TKSP_NAMES_US) return false;
    if (lifetime.good_until_ms <= now_ms || lifetime.good_until_ms <= self->held_until_ms)
        return false;
    if (self->key_is_fresh) tksp_key_source_helped(&self->spike->keys);
    tksp_spike_accept(self, token, &lifetime);
    return true;
}

static const tks_reply *inner_reply(const tksp_spike_op *self, size_t i);

/* The same of all that was looked for; the answers begin with number `first`. */
static bool take_stored(tksp_spike_op *self, size_t first, int64_t now_ms, bool *need_key) {
    const tksp_spike_place *place = &self->place;
    tksp_named named;
    *need_key = false;
    if (self->inner == NULL) return false;
    if (take_one(self, text_of(inner_reply(self, first + OWN)), FROM_US, now_ms, &named, need_key))
        return true;
    if (place->audience.size == 0) return false;
    tks_bytes shared = text_of(inner_reply(self, first + SHARED));
    tks_bytes claim = text_of(inner_reply(self, first + CLAIM));
    if (!tksp_spike_is_others(place, shared, claim) &&
        take_one(self, shared, tksp_spike_is_ours(place, shared, claim) ? FROM_US : FROM_NODE,
                 now_ms, &named, need_key))
        return true;
    if (place->string.size == 0) return false;
    const tks_reply *string = inner_reply(self, first + STRING);
    bool good = take_one(self, text_of(string), FROM_ANYBODY, now_ms, &named, need_key);
    self->string_is_free = tks_reply_get_type(string) == TKS_REPLY_NIL || named == TKSP_NAMES_US;
    return good;
}

/* ---- stages ---- */

static const tks_reply *inner_reply(const tksp_spike_op *self, size_t i) {
    return self->inner != NULL ? self->inner->commands[i].reply : NULL;
}

static void end_inner(tksp_spike_op *self) {
    tks_op_free(self->inner);
    self->inner = NULL;
}

/* What was stored is the result. */
static tks_need take(tksp_spike_op *self, int64_t now_ms) {
    return self->locked ? tksp_spike_enter(self, TKS_SPIKE_UNLOCKING, now_ms)
                        : tksp_spike_done(self);
}

/* Something is stored, but not to be judged with the keys there are. */
static tks_need fetch_key(tksp_spike_op *self, int64_t now_ms) {
    self->candidate_is_stored = true;
    return tksp_spike_enter(self, TKS_SPIKE_FETCHING_KEY, now_ms);
}

static tks_need after_looking(tksp_spike_op *self, int64_t now_ms) {
    bool need_key;
    bool good = take_stored(self, 0, now_ms, &need_key);
    end_inner(self);
    if (good) return take(self, now_ms);
    if (need_key && tksp_spike_may_fetch_keys(self->spike, now_ms)) return fetch_key(self, now_ms);
    return tksp_spike_enter(
        self, self->redis && !self->locked ? TKS_SPIKE_LOCKING : TKS_SPIKE_ASKING, now_ms);
}

static tks_need after_locking(tksp_spike_op *self, int64_t now_ms) {
    const tks_reply *lock = inner_reply(self, 0);
    bool need_key;
    self->locked = lock != NULL && tks_reply_get_type(lock) == TKS_REPLY_STATUS;
    bool good = take_stored(self, 1, now_ms, &need_key);
    bool redis = self->inner != NULL;
    end_inner(self);
    if (good) return take(self, now_ms);
    if (need_key && tksp_spike_may_fetch_keys(self->spike, now_ms)) return fetch_key(self, now_ms);
    if (!redis || self->locked || now_ms >= self->lock_until_ms)
        return tksp_spike_enter(self, TKS_SPIKE_ASKING, now_ms);
    return tksp_spike_enter(self, TKS_SPIKE_WAITING, now_ms);
}

static tks_need after_redis(tksp_spike_op *self, int64_t now_ms) {
    switch (self->stage) {
    case TKS_SPIKE_LOOKING: return after_looking(self, now_ms);
    case TKS_SPIKE_LOCKING: return after_locking(self, now_ms);
    default: /* TKS_SPIKE_STORING, TKS_SPIKE_UNLOCKING: it is done as well as could be */
        end_inner(self);
        return self->base.failure == TKS_OK ? tksp_spike_done(self) : tksp_spike_failed(self);
    }
}
