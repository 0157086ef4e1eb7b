/* spike_renewal.c - renews tokens before they expire, in background threads. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>

#include "spike_client_private.h"
#include "thread.h"
#include "wait.h"

enum {
    RENEWAL_PAUSE_MS = 5000
}; /* pause after an early renewal that brought no new token, or was passed to the host */

typedef struct renewal {
    tks_spike_client *client;
    tksp_spike_memory *memory;
    tksp_spike_entry *entry;
    int64_t held_until_ms;
    tks_buf given;
} renewal;

static void *renew(void *context) {
    renewal r = *(renewal *)context;
    free(context);
    tks_status status =
        tksp_spike_fetch(r.client, r.memory, r.entry, r.held_until_ms, tks_buf_bytes(&r.given),
                         r.client->timeout_ms, NULL, NULL, NULL);
    tks_buf_wipe(&r.given);
    (void)pthread_mutex_lock(&r.memory->mutex);
    int64_t now_ms = tksp_boot_ms();
    if (status != TKS_OK ||
        r.entry->renew_at_ms <= now_ms) { /* some servers issue the same token again */
        r.entry->pause_until_ms = now_ms + RENEWAL_PAUSE_MS;
    }
    bool has_last = r.memory->has_last;
    pthread_t last = r.memory->last;
    r.memory->has_last = true;
    r.memory->last = pthread_self();
    r.memory->renewals--;
    (void)pthread_cond_broadcast(&r.memory->ended);
    (void)pthread_mutex_unlock(&r.memory->mutex);
    if (has_last) {
        (void)pthread_join(last, NULL);
    }
    return NULL;
}

/* The thread is counted. At its end it joins the thread that ended before it, and close joins the last: a
 * host may unload this code right after that. If no thread can be started, the next get tries again. */
void tksp_spike_renew_ahead(tks_spike_client *client, tksp_spike_memory *memory,
                            tksp_spike_entry *entry, tks_bytes given, int64_t now_ms) {
    (void)pthread_mutex_lock(&memory->mutex);
    /* With `given`, the pause was set when the host was asked. */
    if (!entry->fetching && now_ms >= entry->renew_at_ms &&
        (given.size > 0 || now_ms >= entry->pause_until_ms) && !atomic_load(&client->closed)) {
        renewal *r = malloc(sizeof *r);
        pthread_t thread;
        if (r != NULL) {
            *r = (renewal){client, memory, entry, entry->good_until_ms, {NULL, 0, 0, 0, TKS_OK}};
            tks_buf_init(&r->given, SIZE_MAX);
            if (tks_buf_append_bytes(&r->given, given) == TKS_OK &&
                tksp_thread_start(&thread, renew, r)) {
                atomic_store(&entry->abandoned, false);
                entry->fetching = true;
                memory->renewals++;
            } else {
                tks_buf_wipe(&r->given);
                free(r);
            }
        }
    }
    (void)pthread_mutex_unlock(&memory->mutex);
}

/* ---- with credentials from the host ---- */

/* The entry that is due for renewal, if none is in progress; the mutex is held. */
static tksp_spike_entry *find_due(const tks_spike_client *client, const tksp_spike_memory *memory,
                                  tks_bytes request, int64_t now_ms) {
    tksp_spike_entry *entry = tksp_spike_find(memory, request);
    bool due = entry != NULL && !entry->fetching && now_ms >= entry->renew_at_ms &&
               now_ms < entry->good_until_ms && !atomic_load(&client->closed);
    return due ? entry : NULL;
}

bool tks_spike_client_wants(tks_spike_client *client, tks_bytes request) {
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    int64_t now_ms = tksp_boot_ms();
    if (memory == NULL || !tksp_spike_asks_host(client)) {
        return false;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    tksp_spike_entry *entry = find_due(client, memory, request, now_ms);
    bool wants = entry != NULL && now_ms >= entry->pause_until_ms;
    if (wants) {
        entry->pause_until_ms = now_ms + RENEWAL_PAUSE_MS;
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    return wants;
}

void tks_spike_client_renew(tks_spike_client *client, tks_bytes request, tks_bytes given) {
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    int64_t now_ms = tksp_boot_ms();
    if (memory == NULL || given.size == 0) {
        return;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    tksp_spike_entry *entry = find_due(client, memory, request, now_ms);
    (void)pthread_mutex_unlock(&memory->mutex);
    if (entry != NULL) {
        tksp_spike_renew_ahead(client, memory, entry, given, now_ms);
    }
}

bool tks_spike_client_get_times(tks_spike_client *client, tks_bytes request, int64_t *good_for_ms,
                                int64_t *renew_in_ms) {
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    *good_for_ms = 0;
    *renew_in_ms = 0;
    if (memory == NULL) {
        return false;
    }
    pthread_rwlock_t *stripe = tksp_spike_begin_reading(memory);
    const tksp_spike_entry *entry = tksp_spike_find(memory, request);
    bool found = entry != NULL && entry->token.size > 0;
    if (found) {
        int64_t now_ms = tksp_boot_ms();
        *good_for_ms = entry->good_until_ms - now_ms;
        *renew_in_ms = entry->renew_at_ms - now_ms;
    }
    tksp_spike_end_reading(stripe);
    return found;
}
