/* remote_keys.c - see tokenstore/remote_keys.h. Each fetch runs in its own thread, at most one at a time.
 * Callers wait for its result and may stop waiting without ending it. */
#define _POSIX_C_SOURCE 200809L

#include "tokenstore/remote_keys.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "http_text.h"
#include "remote_keys_private.h"
#include "thread.h"

enum {
    FAILURE_MS = 1000, /* how long a failure is returned without retrying, if there are no keys */
    NOTES_MAX = 16 * 1024
};
#define YEAR_MS INT64_C(31536000000)

/* ---- life -------------------------------------------------------------------------------------- */

static state *new_state(void) {
    state *s = calloc(1, sizeof *s);
    if (s == NULL || !tksp_wait_cond_init(&s->ended)) {
        free(s);
        return NULL;
    }
    if (pthread_mutex_init(&s->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&s->ended);
        free(s);
        return NULL;
    }
    s->pid = getpid();
    tks_notes_init(&s->notes, NOTES_MAX);
    return s;
}

static void free_state(state *s) {
    tks_notes_clear(&s->notes);
    (void)pthread_cond_destroy(&s->ended);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* The state of this process. A forked child makes its own. NULL: out of memory. */
static state *own_state(tks_remote_keys *keys) {
    state *s = atomic_load(&keys->state);
    if (s->pid == getpid()) {
        return s;
    }
    state *fresh = new_state();
    if (fresh == NULL) {
        return NULL;
    }
    fresh->inherited = s;
    if (!atomic_compare_exchange_strong(&keys->state, &s, fresh)) {
        free_state(fresh);
        return s;
    }
    tksp_key_source_after_fork(&keys->source);
    return fresh;
}

static tks_status check_range(const char *name, int64_t value, int64_t min, int64_t max,
                              tks_error *err) {
    if (value >= min && value <= max) {
        return TKS_OK;
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be %g to %g seconds", name,
                    (double)min / 1000, (double)max / 1000);
}

static tks_status check(const tks_remote_keys_options *o, const tks_http_options *http,
                        tks_error *err) {
    tks_status status = tks_http_check_url(o->url, err);
    if (status != TKS_OK) {
        return status;
    }
    if (!tksp_http_is_safe_url(o->url) && !(http != NULL && http->insecure)) {
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "the URL of the keys must begin with https://, or an attacker on the network could "
            "replace them (http:// is for localhost, or without verification)");
    }
    status = check_range("max_age", o->max_age_ms, 1000, YEAR_MS, err);
    if (status == TKS_OK) status = check_range("max_stale", o->max_stale_ms, 0, YEAR_MS, err);
    if (status == TKS_OK) status = check_range("min_interval", o->interval_ms, 1000, 86400000, err);
    return status == TKS_OK ? check_range("timeout", o->timeout_ms, 1, 600000, err) : status;
}

/* "https://host:port" of the URL, which contains no user. */
static void name_server(const char *url, char out[TKSP_KEYS_NAME_SIZE]) {
    const char *host = strstr(url, "://");
    size_t size = host != NULL ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
    (void)snprintf(out, TKSP_KEYS_NAME_SIZE, "%.*s",
                   size < TKSP_KEYS_NAME_SIZE ? (int)size : TKSP_KEYS_NAME_SIZE - 1, url);
}

tks_status tks_remote_keys_new(const tks_remote_keys_options *options, const tks_http_options *http,
                               tks_remote_keys **out, tks_error *err) {
    *out = NULL;
    tks_status status = check(options, http, err);
    if (status != TKS_OK) {
        return status;
    }
    tks_remote_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) {
        return tks_fail_memory(err);
    }
    keys->options = *options;
    keys->options.url = tks_bytes_of(NULL, 0);
    tksp_key_source_init(&keys->source, options->interval_ms);
    atomic_init(&keys->fresh_until_ms, 0);
    atomic_init(&keys->good_until_ms, 0);
    atomic_init(&keys->has_notes, false);
    atomic_init(&keys->closed, false);
    atomic_init(&keys->state, new_state());
    keys->url = strndup(options->url.data, options->url.size);
    if (atomic_load(&keys->state) == NULL || keys->url == NULL) {
        status = tks_fail_memory(err);
    } else {
        name_server(keys->url, keys->name);
        status = tks_http_new(http, &keys->http, err);
    }
    if (status != TKS_OK) {
        tks_remote_keys_free(keys);
        return status;
    }
    *out = keys;
    return TKS_OK;
}

/* Joins the thread of the last fetch, which has ended or is about to: it unlocks the mutex last. */
static void join(state *s) {
    if (s->has_thread) {
        (void)pthread_join(s->thread, NULL);
        s->has_thread = false;
    }
}

void tks_remote_keys_close(tks_remote_keys *keys) {
    state *s = own_state(keys);
    atomic_store(&keys->closed, true);
    if (s != NULL) {
        (void)pthread_mutex_lock(&s->mutex);
        (void)pthread_cond_broadcast(&s->ended);
        while (s->fetching) {
            (void)pthread_cond_wait(&s->ended, &s->mutex);
        }
        join(s);
        (void)pthread_mutex_unlock(&s->mutex);
    }
    tks_http_close(keys->http);
}

void tks_remote_keys_free(tks_remote_keys *keys) {
    if (keys == NULL) {
        return;
    }
    if (keys->http != NULL) {
        tks_remote_keys_close(keys);
    }
    state *s = atomic_load(&keys->state);
    while (s != NULL) {
        state *next = s->inherited;
        if (s->pid == getpid()) {
            free_state(s);
        } else {
            tks_notes_clear(&s->notes);
            free(s);
        }
        s = next;
    }
    tks_http_free(keys->http);
    tksp_key_source_clear(&keys->source);
    free(keys->url);
    free(keys);
}

static tks_status fail_closed(tks_error *err) {
    return tks_fail(err, TKS_ERR_CLOSED, "the key set is closed");
}

/* ---- a fetch ------------------------------------------------------------------------------------- */

static void note(tks_remote_keys *keys, state *s, char level, const char *text) {
    tks_notes_add(&s->notes, level, text);
    atomic_store(&keys->has_notes, true);
}

/* Logs what a failed fetch means for verification. */
static void note_failure(tks_remote_keys *keys, state *s, const char *why, int64_t now) {
    char text[TKS_ERROR_SIZE + 100];
    int64_t left = atomic_load(&keys->good_until_ms) - now;
    if (left > 0) {
        (void)snprintf(text, sizeof text,
                       "could not fetch the keys; using the old ones for up to %lld s more: %s",
                       (long long)left / 1000, why);
    } else {
        (void)snprintf(text, sizeof text, "could not fetch the keys, and none are cached: %s", why);
    }
    note(keys, s, 'w', text);
}

static bool is_closed(void *context) {
    const tks_remote_keys *keys = context;
    return atomic_load(&keys->closed);
}

static void *fetch(void *context) {
    tks_remote_keys *keys = context;
    state *s = atomic_load(&keys->state);
    const tks_interrupt interrupt = {is_closed, keys};
    tks_error failure = TKS_ERROR_INIT;
    tks_keyset *set;
    int64_t fresh_ms = 0;
    tks_status status = tksp_keys_download(keys, &interrupt, &set, NULL, &fresh_ms, &failure);
    int64_t now = tksp_boot_ms();
    (void)pthread_mutex_lock(&s->mutex);
    if (status == TKS_OK) {
        tksp_key_source_put(&keys->source, set);
        atomic_store(&keys->fresh_until_ms, now + fresh_ms);
        atomic_store(&keys->good_until_ms, now + fresh_ms + keys->options.max_stale_ms);
        char text[TKSP_KEYS_NAME_SIZE + 40];
        (void)snprintf(text, sizeof text, "keys fetched from %s", keys->name);
        note(keys, s, 'i', text);
    } else if (!atomic_load(&keys->closed)) {
        note_failure(keys, s, failure.message, now);
    }
    s->failure = failure;
    s->failed_ms = now;
    s->fetching = false;
    s->outcomes++;
    (void)pthread_cond_broadcast(&s->ended);
    (void)pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* Starts a fetch unless one is in progress. The mutex is held. */
static tks_status start(tks_remote_keys *keys, state *s, tks_error *err) {
    if (s->fetching) {
        return TKS_OK;
    }
    if (atomic_load(&keys->closed)) {
        return fail_closed(err);
    }
    join(s);
    s->fetching = tksp_thread_start(&s->thread, fetch, keys);
    s->has_thread = s->fetching;
    return s->fetching
               ? TKS_OK
               : tks_fail(err, TKS_ERR_CONNECTION, "could not start a thread to fetch the keys");
}

/* Waits until the fetch in progress has ended and returns its status. On return the mutex is held, unless
 * this is a forked child. */
static tks_status wait_for_end(tks_remote_keys *keys, state *s, tksp_wait *wait, tks_error *err) {
    uint64_t before = s->outcomes;
    while (s->outcomes == before) {
        if (atomic_load(&keys->closed)) {
            return fail_closed(err);
        }
        tks_status status = tksp_wait_cond(wait, &s->ended, &s->mutex, err);
        if (status == TKS_ERR_TIMEOUT) {
            return tks_fail(err, status, "%s did not return its keys in time", keys->name);
        }
        if (status != TKS_OK || getpid() != s->pid) {
            return status;
        }
    }
    return s->failure.status == TKS_OK ? TKS_OK
                                       : tks_fail(err, s->failure.status, "%s", s->failure.message);
}

/* ---- keys ---------------------------------------------------------------------------------------- */

/* The cached keys, if they may still be used; *old: newer ones should be fetched. */
static tks_keyset *at_hand(tks_remote_keys *keys, uint64_t *version, bool *old) {
    int64_t now = tksp_boot_ms();
    *old = now >= atomic_load_explicit(&keys->fresh_until_ms, memory_order_relaxed);
    *version = 0;
    if (now >= atomic_load_explicit(&keys->good_until_ms, memory_order_relaxed)) {
        return NULL;
    }
    return tksp_key_source_get(&keys->source, version);
}

/* Fetches in the background, with a pause after a failure. */
static void renew(tks_remote_keys *keys) {
    state *s = own_state(keys);
    if (s == NULL || pthread_mutex_trylock(&s->mutex) != 0) {
        return; /* another thread holds the mutex */
    }
    if (s->failure.status == TKS_OK || tksp_boot_ms() - s->failed_ms >= keys->options.interval_ms) {
        (void)start(keys, s, NULL);
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

tks_keyset *tks_remote_keys_peek(tks_remote_keys *keys, uint64_t *version) {
    uint64_t found;
    bool old;
    /* In a forked child the lock of the keys may be held by a thread that does not exist there. */
    tks_keyset *set =
        own_state(keys) == NULL || atomic_load(&keys->closed) ? NULL : at_hand(keys, &found, &old);
    if (set != NULL && old) {
        renew(keys);
    }
    if (version != NULL) {
        *version = set != NULL ? found : 0;
    }
    return set;
}

/* True if a fetch may be started for a caller that has seen version `seen`. The mutex is held. */
static bool may_start(tks_remote_keys *keys, const state *s, uint64_t seen) {
    if (seen != 0) {
        return tksp_key_source_ask(&keys->source, tksp_boot_ms());
    }
    return s->failure.status == TKS_OK || tksp_boot_ms() - s->failed_ms >= FAILURE_MS;
}

/* Starts a fetch if allowed and waits for its end; with `pending`, only reports that it is in progress. The
 * mutex as in wait_for_end. */
static tks_status fetch_or_wait(tks_remote_keys *keys, state *s, uint64_t seen,
                                const tks_interrupt *interrupt, bool *pending, tks_error *err) {
    tks_status status = TKS_OK;
    tksp_wait wait;
    if (!s->fetching && !may_start(keys, s, seen)) {
        return s->failure.status == TKS_OK
                   ? TKS_OK
                   : tks_fail(err, s->failure.status, "%.250s (a moment ago)", s->failure.message);
    }
    status = start(keys, s, err);
    if (status == TKS_OK && pending != NULL) {
        *pending = true;
    } else if (status == TKS_OK) {
        tksp_wait_init(&wait, 2 * keys->options.timeout_ms, interrupt);
        status = wait_for_end(keys, s, &wait, err);
    }
    return status;
}

/* The cached keys, if newer than `seen`. */
static tks_keyset *newer(tks_remote_keys *keys, uint64_t seen, uint64_t *version) {
    tks_keyset *set = tks_remote_keys_peek(keys, version);
    if (set != NULL && *version == seen) {
        tks_keyset_free(set);
        set = NULL;
    }
    return set;
}

tks_status tks_remote_keys_get(tks_remote_keys *keys, uint64_t seen, const tks_interrupt *interrupt,
                               bool *pending, tks_keyset **out, uint64_t *version, tks_error *err) {
    tks_error why = TKS_ERROR_INIT;
    if (pending != NULL) {
        *pending = false;
    }
    *out = newer(keys, seen, version);
    if (*out != NULL) {
        return TKS_OK;
    }
    if (atomic_load(&keys->closed)) {
        return fail_closed(err);
    }
    state *s = own_state(keys);
    if (s == NULL) {
        return tks_fail_memory(err);
    }
    (void)pthread_mutex_lock(&s->mutex);
    tks_status status = fetch_or_wait(keys, s, seen, interrupt, pending, &why);
    if (getpid() == s->pid) {
        (void)pthread_mutex_unlock(&s->mutex);
    } else if (status == TKS_OK) {
        status = tks_fail(&why, TKS_ERR_CONNECTION, "the process forked while fetching the keys");
    }
    *out =
        newer(keys, seen, version); /* although this fetch failed: another one may have succeeded */
    if (*out != NULL || status == TKS_OK) {
        return TKS_OK;
    }
    return tks_fail(err, status, "%s", why.message);
}

void tks_remote_keys_helped(tks_remote_keys *keys) {
    tksp_key_source_helped(&keys->source);
}

tks_status tks_remote_keys_download(tks_remote_keys *keys, const tks_interrupt *interrupt,
                                    tks_buf *text, int64_t *fresh_ms, tks_error *err) {
    tks_keyset *set;
    *fresh_ms = 0;
    tks_status status = tksp_keys_download(keys, interrupt, &set, text, fresh_ms, err);
    tks_keyset_free(set);
    return status;
}

/* ---- notes --------------------------------------------------------------------------------------- */

bool tks_remote_keys_has_notes(const tks_remote_keys *keys) {
    return atomic_load_explicit(&keys->has_notes, memory_order_relaxed);
}

tks_status tks_remote_keys_take_notes(tks_remote_keys *keys, tks_buf *out) {
    state *s = tks_remote_keys_has_notes(keys) ? own_state(keys) : NULL;
    if (s == NULL) {
        return TKS_OK;
    }
    (void)pthread_mutex_lock(&s->mutex);
    tks_status status = tks_notes_take(&s->notes, out);
    atomic_store(&keys->has_notes, !tks_notes_is_empty(&s->notes));
    (void)pthread_mutex_unlock(&s->mutex);
    return status;
}
