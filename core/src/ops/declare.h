/* declare.h - scripts that want keys which only other keys name.
 *
 * No script touches a key that is not among its KEYS. Where one lacks some, it changes nothing and answers
 * {echo, -2, name, …} (core/scripts/lib/declared.lua): it is sent again with these as well. What it finds then may have
 * changed, so that it wants others: this goes on until the deadline, with random pauses after some times, so that those
 * who race for the same keys get past one another.
 *
 * Source: redis.io, "EVAL": "all keys that a script accesses must be explicitly provided".
 * Threads: no state. */
#ifndef TKSP_DECLARE_H
#define TKSP_DECLARE_H

#include "op_private.h"

enum { TKSP_KEYS_WANTED = -2 };

/* If the reply of the operation's only command, a script, wants keys, sends it again with them, as `safety`, and sets *again.
 * `echo`: how its replies begin. `times` counts. TKS_OK, or a failure. */
tks_status tksp_declare(tks_op *op, tks_bytes echo, tks_safety safety, unsigned *times,
                        bool *again);

#endif
