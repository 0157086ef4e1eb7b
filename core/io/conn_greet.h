/* conn_greet.h - what is said on a new connection before its first batch: AUTH, SELECT, CLIENT
 * SETNAME, in one round trip.
 *
 * Threads: no state. */
#ifndef TKSP_IO_CONN_GREET_H
#define TKSP_IO_CONN_GREET_H

#include "conn.h"

/* Greets as `target` wants it, with `credentials` in place of its own unless NULL. TKS_OK; TKS_ERR_CONNECTION (the server is not ready, try again, or
 * the connection broke), TKS_ERR_SERVER (it refused: final), or as tksp_conn_exchange. */
tks_status tksp_greet(tksp_conn *conn, const tks_target *target, tks_credentials *credentials,
                      tksp_wait *wait, tksp_failure *failure);

#endif
