/* spike_memory.h - the tokens of a process and the fetches in progress.
 *
 * Purpose:   one entry per request. Readers share read-write locks and never wait for a fetch; callers that
 *            need a fetch wait on the mutex. A single read-write lock would be a contended cache line, so
 *            each core has its own: readers take one, writers, which are rare, take all.
 * Lifecycle: new, used by one process, free. Entries live as long as the memory.
 * Threads:   each function says which lock must be held. */
#ifndef TKSP_IO_SPIKE_MEMORY_H
#define TKSP_IO_SPIKE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tokenstore/buf.h"
#include "tokenstore/op.h"
#include "tokenstore/spike.h"
#include "wait.h"

enum { TKSP_SPIKE_BUCKETS = 64, TKSP_SPIKE_STRIPES = 16 };

/* Two cache lines long, so that no two locks share one, whatever the alignment. */
typedef union tksp_spike_stripe {
    pthread_rwlock_t lock;
    char room[128];
} tksp_spike_stripe;

typedef struct tksp_spike_entry {
    struct tksp_spike_entry *next;
    tks_buf token;                      /* empty: none */
    int64_t good_until_ms, renew_at_ms; /* all times are by tksp_boot_ms */
    int64_t pause_until_ms;             /* after a failed early renewal: no retry before */
    bool fetching;                      /* a thread is fetching it */
    atomic_bool abandoned;              /* no caller waits for its result: the fetch may stop */
    uint64_t outcomes;                  /* how many fetches have ended */
    tks_error failure;                  /* of the last one; status TKS_OK: it succeeded */
    tks_spike_answer answer;            /* the server's response to the last failure */
    int64_t failed_until_ms; /* until then no request is sent and the failure is returned again */
    size_t request_size;
    char request[];
} tksp_spike_entry;

typedef struct tksp_spike_memory {
    pid_t pid;
    volatile char *mark; /* 1; 0 in a forked child; NULL: not supported */
    tksp_spike_stripe
        stripes[TKSP_SPIKE_STRIPES]; /* guard the lists, and an entry's token and times */
    tksp_clocks clocks;              /* at the last change; also guarded by the stripes */
    pthread_mutex_t mutex;           /* guards the rest; taken before the stripes */
    pthread_cond_t ended;            /* a fetch or a renewal thread has ended */
    size_t renewals;                 /* threads in the background */
    bool has_last;                   /* one has ended and is not joined yet: */
    pthread_t last;
    tks_notes notes;
    tksp_spike_entry *entries[TKSP_SPIKE_BUCKETS];
} tksp_spike_memory;

/* NULL: out of memory. */
tksp_spike_memory *tksp_spike_memory_new(void);
void tksp_spike_memory_free(tksp_spike_memory *memory);

/* True if it was created in this process. No system call, unlike getpid(). */
bool tksp_spike_memory_is_own(const tksp_spike_memory *memory);

/* Begins shared reading; returns the lock to pass to end_reading. */
pthread_rwlock_t *tksp_spike_begin_reading(tksp_spike_memory *memory);
void tksp_spike_end_reading(pthread_rwlock_t *stripe);

/* The entry for `request`, or NULL. Between begin_reading and end_reading, or with `mutex` held. */
tksp_spike_entry *tksp_spike_find(const tksp_spike_memory *memory, tks_bytes request);

/* The same, created if missing; NULL: out of memory. With `mutex` held, not reading. */
tksp_spike_entry *tksp_spike_find_or_add(tksp_spike_memory *memory, tks_bytes request);

/* Puts a token in an entry. With `mutex` held, not reading. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_spike_put(tksp_spike_memory *memory, tksp_spike_entry *entry,
                          const tks_access *access);

/* Removes the token, if it equals `token`. With `mutex` held, not reading. */
void tksp_spike_drop(tksp_spike_memory *memory, tksp_spike_entry *entry, tks_bytes token);

#endif
