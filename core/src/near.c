/* near.c - see tokenstore/near.h. */
#define _POSIX_C_SOURCE 200809L

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "near_table.h"
#include "router.h"
#include "slot.h"
#include "tokenstore/router.h"

enum {
    BYTES_PER_ENTRY = 1024,
    BYTES_MIN = 4 * 1024 * 1024, /* so that a large record fits into a small cache */
    GENERATIONS = 4096,          /* a power of two */
    LINKS = TKS_NODES_MAX + 1,   /* the first is that of the one server */
    PREFIX_SIZE = 160,           /* of the longest */
    ROUNDING_MS =
        2 /* both clocks are cut to milliseconds: a record ends early by so much, not late */
};

typedef struct link {
    bool open;
    unsigned opening;  /* how often it was opened */
    int64_t since_ms;  /* it tells of all changes from then on; */
    int64_t proven_ms; /* of those before this, it has told */
    tksp_near_asking asking;
} link;

struct tks_near {
    atomic_uint holders;
    int64_t staleness_ms;
    atomic_uint version; /* of the prefixes */
    atomic_bool tells;   /* `why` is to be logged */
    bool by_key;         /* servers tell of the keys that they were asked for; else of prefixes */
    atomic_bool lock;    /* no atomic_flag: ThreadSanitizer does not see gcc's */
    /* Under the lock: */
    tksp_near_table table;
    tksp_near_keys keys; /* by key: those that servers tell of */
    tks_near_stats stats;
    unsigned generations[GENERATIONS]; /* of keys, by their hashes: how often any was invalidated */
    link links[LINKS];
    void (*wake)(void *context);
    void *waker;
    char why[TKS_ERROR_SIZE]; /* no link can be opened; empty: one can */
    size_t prefix_count;
    struct {
        size_t size;
        char text[PREFIX_SIZE];
    } prefixes[TKSP_NEAR_PREFIXES_MAX];
};

/* ---- life ---- */

tks_near *tks_near_new(size_t entries, int64_t staleness_ms, tks_near_tracking tracking) {
    tks_near *near = calloc(1, sizeof *near);
    size_t bytes = entries * BYTES_PER_ENTRY;
    if (near == NULL) return NULL;
    atomic_init(&near->holders, 1);
    atomic_init(&near->lock, false);
    near->staleness_ms = staleness_ms;
    near->by_key = tracking == TKS_NEAR_KEYS;
    bool good = tksp_near_table_init(&near->table, entries, bytes > BYTES_MIN ? bytes : BYTES_MIN);
    if (good && near->by_key) {
        near->table.keys = &near->keys;
        good = tksp_near_keys_init(&near->keys, entries);
    }
    if (good) return near;
    tks_near_free(near);
    return NULL;
}

tks_near *tks_near_hold(tks_near *near) {
    atomic_fetch_add_explicit(&near->holders, 1, memory_order_relaxed);
    return near;
}

void tks_near_free(tks_near *near) {
    if (near == NULL) return;
    if (atomic_fetch_sub_explicit(&near->holders, 1, memory_order_acq_rel) > 1) return;
    tksp_near_table_clear(&near->table);
    for (int i = 0; near->by_key && i < LINKS; i++) {
        tksp_near_keys_reset(&near->keys, &near->links[i].asking);
    }
    tksp_near_keys_clear(&near->keys);
    free(near);
}

/* It is held for less than a microsecond, unless its holder has no turn. */
static void take_lock(tks_near *near) {
    enum { SPINS = 100 };
    for (int i = 0; atomic_exchange_explicit(&near->lock, true, memory_order_acquire); i++) {
        if (i >= SPINS) (void)sched_yield();
    }
}

static void drop_lock(tks_near *near) {
    atomic_store_explicit(&near->lock, false, memory_order_release);
}

/* ---- operations ---- */

static link *link_of(tks_near *near, int node) {
    return &near->links[node + 1];
}

static bool is_proven(const tks_near *near, const link *l, int64_t now_ms) {
    return l->open && now_ms - l->proven_ms <= near->staleness_ms;
}

/* Does it count? */
static bool is_good(tks_near *near, const tksp_near_entry *entry, int64_t now_ms) {
    const link *l = link_of(near, entry->node);
    return entry->opening == l->opening && is_proven(near, l, now_ms) &&
           (entry->ends_ms == 0 || now_ms + entry->ahead_ms < entry->ends_ms);
}

static bool view_counts(tks_near *near, const tks_router *router, const tksp_near_view *view,
                        int64_t now_ms) {
    const tksp_near_entry *entry = view->entry;
    const tksp_near_owner *owner = entry->owner;
    tks_bytes key = tks_bytes_of(owner->key, owner->key_size);
    int node = router == NULL ? -1 : tksp_router_primary(router, tksp_slot_of(key));
    return entry->node == node && is_good(near, entry, now_ms) &&
           (view->until_ms == 0 || now_ms + entry->ahead_ms < view->until_ms);
}

tksp_near_entry *tksp_near_find(tks_near *near, int node, tks_bytes key, tks_bytes field,
                                int64_t now_ms, tksp_near_record *out) {
    take_lock(near);
    tksp_near_entry *entry = tksp_near_table_find(&near->table, key, field);
    if (entry != NULL && (entry->node != node || !is_good(near, entry, now_ms))) entry = NULL;
    if (entry != NULL) {
        near->stats.hits++;
        atomic_fetch_add_explicit(&entry->holders, 1, memory_order_relaxed);
        out->text = tks_bytes_of(entry->bytes + entry->field_size, entry->text_size);
        out->ends_ms = entry->ends_ms;
        out->clock_ms = now_ms + entry->ahead_ms;
    } else {
        near->stats.misses++;
    }
    drop_lock(near);
    return entry;
}

void *tks_near_find_view(tks_near *near, const tks_router *router,
                         const tks_near_question *question, int64_t now_ms) {
    void *value = NULL;
    take_lock(near);
    tksp_near_view *view = tksp_near_table_ask(&near->table, question);
    if (view != NULL && view_counts(near, router, view, now_ms)) {
        near->stats.hits++;
        view->entry->visited = true;
        value = view->value;
    }
    drop_lock(near);
    return value;
}

bool tksp_near_leave_view(tks_near *near, tksp_near_entry *entry, tksp_near_view *view) {
    take_lock(near);
    bool kept = entry->owner != NULL;
    if (kept) tksp_near_table_leave(&near->table, entry, view);
    drop_lock(near);
    return kept;
}

void *tks_near_reap(tks_near *near, bool all) {
    take_lock(near);
    tksp_near_view *view = tksp_near_table_reap(&near->table, all);
    drop_lock(near);
    void *value = view != NULL ? view->value : NULL;
    free(view);
    return value;
}

static tksp_near_name name_of(const tks_near *near, tks_bytes key) {
    return (tksp_near_name){key, tksp_near_hash(&near->table, key)};
}

static unsigned *generation_of(tks_near *near, uint64_t hash) {
    return &near->generations[hash & (GENERATIONS - 1)];
}

tksp_near_ticket tksp_near_reserve(tks_near *near, tks_bytes key, int64_t now_ms) {
    take_lock(near);
    tksp_near_ticket ticket = {*generation_of(near, tksp_near_hash(&near->table, key)), now_ms};
    drop_lock(near);
    return ticket;
}

/* The key, if the server of this link tells of it; NULL: it is to be asked. */
static tksp_near_key *want_key(tks_near *near, link *l, int node, tksp_near_name name) {
    bool idle = l->asking.wanted.first == NULL;
    tksp_near_key *told =
        tksp_near_keys_want(&near->keys, name, (tksp_near_place){node, l->opening}, &l->asking);
    if (idle && l->asking.wanted.first != NULL && near->wake != NULL) near->wake(near->waker);
    return told;
}

/* As tksp_near_put, while the link is open. */
static void put(tks_near *near, tksp_near_ticket ticket, int node, tks_bytes key, tks_bytes field,
                const tksp_near_record *record) {
    link *l = link_of(near, node);
    tksp_near_name name = name_of(near, key);
    tksp_near_key *told = near->by_key ? want_key(near, l, node, name) : NULL;
    if ((near->by_key && told == NULL) ||
        l->since_ms >= ticket.asked_ms || /* perhaps in the same millisecond, and before */
        *generation_of(near, name.hash) != ticket.generation) {
        return;
    }
    tksp_near_entry *entry = tksp_near_table_put(&near->table, key, field, record->text);
    if (entry == NULL) return;
    if (told != NULL) tksp_near_keys_hold(&near->keys, told);
    entry->node = node;
    entry->opening = l->opening;
    entry->ends_ms = record->ends_ms;
    entry->ahead_ms = record->clock_ms - ticket.asked_ms + ROUNDING_MS;
}

void tksp_near_put(tks_near *near, tksp_near_ticket ticket, int node, tks_bytes key,
                   tks_bytes field, const tksp_near_record *record) {
    take_lock(near);
    if (link_of(near, node)->open) put(near, ticket, node, key, field, record);
    drop_lock(near);
}

static void invalidate(tks_near *near, tks_bytes key) {
    tksp_near_name name = name_of(near, key);
    (*generation_of(near, name.hash))++;
    near->stats.invalidations += tksp_near_table_drop(&near->table, key);
    if (near->by_key) tksp_near_keys_forget(&near->keys, name);
}

void tksp_near_drop(tks_near *near, tks_bytes key) {
    take_lock(near);
    invalidate(near, key);
    drop_lock(near);
}

/* ---- prefixes ---- */

static tks_bytes prefix_at(const tks_near *near, size_t i) {
    return tks_bytes_of(near->prefixes[i].text, near->prefixes[i].size);
}

static bool begins_with(tks_bytes text, tks_bytes prefix) {
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

/* Servers refuse prefixes of which one begins with another. Of more than there is room for, one that is empty takes the place. */
static void add_prefix(tks_near *near, tks_bytes prefix) {
    size_t kept = 0;
    for (size_t i = 0; i < near->prefix_count; i++) {
        if (!begins_with(prefix_at(near, i), prefix)) near->prefixes[kept++] = near->prefixes[i];
    }
    if (kept == TKSP_NEAR_PREFIXES_MAX) {
        kept = 0;
        prefix.size = 0;
    }
    near->prefixes[kept].size = prefix.size;
    memcpy(near->prefixes[kept].text, prefix.data, prefix.size);
    near->prefix_count = kept + 1;
}

static void lose(tks_near *near, link *l) {
    if (l->open) near->stats.flushes++;
    l->open = false;
    if (near->by_key) tksp_near_keys_reset(&near->keys, &l->asking);
}

void tksp_near_want(tks_near *near, tks_bytes prefix) {
    bool known = false;
    if (prefix.size > PREFIX_SIZE) prefix.size = PREFIX_SIZE;
    if (near->by_key) prefix.size = 0; /* whatever the links are asked for, they tell of it */
    take_lock(near);
    for (size_t i = 0; i < near->prefix_count; i++) {
        known = known || begins_with(prefix, prefix_at(near, i));
    }
    if (!known) {
        add_prefix(near, prefix);
        for (int i = 0; i < LINKS; i++) lose(near, &near->links[i]);
        atomic_fetch_add(&near->version, 1);
    }
    drop_lock(near);
}

const tks_bytes *tksp_near_prefixes(tks_near *near, tksp_arena *arena, size_t *count,
                                    unsigned *version) {
    tks_bytes *out = tksp_arena_alloc(arena, TKSP_NEAR_PREFIXES_MAX * sizeof *out);
    take_lock(near);
    *version = atomic_load(&near->version);
    *count = near->prefix_count;
    for (size_t i = 0; out != NULL && i < *count; i++) {
        out[i] = tksp_arena_dup(arena, prefix_at(near, i));
    }
    drop_lock(near);
    return arena->status == TKS_OK ? out : NULL;
}

unsigned tks_near_get_version(const tks_near *near) {
    return atomic_load_explicit(&near->version, memory_order_relaxed);
}

/* ---- keys ---- */

static void fail(tks_near *near, const char *why) {
    bool news = strcmp(near->why, why != NULL ? why : "") != 0;
    if (news) {
        near->why[0] = '\0';
        if (why != NULL) (void)snprintf(near->why, sizeof near->why, "%s", why);
        atomic_store(&near->tells, true);
    }
}

tks_near_tracking tks_near_get_tracking(const tks_near *near) {
    return near->by_key ? TKS_NEAR_KEYS : TKS_NEAR_BROADCAST;
}

void tks_near_set_waker(tks_near *near, void (*wake)(void *context), void *context) {
    take_lock(near);
    near->wake = wake;
    near->waker = context;
    drop_lock(near);
}

bool tks_near_wants(tks_near *near, int node) {
    take_lock(near);
    bool wants = link_of(near, node)->asking.wanted.first != NULL;
    drop_lock(near);
    return wants;
}

tks_status tks_near_ask(tks_near *near, int node, tks_buf *out, size_t *count) {
    take_lock(near);
    tks_status status = tksp_near_keys_ask(&link_of(near, node)->asking, out, count);
    drop_lock(near);
    return status;
}

/* What was asked for earlier is not kept: the key may have been changed before the server told of it. */
void tks_near_answer(tks_near *near, int node, const tks_reply *reply) {
    char why[TKS_ERROR_SIZE];
    uint64_t hash;
    bool good = tks_reply_get_type(reply) == TKS_REPLY_INTEGER;
    bool refused = tks_reply_is_error(reply, "NOPERM");
    if (refused) {
        char text[TKS_ERROR_SIZE / 2];
        tks_reply_describe_error(reply, text, sizeof text);
        (void)snprintf(why, sizeof why, "%s - near_cache_tracking=keys needs the right +pttl",
                       text);
    }
    take_lock(near);
    link *l = link_of(near, node);
    tksp_near_place place = {node, l->opening};
    if (tksp_near_keys_answer(&near->keys, &l->asking, place, good, &hash)) {
        (*generation_of(near, hash))++;
    }
    if (refused) {
        l->asking.refused = true;
        fail(near, why);
    }
    drop_lock(near);
}

/* ---- links ---- */

void tks_near_open(tks_near *near, int node, unsigned version, int64_t now_ms) {
    take_lock(near);
    link *l = link_of(near, node);
    if (near->by_key) tksp_near_keys_reset(&near->keys, &l->asking);
    l->open = version == atomic_load(&near->version);
    l->opening++;
    l->since_ms = l->proven_ms = now_ms;
    drop_lock(near);
}

void tks_near_prove(tks_near *near, const tks_router *router, int node, int64_t sent_ms,
                    int64_t now_ms, int64_t clock_ms) {
    int64_t proven_ms = sent_ms;
    if (router != NULL) {
        int64_t named_ms = now_ms - (clock_ms - tks_router_renewed_ms(router));
        if (named_ms < proven_ms) proven_ms = named_ms;
    }
    take_lock(near);
    link *l = link_of(near, node);
    if (l->proven_ms < proven_ms) l->proven_ms = proven_ms;
    drop_lock(near);
}

void tks_near_lose(tks_near *near, int node) {
    take_lock(near);
    lose(near, link_of(near, node));
    drop_lock(near);
}

void tks_near_fail(tks_near *near, const char *why) {
    take_lock(near);
    fail(near, why);
    drop_lock(near);
}

void tksp_near_tell(tks_near *near, tks_notes *notes) {
    char text[TKS_ERROR_SIZE + 64];
    if (!atomic_load_explicit(&near->tells, memory_order_relaxed)) return;
    take_lock(near);
    bool fails = near->why[0] != '\0', tells = atomic_exchange(&near->tells, false);
    (void)snprintf(text, sizeof text, "near_cache: %s",
                   fails ? near->why : "the server tells of changes again");
    drop_lock(near);
    if (tells) tks_notes_add(notes, fails ? 'w' : 'i', text);
}

static void flush(tks_near *near) {
    near->stats.flushes++;
    for (int i = 0; i < GENERATIONS; i++) near->generations[i]++;
    while (near->table.newest != NULL) tksp_near_table_remove(&near->table, near->table.newest);
    tksp_near_keys_forget_all(&near->keys);
}

void tks_near_flush(tks_near *near) {
    take_lock(near);
    flush(near);
    drop_lock(near);
}

void tks_near_take(tks_near *near, const tks_reply *payload) {
    bool all = tks_reply_get_type(payload) != TKS_REPLY_ARRAY;
    take_lock(near);
    if (all) flush(near);
    for (size_t i = 0; !all && i < tks_reply_get_size(payload); i++) {
        const tks_reply *key = tks_reply_get_item(payload, i);
        if (tks_reply_get_type(key) == TKS_REPLY_STRING) invalidate(near, tks_reply_get_bytes(key));
    }
    drop_lock(near);
}

bool tks_near_hear(tks_near *near, const tks_reply *reply) {
    if (!tks_reply_is_push(reply, TKS_LITERAL("invalidate"), 2)) return false;
    tks_near_take(near, tks_reply_get_item(reply, 1));
    return true;
}

tks_near_stats tks_near_get_stats(tks_near *near, int64_t now_ms) {
    take_lock(near);
    tks_near_stats stats = near->stats;
    stats.entries = near->table.count;
    stats.bytes = near->table.bytes;
    stats.evictions = near->table.evictions;
    for (int i = 0; i < LINKS; i++) {
        const link *l = &near->links[i];
        int64_t age_ms = l->open ? now_ms - l->proven_ms : 0;
        stats.alive = stats.alive || is_proven(near, l, now_ms);
        if (age_ms > stats.oldest_ms) stats.oldest_ms = age_ms;
    }
    drop_lock(near);
    return stats;
}
