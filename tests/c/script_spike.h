/* script_spike.h - scripted conversations with the Spike operation: its needs and the replies.
 *
 * Threads: one. */
#ifndef TKSP_TESTS_SCRIPT_SPIKE_H
#define TKSP_TESTS_SCRIPT_SPIKE_H

#include <stddef.h>

#include "script_runner.h"

/* The number of conversations. */
size_t spike_talks(void);

/* Runs one of them; failures are reported as failed checks. `guard` may be NULL. */
void spike_talk(size_t index, const script_guard *guard);

#endif
