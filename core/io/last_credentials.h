/* last_credentials.h - user and password that the last connection logged in with: for a thread that cannot ask the host for its own.
 *
 * Lifecycle: the caller's storage: init, any number of note and get, clear.
 * Threads:   any; init and clear alone.
 * Fork:      of the process that made it: a child neither uses nor clears it. */
#ifndef TKSP_IO_LAST_CREDENTIALS_H
#define TKSP_IO_LAST_CREDENTIALS_H

#include <pthread.h>

#include "tokenstore/greeting.h"

typedef struct tksp_last_credentials {
    pthread_mutex_t mutex;
    tks_credentials credentials;
    uint64_t number; /* of logins; 0: none */
} tksp_last_credentials;

bool tksp_last_credentials_init(tksp_last_credentials *last); /* false: out of memory */
void tksp_last_credentials_clear(tksp_last_credentials *last);

/* A connection has logged in with these. Copied; without memory for a copy there are none. */
void tksp_last_credentials_note(tksp_last_credentials *last, const tks_credentials *credentials);

/* There are none any more. */
void tksp_last_credentials_forget(tksp_last_credentials *last);

/* Those of a later login than number `after`: a copy, which the caller clears, and the number. False: there was none. */
bool tksp_last_credentials_get(tksp_last_credentials *last, uint64_t after, tks_credentials *out,
                               uint64_t *number);

#endif
