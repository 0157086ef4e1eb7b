/* test_address_map.c - addresses that are announced, and where they are reached. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>

#include "address_map.h"
#include "nodes.h"
#include "test.h"

static void check(const char *map, const char *host, uint16_t port, const char *want) {
    char text[300];
    tks_bytes to = test_bytes(host);
    CHECK(tksp_is_address_map(test_bytes(map)));
    tksp_address_map(test_bytes(map), &to, &port);
    (void)snprintf(text, sizeof text, "%.*s %u", (int)to.size, to.data, (unsigned)port);
    CHECK_TEXT(text, want);
}

TEST(address_map_of_hosts_and_ports) {
    static const char map[] =
        "10.0.0.5:7000=localhost:17000,10.0.0.5:7001=other,10.0.0.6=node-6:1,[::1]:7=[::2]:8,::1=::"
        "3";
    check(map, "10.0.0.5", 7000, "localhost 17000");
    check(map, "10.0.0.5", 7001, "other 7001");
    check(map, "10.0.0.5", 7002, "10.0.0.5 7002");
    check(map, "10.0.0.6", 7002, "node-6 1");
    check(map, "::1", 7, "::2 8");
    check(map, "::1", 8, "::3 8");
    check(map, "localhost", 17000, "localhost 17000");
    check("a=b,a:1=c", "a", 1, "b 1"); /* the first that is for it */
}

TEST(address_map_is_refused) {
    static const char *const wrong[] = {"",          ",",     "a",        "a=",       "=b",
                                        "a=b,",      ",a=b",  "a=b,,c=d", "a:0=b",    "a:=b",
                                        "a:65536=b", "a:x=b", "[::1=b",   "[::1]7=b", "[]=b",
                                        "a=b=c:1",   "a =b",  "a=b c",    "a=b\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        test_context("%s", wrong[i]);
        CHECK(!tksp_is_address_map(test_bytes(wrong[i])));
    }
    CHECK(!tksp_is_address_map(tks_bytes_of("a=b\0", 4)));
}

TEST(address_map_of_nodes) {
    static tksp_nodes nodes;
    nodes.address_map = strdup("inside:1=outside:2");
    CHECK_INT(tksp_nodes_number(&nodes, TKS_LITERAL("inside"), 1), 0); /* of the URL */
    CHECK_INT(tksp_nodes_announced(&nodes, TKS_LITERAL("inside"), 1), 1);
    CHECK_TEXT(tksp_nodes_find(&nodes, 1)->host, "outside");
    CHECK_INT(tksp_nodes_find(&nodes, 1)->port, 2);
    CHECK_INT(tksp_nodes_announced(&nodes, TKS_LITERAL("outside"), 2), 1);
    tksp_nodes_clear(&nodes);
}
