/* thread.h - threads of our own. */
#ifndef TKSP_IO_THREAD_H
#define TKSP_IO_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread that takes no signals, since those are for the host's threads. False: the system has
 * none left. */
bool tksp_thread_start(pthread_t *out, void *(*run)(void *), void *context);

#endif
