/* subscription_private.h - what subscription.c (its calls) and subscription_follow.c (the nodes that it listens to) share. */
#ifndef TKSP_IO_SUBSCRIPTION_PRIVATE_H
#define TKSP_IO_SUBSCRIPTION_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "listener.h"
#include "pools.h"

/* A message that is remembered, lest it is told twice; in the set of its hash, where it takes the place of the oldest. */
typedef struct tksp_told {
    uint64_t hash;
    int64_t at;
    int node;
} tksp_told;

enum { TKSP_TOLD_SETS = 2048, TKSP_TOLD_WAYS = 4 };

/* Times without a unit are monotonic, nanoseconds. */
struct tksp_subscription {
    tks_client *client;
    const tks_target *target;          /* of the URL */
    tksp_subscription_options options; /* without the channels */
    tks_buf command;                   /* SUBSCRIBE */
    pid_t pid;
    atomic_bool busy, closed;
    const tks_interrupt *interrupt; /* of the call in progress */
    tks_interrupt watch;
    tksp_listener **listeners; /* `count` of them; there is room for all that there can be */
    size_t count, turn;
    struct pollfd *fds;
    size_t fds_room;
    tksp_listener *asker; /* waits for credentials; NULL: none does, or the flight does */
    tks_reply *message;   /* the last one; NULL: none */
    tks_error why;
    bool gapped;    /* `gap` is to be told, */
    int64_t gap_at; /* where there are several nodes, not before: many slots move one by one */
    tksp_gap gap;
    /* Where there are several nodes: */
    tks_router *router; /* NULL: there is one server */
    tksp_pools *pools;
    bool opened;                       /* what changes from now on is a gap */
    uint64_t version;                  /* of the map that the listeners stand for, */
    int64_t sure_ms;                   /* and when that was last asked for, monotonic */
    int64_t look_at;                   /* when it is asked for again */
    tks_flight *flight;                /* of `op`; NULL: none is under way */
    tks_op *op;                        /* a refresh, or whether `message` is true */
    bool doubting;                     /* that is not known yet */
    tksp_listener *from;               /* heard it */
    tksp_told (*told)[TKSP_TOLD_WAYS]; /* TKSP_TOLD_SETS of them; NULL: nothing was told yet */
};

/* One call of open or next. */
typedef struct tksp_call {
    tksp_subscription *sub;
    tksp_wait wait;
    int64_t attempts_until; /* monotonic: the limit of attempts to connect */
} tksp_call;

/* For the first time: finds out which nodes there are. *asks: credentials are needed. */
tks_status tksp_follow_begin(tksp_call *c, bool *asks, tks_error *err);

/* Asks which the primaries are, where that is due, and turns to them. Finds out whether a message that is in doubt is true: *heard is set as
 * by next. `*wake`: when it is to be called again at the latest, if that is earlier. */
tks_status tksp_follow(tksp_call *c, int64_t *wake, tksp_heard *heard, tks_error *err);

/* `l` has heard `message`: on a cluster it may not be true. */
tks_status tksp_follow_doubt(tksp_subscription *sub, tksp_listener *l, tksp_heard *heard);

/* May this one connect? The node may have been replaced, and not know that. */
bool tksp_follow_permits(const tksp_subscription *sub, const tksp_listener *l);

/* Ends what is under way. */
void tksp_follow_end(tksp_subscription *sub);

/* Adds a listener, or removes one. */
tks_status tksp_subscription_add(tksp_subscription *sub, const tks_member *member,
                                 tksp_listener **out, tks_error *err);
void tksp_subscription_remove(tksp_subscription *sub, size_t i);

/* Reads one value, waiting until `wake`, or the deadline of the call: TKS_ERR_TIMEOUT. */
tks_status tksp_subscription_listen(tksp_call *c, int64_t wake, tksp_heard *heard, tks_error *err);

/* Messages of this time may be missing. */
void tksp_subscription_note_gap(tksp_subscription *sub, int64_t lost_ms, int64_t restored_ms);

#endif
