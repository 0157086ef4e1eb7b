/* spike_memory.c - see spike_memory.h. */
#define _GNU_SOURCE /* sched_getcpu */

#include "spike_memory.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "pid.h"
#include "tokenstore/secret.h"
#include "wait.h"

enum { TOKEN_MAX = 64 * 1024, NOTES_MAX = 64 * 1024 };

/* ---- locks ------------------------------------------------------------------------------------- */

/* Prefers writers: a renewed token must get in under constant reading. */
static bool init_stripes(tksp_spike_memory *memory) {
    pthread_rwlockattr_t attributes;
    size_t made = 0;
    if (pthread_rwlockattr_init(&attributes) != 0) {
        return false;
    }
#ifdef __GLIBC__
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    while (made < TKSP_SPIKE_STRIPES &&
           pthread_rwlock_init(&memory->stripes[made].lock, &attributes) == 0) {
        made++;
    }
    (void)pthread_rwlockattr_destroy(&attributes);
    if (made == TKSP_SPIKE_STRIPES) {
        return true;
    }
    while (made > 0) {
        (void)pthread_rwlock_destroy(&memory->stripes[--made].lock);
    }
    return false;
}

static bool init_locks(tksp_spike_memory *memory) {
    if (!tksp_wait_cond_init(&memory->ended)) {
        return false;
    }
    if (pthread_mutex_init(&memory->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&memory->ended);
        return false;
    }
    if (!init_stripes(memory)) {
        (void)pthread_mutex_destroy(&memory->mutex);
        (void)pthread_cond_destroy(&memory->ended);
        return false;
    }
    return true;
}

pthread_rwlock_t *tksp_spike_begin_reading(tksp_spike_memory *memory) {
    int core = sched_getcpu(); /* -1: not known */
    size_t i = core > 0 ? (size_t)core % TKSP_SPIKE_STRIPES : 0;
    (void)pthread_rwlock_rdlock(&memory->stripes[i].lock);
    return &memory->stripes[i].lock;
}

void tksp_spike_end_reading(pthread_rwlock_t *stripe) {
    (void)pthread_rwlock_unlock(stripe);
}

static void begin_writing(tksp_spike_memory *memory) {
    for (size_t i = 0; i < TKSP_SPIKE_STRIPES; i++) {
        (void)pthread_rwlock_wrlock(&memory->stripes[i].lock);
    }
}

static void end_writing(tksp_spike_memory *memory) {
    for (size_t i = TKSP_SPIKE_STRIPES; i > 0; i--) {
        (void)pthread_rwlock_unlock(&memory->stripes[i - 1].lock);
    }
}

/* ---- life -------------------------------------------------------------------------------------- */

bool tksp_spike_memory_is_own(const tksp_spike_memory *memory) {
    return memory->mark != NULL ? *memory->mark == 1 : memory->pid == getpid();
}

tksp_spike_memory *tksp_spike_memory_new(void) {
    tksp_spike_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL || !init_locks(memory)) {
        free(memory);
        return NULL;
    }
    memory->pid = getpid();
    memory->mark = tksp_forkwiped_new();
    if (memory->mark != NULL) {
        *memory->mark = 1;
    }
    memory->clocks = tksp_clocks_look();
    tks_notes_init(&memory->notes, NOTES_MAX);
    return memory;
}

void tksp_spike_memory_free(tksp_spike_memory *memory) {
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < TKSP_SPIKE_BUCKETS; i++) {
        while (memory->entries[i] != NULL) {
            tksp_spike_entry *entry = memory->entries[i];
            memory->entries[i] = entry->next;
            tks_buf_wipe(&entry->token);
            free(entry);
        }
    }
    tks_notes_clear(&memory->notes);
    tksp_forkwiped_free((void *)memory->mark);
    for (size_t i = 0; i < TKSP_SPIKE_STRIPES; i++) {
        (void)pthread_rwlock_destroy(&memory->stripes[i].lock);
    }
    (void)pthread_mutex_destroy(&memory->mutex);
    (void)pthread_cond_destroy(&memory->ended);
    free(memory);
}

/* ---- entries ----------------------------------------------------------------------------------- */

/* FNV-1a is enough: requests come from the application's own code, not from untrusted input. */
static size_t bucket_of(tks_bytes request) {
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < request.size; i++) {
        hash = (hash ^ (unsigned char)request.data[i]) * UINT32_C(16777619);
    }
    return hash % TKSP_SPIKE_BUCKETS;
}

tksp_spike_entry *tksp_spike_find(const tksp_spike_memory *memory, tks_bytes request) {
    tksp_spike_entry *entry = memory->entries[bucket_of(request)];
    while (entry != NULL &&
           !tks_bytes_equal(tks_bytes_of(entry->request, entry->request_size), request)) {
        entry = entry->next;
    }
    return entry;
}

tksp_spike_entry *tksp_spike_find_or_add(tksp_spike_memory *memory, tks_bytes request) {
    tksp_spike_entry *entry = tksp_spike_find(memory, request); /* only mutex holders add */
    if (entry != NULL) {
        return entry;
    }
    entry = calloc(1, sizeof *entry + request.size);
    if (entry == NULL) {
        return NULL;
    }
    tks_buf_init(&entry->token, TOKEN_MAX);
    memcpy(entry->request, request.data, request.size);
    entry->request_size = request.size;
    tksp_spike_entry **list = &memory->entries[bucket_of(request)];
    begin_writing(memory);
    entry->next = *list;
    *list = entry;
    end_writing(memory);
    return entry;
}

tks_status tksp_spike_put(tksp_spike_memory *memory, tksp_spike_entry *entry,
                          const tks_access *access) {
    begin_writing(memory);
    tks_buf_wipe(&entry->token);
    tks_status status = tks_buf_append_bytes(&entry->token, access->token);
    entry->good_until_ms = status == TKS_OK ? access->good_until_ms : 0;
    entry->renew_at_ms = access->renew_at_ms;
    entry->pause_until_ms = 0;
    memory->clocks = tksp_clocks_look();
    end_writing(memory);
    return status;
}

void tksp_spike_drop(tksp_spike_memory *memory, tksp_spike_entry *entry, tks_bytes token) {
    begin_writing(memory);
    if (tks_secret_equal(tks_buf_bytes(&entry->token), token)) {
        tks_buf_wipe(&entry->token);
        entry->good_until_ms = 0;
    }
    end_writing(memory);
}
