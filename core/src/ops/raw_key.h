/* raw_key.h - the key that routes a raw command. Pure. */
#ifndef TKSP_RAW_KEY_H
#define TKSP_RAW_KEY_H

#include "tokenstore/buf.h"

/* The first key of a command of `argc` words, at least one; borrowed. Empty: it has none, any server may take it. Of a
 * command that is not known here it is the first argument: so have most. */
tks_bytes tksp_raw_key(size_t argc, const tks_bytes *argv);

/* The key that routes each of `count` commands, at least one, whose words follow one another in `argv`, into routes[0 … count-1]. A
 * command without a key goes with the one before it (WAIT is about its own connection), or with the first that has one;
 * all commands from MULTI to EXEC or DISCARD go together. Empty: no command has a key. */
void tksp_raw_routes(size_t count, const size_t *argc, const tks_bytes *argv, tks_bytes *routes);

/* True if `word` is this name (given in upper case) in upper or lower case. */
bool tksp_raw_is(tks_bytes word, const char *name);

/* True for EXEC and DISCARD, which end a MULTI. */
bool tksp_raw_ends_multi(size_t argc, const tks_bytes *argv);

#endif
