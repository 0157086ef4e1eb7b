/* server.c - see server.h. */
#include "server.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { KINDS = 64, TRIES = 8 };

struct tks_server {
    atomic_int ends_fields;        /* a tksp_fact */
    _Atomic uint32_t kinds[KINDS]; /* by their numbers; 0: free */
};

tks_server *tks_server_new(void) {
    return calloc(1, sizeof(tks_server));
}

void tks_server_free(tks_server *server) {
    free(server);
}

tksp_fact tksp_server_ends_fields(const tks_server *server) {
    if (server == NULL) return TKSP_UNKNOWN;
    return (tksp_fact)atomic_load_explicit(&server->ends_fields, memory_order_relaxed);
}

void tksp_server_set_ends_fields(tks_server *server, tksp_fact fact) {
    if (server != NULL)
        atomic_store_explicit(&server->ends_fields, (int)fact, memory_order_relaxed);
}

/* Two threads may take one place: the loser is registered once more. */
static uint32_t kind_at(const tks_server *server, uint32_t number, uint32_t try) {
    return atomic_load_explicit(&server->kinds[(number + try) % KINDS], memory_order_relaxed);
}

bool tksp_server_knows_kind(const tks_server *server, uint32_t number) {
    uint32_t free_places = 0;
    if (server == NULL) return true;
    for (uint32_t try = 0; try < TRIES; try++) {
        uint32_t there = kind_at(server, number, try);
        if (there == number) return true;
        free_places += there == 0;
    }
    return free_places == 0;
}

void tksp_server_add_kind(tks_server *server, uint32_t number) {
    for (uint32_t try = 0; server != NULL && try < TRIES; try++) {
        if (kind_at(server, number, try) != 0) continue;
        atomic_store_explicit(&server->kinds[(number + try) % KINDS], number, memory_order_relaxed);
        return;
    }
}
