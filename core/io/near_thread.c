/* near_thread.c - see near_thread.h. */
#define _POSIX_C_SOURCE 200809L

#include "near_thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "last_credentials.h"
#include "pools.h"
#include "run.h"
#include "subscription.h"
#include "thread.h"
#include "wait.h"
#include "waker.h"

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
    tksp_waker waker;
    tksp_last_credentials last;
    uint64_t given;                   /* the login whose credentials a connection got last */
    tksp_subscription *_Atomic links; /* for a forked child; NULL: there is none */
};

tksp_near_thread *tksp_near_thread_new(const tks_target *target) {
    tksp_near_thread *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    if (!tksp_last_credentials_init(&self->last)) {
        free(self);
        return NULL;
    }
    self->near = tks_near_new(target->near_cache, target->near_cache_staleness_ms,
                              target->near_cache_tracking);
    self->part_ms = target->near_cache_staleness_ms / PARTS;
    self->pid = getpid();
    atomic_init(&self->begun, false);
    atomic_init(&self->started, false);
    atomic_init(&self->links, NULL);
    tksp_waker_init(&self->waker);
    if (self->near != NULL) {
        return self;
    }
    tksp_last_credentials_clear(&self->last);
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
    case TKSP_LINK_OPEN:
        tks_near_open(self->near, node, self->version, tksp_boot_ms());
        tks_near_fail(self->near, NULL);
        break;
    case TKSP_LINK_PROVEN:
        tks_near_prove(self->near, self->router, node, sent_ms, tksp_boot_ms(),
                       tksp_clock() / TKSP_MS);
        break;
    case TKSP_LINK_LOST: tks_near_lose(self->near, node); break;
    }
}

static bool hear_push(void *context, const tks_reply *reply) {
    tksp_near_thread *self = context;
    return tks_near_hear(self->near, reply);
}

static bool wants_keys(void *context, int node) {
    tksp_near_thread *self = context;
    return tks_near_wants(self->near, node);
}

static tks_status ask_keys(void *context, int node, tks_buf *out, size_t *count) {
    tksp_near_thread *self = context;
    return tks_near_ask(self->near, node, out, count);
}

static void take_answer(void *context, int node, const tks_reply *reply) {
    tksp_near_thread *self = context;
    tks_near_answer(self->near, node, reply);
}

static void wake(void *context) {
    tksp_near_thread *self = context;
    tksp_waker_wake(&self->waker);
}

/* How the links hear of changes. */
static tksp_subscription_options link_options(tksp_near_thread *self, const tks_bytes *channel) {
    tksp_subscription_options options = {
        .prepare = prepare,
        .link = take_link,
        .context = self,
        .ping_ms = self->part_ms,
        .pings_always = true,
        .look_ms = self->part_ms,
    };
    if (tks_near_get_tracking(self->near) == TKS_NEAR_KEYS) {
        options.hear = hear_push;
        options.wants = wants_keys;
        options.ask = ask_keys;
        options.answer = take_answer;
        options.waker = &self->waker;
    } else {
        options.channels = channel;
        options.count = 1;
        options.rights = "&" TKS_NEAR_CHANNEL;
        options.accept = accept_message;
    }
    return options;
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

/* Supplies what another connection logged in with, if that may be any good; else sleeps a while. */
static bool supply(tksp_near_thread *self, tksp_subscription *sub) {
    tks_credentials credentials;
    bool refused = tksp_subscription_was_refused(sub);
    uint64_t number, after = refused ? self->given : 0;
    if (tksp_last_credentials_get(&self->last, after, &credentials, &number)) {
        self->given = number;
        tksp_subscription_give(sub, &credentials);
        return true;
    }
    if (refused) {
        tks_near_fail(self->near,
                      "the server refuses the password of the last connection; another "
                      "is tried once a new connection has logged in with it");
    }
    sleep_ms(self, TKSP_SLICE_MS);
    return false;
}

/* Until the client is closed, or other prefixes are wanted, or a failure. */
static tks_status listen(tksp_near_thread *self, tksp_subscription *sub, tks_error *err) {
    bool asks = true;
    tksp_heard heard;
    tks_status status = TKS_OK;
    while (status == TKS_OK && asks) {
        status = tksp_subscription_open(sub, NULL, &asks, err);
        while (asks && !supply(self, sub) && !tksp_client_is_closed(self->client)) {
        }
    }
    while (status == TKS_OK && self->version == tks_near_get_version(self->near)) {
        status = tksp_subscription_next(sub, TURN_MS, NULL, &heard, err);
        asks = asks || heard == TKSP_HEARD_ASKS;
        if (status == TKS_OK && asks) {
            asks = !supply(self, sub);
        }
    }
    return status;
}

static void *run(void *context) {
    tksp_near_thread *self = context;
    const tks_bytes channel = TKS_LITERAL(TKS_NEAR_CHANNEL);
    const tksp_subscription_options options = link_options(self, &channel);
    while (!tksp_client_is_closed(self->client)) {
        tks_error err = TKS_ERROR_INIT;
        tksp_subscription *sub = NULL;
        if (tks_near_get_version(self->near) == 0) { /* nothing has been asked for */
            sleep_ms(self, TKSP_SLICE_MS);
            continue;
        }
        tks_status status = tksp_subscription_new(self->client, &options, &sub, &err);
        if (status == TKS_OK) {
            atomic_store(&self->links, sub);
            status = listen(self, sub, &err);
            atomic_store(&self->links, NULL);
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
    if (tks_near_get_tracking(self->near) == TKS_NEAR_KEYS) {
        tksp_waker_open(&self->waker);
        tks_near_set_waker(self->near, wake, self);
    }
    atomic_store(&self->started, tksp_thread_start(&self->thread, run, self));
}

void tksp_near_thread_note(tksp_near_thread *self, const tks_credentials *credentials) {
    tksp_last_credentials_note(&self->last, credentials);
}

void tksp_near_thread_stop(tksp_near_thread *self) {
    if (self->pid != getpid()) {
        return;
    }
    if (atomic_exchange(&self->started, false)) {
        (void)pthread_join(self->thread, NULL);
    }
    tks_near_set_waker(self->near, NULL, NULL);
    tksp_waker_close(&self->waker);
    tksp_last_credentials_forget(&self->last);
}

void tksp_near_thread_drop_inherited(tksp_near_thread *self) {
    tksp_subscription *links = atomic_load(&self->links);
    if (links != NULL) {
        tksp_subscription_drop_inherited(links);
    }
    tksp_waker_drop_inherited(&self->waker);
}

void tksp_near_thread_free(tksp_near_thread *self) {
    if (self == NULL) {
        return;
    }
    tksp_near_thread_stop(self);
    tks_router_free(self->router);
    if (self->pid == getpid()) { /* else threads may have been changing these when it forked */
        tks_near_free(self->near);
        tksp_last_credentials_clear(&self->last);
    }
    free(self);
}
