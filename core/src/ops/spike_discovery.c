/* spike_discovery.c - the stage of get_token that fetches an issuer's metadata, before the first
 * other request. */
#include "spike_machine.h"

#include <stdio.h>

tks_bytes tksp_spike_token_url(const tksp_spike_op *self) {
    const tks_bytes given = self->spike->options.token_url;
    return given.size == 0 && self->metadata != NULL ? self->metadata->token_url : given;
}

tks_bytes tksp_spike_key_url(const tksp_spike_op *self) {
    const tks_bytes given = self->spike->options.key_url;
    return given.size == 0 && self->metadata != NULL ? self->metadata->key_url : given;
}

bool tksp_spike_must_discover(tksp_spike_op *self, int64_t now_ms) {
    if (self->spike->options.discover.size == 0 || self->metadata != NULL) return false;
    self->metadata = tksp_metadata_get(&self->spike->metadata);
    if (self->metadata == NULL) return true;
    int64_t age_ms = now_ms - self->metadata->read_ms;
    return age_ms < 0 || age_ms > TKSP_METADATA_AGE_MS;
}

tks_need tksp_spike_ask_metadata(tksp_spike_op *self, int64_t now_ms) {
    tks_buf url;
    tks_buf_init(&url, 16 * 1024);
    tks_status status = tksp_metadata_url(self->spike->options.discover, self->well_known, &url);
    tks_bytes where = tksp_arena_dup(&self->base.arena, tks_buf_bytes(&url));
    tks_buf_clear(&url);
    if (status != TKS_OK || self->base.arena.status != TKS_OK) return tksp_spike_fail_memory(self);
    return tksp_spike_get(self, where, now_ms);
}

static tks_need go_on(tksp_spike_op *self, int64_t now_ms) {
    self->tries = 0;
    if (self->key_alone && self->spike->options.opaque) return tksp_spike_done_bool(self);
    return tksp_spike_enter(self, self->discovered, now_ms);
}

/* Keeps using the old metadata if it cannot be fetched again. */
static tks_need without(tksp_spike_op *self, const char *why, int64_t now_ms) {
    tksp_spike_note(self, 'w', why);
    if (self->metadata != NULL) return go_on(self, now_ms);
    return tksp_spike_fail(self, TKS_ERR_SPIKE, why, now_ms);
}

tks_need tksp_spike_take_metadata(tksp_spike_op *self, const tks_event *event) {
    const tks_http_response *response = event->response;
    char text[TKS_ERROR_SIZE];
    tks_error why = TKS_ERROR_INIT;
    tksp_metadata *read = NULL;
    if (response == NULL) {
        (void)snprintf(text, sizeof text, "the issuer's metadata: %.280s",
                       event->why != NULL ? event->why->message : "the connection was lost");
    } else {
        (void)snprintf(text, sizeof text, "the issuer's metadata: the server answered %d",
                       response->status);
    }
    if (response == NULL ? !event->final : response->status == 429 || response->status >= 500) {
        if (self->metadata != NULL) return without(self, text, event->now_ms);
        return tksp_spike_try_later(self, text, event->now_ms);
    }
    if (response == NULL) return without(self, text, event->now_ms);
    if (response->status == 200) {
        tks_status status = tksp_metadata_read(self->spike->options.discover, response->body,
                                               event->now_ms, &read, &why);
        if (status == TKS_OK) {
            tksp_metadata_leave(self->metadata);
            self->metadata = read;
            tksp_metadata_put(&self->spike->metadata, read);
            tksp_spike_note(self, 'i', "issuer's metadata read");
            return go_on(self, event->now_ms);
        }
        (void)snprintf(text, sizeof text, "%.300s", why.message);
        if (status != TKS_ERR_DATA) return without(self, text, event->now_ms);
    }
    if (++self->well_known < TKSP_METADATA_PLACES) {
        return tksp_spike_enter(self, TKS_SPIKE_DISCOVERING, event->now_ms);
    }
    return without(self, text, event->now_ms);
}
