/* wait.c - see wait.h. Both poll() and recv() with SO_RCVTIMEO return EINTR even if the signal's handler was
 * installed with SA_RESTART (signal(7)). */
#define _GNU_SOURCE /* the coarse clocks */

#include "wait.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The kernel rounds socket timeouts up to its ticks, and the coarse clock lags behind. */
enum { ROUNDING_MS = 20 };

/* Smaller differences between two coarse clocks come from their resolution or from slewing, which both
 * follow. */
enum { MOVED_MS = 50 };

/* The coarse clocks advance once per kernel tick, usually 4 ms, and are almost free to read. An operation
 * reads the time four times; for three of them that is precise enough. */
#ifdef CLOCK_MONOTONIC_COARSE
enum { WALL_CLOCK = CLOCK_REALTIME_COARSE, COARSE_CLOCK = CLOCK_MONOTONIC_COARSE };
#else
enum { WALL_CLOCK = CLOCK_REALTIME, COARSE_CLOCK = CLOCK_MONOTONIC };
#endif

static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 * TKSP_MS + t.tv_nsec;
}

int64_t tksp_clock(void) {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t tksp_clock_coarse(void) {
    return read_clock(COARSE_CLOCK);
}

int64_t tksp_wall_ms(void) {
    struct timespec t;
    (void)clock_gettime(WALL_CLOCK, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / TKSP_MS;
}

static int64_t read_boot_clock(void) {
#ifdef CLOCK_BOOTTIME
    return read_clock(CLOCK_BOOTTIME);
#else
    return read_clock(CLOCK_MONOTONIC);
#endif
}

int64_t tksp_boot_ms(void) {
    return read_boot_clock() / TKSP_MS;
}

tksp_clocks tksp_clocks_look(void) {
    int64_t coarse = read_clock(COARSE_CLOCK);
    return (tksp_clocks){read_clock(WALL_CLOCK) - coarse, read_boot_clock() - coarse};
}

int64_t tksp_boot_ms_coarse(const tksp_clocks *clocks) {
    int64_t coarse = read_clock(COARSE_CLOCK);
    int64_t moved = read_clock(WALL_CLOCK) - coarse - clocks->wall_ahead;
    if (moved < -MOVED_MS * TKSP_MS || moved > MOVED_MS * TKSP_MS) {
        return tksp_boot_ms();
    }
    return (coarse + clocks->boot_ahead) / TKSP_MS;
}

void tksp_wait_begin(tksp_wait *wait, pid_t pid, int64_t timeout_ms,
                     const tks_interrupt *interrupt) {
    int64_t now = tksp_clock();
    wait->deadline = now + timeout_ms * TKSP_MS;
    wait->next_check = now + TKSP_SLICE_MS * TKSP_MS;
    wait->interrupt = interrupt;
    wait->pid = pid;
}

void tksp_wait_init(tksp_wait *wait, int64_t timeout_ms, const tks_interrupt *interrupt) {
    tksp_wait_begin(wait, getpid(), timeout_ms, interrupt);
}

int64_t tksp_wait_narrow(tksp_wait *wait, int64_t timeout_ms) {
    int64_t before = wait->deadline;
    int64_t deadline = tksp_clock() + timeout_ms * TKSP_MS;
    if (deadline < before) {
        wait->deadline = deadline;
    }
    return before;
}

bool tksp_wait_is_over(const tksp_wait *wait) {
    return tksp_clock() >= wait->deadline;
}

tks_status tksp_wait_check(tksp_wait *wait, tks_error *err) {
    wait->next_check = tksp_clock() + TKSP_SLICE_MS * TKSP_MS;
    if (wait->interrupt == NULL) {
        return TKS_OK;
    }
    if (wait->interrupt->check(wait->interrupt->context)) {
        return tks_fail(err, TKS_ERR_INTERRUPTED, "interrupted by a signal");
    }
    if (getpid() != wait->pid) {
        return tks_fail(err, TKS_ERR_CONNECTION,
                        "the process forked in a signal handler during the call");
    }
    return TKS_OK;
}

void tksp_wait_signalled(tksp_wait *wait) {
    wait->next_check = 0;
}

/* When the next wait must end at the latest. */
static int64_t next_look(const tksp_wait *wait) {
    return wait->deadline < wait->next_check ? wait->deadline : wait->next_check;
}

/* Runs before each wait: checks for a fork, the interrupt and the deadline. */
static tks_status look_around(tksp_wait *wait, int64_t now, tks_error *err) {
    if (now >= wait->deadline) {
        return TKS_ERR_TIMEOUT;
    }
    return now >= wait->next_check ? tksp_wait_check(wait, err) : TKS_OK;
}

tks_status tksp_wait_slice(tksp_wait *wait, bool *may, tks_error *err) {
    int64_t now = tksp_clock_coarse();
    *may = wait->deadline - now > (TKSP_SLICE_MS + ROUNDING_MS) * TKSP_MS;
    return look_around(wait, now, err);
}

tks_status tksp_wait_fds(tksp_wait *wait, struct pollfd *fds, nfds_t count, tks_error *err) {
    for (;;) {
        int64_t now = tksp_clock();
        tks_status status = look_around(wait, now, err);
        if (status != TKS_OK) {
            return status;
        }
        int64_t until = next_look(wait);
        int64_t left = until > now ? (until - now + TKSP_MS - 1) / TKSP_MS : 0;
        int ready = poll(fds, count, (int)left);
        if (ready > 0) {
            return TKS_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return tks_fail(err, TKS_ERR_CONNECTION, "poll: %s", strerror(errno));
        }
        if (ready < 0) {
            tksp_wait_signalled(wait);
        }
    }
}

tks_status tksp_wait_fd(tksp_wait *wait, int fd, short events, tks_error *err) {
    struct pollfd p = {fd, events, 0};
    return tksp_wait_fds(wait, &p, 1, err);
}

bool tksp_wait_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    bool made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(cond, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return made;
}

tks_status tksp_wait_cond(tksp_wait *wait, pthread_cond_t *cond, pthread_mutex_t *mutex,
                          tks_error *err) {
    int64_t until = next_look(wait);
    struct timespec t = {.tv_sec = (time_t)(until / (1000 * TKSP_MS)),
                         .tv_nsec = (long)(until % (1000 * TKSP_MS))};
    (void)pthread_cond_timedwait(cond, mutex, &t);
    int64_t now = tksp_clock();
    if (now >= wait->deadline) {
        return TKS_ERR_TIMEOUT;
    }
    if (now < wait->next_check) {
        return TKS_OK;
    }
    (void)pthread_mutex_unlock(mutex);
    tks_status status = tksp_wait_check(wait, err);
    if (getpid() == wait->pid) {
        (void)pthread_mutex_lock(mutex);
    }
    return status;
}
