/* subscribe.h - subscribes a connection to channels.
 *
 * Threads: no state. */
#ifndef TKSP_IO_SUBSCRIBE_H
#define TKSP_IO_SUBSCRIBE_H

#include "conn.h"
#include "tokenstore/op.h"

typedef tks_status (*tksp_prepare)(tks_op **out, tks_error *err);

/* On an open connection: runs the operation of `prepare` (NULL: none), one command at a time, sends
 * `command`, SUBSCRIBE with `channels` names, and reads the confirmations. TKS_OK,
 * TKS_ERR_SERVER (refused: final), TKS_ERR_CONNECTION, TKS_ERR_TIMEOUT, TKS_ERR_MEMORY,
 * TKS_ERR_INTERRUPTED. */
tks_status tksp_subscribe(tksp_conn *conn, tksp_prepare prepare, tks_bytes command, size_t channels,
                          tksp_wait *wait, tksp_failure *failure);

/* True if `reply` is a message to a subscriber: an array of `size` items that begins with `name`. */
bool tksp_is_push(const tks_reply *reply, tks_bytes name, size_t size);

#endif
