/* op_route.h - where the commands of an operation go on a cluster; for core/src/op.c. `op->router` is set. */
#ifndef TKSP_OP_ROUTE_H
#define TKSP_OP_ROUTE_H

#include "op_private.h"
#include "router.h"

/* Is this an operation whose keys need a hash tag, and have none? */
bool tksp_op_lacks_tag(const tks_op *op);

/* Must the command go to a certain node? */
bool tksp_op_has_place(const tksp_command *command);

/* The number of that; -1: it is not known. Only where tksp_op_has_place. */
int tksp_op_node_of(const tks_op *op, tksp_command *command);

/* The node of the next batch: that of the first command without a reply, of those that have a key if any has. -1: it is not
 * known. */
int tksp_op_choose_node(tks_op *op);

/* Does command `i`, which has no reply, go with the batch to that node? Those before it are decided. One without a key goes
 * anywhere. */
bool tksp_op_goes_along(const tks_op *op, size_t i);

/* Are its commands for a node that serves nothing any more, and for no other? */
bool tksp_op_is_left(const tks_op *op);

bool tksp_op_has_unsent(const tks_op *op);

/* Appends ASKING: the next command may be executed by the node that its slot is being moved to. */
tks_status tksp_op_format_asking(tks_buf *out);

typedef enum tksp_redirection {
    TKSP_STAYS,     /* it is no redirection */
    TKSP_ELSEWHERE, /* the command goes to another node, now known */
    TKSP_LATER      /* it cannot be executed now */
} tksp_redirection;

/* What an error reply says of where the command belongs; the router is told. */
tksp_redirection tksp_op_redirect(tks_op *op, tksp_command *command, const tks_reply *error);

/* Commands that belong to one that has no reply now lose theirs, to be sent again with it: nothing of a transaction was
 * executed, and WAIT waited for nothing. */
void tksp_op_keep_ties(tks_op *op);

/* What ASK said of a command counts once. */
void tksp_op_forget_ask(tksp_command *command);

/* Did the node execute any that it was sent as the primary of its slot? If it serves nothing by now, as is known, it was cut off, or
 * stopped: what it did will be lost, so its answers are as none. */
bool tksp_op_was_executed(const tks_op *op, tks_reply *const *replies);

/* The command has its final reply. If that came from a replica, this has taken over; false: that does not follow, since any node
 * executes the command. */
bool tksp_op_note_executed(tks_op *op, const tksp_command *command, const tks_reply *reply);

/* The connection to the batch's node was lost; `sent`: with commands on it. */
void tksp_op_lose_node(tks_op *op, bool sent);

#endif
