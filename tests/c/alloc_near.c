/* alloc_near.c - a near cache where servers tell of single keys, with every allocation failing in turn: nothing leaks, and nothing is kept that
 * the server does not tell of. */
#include <stdio.h>

#include "alloc.h"
#include "cluster_help.h"
#include "near.h"
#include "op_private.h"
#include "test.h"

enum { ALLOCATIONS_MAX = 1000, SERVER = -1, BEGAN_MS = 1000000, STALE_MS = 2000, KEYS = 3 };

static tks_bytes key_of(int k) {
    static const char *const names[KEYS] = {"ts:a", "ts:b", "ts:c"};
    return tks_bytes_of(names[k], 4);
}

static void put_all(tks_near *near, const char *text) {
    const tksp_near_record record = {tks_bytes_of(text, strlen(text)), 0, BEGAN_MS};
    for (int k = 0; k < KEYS; k++) {
        tksp_near_ticket ticket = tksp_near_reserve(near, key_of(k), BEGAN_MS);
        tksp_near_put(near, ticket, SERVER, key_of(k), TKS_LITERAL("field"), &record);
    }
}

static size_t count_all(tks_near *near) {
    tksp_near_record record;
    size_t found = 0;
    for (int k = 0; k < KEYS; k++) {
        tksp_near_entry *entry =
            tksp_near_find(near, SERVER, key_of(k), TKS_LITERAL("field"), BEGAN_MS, &record);
        CHECK(entry == NULL || tks_bytes_equal(record.text, TKS_LITERAL("two")));
        found += entry != NULL;
        tksp_near_release(entry);
    }
    return found;
}

/* Returns how many keys were asked for. */
static size_t ask(tks_near *near, const tks_reply *reply) {
    tks_buf out;
    size_t count;
    tks_buf_init(&out, 4096);
    tks_status status = tks_near_ask(near, SERVER, &out, &count);
    tks_buf_clear(&out);
    CHECK_STATUS(status, alloc_failed() && status != TKS_OK ? TKS_ERR_MEMORY : TKS_OK);
    if (status != TKS_OK) {
        tks_near_lose(near, SERVER);
        CHECK(!tks_near_wants(near, SERVER));
        return 0;
    }
    for (size_t i = 0; i < count; i++) tks_near_answer(near, SERVER, reply);
    return count;
}

static void live(void) {
    tks_reply *reply = cluster_reply(":-1\r\n");
    alloc_enter();
    tks_near *near = tks_near_new(10, STALE_MS, TKS_NEAR_KEYS);
    if (near != NULL) {
        tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS - 1);
        put_all(near, "one");
        CHECK_INT(count_all(near), 0);
        size_t asked = ask(near, reply);
        put_all(near, "two");
        size_t found = count_all(near);
        CHECK(alloc_failed() ? found <= asked : found == KEYS);
        tks_near_free(near);
    }
    alloc_leave();
    CHECK(near != NULL || alloc_failed());
    tks_reply_free(reply);
}

static void track(void) {
    static const char *const texts[] = {"*2\r\n$6\r\nserver\r\n$5\r\nredis\r\n", "+OK\r\n"};
    tks_near *near = tks_near_new(10, STALE_MS, TKS_NEAR_KEYS);
    tks_error err = TKS_ERROR_INIT;
    unsigned version;
    tks_op *op = NULL;
    alloc_enter();
    tks_status status = tks_near_track_new(near, &version, &op, &err);
    alloc_leave();
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    if (status == TKS_OK) {
        tks_event event = {.type = TKS_EVENT_START, .now_ms = BEGAN_MS};
        alloc_enter();
        tks_need need = tks_op_step(op, &event);
        alloc_leave();
        for (int i = 0; i < 2 && need == TKS_NEED_SEND; i++) {
            tks_reply *reply = cluster_reply(texts[i]);
            event = (tks_event){.type = TKS_EVENT_REPLIES, .now_ms = BEGAN_MS, .replies = &reply};
            alloc_enter();
            need = tks_op_step(op, &event);
            alloc_leave();
            tks_reply_free(reply);
        }
        CHECK_INT(need, alloc_failed() ? TKS_FAILED : TKS_DONE);
    }
    tks_op_free(op);
    tks_near_free(near);
}

static void starve(void (*job)(void), int least) {
    long n = 0;
    job(); /* what is allocated once for ever, is now */
    do {
        long before = alloc_live();
        alloc_fail_at(++n);
        test_context("allocation %ld fails", n);
        job();
        CHECK_INT(alloc_live() - before, 0);
    } while (alloc_failed() && n < ALLOCATIONS_MAX);
    alloc_fail_at(0);
    CHECK(n > least && n < ALLOCATIONS_MAX);
}

TEST(alloc_near_keys) {
    starve(live, 12);
}

TEST(alloc_near_track) {
    starve(track, 4);
}
