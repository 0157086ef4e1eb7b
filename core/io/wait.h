/* wait.h - clocks, and waiting with a deadline, interruptible by signals.
 *
 * Purpose:   everything in core/io blocks in tksp_wait_fds, in tksp_wait_cond, or in a recv() that
 *            tksp_wait_slice allowed. Each blocks for a short slice, so that the host's signal handlers run
 *            soon even if the signal came between two system calls or in another thread.
 * Lifecycle: tksp_wait is the caller's storage, one for each run of an operation.
 * Threads:   one thread at a time. */
#ifndef TKSP_IO_WAIT_H
#define TKSP_IO_WAIT_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tokenstore/client.h"

#define TKSP_MS INT64_C(1000000) /* nanoseconds */

enum { TKSP_SLICE_MS = 50 }; /* the longest time between two calls of interrupt->check */

typedef struct tksp_wait {
    int64_t deadline; /* monotonic, nanoseconds */
    int64_t next_check;
    const tks_interrupt *interrupt; /* may be NULL */
    pid_t pid; /* of the process that began the wait: a signal handler may fork */
} tksp_wait;

int64_t tksp_clock(void);        /* monotonic, nanoseconds */
int64_t tksp_clock_coarse(void); /* the same, up to some milliseconds behind, almost free */
int64_t tksp_wall_ms(void);      /* milliseconds since 1970 */
int64_t tksp_boot_ms(
    void); /* monotonic, includes the machine's sleep; more costly than the others */

/* The offsets between the clocks at some moment. */
typedef struct tksp_clocks {
    int64_t wall_ahead, boot_ahead; /* relative to the coarse monotonic clock, nanoseconds */
} tksp_clocks;

tksp_clocks tksp_clocks_look(void);

/* tksp_boot_ms, up to some milliseconds behind, almost free while the offsets are still those in `clocks`.
 * The wall clock shows the machine's sleep, which the monotonic clock omits. */
int64_t tksp_boot_ms_coarse(const tksp_clocks *clocks);

void tksp_wait_init(tksp_wait *wait, int64_t timeout_ms, const tks_interrupt *interrupt);

/* The same for a caller that knows the process id. */
void tksp_wait_begin(tksp_wait *wait, pid_t pid, int64_t timeout_ms,
                     const tks_interrupt *interrupt);

/* Moves the deadline to at most `timeout_ms` from now; returns the previous one, to be restored. */
int64_t tksp_wait_narrow(tksp_wait *wait, int64_t timeout_ms);

bool tksp_wait_is_over(const tksp_wait *wait);

/* Waits until `fd` (-1: nothing, a sleep) is ready for `events`, or failed. TKS_OK,
 * TKS_ERR_TIMEOUT, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION (poll failed, or this is a forked child
 * now). Only the last two set `err`: the caller knows what a timeout means. */
tks_status tksp_wait_fd(tksp_wait *wait, int fd, short events, tks_error *err);

/* The same for `count` descriptors: until one of them is ready, as `fds` shows. */
tks_status tksp_wait_fds(tksp_wait *wait, struct pollfd *fds, nfds_t count, tks_error *err);

/* Initializes a condition variable for tksp_wait_cond; false on failure. */
bool tksp_wait_cond_init(pthread_cond_t *cond);

/* Waits for `cond` for one slice at most; the caller checks its condition and calls again. `mutex` is held on
 * entry and on return, but not during the host's signal handlers, and not on return in a child that such a
 * handler forked (getpid() != wait->pid): there it may be locked forever. TKS_OK, TKS_ERR_TIMEOUT,
 * TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_cond(tksp_wait *wait, pthread_cond_t *cond, pthread_mutex_t *mutex,
                          tks_error *err);

/* Sets *may if the caller may block by itself for at most TKSP_SLICE_MS. If the deadline is nearer, *may is
 * false: use tksp_wait_fd. Calls interrupt->check when due. TKS_OK,
 * TKS_ERR_TIMEOUT, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_slice(tksp_wait *wait, bool *may, tks_error *err);

/* A signal has interrupted the caller's own wait: interrupt->check is called next. */
void tksp_wait_signalled(tksp_wait *wait);

/* Calls interrupt->check now. TKS_OK, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_check(tksp_wait *wait, tks_error *err);

#endif
