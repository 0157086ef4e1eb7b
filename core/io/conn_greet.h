/* conn_greet.h - the commands sent on a new connection before its first batch: AUTH, SELECT, CLIENT SETNAME,
 * in one round trip.
 *
 * Threads: no state. */
#ifndef TKSP_IO_CONN_GREET_H
#define TKSP_IO_CONN_GREET_H

#include "conn.h"

/* Sends the greeting of `target`, with `credentials` instead of the target's unless NULL. TKS_OK;
 * TKS_ERR_CONNECTION (the server is not ready, or the connection was lost: retry), TKS_ERR_SERVER (it
 * refused: final), or as tksp_conn_exchange. */
tks_status tksp_greet(tksp_conn *conn, const tks_target *target, tks_credentials *credentials,
                      tksp_wait *wait, tksp_failure *failure);

#endif
