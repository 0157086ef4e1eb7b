/* tls_source.c - see tls_source.h. */
#define _POSIX_C_SOURCE 200809L

#include "tls_source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES = 4 };

/* The attributes that change when a file is written or replaced. */
typedef struct stamp {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
} stamp;

typedef struct stamps {
    stamp files[FILES];
} stamps;

struct tksp_tls_source {
    const tks_target *target;
    pthread_mutex_t mutex;
    tksp_tls_context *_Atomic context; /* atomic: a forked child reads it without the mutex */
    stamps read;                       /* the files it was made from */
    bool doubted;                      /* to be reloaded even if the files look unchanged */
    bool for_doubt;                    /* it was reloaded for that reason */
    tks_error warning;
};

static stamp look_at(const char *path) {
    struct stat info;
    if (path == NULL || stat(path, &info) != 0) {
        return (stamp){.there = false};
    }
    return (stamp){true, info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

static void look(const tks_target *target, stamps *out) {
    const char *bundle = NULL, *directory = NULL;
    if (target->ca == NULL) {
        tksp_tls_system_authorities(&bundle, &directory);
    }
    const char *paths[FILES] = {target->ca != NULL ? target->ca : bundle, directory, target->cert,
                                target->key};
    for (size_t i = 0; i < FILES; i++) {
        out->files[i] = look_at(paths[i]);
    }
}

static bool is_same_file(const stamp *a, const stamp *b) {
    if (!a->there || !b->there) {
        return a->there == b->there;
    }
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec;
}

static bool is_same(const stamps *a, const stamps *b) {
    bool same = true;
    for (size_t i = 0; i < FILES; i++) {
        same = same && is_same_file(&a->files[i], &b->files[i]);
    }
    return same;
}

static tksp_tls_source *allocate(const tks_target *target) {
    tksp_tls_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&source->mutex, NULL) != 0) {
        free(source);
        return NULL;
    }
    source->target = target;
    atomic_init(&source->context, NULL);
    return source;
}

tks_status tksp_tls_source_new(const tks_target *target, tksp_tls_source **out, tks_error *err) {
    tksp_tls_context *context = NULL;
    *out = NULL;
    tksp_tls_source *source = allocate(target);
    if (source == NULL) {
        return tks_fail_memory(err);
    }
    look(target, &source->read);
    tks_status status = tksp_tls_context_new(target, &context, err);
    if (status != TKS_OK) {
        tksp_tls_source_free(source);
        return status;
    }
    atomic_store(&source->context, context);
    *out = source;
    return TKS_OK;
}

tksp_tls_source *tksp_tls_source_inherit(const tksp_tls_source *parent) {
    tksp_tls_source *source = allocate(parent->target);
    if (source != NULL) {
        source->read = parent->read;
        atomic_store(&source->context, tksp_tls_context_share(atomic_load(&parent->context)));
    }
    return source;
}

/* The mutex is held. */
static void read_again(tksp_tls_source *source, const stamps *now) {
    tksp_tls_context *fresh = NULL;
    tks_error why = TKS_ERROR_INIT;
    if (tksp_tls_context_new(source->target, &fresh, &why) != TKS_OK) {
        source->warning = (tks_error)TKS_ERROR_INIT;
        (void)tks_fail(&source->warning, why.status, "the TLS files were not reloaded: %s",
                       why.message);
        return; /* the next connection checks again */
    }
    tksp_tls_context_release(atomic_exchange(&source->context, fresh));
    source->read = *now;
}

tksp_tls_context *tksp_tls_source_get(tksp_tls_source *source) {
    stamps now;
    (void)pthread_mutex_lock(&source->mutex);
    look(source->target, &now);
    bool same = is_same(&now, &source->read);
    if (!same || source->doubted) {
        read_again(source, &now);
        source->for_doubt = source->doubted;
        source->doubted = false;
    }
    tksp_tls_context *context = tksp_tls_context_share(atomic_load(&source->context));
    (void)pthread_mutex_unlock(&source->mutex);
    return context;
}

bool tksp_tls_source_doubt(tksp_tls_source *source, const tksp_tls_context *context) {
    (void)pthread_mutex_lock(&source->mutex);
    /* If another thread has reloaded it meanwhile, a retry is worthwhile too. */
    bool current = context == atomic_load(&source->context);
    bool doubt = !current || !source->for_doubt;
    source->doubted = current && doubt;
    source->for_doubt = source->for_doubt && !current;
    (void)pthread_mutex_unlock(&source->mutex);
    return doubt;
}

void tksp_tls_source_trust(tksp_tls_source *source, const tksp_tls_context *context) {
    (void)pthread_mutex_lock(&source->mutex);
    if (context == atomic_load(&source->context)) {
        source->for_doubt = false;
    }
    (void)pthread_mutex_unlock(&source->mutex);
}

bool tksp_tls_source_take_warning(tksp_tls_source *source, tks_error *out) {
    (void)pthread_mutex_lock(&source->mutex);
    *out = source->warning;
    source->warning.status = TKS_OK;
    (void)pthread_mutex_unlock(&source->mutex);
    return out->status != TKS_OK;
}

void tksp_tls_source_free(tksp_tls_source *source) {
    if (source == NULL) {
        return;
    }
    tksp_tls_context_release(atomic_load(&source->context));
    (void)pthread_mutex_destroy(&source->mutex);
    free(source);
}
