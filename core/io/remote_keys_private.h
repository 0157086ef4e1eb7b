/* remote_keys_private.h - for core/io/remote_keys*.c. */
#ifndef TKSP_IO_REMOTE_KEYS_PRIVATE_H
#define TKSP_IO_REMOTE_KEYS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "key_source.h"
#include "tokenstore/notes.h"
#include "tokenstore/remote_keys.h"
#include "wait.h"

enum { TKSP_KEYS_NAME_SIZE = 300 };

/* The state that the threads of one process share. */
typedef struct state {
    struct state
        *inherited; /* the parent process's: never touched, as its mutex may be locked forever */
    pid_t pid;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool fetching;
    bool has_thread; /* of the last fetch, to be joined */
    pthread_t thread;
    uint64_t outcomes; /* how many fetches have ended */
    tks_error failure; /* of the last one; status TKS_OK: it succeeded */
    int64_t failed_ms; /* when it ended */
    tks_notes notes;
} state;

struct tks_remote_keys {
    tks_remote_keys_options options;
    char *url;
    char name[TKSP_KEYS_NAME_SIZE]; /* scheme and host, for messages: the path may be secret */
    tks_http *http;
    tksp_key_source source;
    atomic_llong fresh_until_ms, good_until_ms; /* of the cached keys */
    state *_Atomic state;
    atomic_bool has_notes;
    atomic_bool closed;
};

/* Makes one request. *out: the keys. Their JSON is appended to `text` unless NULL. *fresh_ms and the statuses
 * as in tks_remote_keys_download. */
tks_status tksp_keys_download(tks_remote_keys *keys, const tks_interrupt *interrupt,
                              tks_keyset **out, tks_buf *text, int64_t *fresh_ms, tks_error *err);

#endif
