/* listener.h - one connection of a subscription: it connects, listens, notices that it was lost, and says when to try again.
 *
 * Purpose:   Redis publishes only to connected subscribers. A PING after every `ping_ms` of silence detects a dead server.
 *            A listener at a replica does not subscribe: it only prepares the server for the day on which it is promoted.
 * Lifecycle: new, connect and hear any number of times, free.
 * Threads:   one thread at a time. Only tksp_conn_drop_inherited may be called for another thread's connection. */
#ifndef TKSP_IO_LISTENER_H
#define TKSP_IO_LISTENER_H

#include "conn.h"
#include "subscription.h"
#include "tokenstore/router.h"

/* Times without a unit are monotonic, nanoseconds; _ms: milliseconds since 1970. */
typedef struct tksp_listener {
    const tksp_subscription_options *options;
    tks_bytes command; /* SUBSCRIBE; empty at a replica, or without channels */
    tksp_endpoint endpoint;
    tks_target target; /* at a replica: that of the endpoint, which may be a replica */
    tks_member member; /* its node is -1 where there is one server */
    tksp_conn *conn;   /* NULL: lost, or not connected yet */
    bool ready;        /* something may have arrived */
    int64_t leave_at;  /* it reads what has arrived, and ends then at the latest; 0: it stays */
    bool asks;         /* the host must supply credentials */
    bool given;        /* `credentials` are for the next connection */
    bool refused;      /* the server refused the previous ones */
    tks_credentials credentials;
    unsigned failures; /* in a row */
    int64_t retry_at, opened_at, heard_at;
    size_t answers;    /* so many of `ask` come before that of PING */
    int64_t pinged_at; /* 0: no PING is unanswered */
    int64_t ping_at;   /* the last PING; where they are sent always, the next follows it */
    int64_t pinged_ms; /* the same, as tks_event's boot_ms */
    int64_t empty_ms;  /* when the socket was last drained */
    int64_t
        known_ms; /* the same, confirmed by data that arrived later: the connection was alive then */
    int64_t lost_ms; /* since when messages may be missing */
    tks_error why;   /* it was lost */
} tksp_listener;

/* `options`, `command` and what `endpoint` points to are borrowed. NULL: out of memory. */
tksp_listener *tksp_listener_new(const tksp_subscription_options *options, tks_bytes command,
                                 const tksp_endpoint *endpoint, const tks_member *member);

/* NULL is accepted. */
void tksp_listener_free(tksp_listener *l);

/* Supplies the requested credentials. Takes ownership, empties *credentials. */
void tksp_listener_give(tksp_listener *l, tks_credentials *credentials);

/* Connects, prepares, subscribes, until `until` and within connect_timeout. After a failure the time of the next attempt is set. With
 * l->asks it is not a failure: the host must supply credentials. */
tks_status tksp_listener_connect(tksp_listener *l, int64_t until, tksp_wait *wait,
                                 tksp_failure *failure);

/* Tells the subscriber what became of the connection, if it is one to a primary. */
void tksp_listener_note(const tksp_listener *l, tksp_link event);

/* Records why the connection ended, and since when messages may be missing. */
void tksp_listener_lose(tksp_listener *l, const char *why);

void tksp_listener_hang_up(tksp_listener *l);

/* Reads one value; *heard is set if it is for the caller, or if the connection was lost, and *message, which the caller frees, if it is a
 * message. Sends PING when one is due. TKS_OK; TKS_ERR_TIMEOUT: nothing until `until`, which may be past;
 * TKS_ERR_INTERRUPTED, TKS_ERR_MEMORY, TKS_ERR_CONNECTION (only in a forked child). */
tks_status tksp_listener_hear(tksp_listener *l, int64_t until, tksp_wait *wait, tksp_heard *heard,
                              tks_reply **message, tks_error *err);

/* When tksp_listener_hear has something to do though nothing arrives. */
int64_t tksp_listener_next_ping(const tksp_listener *l);

#endif
