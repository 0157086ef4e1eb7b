/* key_source.c - see key_source.h. */
#include "key_source.h"

/* A spin lock: it is held for a few instructions only. */
static void enter(tksp_key_source *source) {
    while (atomic_flag_test_and_set_explicit(&source->busy, memory_order_acquire)) {
        ;
    }
}

static void leave(tksp_key_source *source) {
    atomic_flag_clear_explicit(&source->busy, memory_order_release);
}

void tksp_key_source_init(tksp_key_source *source, int64_t interval_ms) {
    *source = (tksp_key_source){.interval_ms = interval_ms};
    atomic_flag_clear(&source->busy);
}

void tksp_key_source_clear(tksp_key_source *source) {
    tks_keyset_free(source->set);
    source->set = NULL;
}

void tksp_key_source_after_fork(tksp_key_source *source) {
    leave(source);
}

tks_keyset *tksp_key_source_get(tksp_key_source *source, uint64_t *version) {
    enter(source);
    tks_keyset *set = source->set != NULL ? tks_keyset_ref(source->set) : NULL;
    if (version != NULL) *version = source->version;
    leave(source);
    return set;
}

void tksp_key_source_put(tksp_key_source *source, tks_keyset *set) {
    enter(source);
    tks_keyset *before = source->set;
    source->set = set;
    source->version++;
    leave(source);
    tks_keyset_free(before);
}

bool tksp_key_source_ask(tksp_key_source *source, int64_t now_ms) {
    enter(source);
    int64_t since_ms = now_ms - source->asked_ms;
    bool may = !source->asked || since_ms < 0 || since_ms >= source->interval_ms;
    if (may) {
        source->asked = true;
        source->asked_ms = now_ms;
    }
    leave(source);
    return may;
}

void tksp_key_source_helped(tksp_key_source *source) {
    enter(source);
    source->asked = false;
    leave(source);
}
