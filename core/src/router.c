/* router.c - see router.h and tokenstore/router.h. */
#include "router_private.h"

#include <stdlib.h>

#include "ops/refresh.h"
#include "tokenstore/secret.h"
#include "url_private.h"

/* ---- life ------------------------------------------------------------------------------------ */

/* False: out of memory. */
static bool copy_text(const char *text, char **out) {
    if (text == NULL) return true;
    size_t size = strlen(text) + 1;
    *out = malloc(size);
    if (*out != NULL) memcpy(*out, text, size);
    return *out != NULL;
}

tks_router *tks_router_new(const tks_target *target) {
    tks_router *router = calloc(1, sizeof *router);
    if (router == NULL) return NULL;
    atomic_init(&router->holders, 1);
    atomic_flag_clear(&router->lock);
    router->failed = -1;
    if (!copy_text(target->service, &router->service) ||
        !copy_text(target->address_map, &router->nodes.address_map)) {
        tks_router_free(router);
        return NULL;
    }
    for (size_t i = 0; i < target->host_count; i++) {
        const tks_address *at = &target->hosts[i];
        int number =
            tksp_nodes_number(&router->nodes, tks_bytes_of(at->host, strlen(at->host)), at->port);
        if (number < 0) {
            tks_router_free(router);
            return NULL;
        }
    }
    router->seeds = atomic_load(&router->nodes.count);
    return router;
}

tks_router *tks_router_hold(tks_router *router) {
    atomic_fetch_add_explicit(&router->holders, 1, memory_order_relaxed);
    return router;
}

void tks_router_free(tks_router *router) {
    if (router == NULL) return;
    if (atomic_fetch_sub_explicit(&router->holders, 1, memory_order_acq_rel) > 1) return;
    tksp_nodes_clear(&router->nodes);
    free(router->service);
    free(router);
}

static void take_lock(tks_router *router) {
    while (atomic_flag_test_and_set_explicit(&router->lock, memory_order_acquire)) {
    }
}

static void drop_lock(tks_router *router) {
    atomic_flag_clear_explicit(&router->lock, memory_order_release);
}

/* ---- questions ------------------------------------------------------------------------------- */

bool tksp_router_is_cluster(const tks_router *router) {
    return router->service == NULL;
}

tks_bytes tksp_router_service(const tks_router *router) {
    return tks_bytes_of(router->service, strlen(router->service));
}

int tksp_router_primary(const tks_router *router, unsigned slot) {
    return atomic_load_explicit(&router->of[slot], memory_order_relaxed) - 1;
}

int tksp_router_any(const tks_router *router) {
    int count = atomic_load(&router->nodes.count);
    int from = count > 0 ? (int)tks_random_below((uint32_t)count) : 0;
    for (int i = 0; i < count; i++) {
        if (tks_router_serves(router, (from + i) % count)) return (from + i) % count;
    }
    return -1;
}

bool tks_router_serves(const tks_router *router, int node) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    return found != NULL && atomic_load_explicit(&found->slots, memory_order_relaxed) > 0;
}

tks_server *tksp_router_clock(const tks_router *router, int node) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    return found != NULL ? found->clock : NULL;
}

bool tksp_router_find(const tks_router *router, int node, const char **host, uint16_t *port) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    if (found == NULL) return false;
    *host = found->host;
    *port = found->port;
    return true;
}

void tksp_router_write_name(const tks_router *router, int node, tks_buf *out) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    if (found != NULL) tksp_append_address(out, found->host, found->port);
}

tks_status tksp_router_named(const tks_router *router, tks_bytes name, int *out) {
    int count = atomic_load(&router->nodes.count);
    tks_status status = TKS_OK;
    tks_buf text;
    tks_buf_init(&text, SIZE_MAX);
    *out = -1;
    for (int node = 0; status == TKS_OK && *out < 0 && node < count; node++) {
        tks_buf_reset(&text);
        tksp_router_write_name(router, node, &text);
        status = text.status;
        bool same = tks_bytes_equal(tks_buf_bytes(&text), name);
        if (same && tks_router_serves(router, node)) *out = node;
    }
    tks_buf_clear(&text);
    return status;
}

void tksp_router_slots(const tks_router *router, int *slots) {
    for (int node = 0; node < TKS_NODES_MAX; node++) slots[node] = -1;
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) {
        int node = tksp_router_primary(router, slot);
        if (node >= 0 && slots[node] < 0) slots[node] = (int)slot;
    }
}

tks_target *tks_router_target(const tks_router *router, const tks_target *url, int node) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    tks_node_role role = router->service == NULL ? TKS_NODE_OF_CLUSTER
                         : node < router->seeds  ? TKS_NODE_SENTINEL
                                                 : TKS_NODE_PRIMARY;
    return found != NULL ? tksp_target_of_node(url, role, found->host, found->port) : NULL;
}

uint64_t tks_router_version(const tks_router *router) {
    return atomic_load(&router->version);
}

bool tks_router_is_due(const tks_router *router, int64_t now_ms) {
    return now_ms >= atomic_load_explicit(&router->due_ms, memory_order_relaxed);
}

bool tks_router_is_asking(const tks_router *router) {
    return atomic_load_explicit(&router->asking, memory_order_relaxed);
}

int64_t tks_router_renewed_ms(const tks_router *router) {
    return atomic_load(&router->sure_ms);
}

bool tksp_router_wants_replicas(const tks_router *router) {
    return atomic_load(&router->nodes.with_replicas);
}

bool tksp_router_is_replica(const tks_router *router, int node) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    unsigned copied = found != NULL ? atomic_load(&found->copied) : 0;
    return copied > 0 && copied == atomic_load(&router->nodes.agreed) &&
           !tks_router_serves(router, node);
}

tks_error tksp_router_why(tks_router *router) {
    take_lock(router);
    tks_error why = router->why;
    drop_lock(router);
    return why;
}

int tksp_router_number(tks_router *router, int from, tks_bytes host, uint16_t port) {
    const tksp_node *sender = tksp_nodes_find(&router->nodes, from);
    if (tksp_is_no_host(host) && sender != NULL) {
        host = tks_bytes_of(sender->host, strlen(sender->host));
    }
    take_lock(router);
    int number = tksp_nodes_announced(&router->nodes, host, port);
    drop_lock(router);
    return number;
}

/* ---- changes; the lock is held --------------------------------------------------------------- */

static void count_slot(tks_router *router, int node, int change) {
    const tksp_node *found = tksp_nodes_find(&router->nodes, node);
    if (found != NULL) {
        atomic_fetch_add_explicit(&((tksp_node *)found)->slots, change, memory_order_relaxed);
    }
}

/* True if that is new. */
static bool assign(tks_router *router, unsigned slot, int node) {
    int before = tksp_router_primary(router, slot);
    if (before == node) return false;
    count_slot(router, node,
               1); /* first, so that a node that serves one never seems to serve none */
    atomic_store_explicit(&router->of[slot], (uint16_t)(node + 1), memory_order_relaxed);
    count_slot(router, before, -1);
    if (before < 0) router->coverage++;
    if (node < 0) router->coverage--;
    return true;
}

static void set_due(tks_router *router) {
    int64_t due = router->renew_ms;
    if (router->moved && router->moved_ms < due) due = router->moved_ms;
    if (router->wanted || router->coverage == 0) due = router->next_ms;
    if (due < router->next_ms) due = router->next_ms;
    if (atomic_load(&router->asking)) due = router->began_ms + TKS_REFRESH_LOST_MS;
    atomic_store(&router->due_ms, due);
}

static void keep_patch(tks_router *router, unsigned slot, int node) {
    size_t i = 0;
    while (i < router->patch_count && router->patches[i].slot != slot) i++;
    if (i == TKS_PATCHES_MAX) return;
    router->patches[i] = (patch){slot, node, false};
    if (i == router->patch_count) router->patch_count++;
}

static void age_patches(tks_router *router) {
    size_t kept = 0;
    for (size_t i = 0; i < router->patch_count; i++) {
        if (router->patches[i].old) continue;
        router->patches[kept] = router->patches[i];
        router->patches[kept++].old = true;
    }
    router->patch_count = kept;
}

void tksp_router_moved(tks_router *router, unsigned slot, int node) {
    take_lock(router);
    keep_patch(router, slot, node);
    if (assign(router, slot, node)) {
        atomic_fetch_add(&router->version, 1);
        router->moved = true;
        set_due(router);
    }
    drop_lock(router);
}

int tksp_router_standby(tks_router *router, int node) {
    tksp_node *found = tksp_nodes_find(&router->nodes, node);
    return found != NULL ? atomic_load(&found->standby) - 1 : -1;
}

void tksp_router_take_over(tks_router *router, unsigned slot, int node) {
    take_lock(router);
    int before = tksp_router_primary(router, slot);
    bool news = false;
    bool whole = before != node && tksp_router_standby(router, before) == node;
    keep_patch(router, slot, node);
    for (unsigned i = 0; whole && i < TKS_SLOTS; i++) {
        if (tksp_router_primary(router, i) == before) news = assign(router, i, node) || news;
    }
    news = assign(router, slot, node) || news;
    if (news) {
        int64_t soon = router->began_ms + TKS_REFRESH_MIN_MS;
        atomic_fetch_add(&router->version, 1);
        router->wanted = true;
        if (router->next_ms > soon) router->next_ms = soon;
        set_due(router);
    }
    drop_lock(router);
}

void tksp_router_note_replica(tks_router *router, int node) {
    tksp_nodes_note_replica(&router->nodes, node);
}

void tks_router_want_replicas(tks_router *router) {
    atomic_store(&router->nodes.with_replicas, true);
}

void tks_router_renew(tks_router *router, int64_t now_ms, int64_t age_ms) {
    take_lock(router);
    if (now_ms - router->began_ms > age_ms && router->renew_ms > now_ms) {
        router->renew_ms = now_ms;
        set_due(router);
    }
    drop_lock(router);
}

/* True if that changed the map. */
static bool assign_all(tks_router *router, int node) {
    bool news = false;
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) news = assign(router, slot, node) || news;
    if (news) atomic_fetch_add(&router->version, 1);
    return news;
}

void tks_router_lost(tks_router *router, int node) {
    if (router->service != NULL && node >= 0 && node < router->seeds) {
        return; /* a Sentinel: another will do */
    }
    take_lock(router);
    if (tksp_nodes_find(&router->nodes, node) != NULL) router->failed = node;
    router->wanted = true;
    if (router->service != NULL && tks_router_serves(router, node)) (void)assign_all(router, -1);
    set_due(router);
    drop_lock(router);
}

unsigned tksp_router_doubt(tks_router *router, int node) {
    tks_router_lost(router, node);
    return atomic_load(&router->nodes.round);
}

bool tksp_router_agreed_since(const tks_router *router, unsigned round) {
    return atomic_load(&router->nodes.agreed) > round;
}

/* ---- refreshes ------------------------------------------------------------------------------- */

static int64_t jitter(int64_t ms) {
    return ms * 2 / 3 + (int64_t)tks_random_below((uint32_t)(ms * 2 / 3) + 1);
}

uint32_t tksp_router_patience_ms(tks_router *router, int node) {
    enum { PATIENCE_MS = 1000, RENEWAL_MS = 250, SILENT_MS = 50 };
    take_lock(router);
    bool silent = router->service != NULL && tksp_router_was_silent(router, node);
    uint32_t ms = !router->renewal ? PATIENCE_MS : silent ? SILENT_MS : RENEWAL_MS;
    drop_lock(router);
    return ms;
}

void tksp_router_heard(tks_router *router, int node, bool answered) {
    if (router->service == NULL || node >= router->seeds || node >= 32) return;
    uint32_t bit = UINT32_C(1) << node;
    take_lock(router);
    router->silent = answered ? router->silent & ~bit : router->silent | bit;
    if (!answered) {
        unsigned more = 2 * router->spares + 1;
        router->spared = router->spares = more < TKS_REFRESH_SPARED ? more : TKS_REFRESH_SPARED;
    } else if (router->silent == 0) {
        router->spares = 0;
    }
    drop_lock(router);
}

size_t tksp_router_begin(tks_router *router, int64_t now_ms, int out[TKS_REFRESH_NODES]) {
    size_t count = 0;
    take_lock(router);
    if (now_ms >= atomic_load(&router->due_ms)) {
        router->renewal = !router->wanted && !router->moved && router->coverage > 0;
        count = tksp_router_choose(router, out);
        if (router->renewal && router->spared > 0) router->spared--;
        router->moves = router->moved ? router->moves + 1 : 0;
        router->moved = router->wanted = false;
        age_patches(router);
        router->began_ms = now_ms;
        atomic_fetch_add(&router->nodes.round, 1);
        atomic_store(&router->asking, true);
        set_due(router);
    }
    drop_lock(router);
    return count;
}

/* A view that covers fewer slots may be that of a minority, or of a node that has just joined. But if they all say so, it is true. */
static bool is_believed(tks_router *router, const tksp_view *view) {
    enum { REFUSED_MAX = 3 * TKS_REFRESH_CLUSTER };
    if (view->coverage > 0 && view->coverage >= router->coverage) return true;
    return view->coverage > 0 && ++router->refused > REFUSED_MAX;
}

/* The refresh that runs has found out. */
static void note_adopted(tks_router *router, bool news) {
    router->in_vain = news || router->renewal ? 0 : router->in_vain + 1;
    router->why.status = TKS_OK;
    atomic_store(&router->nodes.agreed, atomic_load(&router->nodes.round));
    atomic_store(&router->sure_ms, router->began_ms);
}

static void adopt(tks_router *router, tksp_view *view) {
    bool news = false;
    for (size_t i = 0; i < router->patch_count; i++) {
        view->of[router->patches[i].slot] = (uint16_t)(router->patches[i].node + 1);
    }
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) {
        news = assign(router, slot, view->of[slot] - 1) || news;
    }
    router->refused = 0;
    note_adopted(router, news);
    if (news) atomic_fetch_add(&router->version, 1);
}

bool tksp_router_adopt(tks_router *router, int node, const tks_reply *reply, tks_error *err) {
    tksp_view *view = malloc(sizeof *view);
    if (view == NULL) return tks_fail_memory(err) == TKS_OK;
    take_lock(router);
    tks_status status = tksp_view_read(reply, node, &router->nodes, view, err);
    bool good = status == TKS_OK && is_believed(router, view);
    if (good) adopt(router, view);
    drop_lock(router);
    free(view);
    if (status == TKS_OK && !good) {
        tks_fail(err, TKS_ERR_CONNECTION, "a node of the cluster knows too few of its slots");
    }
    return good;
}

bool tksp_router_set_primary(tks_router *router, int node, uint64_t epoch) {
    take_lock(router);
    bool good = epoch >= router->epoch || router->began_ms - router->epoch_ms >= TKS_EPOCH_KEPT_MS;
    if (good) {
        router->epoch = epoch;
        router->epoch_ms = router->began_ms;
        note_adopted(router, assign_all(router, node));
    }
    drop_lock(router);
    return good;
}

void tksp_router_settle(tks_router *router, const tks_error *why) {
    enum { SHIFT_MAX = 4 };
    take_lock(router);
    if (why != NULL) {
        router->why = *why;
        router->in_vain++;
        router->wanted = true;
    }
    bool cluster = router->service == NULL;
    unsigned shift = router->in_vain < SHIFT_MAX ? router->in_vain : SHIFT_MAX;
    int64_t first = cluster && shift > 0 ? TKS_REFRESH_VAIN_MS : TKS_REFRESH_MIN_MS;
    int64_t pause = first << shift;
    int64_t most = cluster ? TKS_REFRESH_MAX_MS : TKS_REFRESH_SENTINEL_MAX_MS;
    if (pause > most) pause = most;
    shift = router->moves < SHIFT_MAX ? router->moves : SHIFT_MAX;
    router->next_ms = router->began_ms + jitter(pause);
    router->moved_ms = router->began_ms + jitter((int64_t)TKS_REFRESH_MOVED_MS << (2 * shift));
    router->renew_ms =
        router->began_ms + jitter(cluster ? TKS_REFRESH_IDLE_MS : TKS_REFRESH_SENTINEL_MS);
    atomic_store(&router->asking, false);
    set_due(router);
    drop_lock(router);
}

tks_op *tks_router_refresh(tks_router *router, int64_t now_ms) {
    int nodes[TKS_REFRESH_NODES];
    if (!tks_router_is_due(router, now_ms)) return NULL;
    size_t count = tksp_router_begin(router, now_ms, nodes);
    return count > 0 ? tksp_refresh_new(router, nodes, count) : NULL;
}
