/* session_events.c - see tokenstore/session_events.h. The channels, and the meaning of their messages. */
#include "tokenstore/session_events.h"

#include <stdlib.h>

#include "subscription.h"

enum { KEEPALIVE_MS = 15000, LOOK_MS = 1000, CHANNEL_SIZE = 64 };

struct tks_session_events {
    tksp_subscription *subscription;
    uint32_t db;
    tks_session_event event; /* the last one received */
};

static tks_status prepare(void *context, tks_op **out, tks_error *err) {
    (void)context;
    return tks_session_notify_new(out, err);
}

static bool accept_message(void *context, tks_bytes channel, const tks_reply *message) {
    tks_session_events *events = context;
    if (tks_reply_get_type(message) != TKS_REPLY_STRING) {
        return false;
    }
    tks_bytes payload = tks_reply_get_bytes(message);
    return tks_session_event_read(channel, payload, events->db, &events->event);
}

/* A slot that moves to another node leaves `del` of each of its keys behind. */
static tks_status doubt_message(void *context, tks_op **out, tks_error *err) {
    const tks_session_events *events = context;
    *out = NULL;
    return events->event.kind == TKS_SESSION_DELETED
               ? tks_session_exists_new(events->event.rjwt, out, err)
               : TKS_OK;
}

static tks_status subscribe(tks_session_events *events, tks_client *client,
                            const tks_session_events_options *options, tks_error *err) {
    tks_buf names[TKS_SESSION_ENDS];
    tks_bytes channels[TKS_SESSION_ENDS];
    tks_status status = TKS_OK;
    for (int kind = 0; kind < TKS_SESSION_ENDS; kind++) {
        tks_buf_init(&names[kind], CHANNEL_SIZE);
        if (tks_session_channel((tks_session_end)kind, events->db, &names[kind]) != TKS_OK) {
            status = tks_fail_memory(err);
        }
        channels[kind] = tks_buf_bytes(&names[kind]);
    }
    if (status == TKS_OK) {
        tksp_subscription_options o = {
            .channels = channels,
            .count = TKS_SESSION_ENDS,
            .rights = "&__keyevent@*",
            .prepare = options->configure ? prepare : NULL,
            .prepares_replicas = options->configure,
            .accept = accept_message,
            .context = events,
            .doubt = doubt_message,
            .look_ms = LOOK_MS,
            .ping_ms = options->keepalive_ms > 0 ? options->keepalive_ms : KEEPALIVE_MS,
        };
        status = tksp_subscription_new(client, &o, &events->subscription, err);
    }
    for (int kind = 0; kind < TKS_SESSION_ENDS; kind++) {
        tks_buf_clear(&names[kind]);
    }
    return status;
}

tks_status tks_session_events_new(tks_client *client, const tks_session_events_options *options,
                                  tks_session_events **out, tks_error *err) {
    *out = NULL;
    tks_session_events *events = calloc(1, sizeof *events);
    if (events == NULL) {
        return tks_fail_memory(err);
    }
    events->db = tks_client_get_target(client)->db;
    tks_status status = subscribe(events, client, options, err);
    if (status != TKS_OK) {
        tks_session_events_free(events);
        return status;
    }
    *out = events;
    return TKS_OK;
}

tks_status tks_session_events_open(tks_session_events *events, const tks_interrupt *interrupt,
                                   bool *asks, tks_error *err) {
    return tksp_subscription_open(events->subscription, interrupt, asks, err);
}

void tks_session_events_give(tks_session_events *events, tks_credentials *credentials) {
    tksp_subscription_give(events->subscription, credentials);
}

tks_status tks_session_events_next(tks_session_events *events, int64_t timeout_ms,
                                   const tks_interrupt *interrupt, tks_session_notice *out,
                                   tks_error *err) {
    tksp_heard heard;
    *out = (tks_session_notice){.type = TKS_SESSION_NOTHING};
    tks_status status =
        tksp_subscription_next(events->subscription, timeout_ms, interrupt, &heard, err);
    if (status != TKS_OK) {
        return status;
    }
    tksp_gap gap = tksp_subscription_get_gap(events->subscription);
    switch (heard) {
    case TKSP_HEARD_NOTHING: break;
    case TKSP_HEARD_MESSAGE:
        out->type = TKS_SESSION_ENDED;
        out->event = events->event;
        break;
    case TKSP_HEARD_ASKS: out->type = TKS_SESSION_ASKS; break;
    case TKSP_HEARD_LOST:
        out->type = TKS_SESSION_LOST;
        out->why = tksp_subscription_get_error(events->subscription);
        break;
    case TKSP_HEARD_GAP:
        out->type = TKS_SESSION_GAP;
        out->lost_ms = gap.lost_ms;
        out->restored_ms = gap.restored_ms;
        break;
    }
    return TKS_OK;
}

void tks_session_events_close(tks_session_events *events) {
    tksp_subscription_close(events->subscription);
}

void tks_session_events_free(tks_session_events *events) {
    if (events == NULL) {
        return;
    }
    tksp_subscription_free(events->subscription);
    free(events);
}
