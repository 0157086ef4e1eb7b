/* subscription_listen.c - reads what one or several listeners hear, in turn. See subscription_private.h. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>

#include "subscription_private.h"

static tks_status hear(tksp_call *c, tksp_listener *l, int64_t until, tksp_heard *heard,
                       tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_status status = tksp_listener_hear(l, until, &c->wait, heard, &sub->message, err);
    if (status == TKS_OK && sub->router != NULL) {
        if (*heard == TKSP_HEARD_MESSAGE) {
            return tksp_follow_doubt(sub, l, heard);
        }
        if (*heard == TKSP_HEARD_LOST && !l->member.replica && l->leave_at == 0) {
            tks_router_lost(sub->router, l->member.node);
        }
    }
    if (*heard == TKSP_HEARD_LOST) {
        sub->why = l->why;
        if (l->member.replica || l->leave_at != 0) {
            *heard = TKSP_HEARD_NOTHING; /* nothing is missed */
        }
    }
    return status;
}

/* Reads one value that has arrived at one of several. TKS_ERR_TIMEOUT: there is none. */
static tks_status hear_any(tksp_call *c, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    int64_t now = tksp_clock();
    for (size_t i = 0; i < sub->count; i++) {
        size_t at = (sub->turn + i) % sub->count;
        tksp_listener *l = sub->listeners[at];
        if (l->conn == NULL || !(l->ready || tksp_listener_next_ping(l) <= now)) {
            continue;
        }
        tks_status status = hear(c, l, l->ready ? 0 : now, heard, err);
        l->ready =
            status != TKS_ERR_TIMEOUT; /* what has been read behind a value, poll does not show */
        if (!l->ready) {
            continue;
        }
        sub->turn = at + 1;
        return status;
    }
    return TKS_ERR_TIMEOUT;
}

/* Removes those that have told all, or had the time. True: there were some. */
static bool let_go(tksp_subscription *sub) {
    size_t before = sub->count;
    for (size_t i = sub->count; i-- > 0;) {
        const tksp_listener *l = sub->listeners[i];
        if (l->leave_at != 0 && (l->conn == NULL || !l->ready || l->leave_at < tksp_clock())) {
            tksp_subscription_remove(sub, i);
        }
    }
    return sub->count < before;
}

static tks_status look_at_all(const tksp_subscription *sub) {
    return poll(sub->fds, sub->count + 1, 0) > 0 ? TKS_OK : TKS_ERR_TIMEOUT;
}

/* Room for the descriptors of all, and the waker's. */
static bool make_room(tksp_subscription *sub) {
    size_t needed = sub->count + 1;
    if (sub->fds_room < needed) {
        struct pollfd *more = realloc(sub->fds, needed * sizeof *more);
        if (more == NULL) {
            return false;
        }
        sub->fds = more;
        sub->fds_room = needed;
    }
    return true;
}

/* Waits until there may be something to read, or a PING is due. */
static tks_status wait_for_any(tksp_call *c, int64_t until, tks_error *err) {
    tksp_subscription *sub = c->sub;
    const tksp_waker *waker = sub->options.waker;
    int64_t deadline = c->wait.deadline;
    if (!make_room(sub)) {
        return tks_fail_memory(err);
    }
    sub->fds[sub->count] =
        (struct pollfd){waker != NULL ? tksp_waker_get_fd(waker) : -1, POLLIN, 0};
    for (size_t i = 0; i < sub->count; i++) {
        const tksp_listener *l = sub->listeners[i];
        sub->fds[i] = l->conn != NULL ? tksp_conn_get_poll(l->conn) : (struct pollfd){-1, 0, 0};
        if (l->conn != NULL && tksp_listener_next_ping(l) < until) {
            until = tksp_listener_next_ping(l);
        }
    }
    bool past = until <= tksp_clock(); /* what has arrived is read all the same */
    c->wait.deadline = until;
    tks_status status =
        past ? look_at_all(sub) : tksp_wait_fds(&c->wait, sub->fds, sub->count + 1, err);
    c->wait.deadline = deadline;
    for (size_t i = 0; status == TKS_OK && i < sub->count; i++) {
        sub->listeners[i]->ready = sub->fds[i].revents != 0;
    }
    if (status == TKS_OK && sub->fds[sub->count].revents != 0) {
        tksp_waker_calm(waker);
    }
    return status;
}

tks_status tksp_subscription_listen(tksp_call *c, int64_t wake, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    int64_t deadline = c->wait.deadline, until = wake < deadline ? wake : deadline;
    tks_status status;
    bool alone = sub->count == 1 && sub->options.waker == NULL;
    if (alone && sub->listeners[0]->conn != NULL && sub->listeners[0]->leave_at == 0) {
        status = hear(c, sub->listeners[0], until, heard, err);
    } else {
        status = let_go(sub) ? TKS_OK : hear_any(c, heard, err);
        if (status == TKS_ERR_TIMEOUT) {
            status = let_go(sub) ? TKS_OK : wait_for_any(c, until, err);
        }
    }
    return status == TKS_ERR_TIMEOUT && tksp_clock() < deadline ? TKS_OK : status;
}
