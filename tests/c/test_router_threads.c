/* test_router_threads.c - a router that many threads ask and tell at once: nothing is lost, and each answer is one that was true. */
#include <pthread.h>

#include "cluster_help.h"
#include "test.h"

enum { ROUNDS = 300, READERS = 3 };

typedef struct shared {
    tks_router *router;
    tks_reply *views[2];
    atomic_bool over;
    atomic_int wrong;
    atomic_int refreshes; /* the clock: all threads see the same */
} shared;

/* Slot 0 is at one of the two seeds, always; node numbers are those of nodes that there are. */
static void *read_map(void *argument) {
    shared *s = argument;
    const char *host;
    uint16_t port;
    while (!atomic_load(&s->over)) {
        int node = tksp_router_primary(s->router, 0), any = tksp_router_any(s->router);
        if (node != 0 && node != 1) atomic_fetch_add(&s->wrong, 1);
        if (any >= 0 && !tksp_router_find(s->router, any, &host, &port)) {
            atomic_fetch_add(&s->wrong, 1);
        }
        if (tksp_router_number(s->router, 0, TKS_LITERAL("a"), 7000) != 0) {
            atomic_fetch_add(&s->wrong, 1);
        }
    }
    return NULL;
}

/* As operations do. */
static void *tell(void *argument) {
    shared *s = argument;
    for (unsigned i = 0; !atomic_load(&s->over); i++) {
        int node = tksp_router_number(s->router, 0, TKS_LITERAL("n"), (uint16_t)(1 + i % 50));
        tksp_router_moved(s->router, 1 + i % 100, node);
        tks_router_lost(s->router, node);
    }
    return NULL;
}

/* Each claims refreshes; at any time at most one has one. */
static void *refresh(void *argument) {
    static atomic_int running;
    shared *s = argument;
    int nodes[TKS_REFRESH_NODES];
    tks_error err = TKS_ERROR_INIT;
    for (int i = 1; i <= ROUNDS; i++) {
        int64_t now_ms = (atomic_load(&s->refreshes) + 1) * INT64_C(1000);
        if (tksp_router_begin(s->router, now_ms, nodes) == 0) continue;
        if (atomic_fetch_add(&running, 1) != 0) atomic_fetch_add(&s->wrong, 1);
        (void)tksp_router_adopt(s->router, nodes[0], s->views[i % 2], &err);
        atomic_fetch_sub(&running, 1);
        tksp_router_settle(s->router, NULL);
        atomic_fetch_add(&s->refreshes, 1);
    }
    return NULL;
}

TEST(router_of_many_threads) {
    shared s = {.router = cluster_known(),
                .views = {cluster_reply(CLUSTER_HALVES),
                          cluster_reply("*1\r\n" CLUSTER_RANGE(0, 16383, "b", 7001))}};
    pthread_t readers[READERS], tellers[2], refreshers[2];
    for (int i = 0; i < READERS; i++) CHECK(pthread_create(&readers[i], NULL, read_map, &s) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&tellers[i], NULL, tell, &s) == 0);
        CHECK(pthread_create(&refreshers[i], NULL, refresh, &s) == 0);
    }
    for (int i = 0; i < 2; i++) CHECK(pthread_join(refreshers[i], NULL) == 0);
    atomic_store(&s.over, true);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(tellers[i], NULL) == 0);
    for (int i = 0; i < READERS; i++) CHECK(pthread_join(readers[i], NULL) == 0);
    CHECK_INT(atomic_load(&s.wrong), 0);

    /* What is counted by node is what the map says. */
    int slots[100] = {0};
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) slots[tksp_router_primary(s.router, slot)]++;
    for (int node = 0; node < 100; node++) {
        CHECK(tks_router_serves(s.router, node) == (slots[node] > 0));
    }
    for (int i = 0; i < 2; i++) tks_reply_free(s.views[i]);
    tks_router_free(s.router);
}
