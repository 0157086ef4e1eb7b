/* thread.c - see thread.h. */
#define _POSIX_C_SOURCE 200809L

#include "thread.h"

#include <signal.h>

bool tksp_thread_start(pthread_t *out, void *(*run)(void *), void *context) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(out, NULL, run, context) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
