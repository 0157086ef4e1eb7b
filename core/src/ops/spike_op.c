/* spike_op.c - get_token as a state machine, described in tokenstore/spike.h. The Redis stages are
 * in spike_redis.c, the HTTP stages in spike_http.c. */
#include "spike_machine.h"

#include <stdio.h>

#include "meter.h"
#include "tokenstore/secret.h"

enum {
    LOCK_POLL_MS = 25, /* poll interval while another process holds the lock */
    OWNER_SIZE = 16    /* random bytes that identify the holder of a lock */
};

/* ---- notes for the log ---- */

void tksp_spike_note(tksp_spike_op *self, char level, const char *text) {
    tks_notes_add(&self->base.notes, level, text);
}

/* ---- ends ---- */

tks_need tksp_spike_done(tksp_spike_op *self) {
    self->base.result.type = TKS_RESULT_ACCESS;
    self->base.result.access = &self->result;
    self->base.state = TKS_OP_DONE;
    return TKS_DONE;
}

tks_need tksp_spike_done_bool(tksp_spike_op *self) {
    self->base.result = (tks_result){.type = TKS_RESULT_BOOL, .integer = 1};
    self->base.state = TKS_OP_DONE;
    return TKS_DONE;
}

tks_need tksp_spike_failed(tksp_spike_op *self) {
    self->base.state = TKS_OP_FAILED;
    return TKS_FAILED;
}

/* Records the failure, and releases a held lock before failing. */
tks_need tksp_spike_fail(tksp_spike_op *self, tks_status status, const char *message,
                         int64_t now_ms) {
    (void)tksp_op_fail(&self->base, status, "%s", message);
    bool tells = self->tell_barred.size > 0 || self->tell_failed.size > 0;
    return (self->locked || tells) && self->redis
               ? tksp_spike_enter(self, TKS_SPIKE_UNLOCKING, now_ms)
               : tksp_spike_failed(self);
}

tks_need tksp_spike_fail_for_all(tksp_spike_op *self, tks_status status, const char *message,
                                 int64_t now_ms) {
    tksp_spike_failure failure = {.status = status,
                                  .until_ms = now_ms + TKS_SPIKE_FAILURE_MS,
                                  .answer = self->answer};
    (void)snprintf(failure.why, sizeof failure.why, "%s", message);
    if (self->redis) {
        self->tell_failed = tksp_spike_failure_write(&failure, self->ahead_ms, &self->base.arena);
    }
    return tksp_spike_fail(self, status, message, now_ms);
}

tks_need tksp_spike_fail_as(tksp_spike_op *self, const tksp_spike_failure *failure,
                            int64_t now_ms) {
    self->answer = failure->answer;
    self->answer.retry_after_ms = failure->until_ms - now_ms;
    return tksp_spike_fail(self, failure->status, failure->why, now_ms);
}

tks_need tksp_spike_fail_memory(tksp_spike_op *self) {
    (void)tksp_op_fail(&self->base, TKS_ERR_MEMORY, "out of memory");
    return tksp_spike_failed(self);
}

void tksp_spike_accept(tksp_spike_op *self, tks_bytes token, const tksp_lifetime *lifetime) {
    self->result.token = token;
    self->result.good_until_ms = lifetime->good_until_ms;
    self->result.renew_at_ms = lifetime->renew_at_ms;
}

/* ---- the machine ---- */

tks_need tksp_spike_enter(tksp_spike_op *self, tksp_spike_stage next, int64_t now_ms) {
    if ((next == TKS_SPIKE_ASKING || next == TKS_SPIKE_FETCHING_KEY) &&
        tksp_spike_must_discover(self, now_ms)) {
        self->discovered = next;
        next = TKS_SPIKE_DISCOVERING;
    }
    self->stage = next;
    switch (next) {
    case TKS_SPIKE_WAITING:
        self->base.sleep_ms = LOCK_POLL_MS + tks_random_below(LOCK_POLL_MS);
        return TKS_NEED_SLEEP;
    case TKS_SPIKE_ASKING: return tksp_spike_ask_token(self, now_ms);
    case TKS_SPIKE_FETCHING_KEY: return tksp_spike_ask_key(self, now_ms);
    case TKS_SPIKE_DISCOVERING: return tksp_spike_ask_metadata(self, now_ms);
    default: return tksp_spike_ask_redis(self, now_ms);
    }
}

static tks_need begin(tksp_spike_op *self, int64_t now_ms) {
    if (self->key_alone) return tksp_spike_enter(self, TKS_SPIKE_FETCHING_KEY, now_ms);
    self->lock_until_ms = now_ms + TKS_SPIKE_WAIT_MS;
    return tksp_spike_enter(self, self->redis ? TKS_SPIKE_LOOKING : TKS_SPIKE_ASKING, now_ms);
}

static tks_need step(tks_op *base, const tks_event *given) {
    tksp_spike_op *self = (tksp_spike_op *)base;
    tks_event by_boot = *given;
    const tks_event *event = &by_boot;
    by_boot.now_ms = given->boot_ms;
    self->wall_ms = given->now_ms;
    if (!self->knows_redis_time) self->ahead_ms = given->now_ms - given->boot_ms;
    base->request = NULL;
    if (event->type == TKS_EVENT_START) return begin(self, event->now_ms);
    if (self->inner != NULL) return tksp_spike_step_redis(self, event);
    if (event->type == TKS_EVENT_DEADLINE) {
        return tksp_spike_fail(self, TKS_ERR_TIMEOUT, "no access token within the timeout",
                               event->now_ms);
    }
    switch (self->stage) {
    case TKS_SPIKE_WAITING: return tksp_spike_enter(self, TKS_SPIKE_LOCKING, event->now_ms);
    case TKS_SPIKE_PAUSING:
        if (self->paused == TKS_SPIKE_LOCKING) {
            self->lock_until_ms = event->now_ms + TKS_SPIKE_WAIT_MS;
        }
        return tksp_spike_enter(self, self->paused, event->now_ms);
    case TKS_SPIKE_FETCHING_KEY: return tksp_spike_take_key(self, event);
    case TKS_SPIKE_DISCOVERING: return tksp_spike_take_metadata(self, event);
    default: return tksp_spike_take_token(self, event);
    }
}

static void clear(tks_op *base) {
    tksp_spike_op *self = (tksp_spike_op *)base;
    tks_op_free(self->inner);
    tks_buf_wipe(&self->body);
    tksp_metadata_leave(self->metadata);
    if (self->fetching_keys) tksp_spike_end_keys(self->spike);
    tks_spike_free(self->spike);
}

static const tksp_op_kind spike_kind = {.step = step, .clear = clear};

const tks_spike_answer *tks_spike_get_answer(const tks_op *op) {
    return &((const tksp_spike_op *)op)->answer;
}

/* ---- making one ---- */

/* Sets the keys of the token, and the random name of the lock's holder. */
static tks_status name_keys(tksp_spike_op *self) {
    char random[OWNER_SIZE];
    tks_buf text;
    tks_status status =
        tksp_spike_place_init(self->spike, &self->asked, &self->base.arena, &self->place);
    tks_buf_init(&text, 1024);
    tks_random(random, sizeof random);
    tks_encode(TKS_HEX, random, sizeof random, &text);
    self->owner = tksp_arena_dup(&self->base.arena, tks_buf_bytes(&text));
    if (status == TKS_OK) status = text.status;
    tks_buf_clear(&text);
    return status == TKS_OK ? self->base.arena.status : status;
}

static tks_status hide(tksp_spike_op *self) {
    return tksp_client_hide(&self->spike->credentials, self->given, &self->base.arena,
                            self->hidden);
}

/* Reports a request that cannot be sent before sending anything. */
static tks_status try_body(tksp_spike_op *self, tks_error *err) {
    tks_status status =
        tksp_oauth_write_body(self->spike->options.json_body, self->asked.parameters,
                              self->asked.count, NULL, 0, &self->body);
    if (status == TKS_OK) return TKS_OK;
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err)
                                    : tks_fail(err, status,
                                               "the request cannot be sent as JSON: text must be "
                                               "UTF-8, with at most one resource");
}

tks_status tks_spike_get_token(tks_spike *spike, tks_bytes request, int64_t held_until_ms,
                               tks_bytes given, tks_op **out, tks_error *err) {
    *out = NULL;
    tksp_spike_op *self = (tksp_spike_op *)tksp_op_new(sizeof *self, &spike_kind, TKS_IDEMPOTENT);
    if (self == NULL) return tks_fail_memory(err);
    tksp_op_name(&self->base, &tksp_spike_row);
    self->base.reads_boot = true;
    self->spike = tksp_spike_hold(spike);
    tks_buf_init(&self->body, 64 * 1024);
    self->redis = spike->options.redis_key.size > 0;
    self->held_until_ms = held_until_ms;
    self->given = tksp_arena_dup(&self->base.arena, given);
    tks_status status = tksp_spike_asked_init(spike, request, &self->base.arena, &self->asked, err);
    if (status == TKS_OK) status = try_body(self, err);
    if (status == TKS_OK && (name_keys(self) != TKS_OK || hide(self) != TKS_OK)) {
        status = tks_fail_memory(err);
    }
    if (status != TKS_OK) {
        tks_op_free(&self->base);
        return status;
    }
    *out = &self->base;
    return TKS_OK;
}

tks_status tks_spike_load_key(tks_spike *spike, tks_op **out, tks_error *err) {
    *out = NULL;
    tksp_spike_op *self = (tksp_spike_op *)tksp_op_new(sizeof *self, &spike_kind, TKS_IDEMPOTENT);
    if (self == NULL) return tks_fail_memory(err);
    self->base.reads_boot = true;
    self->spike = tksp_spike_hold(spike);
    self->key_alone = true;
    *out = &self->base;
    return TKS_OK;
}
