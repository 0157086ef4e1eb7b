/* near_thread.h - the thread that keeps a near cache true: it listens to every primary.
 *
 * Credentials: it never calls the host. It logs in with what another connection has logged in with last; once that is refused, it waits until
 *            another has logged in anew, and nothing is near meanwhile.
 * Lifecycle: new, start any number of times, stop, free.
 * Threads:   start from any; stop and free when no operation can start it any more.
 * Fork:      the thread is the process's that started it. */
#ifndef TKSP_IO_NEAR_THREAD_H
#define TKSP_IO_NEAR_THREAD_H

#include "tokenstore/client.h"
#include "tokenstore/near.h"

typedef struct tksp_near_thread tksp_near_thread;

/* For a target with near_cache. NULL: out of memory. */
tksp_near_thread *tksp_near_thread_new(const tks_target *target);

tks_near *tksp_near_thread_get(tksp_near_thread *self);

/* Starts it, if that has not been done. Without a thread nothing is ever near. */
void tksp_near_thread_start(tksp_near_thread *self, tks_client *client);

/* A connection has logged in with these. */
void tksp_near_thread_note(tksp_near_thread *self, const tks_credentials *credentials);

/* The client is closed: waits for the thread's end. */
void tksp_near_thread_stop(tksp_near_thread *self);

/* In a forked child: closes its copies of the parent's connections, which the servers do not notice. */
void tksp_near_thread_drop_inherited(tksp_near_thread *self);

/* NULL is accepted. */
void tksp_near_thread_free(tksp_near_thread *self);

#endif
