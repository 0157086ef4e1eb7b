/* audit.h - the audited form of scripts, and the events of an operation; for core/src only. See tokenstore/audit.h. */
#ifndef TKSP_AUDIT_H
#define TKSP_AUDIT_H

#include "op_private.h"
#include "tokenstore/audit.h"

/* What the commands that are being added are about; borrowed. */
typedef struct tksp_audit_names {
    tks_bytes prefix; /* of the stream's key */
    tks_bytes app, type;
    tks_bytes owner; /* if the caller named one */
    bool sessions;   /* they are sessions, else other tokens */
    bool undone;     /* what ends is what the operation itself has made */
} tksp_audit_names;

/* What kinds of operations that can be audited have. */
typedef struct tksp_audit_kind {
    void (*name)(const tks_op *op, tksp_audit_names *out);
    /* The id of the token that was presented and that no token was found for; empty: none was. NULL: always. */
    tks_bytes (*missed)(const tks_op *op);
} tksp_audit_kind;

/* At the first step: the commands that are there take their audited form; from then on, tksp_op_add gives it. */
tks_status tksp_audit_start(tks_op *op);

/* Gives a command the audited form of its script, if it has one. */
tks_status tksp_audit_wrap(tks_op *op, tksp_command *command);

/* Every command has its reply: takes the events out of them, and leaves what the scripts answer otherwise. */
tks_status tksp_audit_take(tks_op *op);

/* The operation succeeds: was a token presented that is none any more? */
void tksp_audit_miss(tks_op *op);

/* Tells of one with this id, which the operation keeps. */
void tksp_audit_tell_missed(tks_op *op, tks_bytes id);

/* Whose the family `sid` was, where the server did not know that any more. */
void tksp_audit_set_owner(tks_op *op, tks_bytes sid, tks_bytes owner);

#endif
