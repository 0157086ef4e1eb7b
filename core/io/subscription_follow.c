/* subscription_follow.c - the nodes that a subscription listens to: every primary, and with settings to make every replica, as
 * they change. See subscription_private.h. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <unistd.h>

#include "run.h"
#include "subscription_private.h"
#include "tokenstore/secret.h"

enum {
    LAG_MS = 1000,    /* as late may a node hear of what the others know */
    LEAVE_MS = 2000,  /* to read what a node told before it was replaced */
    REPEAT_MS = 10000 /* as late may a second node tell what the first one told */
};

/* The clock of routers. */
static int64_t clock_ms(void) {
    return tksp_clock_coarse() / TKSP_MS;
}

/* ---- questions: operations of the client -------------------------------------------------------- */

static void end_flight(tksp_subscription *sub) {
    tks_flight_free(sub->flight);
    sub->flight = NULL;
    tks_op_free(sub->op);
    sub->op = NULL;
}

/* Runs sub->op to its end, or until it asks for credentials. */
static tks_status fly(tksp_call *c, int64_t timeout_ms, bool *asks, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_status status = TKS_OK;
    *asks = false;
    if (sub->flight == NULL) {
        status = tks_client_begin(sub->client, sub->op, timeout_ms, &sub->watch, &sub->flight, err);
    }
    if (status == TKS_OK) {
        status = tks_flight_proceed(sub->flight, asks, err);
    }
    if (sub->pid != getpid()) { /* forked by a signal handler: see end_call */
        *asks = false;
        return TKS_ERR_CLOSED;
    }
    if (*asks) {
        sub->asker = NULL;
    }
    return status;
}

static bool is_fatal(tks_status status) {
    return status == TKS_ERR_INTERRUPTED || status == TKS_ERR_MEMORY || status == TKS_ERR_CLOSED;
}

void tksp_follow_end(tksp_subscription *sub) {
    end_flight(sub);
    sub->doubting = false;
}

/* PING, to which the map must be known, and which waits for it and explains why it is not found as other operations do. */
tks_status tksp_follow_begin(tksp_call *c, bool *asks, tks_error *err) {
    tksp_subscription *sub = c->sub;
    if (sub->version > 0) {
        return TKS_OK; /* called again, after it asked */
    }
    tks_status status = sub->op == NULL ? tks_ping_new(&sub->op, err) : TKS_OK;
    if (status == TKS_OK) {
        status = fly(c, sub->target->timeout_ms, asks, err);
    }
    if (!*asks) {
        end_flight(sub);
    }
    return status;
}

/* ---- is it true? --------------------------------------------------------------------------------- */

/* Of what it is about. A replica tells `del` of what has expired at its primary. */
static uint64_t hash_of(const tks_reply *message) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    tks_bytes text = tks_reply_get_bytes(tks_reply_get_item(message, 2));
    for (size_t i = 0; i < text.size; i++) {
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Has another node told the same? Two tell of a key that moved and was then deleted; and of all, while one has been demoted
 * and that is not known of all its slots; three, where both come together. (The same key, deleted by two nodes within
 * REPEAT_MS, before and after its slot moved, is told once: sessions' keys are random.) */
static bool was_told(tksp_subscription *sub) {
    uint64_t hash = hash_of(sub->message);
    int64_t now = tksp_clock();
    if (sub->told == NULL) {
        sub->told = calloc(TKSP_TOLD_SETS, sizeof *sub->told);
    }
    if (sub->told == NULL) {
        return false; /* out of memory: twice is better than never */
    }
    tksp_told *set = sub->told[hash % TKSP_TOLD_SETS], *oldest = set;
    for (size_t i = 0; i < TKSP_TOLD_WAYS; i++) {
        if (set[i].hash == hash && set[i].node != sub->from->member.node &&
            now - set[i].at < REPEAT_MS * TKSP_MS) {
            return true;
        }
        if (set[i].at < oldest->at) {
            oldest = &set[i];
        }
    }
    *oldest = (tksp_told){.hash = hash, .at = now, .node = sub->from->member.node};
    return false;
}

static void forget_message(tksp_subscription *sub) {
    tks_reply_free(sub->message);
    sub->message = NULL;
}

/* True, unless told already. */
static void tell(tksp_subscription *sub, tksp_heard *heard) {
    if (was_told(sub)) {
        forget_message(sub);
    } else {
        *heard = TKSP_HEARD_MESSAGE;
    }
}

tks_status tksp_follow_doubt(tksp_subscription *sub, tksp_listener *l, tksp_heard *heard) {
    sub->from = l;
    bool is_cluster = sub->target->service == NULL; /* or it is Sentinels' */
    if (is_cluster && sub->options.doubt != NULL) {
        sub->doubting = true;
        *heard = TKSP_HEARD_NOTHING;
    }
    return TKS_OK;
}

/* If that cannot be found out, it is as if the connection had been lost before. */
static tks_status resolve_doubt(tksp_call *c, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_error why = TKS_ERROR_INIT;
    bool asks = false;
    tks_status status = TKS_OK;
    if (sub->op == NULL) {
        status = sub->options.doubt(sub->options.context, &sub->op, &why);
    }
    if (status == TKS_OK && sub->op != NULL) {
        status = fly(c, sub->target->timeout_ms, &asks, &why);
    }
    if (asks) {
        *heard = TKSP_HEARD_ASKS;
        return TKS_OK;
    }
    bool is_false = status == TKS_OK && sub->op != NULL && tks_op_get_result(sub->op)->integer != 0;
    end_flight(sub);
    if (is_fatal(status)) {
        *err = why;
        return status; /* it stays in doubt */
    }
    sub->doubting = false;
    if (status == TKS_OK && !is_false) {
        tell(sub, heard);
        return TKS_OK;
    }
    forget_message(sub);
    if (status != TKS_OK && sub->from->conn != NULL) {
        tksp_listener_lose(sub->from, why.message);
        sub->why = sub->from->why;
        *heard = sub->from->leave_at == 0 ? TKSP_HEARD_LOST : TKSP_HEARD_NOTHING;
    }
    return TKS_OK;
}

/* ---- who are they? ------------------------------------------------------------------------------- */

static tksp_listener *find(const tksp_subscription *sub, const tks_member *member) {
    for (size_t i = 0; i < sub->count; i++) {
        tksp_listener *l = sub->listeners[i];
        if (l->leave_at == 0 && l->member.node == member->node &&
            l->member.replica == member->replica) {
            return l;
        }
    }
    return NULL;
}

static bool is_among(const tks_member *members, size_t count, const tksp_listener *l) {
    for (size_t i = 0; i < count; i++) {
        if (members[i].node == l->member.node && members[i].replica == l->member.replica) {
            return true;
        }
    }
    return false;
}

/* Leaves those that are no more. Returns `since`, or since when the messages of one of them may be missing if that is earlier. */
static int64_t leave_others(tksp_subscription *sub, const tks_member *members, size_t count,
                            int64_t since) {
    for (size_t i = sub->count; i-- > 0;) {
        tksp_listener *l = sub->listeners[i];
        if (l->leave_at != 0 || is_among(members, count, l)) {
            continue;
        }
        int64_t known_ms = l->conn != NULL ? l->known_ms : l->lost_ms;
        if (!l->member.replica && known_ms > 0 && known_ms < since) {
            since = known_ms;
        }
        if (l->conn == NULL || l->member.replica) {
            tksp_subscription_remove(sub, i);
        } else {
            tksp_listener_note(l, TKSP_LINK_LOST);
            l->leave_at = tksp_clock() + LEAVE_MS * TKSP_MS;
            l->ready = true;
        }
    }
    return since;
}

/* The slots of `l` are others now: messages of what it serves since then may have been missed, wherever they were. */
static void note_change(tksp_subscription *sub, tksp_listener *l, int64_t since) {
    if (!sub->opened) {
        return;
    }
    if (l->conn != NULL) {
        tksp_subscription_note_gap(sub, since, tksp_wall_ms());
    } else if (l->lost_ms == 0 || since < l->lost_ms) {
        l->lost_ms = since;
    }
}

/* `version`: of the map with these members. */
static tks_status turn_to(tksp_subscription *sub, const tks_member *members, size_t count,
                          uint64_t version, tks_error *err) {
    bool is_cluster = sub->target->service == NULL;
    bool may_be_back = is_cluster && sub->opened && version > sub->version + 1;
    int64_t since = tksp_wall_ms() - (clock_ms() - sub->sure_ms) - LAG_MS;
    since = leave_others(sub, members, count, since);
    for (size_t i = 0; i < count; i++) {
        tksp_listener *l = find(sub, &members[i]);
        bool is_new = l == NULL;
        tks_status status = is_new ? tksp_subscription_add(sub, &members[i], &l, err) : TKS_OK;
        if (status != TKS_OK) {
            return status;
        }
        if (!l->member.replica && (is_new || l->member.slots != members[i].slots)) {
            note_change(sub, l, since);
            may_be_back = false;
        }
        l->member = members[i];
    }
    if (may_be_back) { /* slots have been elsewhere for a while */
        tksp_subscription_note_gap(sub, since, tksp_wall_ms());
    }
    return TKS_OK;
}

/* Turns to the nodes that the map names, if it changed. While no primary is known, it stays with those that it has. */
static tks_status turn(tksp_subscription *sub, tks_error *err) {
    bool replicas = sub->options.prepares_replicas;
    int64_t sure_ms = tks_router_renewed_ms(sub->router); /* of this version, or of one before */
    uint64_t version = tks_router_version(sub->router);
    if (version == sub->version && (!replicas || sure_ms == sub->sure_ms)) {
        sub->sure_ms = sure_ms;
        return TKS_OK;
    }
    tks_member *members = malloc(TKS_NODES_MAX * sizeof *members);
    if (members == NULL) {
        return tks_fail_memory(err);
    }
    size_t count = tks_router_list(sub->router, replicas, members, TKS_NODES_MAX);
    tks_status status = TKS_OK;
    if (count > 0 && !members[0].replica) {
        status = turn_to(sub, members, count, version, err);
    }
    if (status == TKS_OK && count > 0 && !members[0].replica) {
        sub->version = version;
        sub->sure_ms = sure_ms;
    }
    free(members);
    return status;
}

/* Asks for the map every `look_ms`, and where a lost connection makes that due. Whether it is found shows later. */
static tks_status look(tksp_call *c, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_error why = TKS_ERROR_INIT;
    bool asks = false;
    int64_t now = tksp_clock();
    if (sub->op == NULL) {
        if (now >= sub->look_at) {
            int64_t part = sub->options.look_ms * 2 / 3;
            tks_router_renew(sub->router, clock_ms(), sub->options.look_ms / 2);
            sub->look_at = now + (part + (int64_t)tks_random_below((uint32_t)part)) * TKSP_MS;
        }
        sub->op = tks_router_refresh(sub->router, clock_ms());
    }
    if (sub->op == NULL) {
        return TKS_OK;
    }
    tks_status status = fly(c, sub->target->connect_timeout_ms, &asks, &why);
    if (asks) {
        *heard = TKSP_HEARD_ASKS;
        return TKS_OK;
    }
    end_flight(sub);
    if (is_fatal(status)) {
        *err = why;
        return status;
    }
    tksp_pools_retire(sub->pools);
    return TKS_OK;
}

tks_status tksp_follow(tksp_call *c, int64_t *wake, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_status status = sub->doubting ? resolve_doubt(c, heard, err) : TKS_OK;
    if (status == TKS_OK && *heard == TKSP_HEARD_NOTHING) {
        status = look(c, heard, err);
    }
    if (status == TKS_OK && *heard == TKSP_HEARD_NOTHING) {
        status = turn(sub, err);
    }
    *wake = sub->look_at < *wake ? sub->look_at : *wake;
    return status;
}

bool tksp_follow_permits(const tksp_subscription *sub, const tksp_listener *l) {
    return sub->router == NULL || l->member.replica ||
           tks_router_serves(sub->router, l->member.node);
}
