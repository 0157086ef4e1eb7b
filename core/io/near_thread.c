/* near_thread.c - see near_thread.h. */
#define _POSIX_C_SOURCE 200809L

#include "near_thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "pools.h"
#include "run.h"
#include "subscription.h"
#include "thread.h"
#include "wait.h"

enum {
    TURN_MS = 100,   /* the longest until it notices that other keys are wanted */
    PAUSE_MS = 1000, /* after a failure that will not pass by itself */
    PARTS =
        4 /* of the staleness: between two questions whether a link lives, or a node is a primary */
};

struct tksp_near_thread {
    tks_near *near;
    int64_t part_ms;
    pid_t pid;
    atomic_bool begun, started;
    pthread_t thread;
    tks_client *client;
    tks_router *router; /* NULL: there is one server */
    unsigned version;   /* of the prefixes that the links tell of */
};

tksp_near_thread *tksp_near_thread_new(const tks_target *target) {
    tksp_near_thread *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->near = tks_near_new(target->near_cache, target->near_cache_staleness_ms);
    self->part_ms = target->near_cache_staleness_ms / PARTS;
    self->pid = getpid();
    atomic_init(&self->begun, false);
    atomic_init(&self->started, false);
    if (self->near != NULL) {
        return self;
    }
    free(self);
    return NULL;
}

tks_near *tksp_near_thread_get(tksp_near_thread *self) {
    return self->near;
}

/* ---- the links --------------------------------------------------------------------------------- */

static tks_status prepare(void *context, tks_op **out, tks_error *err) {
    tksp_near_thread *self = context;
    return tks_near_track_new(self->near, &self->version, out, err);
}

static bool accept_message(void *context, tks_bytes channel, const tks_reply *payload) {
    tksp_near_thread *self = context;
    (void)channel;
    tks_near_take(self->near, payload);
    return false;
}

static void take_link(void *context, int node, tksp_link event, int64_t sent_ms) {
    tksp_near_thread *self = context;
    switch (event) {
    case TKSP_LINK_OPEN: tks_near_open(self->near, node, self->version, tksp_boot_ms()); break;
    case TKSP_LINK_PROVEN:
        tks_near_prove(self->near, self->router, node, sent_ms, tksp_boot_ms(),
                       tksp_clock() / TKSP_MS);
        break;
    case TKSP_LINK_LOST: tks_near_lose(self->near, node); break;
    }
}

/* ---- the thread -------------------------------------------------------------------------------- */

static void sleep_ms(tksp_near_thread *self, int64_t ms) {
    tks_error err = TKS_ERROR_INIT;
    int64_t until = tksp_clock() + ms * TKSP_MS;
    while (!tksp_client_is_closed(self->client) && tksp_clock() < until) {
        tksp_wait wait;
        tksp_wait_init(&wait, TKSP_SLICE_MS, NULL);
        (void)tksp_wait_fd(&wait, -1, 0, &err);
    }
}

/* Until the client is closed, or other prefixes are wanted, or a failure. */
static tks_status listen(tksp_near_thread *self, tksp_subscription *sub, tks_error *err) {
    bool asks = false; /* it stays: clients with a credentials function have no near cache */
    tksp_heard heard;
    tks_status status = tksp_subscription_open(sub, NULL, &asks, err);
    if (status == TKS_OK) {
        tks_near_fail(self->near, NULL);
    }
    while (status == TKS_OK && self->version == tks_near_get_version(self->near)) {
        status = tksp_subscription_next(sub, TURN_MS, NULL, &heard, err);
    }
    return status;
}

static void *run(void *context) {
    tksp_near_thread *self = context;
    const tks_bytes channel = TKS_LITERAL(TKS_NEAR_CHANNEL);
    const tksp_subscription_options options = {
        .channels = &channel,
        .count = 1,
        .rights = "&" TKS_NEAR_CHANNEL,
        .prepare = prepare,
        .accept = accept_message,
        .link = take_link,
        .context = self,
        .ping_ms = self->part_ms,
        .pings_always = true,
        .look_ms = self->part_ms,
    };
    while (!tksp_client_is_closed(self->client)) {
        tks_error err = TKS_ERROR_INIT;
        tksp_subscription *sub = NULL;
        if (tks_near_get_version(self->near) == 0) { /* nothing has been asked for */
            sleep_ms(self, TKSP_SLICE_MS);
            continue;
        }
        tks_status status = tksp_subscription_new(self->client, &options, &sub, &err);
        if (status == TKS_OK) {
            status = listen(self, sub, &err);
        }
        tksp_subscription_free(sub);
        if (status != TKS_OK && status != TKS_ERR_CLOSED) {
            tks_near_fail(self->near, err.message);
            sleep_ms(self, PAUSE_MS);
        }
    }
    return NULL;
}

void tksp_near_thread_start(tksp_near_thread *self, tks_client *client) {
    if (atomic_load_explicit(&self->begun, memory_order_relaxed) ||
        atomic_exchange(&self->begun, true)) {
        return;
    }
    self->client = client;
    self->router = tks_client_hold_router(client);
    atomic_store(&self->started, tksp_thread_start(&self->thread, run, self));
}

void tksp_near_thread_stop(tksp_near_thread *self) {
    if (atomic_exchange(&self->started, false) && self->pid == getpid()) {
        (void)pthread_join(self->thread, NULL);
    }
}

void tksp_near_thread_free(tksp_near_thread *self) {
    if (self == NULL) {
        return;
    }
    tksp_near_thread_stop(self);
    tks_router_free(self->router);
    if (self->pid ==
        getpid()) { /* else the thread may have been changing it when the process forked */
        tks_near_free(self->near);
    }
    free(self);
}
