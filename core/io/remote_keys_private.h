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

/* What belongs to the threads of one process. */
typedef struct state {
    struct state
        *inherited; /* the parent process's: left as it is, its mutex may be held by nobody here */
    pid_t pid;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool fetching;
    bool has_thread; /* to be joined: that of the last fetch */
    pthread_t thread;
    uint64_t outcomes; /* how many fetches have ended */
    tks_error failure; /* of the last one; status TKS_OK: it brought keys */
    int64_t failed_ms; /* when it ended */
    tks_notes notes;
} state;

struct tks_remote_keys {
    tks_remote_keys_options options;
    char *url;
    char name[TKSP_KEYS_NAME_SIZE]; /* scheme and host, for messages: what follows may be secret */
    tks_http *http;
    tksp_key_source source;
    atomic_llong fresh_until_ms, good_until_ms; /* of the keys at hand */
    state *_Atomic state;
    atomic_bool has_notes;
    atomic_bool closed;
};

/* One request. *out: the keys; `text`, where it is not NULL, is appended to; *fresh_ms as tks_remote_keys_download has
 * it. Statuses as there. */
tks_status tksp_keys_download(tks_remote_keys *keys, const tks_interrupt *interrupt,
                              tks_keyset **out, tks_buf *text, int64_t *fresh_ms, tks_error *err);

#endif
