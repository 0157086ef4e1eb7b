/* test_near.c - the near cache: what counts, and until when. See tokenstore/near.h. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster_help.h"
#include "near_table.h"
#include "router.h"
#include "slot.h"
#include "test.h"
#include "tokenstore/secret.h"

enum { SERVER = -1, STALE_MS = 2000, BEGAN_MS = 1000000 };

#define KEY   TKS_LITERAL("ts:key")
#define FIELD TKS_LITERAL("field")

static tks_near *near_new(size_t entries) {
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    tks_near *near = tks_near_new(entries, STALE_MS, TKS_NEAR_BROADCAST);
    CHECK(near != NULL);
    return near;
}

/* Its one server tells of changes since before BEGAN_MS. */
static tks_near *near_open(size_t entries) {
    tks_near *near = near_new(entries);
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS - 1);
    return near;
}

static void put(tks_near *near, tks_bytes key, tks_bytes field, const char *text, int64_t ends_ms) {
    const tksp_near_record record = {tks_bytes_of(text, strlen(text)), ends_ms, BEGAN_MS};
    tksp_near_put(near, tksp_near_reserve(near, key, BEGAN_MS), SERVER, key, field, &record);
}

static bool holds(tks_near *near, tks_bytes key, tks_bytes field, const char *text,
                  int64_t now_ms) {
    tksp_near_record record;
    tksp_near_entry *entry = tksp_near_find(near, SERVER, key, field, now_ms, &record);
    bool good = entry != NULL && tks_bytes_equal(record.text, tks_bytes_of(text, strlen(text)));
    CHECK(entry == NULL || good);
    tksp_near_release(entry);
    return good;
}

static void take(tks_near *near, const char *text) {
    tks_reply *reply = cluster_reply(text);
    tks_near_take(near, reply);
    tks_reply_free(reply);
}

TEST(near_finds_what_was_put) {
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    put(near, KEY, TKS_LITERAL("other"), "two", 0);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS));
    CHECK(holds(near, KEY, TKS_LITERAL("other"), "two", BEGAN_MS));
    CHECK(!holds(near, KEY, TKS_LITERAL("third"), "", BEGAN_MS));
    CHECK(!holds(near, TKS_LITERAL("ts:kez"), FIELD, "", BEGAN_MS));
    put(near, KEY, FIELD, "newer", 0);
    CHECK(holds(near, KEY, FIELD, "newer", BEGAN_MS));
    tks_near_stats stats = tks_near_get_stats(near, BEGAN_MS);
    CHECK_INT(stats.entries, 2);
    CHECK_INT(stats.hits, 3);
    CHECK_INT(stats.misses, 2);
    CHECK(stats.alive);
    tks_near_free(near);
}

TEST(near_drops_all_of_a_key) {
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    put(near, KEY, TKS_LITERAL("other"), "two", 0);
    put(near, TKS_LITERAL("ts:b"), FIELD, "three", 0);
    take(near, "*2\r\n$4\r\nts:x\r\n$6\r\nts:key\r\n");
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    CHECK(!holds(near, KEY, TKS_LITERAL("other"), "", BEGAN_MS));
    CHECK(holds(near, TKS_LITERAL("ts:b"), FIELD, "three", BEGAN_MS));
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).invalidations, 2);
    take(near, "*-1\r\n"); /* FLUSHALL */
    CHECK(!holds(near, TKS_LITERAL("ts:b"), FIELD, "", BEGAN_MS));
    tks_near_stats stats = tks_near_get_stats(near, BEGAN_MS);
    CHECK_INT(stats.entries, 0);
    CHECK_INT(stats.bytes, 0);
    CHECK_INT(stats.flushes, 1);
    tks_near_free(near);
}

/* What it says is not known. */
TEST(near_drops_all_at_another_message) {
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    take(near, "$3\r\nkey\r\n");
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    tks_near_free(near);
}

/* The answer may be from before the change. */
TEST(near_keeps_nothing_that_was_invalidated_meanwhile) {
    const tksp_near_record record = {TKS_LITERAL("old"), 0, BEGAN_MS};
    for (int how = 0; how < 4; how++) {
        tks_near *near = near_open(10);
        tksp_near_ticket ticket = tksp_near_reserve(near, KEY, BEGAN_MS);
        if (how == 0) take(near, "*1\r\n$6\r\nts:key\r\n");
        if (how == 1) tksp_near_drop(near, KEY);
        if (how == 2) take(near, "$-1\r\n");
        if (how == 3) tks_near_flush(near);
        tksp_near_put(near, ticket, SERVER, KEY, FIELD, &record);
        CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
        tks_near_free(near);
    }
}

TEST(near_keeps_nothing_without_a_link) {
    tks_near *near = near_new(10);
    put(near, KEY, FIELD, "one", 0);
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    put(near, KEY, FIELD, "one", 0); /* asked for in the same millisecond, and perhaps before */
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS + 1));
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).entries, 0);
    tks_near_free(near);
}

TEST(near_counts_nothing_from_before_a_gap) {
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    tks_near_lose(near, SERVER);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    CHECK(!tks_near_get_stats(near, BEGAN_MS).alive);
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS + 1);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS + 1));
    tks_near_free(near);
}

/* It tells of the prefixes that were wanted when it asked for them, and another one is wanted meanwhile. */
TEST(near_keeps_nothing_by_a_link_that_is_late) {
    tks_near *near = near_new(10);
    unsigned asked = tks_near_get_version(near);
    tksp_near_want(near, TKS_LITERAL("ts"));
    tks_near_open(near, SERVER, asked, BEGAN_MS - 1);
    put(near, KEY, FIELD, "one", 0);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS - 1);
    put(near, KEY, FIELD, "one", 0);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS));
    tks_near_free(near);
}

/* The link is silent: nothing counts until it is proved alive, and then all does that it did not take back. */
TEST(near_serves_nothing_staler_than_its_limit) {
    tks_near *near = near_open(10);
    tks_near_prove(near, NULL, SERVER, BEGAN_MS, 0, 0);
    put(near, KEY, FIELD, "one", 0);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS + STALE_MS));
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS + STALE_MS + 1));
    tks_near_prove(near, NULL, SERVER, BEGAN_MS + 500, 0, 0);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS + STALE_MS + 500));
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS + STALE_MS + 501));
    tks_near_prove(near, NULL, SERVER, BEGAN_MS + 400, 0, 0); /* it knows more already */
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS + STALE_MS + 500));
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS + 600).oldest_ms, 100);
    tks_near_free(near);
}

/* A node that answers, and may have been replaced. The map named it, when it was asked for at 0 of its clock. */
TEST(near_proof_needs_the_map) {
    enum { NODE = 0, AGE_MS = 300 };
    const tksp_near_record record = {TKS_LITERAL("one"), 0, BEGAN_MS};
    tks_near *near = near_new(10);
    tks_router *router = cluster_known();
    tksp_near_record found;
    int64_t now_ms = BEGAN_MS + 1000;
    tks_near_open(near, NODE, 0, BEGAN_MS - 1);
    tksp_near_put(near, tksp_near_reserve(near, KEY, BEGAN_MS), NODE, KEY, FIELD, &record);
    tks_near_prove(near, router, NODE, now_ms - 10, now_ms, AGE_MS);
    CHECK_INT(tks_near_get_stats(near, now_ms).oldest_ms, AGE_MS);
    CHECK(tks_near_get_stats(near, now_ms - AGE_MS + STALE_MS).alive);
    CHECK(tksp_near_find(near, NODE, KEY, FIELD, now_ms - AGE_MS + STALE_MS + 1, &found) == NULL);
    tks_near_prove(near, router, NODE, now_ms - 400, now_ms,
                   0); /* the question is older than the map */
    CHECK_INT(tks_near_get_stats(near, now_ms).oldest_ms, AGE_MS);
    tks_router_free(router);
    tks_near_free(near);
}

/* By the server's clock, which is 5 s ahead of ours; 2 ms early, because both are cut to milliseconds. */
TEST(near_ends_with_the_record) {
    const tksp_near_record record = {TKS_LITERAL("one"), BEGAN_MS + 5000 + 700, BEGAN_MS + 5000};
    tks_near *near = near_open(10);
    tksp_near_record found;
    tksp_near_put(near, tksp_near_reserve(near, KEY, BEGAN_MS), SERVER, KEY, FIELD, &record);
    tksp_near_entry *entry = tksp_near_find(near, SERVER, KEY, FIELD, BEGAN_MS + 697, &found);
    CHECK(entry != NULL);
    CHECK_INT(found.clock_ms, BEGAN_MS + 5699);
    CHECK_INT(found.ends_ms, BEGAN_MS + 5700);
    tksp_near_release(entry);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS + 698));
    tks_near_free(near);
}

/* Each node of a cluster has its own link. */
TEST(near_links_are_apart) {
    const tksp_near_record record = {TKS_LITERAL("one"), 0, BEGAN_MS};
    tks_near *near = near_new(10);
    tksp_near_record found;
    tks_near_open(near, 3, 0, BEGAN_MS - 1);
    tks_near_open(near, 7, 0, BEGAN_MS - 1);
    tksp_near_put(near, tksp_near_reserve(near, KEY, BEGAN_MS), 3, KEY, FIELD, &record);
    tks_near_lose(near, 7);
    tksp_near_entry *entry = tksp_near_find(near, 3, KEY, FIELD, BEGAN_MS, &found);
    CHECK(entry != NULL);
    tksp_near_release(entry);
    CHECK(tksp_near_find(near, 7, KEY, FIELD, BEGAN_MS, &found) ==
          NULL); /* it serves the key now */
    CHECK(tksp_near_find(near, -1, KEY, FIELD, BEGAN_MS, &found) == NULL);
    tks_near_lose(near, 3);
    CHECK(tksp_near_find(near, 3, KEY, FIELD, BEGAN_MS, &found) == NULL);
    tks_near_free(near);
}

/* An entry that is held outlives its cache. */
TEST(near_entry_lives_as_long_as_it_is_held) {
    tks_near *near = near_open(10);
    tksp_near_record record;
    put(near, KEY, FIELD, "one", 0);
    tksp_near_entry *entry = tksp_near_find(near, SERVER, KEY, FIELD, BEGAN_MS, &record);
    tksp_near_drop(near, KEY);
    tks_near_free(near);
    CHECK(tks_bytes_equal(record.text, TKS_LITERAL("one")));
    tksp_near_release(entry);
}

static tks_bytes print(char *out, const char *name, int number) {
    int size = snprintf(out, 32, "%s %d", name, number);
    return tks_bytes_of(out, (size_t)size);
}

/* What is used stays, though ten times as many others come and go. */
TEST(near_scan_displaces_only_what_is_not_used) {
    enum { ROOM = 100, USED = 50, OTHERS = 1000 };
    tks_near *near = near_open(ROOM);
    char text[32];
    for (int i = 0; i < USED; i++) put(near, print(text, "used", i), FIELD, "one", 0);
    for (int i = 0; i < OTHERS; i++) {
        CHECK(holds(near, print(text, "used", i % USED), FIELD, "one", BEGAN_MS));
        put(near, print(text, "other", i), FIELD, "two", 0);
        CHECK(tks_near_get_stats(near, BEGAN_MS).entries <= ROOM);
    }
    for (int i = 0; i < USED; i++) {
        CHECK(holds(near, print(text, "used", i), FIELD, "one", BEGAN_MS));
    }
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).evictions, USED + OTHERS - ROOM);
    tks_near_free(near);
}

TEST(near_is_bounded_in_bytes) {
    enum { SIZE = 100000, BYTES = 4 * 1024 * 1024 };
    static char text[SIZE + 1];
    tks_near *near = near_open(1000);
    char key[32];
    memset(text, 'x', SIZE);
    for (int i = 0; i < 200; i++) put(near, print(key, "key", i), FIELD, text, 0);
    tks_near_stats stats = tks_near_get_stats(near, BEGAN_MS);
    CHECK(stats.bytes <= BYTES && stats.bytes > BYTES - 2 * SIZE);
    CHECK_INT(stats.entries, 41);
    tks_near_free(near);
}

/* A text that is too large is not kept, nor the old one in its place. */
TEST(near_leaves_out_what_is_too_large) {
    enum { SIZE = 300000 };
    static char text[SIZE + 1];
    tks_near *near = near_open(10);
    memset(text, 'x', SIZE);
    put(near, KEY, FIELD, "one", 0);
    put(near, KEY, FIELD, text, 0);
    CHECK(!holds(near, KEY, FIELD, "", BEGAN_MS));
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).bytes, 0);
    tks_near_free(near);
}

/* Against a plain array. */
TEST(near_agrees_with_a_model) {
    enum { KEYS = 12, FIELDS = 5, STEPS = 60000 };
    int model[KEYS][FIELDS] = {{0}};
    tks_near *near = near_open(KEYS * FIELDS);
    char key_text[32], field_text[32], text[32];
    for (int step = 1; step <= STEPS; step++) {
        int k = (int)tks_random_below(KEYS), f = (int)tks_random_below(FIELDS);
        tks_bytes key = print(key_text, "k", k), field = print(field_text, "f", f);
        switch (tks_random_below(8)) {
        case 0:
            tksp_near_drop(near, key);
            memset(model[k], 0, sizeof model[k]);
            break;
        case 1:
        case 2:
            (void)print(text, "at", step);
            put(near, key, field, text, 0);
            model[k][f] = step;
            break;
        default:
            (void)print(text, "at", model[k][f]);
            CHECK(holds(near, key, field, text, BEGAN_MS) == (model[k][f] != 0));
        }
    }
    tks_near_free(near);
}

/* ---- views ---- */

static const tks_near_question question = {{7, 8}}, other_question = {{7, 9}};

/* Leaves `value` with the record of KEY and FIELD, under this question. False: there is none. */
static bool leave_at(tks_near *near, const tks_near_question *at, int node, void *value,
                     int64_t until_ms) {
    tksp_near_record record;
    tksp_near_entry *entry = tksp_near_find(near, node, KEY, FIELD, BEGAN_MS, &record);
    tksp_near_view *view = calloc(1, sizeof *view);
    CHECK(view != NULL);
    *view = (tksp_near_view){.question = *at, .until_ms = until_ms, .value = value};
    bool kept = entry != NULL && tksp_near_leave_view(near, entry, view);
    if (!kept) free(view);
    tksp_near_release(entry);
    return kept;
}

static bool leave(tks_near *near, void *value) {
    return leave_at(near, &question, SERVER, value, 0);
}

static void *view_of(tks_near *near, int64_t now_ms) {
    return tks_near_find_view(near, NULL, &question, now_ms);
}

TEST(near_views_are_found_by_their_question) {
    int one, two;
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    CHECK(view_of(near, BEGAN_MS) == NULL);
    CHECK(leave(near, &one));
    uint64_t hits = tks_near_get_stats(near, BEGAN_MS).hits;
    CHECK(view_of(near, BEGAN_MS) == &one);
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).hits, hits + 1);
    CHECK(tks_near_find_view(near, NULL, &other_question, BEGAN_MS) == NULL);
    CHECK(tks_near_reap(near, false) == NULL);
    CHECK(leave_at(near, &other_question, SERVER, &two, 0)); /* a record has one */
    CHECK(view_of(near, BEGAN_MS) == NULL);
    CHECK(tks_near_find_view(near, NULL, &other_question, BEGAN_MS) == &two);
    CHECK(tks_near_reap(near, false) == &one);
    CHECK(tks_near_reap(near, false) == NULL);
    CHECK(tks_near_reap(near, true) == &two);
    CHECK(tks_near_reap(near, true) == NULL);
    CHECK(tks_near_find_view(near, NULL, &other_question, BEGAN_MS) == NULL);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS));
    tks_near_free(near);
}

/* What a view says counts as long as its record does, and is given back when that is gone. */
TEST(near_views_count_as_their_records_do) {
    int value;
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", BEGAN_MS + 100);
    CHECK(leave(near, &value));
    CHECK(view_of(near, BEGAN_MS + 97) == &value);
    CHECK(view_of(near, BEGAN_MS + 98) == NULL);
    tksp_near_drop(near, KEY);
    CHECK(view_of(near, BEGAN_MS) == NULL);
    CHECK(!leave(near, &value));
    CHECK(tks_near_reap(near, false) == &value);
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).bytes, 0);

    put(near, KEY, FIELD, "one", 0);
    CHECK(leave_at(near, &question, SERVER, &value, BEGAN_MS + 50)); /* max_age */
    CHECK(view_of(near, BEGAN_MS + 47) == &value);
    CHECK(view_of(near, BEGAN_MS + 48) == NULL);
    CHECK(holds(near, KEY, FIELD, "one", BEGAN_MS + 48));

    CHECK(leave(near, &value));
    CHECK(view_of(near, BEGAN_MS - 1 + STALE_MS) == &value);
    CHECK(view_of(near, BEGAN_MS + STALE_MS) == NULL); /* not proved alive */
    tks_near_lose(near, SERVER);
    CHECK(view_of(near, BEGAN_MS) == NULL);
    tks_near_free(near); /* with one that nobody took back */
}

TEST(near_views_of_records_that_are_displaced) {
    int values[20];
    size_t back = 0;
    tks_near *near = near_open(5);
    for (size_t i = 0; i < 20; i++) {
        put(near, KEY, FIELD, "one", 0);
        CHECK(leave(near, &values[i]));
        for (int k = 0; k < 6; k++) {
            char key[8];
            snprintf(key, sizeof key, "ts:%d", k);
            put(near, tks_bytes_of(key, 4), FIELD, "other", 0);
        }
        while (tks_near_reap(near, false) != NULL) back++;
    }
    CHECK(back >= 19);
    tks_near_free(near);
}

/* A record that is held when it is dropped takes no view any more. */
TEST(near_views_of_records_that_are_gone) {
    tksp_near_record record;
    tksp_near_view view = {.question = question};
    tks_near *near = near_open(10);
    put(near, KEY, FIELD, "one", 0);
    tksp_near_entry *entry = tksp_near_find(near, SERVER, KEY, FIELD, BEGAN_MS, &record);
    CHECK(entry != NULL);
    tksp_near_drop(near, KEY);
    CHECK(!tksp_near_leave_view(near, entry, &view));
    tksp_near_release(entry);
    tks_near_free(near);
}

/* On a cluster, only where the node that it came from serves the key. */
TEST(near_views_of_nodes) {
    const tksp_near_record record = {TKS_LITERAL("one"), 0, BEGAN_MS};
    int value;
    tks_router *router = cluster_known();
    int serving = tksp_router_primary(router, tksp_slot_of(KEY));
    CHECK(serving >= 0);
    for (int node = serving; node < serving + 2; node++) {
        tks_near *near = near_new(10);
        tks_near_open(near, node, 0, BEGAN_MS - 1);
        tksp_near_put(near, tksp_near_reserve(near, KEY, BEGAN_MS), node, KEY, FIELD, &record);
        CHECK(leave_at(near, &question, node, &value, 0));
        CHECK((tks_near_find_view(near, router, &question, BEGAN_MS) == &value) ==
              (node == serving));
        CHECK(view_of(near, BEGAN_MS) == NULL); /* of one server */
        tks_near_free(near);
    }
    tks_router_free(router);
}
