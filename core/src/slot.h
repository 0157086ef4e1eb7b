/* slot.h - the slot of a cluster that a key belongs to.
 *
 * Source: redis.io, "Redis cluster specification": CRC-16/XMODEM of the key, or of what stands between its first "{" and the
 * next "}", if anything does, modulo 16384. Pure. */
#ifndef TKSP_SLOT_H
#define TKSP_SLOT_H

#include "tokenstore/buf.h"

enum { TKS_SLOTS = 16384 };

/* What the specification calls the hash tag; the whole key, if it has none. */
tks_bytes tksp_slot_tag(tks_bytes key);

unsigned tksp_slot_of(tks_bytes key);

#endif
