/* server.c - see server.h. */
#include "server.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = 1024, TRIES = 8 };

/* How long a clock that was learned counts. Two clocks drift apart by less than a millisecond in that time. */
enum { CLOCK_OLD_MS = 5000, CLOCK_LOST_MS = 10000 };

struct tks_server {
    atomic_uint holders;
    char *name; /* NULL: none */
    size_t name_size;
    atomic_int ends_fields, sets_ending; /* each a tksp_fact */
    _Atomic int64_t ahead_us;            /* its clock, less boot_ms */
    _Atomic int64_t learned_ms;          /* when `ahead_us` was learned, by boot_ms; 0: never */
    _Atomic int64_t stamp_us;            /* the last one given */
    _Atomic uint32_t kinds[KINDS];       /* by their numbers; 0: free */
};

tks_server *tks_server_new(void) {
    tks_server *server = calloc(1, sizeof *server);
    if (server != NULL) atomic_init(&server->holders, 1);
    return server;
}

tks_server *tks_server_hold(tks_server *server) {
    atomic_fetch_add_explicit(&server->holders, 1, memory_order_relaxed);
    return server;
}

void tks_server_free(tks_server *server) {
    if (server == NULL) return;
    if (atomic_fetch_sub_explicit(&server->holders, 1, memory_order_acq_rel) > 1) return;
    free(server->name);
    free(server);
}

tks_status tksp_server_set_name(tks_server *server, tks_bytes name) {
    server->name = malloc(name.size + 1);
    if (server->name == NULL) return TKS_ERR_MEMORY;
    memcpy(server->name, name.data, name.size);
    server->name_size = name.size;
    return TKS_OK;
}

tks_bytes tksp_server_name(const tks_server *server) {
    return server != NULL && server->name != NULL ? tks_bytes_of(server->name, server->name_size)
                                                  : tks_bytes_of("", 0);
}

tksp_fact tksp_server_ends_fields(const tks_server *server) {
    if (server == NULL) return TKSP_UNKNOWN;
    return (tksp_fact)atomic_load_explicit(&server->ends_fields, memory_order_relaxed);
}

void tksp_server_set_ends_fields(tks_server *server, tksp_fact fact) {
    if (server != NULL) {
        atomic_store_explicit(&server->ends_fields, (int)fact, memory_order_relaxed);
    }
}

tksp_fact tksp_server_sets_ending(const tks_server *server) {
    if (server == NULL) return TKSP_NO;
    return (tksp_fact)atomic_load_explicit(&server->sets_ending, memory_order_relaxed);
}

void tksp_server_set_sets_ending(tks_server *server, tksp_fact fact) {
    if (server != NULL) {
        atomic_store_explicit(&server->sets_ending, (int)fact, memory_order_relaxed);
    }
}

/* ---- its clock -------------------------------------------------------------------------------- */

/* An answer that travelled longer says less, so the best one counts, until it is old. `learned_ms` is written last and
 * read first: whoever sees it sees an `ahead_us` that is as fresh. */
void tksp_server_learn_time(tks_server *server, int64_t us, int64_t boot_ms) {
    if (server == NULL || boot_ms <= 0) return;
    int64_t last = atomic_load_explicit(&server->stamp_us, memory_order_relaxed);
    while (last < us &&
           !atomic_compare_exchange_weak_explicit(&server->stamp_us, &last, us,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    int64_t ahead_us = us - (boot_ms + 1) * 1000; /* boot_ms is rounded down */
    int64_t learned_ms = atomic_load_explicit(&server->learned_ms, memory_order_acquire);
    bool fresh = learned_ms > 0 && boot_ms - learned_ms < CLOCK_OLD_MS;
    if (fresh && ahead_us <= atomic_load_explicit(&server->ahead_us, memory_order_relaxed)) return;
    atomic_store_explicit(&server->ahead_us, ahead_us, memory_order_relaxed);
    atomic_store_explicit(&server->learned_ms, boot_ms, memory_order_release);
}

void tksp_server_forget(tks_server *server) {
    if (server != NULL) {
        atomic_store_explicit(&server->learned_ms, 0, memory_order_release);
        for (uint32_t i = 0; i < KINDS; i++) {
            atomic_store_explicit(&server->kinds[i], 0, memory_order_relaxed);
        }
    }
    tksp_server_set_ends_fields(server, TKSP_UNKNOWN);
    tksp_server_set_sets_ending(server, TKSP_UNKNOWN);
}

tksp_clock tksp_server_stamp(tks_server *server, int64_t boot_ms, int64_t *out) {
    if (server == NULL || boot_ms <= 0) return TKSP_CLOCK_LOST;
    int64_t learned_ms = atomic_load_explicit(&server->learned_ms, memory_order_acquire);
    int64_t age_ms = boot_ms - learned_ms;
    if (learned_ms == 0 || age_ms >= CLOCK_LOST_MS || age_ms < -CLOCK_LOST_MS) {
        return TKSP_CLOCK_LOST;
    }
    int64_t us = atomic_load_explicit(&server->ahead_us, memory_order_relaxed) + boot_ms * 1000;
    int64_t last = atomic_load_explicit(&server->stamp_us, memory_order_relaxed);
    do {
        *out = us > last || last - us > CLOCK_LOST_MS * INT64_C(1000)
                   ? us
                   : last + 1; /* or its clock was set back */
    } while (!atomic_compare_exchange_weak_explicit(&server->stamp_us, &last, *out,
                                                    memory_order_relaxed, memory_order_relaxed));
    return age_ms >= CLOCK_OLD_MS ? TKSP_CLOCK_OLD : TKSP_CLOCK_GOOD;
}

/* ---- kinds of keys ---------------------------------------------------------------------------- */

/* Two threads may take one place: the loser is registered once more. */
static uint32_t place_of(uint32_t number, uint32_t try) {
    return (number + try) % KINDS;
}

static uint32_t kind_at(const tks_server *server, uint32_t place) {
    return atomic_load_explicit(&server->kinds[place], memory_order_relaxed);
}

bool tksp_server_knows_kind(const tks_server *server, uint32_t number) {
    if (server == NULL) return true;
    for (uint32_t try = 0; try < TRIES; try++) {
        if (kind_at(server, place_of(number, try)) == number) return true;
    }
    return false;
}

void tksp_server_add_kind(tks_server *server, uint32_t number) {
    if (server == NULL) return;
    uint32_t place = place_of(number, number / KINDS % TRIES); /* if none is free */
    for (uint32_t try = 0; try < TRIES; try++) {
        if (kind_at(server, place_of(number, try)) != 0) continue;
        place = place_of(number, try);
        break;
    }
    atomic_store_explicit(&server->kinds[place], number, memory_order_relaxed);
}
