/* spike_client_private.h - what core/io/spike_client.c and spike_renewal.c share. */
#ifndef TKSP_IO_SPIKE_CLIENT_PRIVATE_H
#define TKSP_IO_SPIKE_CLIENT_PRIVATE_H

#include <stdatomic.h>

#include "spike_memory.h"
#include "tokenstore/spike_client.h"

struct tks_spike_client {
    tks_spike *spike;
    tks_http *http;
    tks_client *redis; /* borrowed; may be NULL */
    int64_t timeout_ms;
    bool given;     /* the client's secret or assertion is supplied for each fetch: */
    tks_bytes file; /* from this file, the spike's; empty: by the host */
    tksp_spike_memory *_Atomic memory;
    atomic_bool has_notes;
    atomic_bool closed;
};

/* ---- spike_client.c ---- */

/* The memory of this process; NULL: out of memory. */
tksp_spike_memory *tksp_spike_own_memory(tks_spike_client *client);

/* True if the host must supply the client's secret or assertion. */
bool tksp_spike_asks_host(const tks_spike_client *client);

/* Runs the operation for `entry`, whose `fetching` the caller has set, and wakes the waiting callers. */
tks_status tksp_spike_fetch(tks_spike_client *client, tksp_spike_memory *memory,
                            tksp_spike_entry *entry, int64_t held_until_ms, tks_bytes given,
                            int64_t timeout_ms, const tks_interrupt *interrupt,
                            tks_spike_answer *answer, tks_error *err);

/* ---- spike_renewal.c ---- */

/* Renews the token of `entry` in a separate thread, if it is due and no renewal is in progress. */
void tksp_spike_renew_ahead(tks_spike_client *client, tksp_spike_memory *memory,
                            tksp_spike_entry *entry, tks_bytes given, int64_t now_ms);

#endif
