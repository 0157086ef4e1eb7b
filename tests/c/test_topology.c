/* test_topology.c - the slots of keys, answers to CLUSTER SLOTS, and the texts of redirections. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster_help.h"
#include "test.h"
#include "topology.h"

/* Source: the answers of CLUSTER KEYSLOT of Redis 7.0. */
TEST(slots_are_those_of_the_server) {
    static const struct {
        const char *key;
        unsigned slot;
    } known[] = {
        {"123456789", 12739},    {"", 0},         {"foo", 12182},       {"{foo}bar", 12182},
        {"x{foo}", 12182},       {"{}foo", 9500}, {"foo{}{bar}", 8363}, {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061}, {"{foo", 13308},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        test_context("%s", known[i].key);
        CHECK_INT(tksp_slot_of(test_bytes(known[i].key)), known[i].slot);
    }
    /* A NUL is a byte like others. */
    CHECK_INT(tksp_slot_of(tks_bytes_of("x\0{foo}", 7)), 12182);
}

/* ---- views -------------------------------------------------------------------------------------- */

static tksp_nodes nodes;
static tksp_view view;

/* With one node, number 0, which is the one that is asked. */
static void begin(void) {
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("seed"), 1), 0);
}

static void end(void) {
    tksp_nodes_clear(&nodes);
    CHECK(tksp_nodes_find(&nodes, 0) == NULL);
}

static size_t count_slots(void) {
    size_t count = 0;
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) count += view.of[slot] != 0;
    return count;
}

static void take(const char *text, int asked, tks_status want) {
    tks_reply *reply = cluster_reply(text);
    tks_error err = TKS_ERROR_INIT;
    memset(&view, 0xAA, sizeof view);
    CHECK_STATUS(tksp_view_read(reply, asked, &nodes, &view, &err), want);
    CHECK_STATUS(err.status, want);
    CHECK_INT(view.coverage, count_slots());
    tks_reply_free(reply);
}

static void check_slot(unsigned slot, const char *host, uint16_t port) {
    const tksp_node *node = tksp_nodes_find(&nodes, view.of[slot] - 1);
    test_context("slot %u", slot);
    if (!CHECK(node != NULL)) return;
    CHECK_TEXT(node->host, host);
    CHECK_INT(node->port, port);
}

#define A    "*4\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\naa\r\n*0\r\n"
#define B    "*3\r\n$5\r\nb.net\r\n:7001\r\n$2\r\nbb\r\n"
#define SELF "*3\r\n$0\r\n\r\n:7002\r\n$2\r\ncc\r\n"

TEST(view_of_three_ranges) {
    begin();
    take("*3\r\n*4\r\n:0\r\n:99\r\n" A B "*3\r\n:100\r\n:16383\r\n" B "*3\r\n:50\r\n:50\r\n" SELF,
         0, TKS_OK);
    CHECK_INT(view.coverage, TKS_SLOTS);
    check_slot(0, "127.0.0.1", 7000);
    check_slot(49, "127.0.0.1", 7000);
    check_slot(50, "seed", 7002);
    check_slot(51, "127.0.0.1", 7000);
    check_slot(99, "127.0.0.1", 7000);
    check_slot(100, "b.net", 7001);
    check_slot(16383, "b.net", 7001);
    end();
}

/* Redis 7 names the address of a host in metadata behind the id, and nodes by names, or "?" where none is set. */
TEST(view_of_hosts_of_all_kinds) {
    static const struct {
        const char *host, *want;
    } known[] = {
        {"$1\r\n?\r\n", "seed"},
        {"$0\r\n\r\n", "seed"},
        {"$-1\r\n", "seed"},
        {"_\r\n", "seed"},
        {"$3\r\n::1\r\n", "::1"},
        {"$23\r\nfe80::1c2b:3d4e:5f60:7a\r\n", "fe80::1c2b:3d4e:5f60:7a"},
        {"$18\r\nnode-1.example.org\r\n", "node-1.example.org"},
        {"$2\r\n??\r\n", "??"},
    };
    begin();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[300];
        (void)snprintf(text, sizeof text,
                       "*1\r\n*3\r\n:7\r\n:7\r\n*4\r\n%s:7000\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n"
                       "$7\r\n1.2.3.4\r\n",
                       known[i].host);
        take(text, 0, TKS_OK);
        CHECK_INT(view.coverage, 1);
        check_slot(7, known[i].want, 7000);
    }
    end();
}

TEST(view_numbers_a_node_once) {
    begin();
    take("*1\r\n*3\r\n:0\r\n:1\r\n" A, 0, TKS_OK);
    uint16_t first = view.of[1];
    CHECK_INT(first, 2);
    take("*2\r\n*3\r\n:5\r\n:6\r\n" A "*3\r\n:7\r\n:7\r\n" B, 0, TKS_OK);
    CHECK_INT(view.of[5], first);
    CHECK_INT(view.of[7], first + 1);
    CHECK_INT(view.of[1], 0);
    CHECK_INT(view.coverage, 3);
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("127.0.0.1"), 7000), first - 1);
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("127.0.0.1"), 7001), 3); /* another */
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("127.0.0.10"), 7000), 4);
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("127.0.0"), 7000), 5);
    CHECK(tksp_nodes_find(&nodes, 6) == NULL);
    CHECK(tksp_nodes_find(&nodes, -1) == NULL);
    end();
}

TEST(view_leaves_out_what_nobody_serves) {
    begin();
    take("*0\r\n", 0, TKS_OK);
    CHECK_INT(view.coverage, 0);
    take("*3\r\n*3\r\n:16380\r\n:99999\r\n" A "*2\r\n:0\r\n:5\r\n*3\r\n:6\r\n:9\r\n$-1\r\n", 0,
         TKS_OK);
    CHECK_INT(view.coverage, 4); /* slots beyond the last; ranges without a primary */
    take("*1\r\n*3\r\n:16384\r\n:16384\r\n" A, 0, TKS_OK);
    CHECK_INT(view.coverage, 0);
    take("*1\r\n*3\r\n:16384\r\n:9223372036854775807\r\n" A, 0, TKS_OK);
    CHECK_INT(view.coverage, 0);
    take("*1\r\n*3\r\n:9\r\n:8\r\n" A, 0, TKS_OK);
    CHECK_INT(view.coverage, 0);
    take("*1\r\n*3\r\n:16384\r\n:16384\r\n*1\r\n:1\r\n", 0, TKS_OK); /* whoever it is */
    end();
}

TEST(view_of_strange_answers) {
    static const char *const bad[] = {
        "+OK\r\n",
        "$-1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*1\r\n:0\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n" A,
        "*1\r\n*3\r\n:0\r\n:-1\r\n" A,
        "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" A,
        "*1\r\n*3\r\n:0\r\n:1\r\n*0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:-7000\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n$4\r\n7000\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:7000\r\n",
        "*2\r\n*3\r\n:0\r\n:1\r\n" A "*3\r\n:2\r\n:3\r\n*2\r\n:1\r\n:7000\r\n",
    };
    char text[400];
    begin();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_context("answer %d", (int)i);
        take(bad[i], 0, TKS_ERR_CONNECTION);
    }
    test_context("nobody knows where it was asked");
    take("*1\r\n*3\r\n:0\r\n:1\r\n" SELF, -1, TKS_ERR_CONNECTION);
    test_context("a name of 256 bytes");
    (void)snprintf(text, sizeof text, "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$256\r\n%0256d\r\n:1\r\n", 1);
    take(text, 0, TKS_ERR_CONNECTION);
    (void)snprintf(text, sizeof text, "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$255\r\n%0255d\r\n:1\r\n", 1);
    take(text, 0, TKS_OK);
    end();
}

/* More ranges than there are slots. */
TEST(view_of_too_many_ranges) {
    static const char range[] = "*2\r\n:0\r\n:5\r\n";
    char *text = malloc(20 + (TKS_SLOTS + 1) * sizeof range);
    begin();
    for (size_t count = TKS_SLOTS; count <= TKS_SLOTS + 1; count++) {
        size_t size = (size_t)snprintf(text, 20, "*%zu\r\n", count);
        for (size_t i = 0; i < count; i++, size += sizeof range - 1) {
            memcpy(text + size, range, sizeof range);
        }
        take(text, 0, count > TKS_SLOTS ? TKS_ERR_CONNECTION : TKS_OK);
    }
    free(text);
    end();
}

TEST(view_of_a_name_with_a_nul) {
    static const char text[] = "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na\0b\r\n:1\r\n";
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    begin();
    CHECK_STATUS(tks_reader_new(1 << 16, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, sizeof text - 1, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    CHECK_STATUS(tksp_view_read(reply, 0, &nodes, &view, NULL), TKS_ERR_CONNECTION);
    CHECK_INT(tksp_nodes_number(&nodes, tks_bytes_of("a\0b", 3), 1), -1);
    tks_reply_free(reply);
    tks_reader_free(reader);
    end();
}

/* ---- redirections -------------------------------------------------------------------------------- */

TEST(redirection_texts) {
    static const struct {
        const char *text;
        unsigned slot;
        const char *host;
        uint16_t port;
    } good[] = {
        {"3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381},
        {"0 node-1.example.org:1", 0, "node-1.example.org", 1},
        {"16383 h:65535", 16383, "h", 65535},
        {"5 :7000", 5, "", 7000},
        {"5 ?:7000", 5, "?", 7000},
        {"5 ::1:7000", 5, "::1", 7000},
        {"5 fe80::1:2:3:7000", 5, "fe80::1:2:3", 7000},
        {"5 [::1]:7000", 5, "[::1]", 7000},
        {"5 h:7000 and more:1", 5, "h", 7000},
    };
    static const char *const bad[] = {"",           "5",
                                      "5 ",         "5 h",
                                      "5 h:",       "5 7000",
                                      " h:1",       "-5 h:1",
                                      "x h:1",      "16384 h:1",
                                      "5 h:0",      "5 h:65536",
                                      "5 h:-1",     "5 h:1x",
                                      "5  h:1",     "5x h:1",
                                      "5 : 1",      "99999999999999999999 h:1",
                                      "5 h: 7000",  "5 h:x:y",
                                      "5 h 7000:1", "5 h:99999999999999999999"};
    unsigned slot;
    tks_bytes host;
    uint16_t port;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        test_context("%s", good[i].text);
        if (!CHECK(tksp_redirection_read(test_bytes(good[i].text), &slot, &host, &port))) continue;
        CHECK_INT(slot, good[i].slot);
        CHECK_BYTES(host, test_bytes(good[i].host));
        CHECK_INT(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_context("%s", bad[i]);
        CHECK(!tksp_redirection_read(test_bytes(bad[i]), &slot, &host, &port));
    }
    char text[400];
    (void)snprintf(text, sizeof text, "5 %0255d:1", 1);
    CHECK(tksp_redirection_read(test_bytes(text), &slot, &host, &port));
    (void)snprintf(text, sizeof text, "5 %0256d:1", 1);
    CHECK(!tksp_redirection_read(test_bytes(text), &slot, &host, &port));
    CHECK(!tksp_redirection_read(tks_bytes_of(NULL, 0), &slot, &host, &port));
}
