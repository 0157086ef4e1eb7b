/* pid.h - the process id without a system call: cached where fork() wipes it.
 *
 * Lifecycle: tksp_pid_cache is its owner's storage: init, clear.
 * Threads:   tksp_pid_get is safe from many threads. */
#ifndef TKSP_IO_PID_H
#define TKSP_IO_PID_H

#include <sys/types.h>

/* A page of zeros, zeroed again in each forked child. NULL: not supported. */
void *tksp_forkwiped_new(void);
void tksp_forkwiped_free(void *page); /* NULL is allowed */

typedef struct tksp_pid_cache {
    void *page; /* NULL: not supported; getpid() is called each time */
} tksp_pid_cache;

void tksp_pid_init(tksp_pid_cache *cache);

/* getpid(). */
pid_t tksp_pid_get(const tksp_pid_cache *cache);

void tksp_pid_clear(tksp_pid_cache *cache);

#endif
