/* test_url_nodes.c - URLs of clusters and of Sentinels, and the targets of their nodes. */
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "url_private.h"

static tks_target *parse(const char *url) {
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    test_context("%s", url);
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_OK);
    CHECK_TEXT(err.message, "");
    if (!CHECK(target != NULL)) exit(1);
    return target;
}

static void check_described(const char *url, const char *want) {
    tks_target *target = parse(url);
    tks_buf text;
    tks_buf_init(&text, 4096);
    CHECK_STATUS(tks_target_describe(target, &text), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&text), test_bytes(want));
    tks_buf_clear(&text);
    tks_target_free(target);
}

static void check_refused(const char *url, const char *part) {
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    test_context("%s", url);
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(err.message, part);
    CHECK(strstr(err.message, "secret") == NULL);
    CHECK(target == NULL);
}

TEST(url_of_nodes_forms) {
    check_described("redis+cluster://a:7000,b:7001", "redis+cluster://a:7000,b:7001/0");
    check_described("redis+cluster://a", "redis+cluster://a:6379/0");
    check_described("valkey+cluster://a/", "redis+cluster://a:6379/0");
    check_described("Redis+Cluster://A,b/0", "redis+cluster://A:6379,b:6379/0");
    check_described("rediss+cluster://u:secret@a,b:1", "rediss+cluster://a:6379,b:1/0");
    check_described("valkeys+cluster://[::1],[::2]:7", "rediss+cluster://[::1]:6379,[::2]:7/0");
    check_described("redis+sentinel://a,b:1/mymaster", "redis+sentinel://a:26379,b:1/mymaster/0");
    check_described("valkey+sentinel://a/m/3", "redis+sentinel://a:26379/m/3");
    check_described("redis+sentinel://a/m/", "redis+sentinel://a:26379/m/0");
    check_described("redis+sentinel://a/m?db=2", "redis+sentinel://a:26379/m/2");
    check_described("rediss+sentinel://:secret@a/m%20x?sentinel_password=secret",
                    "rediss+sentinel://a:26379/m%20x/0");
}

TEST(url_of_nodes_mistakes) {
    check_refused("redis+cluster:a", "//");
    check_refused("redis+cluster://", "has no host");
    check_refused("redis+cluster://a,", "has no host");
    check_refused("redis+cluster://,a", "has no host");
    check_refused("redis+cluster://a,,b", "has no host");
    check_refused("redis+cluster://a:0", "port");
    check_refused("redis+cluster://a,b:65536", "port");
    check_refused("redis+cluster://a,b^c", "not a host name");
    check_refused("redis+cluster://::1", "brackets");
    check_refused("redis+cluster://a?sentinel_user=x", "redis+sentinel:// URLs only");
    check_refused("redis://a?sentinel_password=secret", "redis+sentinel:// URLs only");
    check_refused("redis+cluster://:secret@a?ca=/x", "TLS only");
    check_refused("redis+cluster://a?server=/x", "embedded: URLs only");
    check_refused("redis+sentinel://a", "name of the primary");
    check_refused("redis+sentinel://a/", "name of the primary");
    check_refused("redis+sentinel://a//0", "name of the primary");
    check_refused("redis+sentinel://a/m/x", "db");
    check_refused("redis+sentinel://a/m/1?db=1", "twice");
    check_refused("redis+clusters://a", "redis[s]+cluster://");
}

TEST(url_of_nodes_parts) {
    tks_target *t =
        parse("redis+sentinel://u:p@a:1,[::1]/m/3?sentinel_user=su&sentinel_password=sp");
    CHECK_INT(t->transport, TKS_SENTINEL);
    CHECK_INT(t->host_count, 2);
    CHECK_TEXT(t->hosts[0].host, "a");
    CHECK_INT(t->hosts[0].port, 1);
    CHECK_TEXT(t->hosts[1].host, "::1");
    CHECK_INT(t->hosts[1].port, 26379);
    CHECK_TEXT(t->service, "m");
    CHECK_INT(t->db, 3);
    CHECK_TEXT(t->user, "u");
    CHECK_TEXT(t->sentinel_user, "su");
    CHECK_TEXT(t->sentinel_password, "sp");
    CHECK(t->host == NULL && !t->expects_primary);
    tks_target_free(t);
    t = parse("rediss+cluster://a,b");
    CHECK_INT(t->transport, TKS_CLUSTER);
    CHECK(t->tls && t->service == NULL);
    tks_target_free(t);
}

/* ---- targets of nodes ------------------------------------------------------------------------- */

static void check_optional(const char *got, const char *want) {
    if (CHECK((got == NULL) == (want == NULL)) && got != NULL) CHECK_TEXT(got, want);
}

/* What a node is told of user, password and database. */
static void check_node(const char *url, tks_node_role role, const char *user, const char *password,
                       unsigned db) {
    tks_target *target = parse(url);
    target->asks = true; /* for the server's password, by a function */
    tks_target *node = tksp_target_of_node(target, role, "::1", 7);
    if (!CHECK(node != NULL)) return;
    CHECK_INT(node->transport, TKS_TCP);
    CHECK_TEXT(node->host, "::1");
    CHECK_INT(node->port, 7);
    check_optional(node->user, user);
    check_optional(node->password, password);
    CHECK_INT(node->db, db);
    CHECK(node->expects_primary == (role == TKS_NODE_PRIMARY));
    CHECK(node->asks == (role != TKS_NODE_SENTINEL));
    CHECK(node->tls == target->tls);
    CHECK_INT(node->timeout_ms, target->timeout_ms);
    check_optional(node->server_name, target->server_name);
    check_optional(node->ca, target->ca);
    check_optional(node->client_name, target->client_name);
    CHECK(node->hosts == NULL && node->host_count == 0 && node->service == NULL);
    CHECK(node->sentinel_user == NULL && node->sentinel_password == NULL);
    tks_target_free(target); /* it is on its own */
    CHECK_TEXT(node->host, "::1");
    tks_target_free(node);
}

TEST(url_of_nodes_targets) {
    static const char cluster[] =
        "rediss+cluster://u:p@a,b?timeout=9&ca=/c&server_name=s.example&client_name=me";
    static const char sentinels[] =
        "redis+sentinel://u:p@a/m/3?sentinel_user=su&sentinel_password=sp&timeout=9";
    check_node(cluster, TKS_NODE_OF_CLUSTER, "u", "p", 0);
    check_node(sentinels, TKS_NODE_PRIMARY, "u", "p", 3);
    check_node(sentinels, TKS_NODE_SENTINEL, "su", "sp", 0);
    check_node("redis+sentinel://u:p@a/m/3", TKS_NODE_SENTINEL, NULL, NULL, 0);
}
