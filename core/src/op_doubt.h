/* op_doubt.h - an answer that came late, of a node of a cluster or of the primary that Sentinels name.
 *
 * A primary that is stopped (SIGSTOP, a machine that is suspended) is replaced after a while. When it continues, it executes what waits
 * in its sockets, and answers, before it hears that it was replaced; what it executes is lost. So an answer that took long counts
 * once a refresh that began after it has found that the node is a primary still. */
#ifndef TKSP_OP_DOUBT_H
#define TKSP_OP_DOUBT_H

#include "op_private.h"

typedef enum tksp_doubt {
    TKSP_SURE,
    TKSP_ASKING,  /* the refresh has not ended */
    TKSP_REPLACED /* the commands count as sent to a node that was lost */
} tksp_doubt;

/* Before the replies in `event` are taken. */
void tksp_op_note_answer(tks_op *op, const tks_event *event);

/* When all commands have replies, and again after each sleep. */
tksp_doubt tksp_op_settle_doubt(tks_op *op);

#endif
