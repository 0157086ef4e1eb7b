/* script_spike.h - conversations with the Spike operation: what it must ask for, and what it is told.
 *
 * Threads: one. */
#ifndef TKSP_TESTS_SCRIPT_SPIKE_H
#define TKSP_TESTS_SCRIPT_SPIKE_H

#include <stddef.h>

#include "script_runner.h"

/* How many conversations there are. */
size_t spike_talks(void);

/* Holds one of them; what does not hold is reported as failed checks. `guard` may be NULL. */
void spike_talk(size_t index, const script_guard *guard);

#endif
