/* wait.h - clocks, and waiting under a deadline that signals can cut short.
 *
 * Purpose:   everything in core/io that blocks, blocks in tksp_wait_fds, in tksp_wait_cond, or in a recv()
 *            that tksp_wait_slice allowed: in slices short enough that the host's signal handlers run soon
 *            even when the signal came between two system calls or went to another thread.
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
    pid_t pid;                      /* of the process that began: a signal handler may fork */
} tksp_wait;

int64_t tksp_clock(void);        /* monotonic, nanoseconds */
int64_t tksp_clock_coarse(void); /* the same, up to some milliseconds behind, for next to nothing */
int64_t tksp_wall_ms(void);      /* milliseconds since 1970 */
int64_t tksp_boot_ms(
    void); /* monotonic, and counts the machine's sleep; costs more than the others */

/* How the clocks stood to each other at some moment. */
typedef struct tksp_clocks {
    int64_t wall_ahead, boot_ahead; /* of the coarse monotonic one, nanoseconds */
} tksp_clocks;

tksp_clocks tksp_clocks_look(void);

/* tksp_boot_ms, up to some milliseconds behind, for next to nothing while the clocks still stand as in `clocks`.
 * What a sleep takes from the monotonic clock, the wall clock shows. */
int64_t tksp_boot_ms_coarse(const tksp_clocks *clocks);

void tksp_wait_init(tksp_wait *wait, int64_t timeout_ms, const tks_interrupt *interrupt);

/* The same for a caller who knows the process id. */
void tksp_wait_begin(tksp_wait *wait, pid_t pid, int64_t timeout_ms,
                     const tks_interrupt *interrupt);

/* Brings the deadline to at most `timeout_ms` from now; returns the one before, to be put back. */
int64_t tksp_wait_narrow(tksp_wait *wait, int64_t timeout_ms);

bool tksp_wait_is_over(const tksp_wait *wait);

/* Waits until `fd` (-1: nothing, a sleep) is ready for `events`, or failed. TKS_OK,
 * TKS_ERR_TIMEOUT, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION (poll failed, or this is a forked child
 * now). Only the last two note something in `err`: what a deadline means, the caller knows. */
tks_status tksp_wait_fd(tksp_wait *wait, int fd, short events, tks_error *err);

/* The same for `count` descriptors: until one of them is ready, which `fds` says then. */
tks_status tksp_wait_fds(tksp_wait *wait, struct pollfd *fds, nfds_t count, tks_error *err);

/* Initializes a condition for tksp_wait_cond; false: the system is short of something. */
bool tksp_wait_cond_init(pthread_cond_t *cond);

/* Waits for a signal of `cond`, for one slice at most; the caller looks whether what it waits for is
 * there, and comes back. `mutex` is held on entry and on return - but not during the host's signal
 * handlers, and not on return in a child that such a handler forked (getpid() != wait->pid): there it
 * may be locked for ever. TKS_OK, TKS_ERR_TIMEOUT, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_cond(tksp_wait *wait, pthread_cond_t *cond, pthread_mutex_t *mutex,
                          tks_error *err);

/* May the caller block by itself, for TKSP_SLICE_MS at most? Where the deadline is nearer than that,
 * *may is false, and tksp_wait_fd is the way. Asks interrupt->check when it is time to. TKS_OK,
 * TKS_ERR_TIMEOUT, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_slice(tksp_wait *wait, bool *may, tks_error *err);

/* A signal has interrupted the caller's own waiting: interrupt->check is asked next. */
void tksp_wait_signalled(tksp_wait *wait);

/* Asks interrupt->check now. TKS_OK, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION. */
tks_status tksp_wait_check(tksp_wait *wait, tks_error *err);

#endif
