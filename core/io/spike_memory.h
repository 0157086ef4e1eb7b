/* spike_memory.h - the tokens of a process, and the fetches in progress.
 *
 * Purpose:   one entry per request. Readers share read-write locks and never wait for a fetch; those that
 *            have to wait for one queue at the mutex. A lock that all readers count themselves in would
 *            be one cache line that all cores fight for, so each core has its own: readers take that
 *            one, writers, which are rare, all of them.
 * Lifecycle: new, used by one process, free. Entries live as long as the memory.
 * Threads:   what each function needs to be held stands with it. */
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

/* As long as two cache lines: no two locks have one in common, wherever the memory begins. */
typedef union tksp_spike_stripe {
    pthread_rwlock_t lock;
    char room[128];
} tksp_spike_stripe;

typedef struct tksp_spike_entry {
    struct tksp_spike_entry *next;
    tks_buf token;                      /* empty: none */
    int64_t good_until_ms, renew_at_ms; /* all times are by tksp_boot_ms */
    int64_t pause_until_ms;             /* an early renewal failed: the next one not before */
    bool fetching;                      /* a thread is on it */
    atomic_bool abandoned;              /* no caller waits for its result: it may end */
    uint64_t outcomes;                  /* how many fetches have ended */
    tks_error failure;                  /* of the last one; status TKS_OK: it brought a token */
    tks_spike_answer answer;            /* of the server, with a failure */
    int64_t failed_until_ms; /* until then nothing is asked, and the failure is given again */
    size_t request_size;
    char request[];
} tksp_spike_entry;

typedef struct tksp_spike_memory {
    pid_t pid;
    volatile char *mark; /* 1; a forked child finds 0; NULL: this system cannot */
    tksp_spike_stripe
        stripes[TKSP_SPIKE_STRIPES]; /* guard the lists, and an entry's token and times */
    tksp_clocks clocks;    /* guarded by the stripes, too: how they stood at the last change */
    pthread_mutex_t mutex; /* guards the rest; taken before the stripes */
    pthread_cond_t ended;  /* a fetch has, or a renewal thread */
    size_t renewals;       /* threads in the background */
    bool has_last;         /* one has ended, and was not waited for: */
    pthread_t last;
    tks_notes notes;
    tksp_spike_entry *entries[TKSP_SPIKE_BUCKETS];
} tksp_spike_memory;

/* NULL: memory is short. */
tksp_spike_memory *tksp_spike_memory_new(void);
void tksp_spike_memory_free(tksp_spike_memory *memory);

/* Was it made in this process? Costs no system call, as asking for the pid each time would. */
bool tksp_spike_memory_is_own(const tksp_spike_memory *memory);

/* Lets this thread read, as others may at the same time; gives what end_reading wants. */
pthread_rwlock_t *tksp_spike_begin_reading(tksp_spike_memory *memory);
void tksp_spike_end_reading(pthread_rwlock_t *stripe);

/* The entry for `request`, or NULL. Between begin_reading and end_reading, or with `mutex` held. */
tksp_spike_entry *tksp_spike_find(const tksp_spike_memory *memory, tks_bytes request);

/* The same, made where there is none; NULL: memory is short. With `mutex` held, not reading. */
tksp_spike_entry *tksp_spike_find_or_add(tksp_spike_memory *memory, tks_bytes request);

/* Puts a token in an entry. With `mutex` held, not reading. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_spike_put(tksp_spike_memory *memory, tksp_spike_entry *entry,
                          const tks_access *access);

/* Takes the token out, if it is `token`. With `mutex` held, not reading. */
void tksp_spike_drop(tksp_spike_memory *memory, tksp_spike_entry *entry, tks_bytes token);

#endif
