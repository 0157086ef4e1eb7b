/* spike_memory.c - see spike_memory.h. */
#define _DEFAULT_SOURCE /* MADV_WIPEONFORK */

#include "spike_memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tokenstore/secret.h"

enum { TOKEN_MAX = 64 * 1024, NOTES_MAX = 64 * 1024 };

static bool init_locks(tksp_spike_memory *memory) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&memory->ended, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    if (!made) {
        return false;
    }
    if (pthread_mutex_init(&memory->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&memory->ended);
        return false;
    }
    if (pthread_rwlock_init(&memory->lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&memory->mutex);
        (void)pthread_cond_destroy(&memory->ended);
        return false;
    }
    return true;
}

/* A page that holds 1 here and 0 in a forked child; NULL where there is no such thing. */
static const volatile char *make_mark(void) {
#ifdef MADV_WIPEONFORK
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return NULL;
    }
    if (madvise(page, size, MADV_WIPEONFORK) == 0) {
        *page = 1;
        return page;
    }
    (void)munmap(page, size);
#endif
    return NULL;
}

bool tksp_spike_memory_is_own(const tksp_spike_memory *memory) {
    return memory->mark != NULL ? *memory->mark == 1 : memory->pid == getpid();
}

tksp_spike_memory *tksp_spike_memory_new(void) {
    tksp_spike_memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL || !init_locks(memory)) {
        free(memory);
        return NULL;
    }
    memory->pid = getpid();
    memory->mark = make_mark();
    tks_buf_init(&memory->notes, NOTES_MAX);
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
    tks_buf_clear(&memory->notes);
    if (memory->mark != NULL) {
        (void)munmap((void *)(uintptr_t)memory->mark, (size_t)sysconf(_SC_PAGESIZE));
    }
    (void)pthread_rwlock_destroy(&memory->lock);
    (void)pthread_mutex_destroy(&memory->mutex);
    (void)pthread_cond_destroy(&memory->ended);
    free(memory);
}

/* FNV-1a. Audiences come from the application's own code, not from strangers. */
static size_t bucket_of(tks_bytes audience) {
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < audience.size; i++) {
        hash = (hash ^ (unsigned char)audience.data[i]) * UINT32_C(16777619);
    }
    return hash % TKSP_SPIKE_BUCKETS;
}

tksp_spike_entry *tksp_spike_find(const tksp_spike_memory *memory, tks_bytes audience) {
    tksp_spike_entry *entry = memory->entries[bucket_of(audience)];
    while (entry != NULL &&
           !tks_bytes_equal(tks_bytes_of(entry->audience, entry->audience_size), audience)) {
        entry = entry->next;
    }
    return entry;
}

tksp_spike_entry *tksp_spike_find_or_add(tksp_spike_memory *memory, tks_bytes audience) {
    tksp_spike_entry *entry = tksp_spike_find(memory, audience); /* only mutex holders add */
    if (entry != NULL) {
        return entry;
    }
    entry = calloc(1, sizeof(*entry) + audience.size);
    if (entry == NULL) {
        return NULL;
    }
    tks_buf_init(&entry->token, TOKEN_MAX);
    memcpy(entry->audience, audience.data, audience.size);
    entry->audience_size = audience.size;
    tksp_spike_entry **list = &memory->entries[bucket_of(audience)];
    (void)pthread_rwlock_wrlock(&memory->lock);
    entry->next = *list;
    *list = entry;
    (void)pthread_rwlock_unlock(&memory->lock);
    return entry;
}

tks_status tksp_spike_put(tksp_spike_memory *memory, tksp_spike_entry *entry,
                          const tks_access *access) {
    (void)pthread_rwlock_wrlock(&memory->lock);
    tks_buf_wipe(&entry->token);
    tks_status status = tks_buf_append_bytes(&entry->token, access->token);
    entry->good_until_ms = status == TKS_OK ? access->good_until_ms : 0;
    entry->renew_at_ms = access->renew_at_ms;
    entry->pause_until_ms = 0;
    (void)pthread_rwlock_unlock(&memory->lock);
    return status;
}

void tksp_spike_drop(tksp_spike_memory *memory, tksp_spike_entry *entry, tks_bytes token) {
    (void)pthread_rwlock_wrlock(&memory->lock);
    if (tks_secret_equal(tks_buf_bytes(&entry->token), token)) {
        tks_buf_wipe(&entry->token);
        entry->good_until_ms = 0;
    }
    (void)pthread_rwlock_unlock(&memory->lock);
}
