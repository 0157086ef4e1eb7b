/* thread.h - background threads. */
#ifndef TKSP_IO_THREAD_H
#define TKSP_IO_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread with all signals blocked: they are for the host's threads. False: no thread could be
 * started. */
bool tksp_thread_start(pthread_t *out, void *(*run)(void *), void *context);

#endif
