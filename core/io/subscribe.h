/* subscribe.h - subscribes a connection to channels.
 *
 * Threads: no state. */
#ifndef TKSP_IO_SUBSCRIBE_H
#define TKSP_IO_SUBSCRIBE_H

#include "conn.h"
#include "subscription.h"

/* On an open connection: runs the operation of `options->prepare`, one command at a time, sends `command`, SUBSCRIBE with
 * `options->count` names (empty: nothing), and reads the confirmations. TKS_OK, TKS_ERR_SERVER (refused: final),
 * TKS_ERR_CONNECTION, TKS_ERR_TIMEOUT, TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_subscribe(tksp_conn *conn, const tksp_subscription_options *options,
                          tks_bytes command, tksp_wait *wait, tksp_failure *failure);

#endif
