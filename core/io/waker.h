/* waker.h - wakes a thread that waits for sockets.
 *
 * Lifecycle: tksp_waker is the caller's storage: init, open, close (any number of times), or drop in a forked child.
 * Threads:   wake from any; the rest from one at a time. */
#ifndef TKSP_IO_WAKER_H
#define TKSP_IO_WAKER_H

#include "sock.h"

/* Two sockets, of which one hears what the other says. */
typedef struct tksp_waker {
    tksp_sock ear, voice;
} tksp_waker;

void tksp_waker_init(tksp_waker *waker);

/* Without descriptors it stays closed, and wakes nobody: who waits for it looks by itself now and then. */
void tksp_waker_open(tksp_waker *waker);

void tksp_waker_close(tksp_waker *waker);
void tksp_waker_drop_inherited(tksp_waker *waker);

/* One system call; never waits. */
void tksp_waker_wake(const tksp_waker *waker);

/* To wait for: readable once it was woken, until it is calmed. -1: closed. */
int tksp_waker_get_fd(const tksp_waker *waker);
void tksp_waker_calm(const tksp_waker *waker);

#endif
