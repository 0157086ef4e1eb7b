/* The key that routes each raw command; which key a command has: tests/operations/test_raw_key.py. */
#include <string.h>

#include "op_private.h"
#include "ops/raw_key.h"
#include "test.h"

/* Checks the routes of `commands` (words separated by blanks, commands by " / ") against `routes`, one letter for each
 * command, "-" for none; with `key` if it is not NULL. */
static void check_routes(const char *commands, const char *key, const char *routes) {
    enum { WORDS = 32, COMMANDS = 8 };
    tks_bytes argv[WORDS], at = key == NULL ? tks_bytes_of("", 0) : tks_bytes_of(key, strlen(key));
    size_t argc[COMMANDS] = {0}, count = 1, words = 0;
    tks_op *op = NULL;
    test_context("%s", commands);
    while (*commands != '\0') {
        size_t size = strcspn(commands, " ");
        if (*commands == '/') {
            count++;
        } else {
            argv[words++] = tks_bytes_of(commands, size);
            argc[count - 1]++;
        }
        commands += size + (commands[size] == ' ');
    }
    CHECK_STATUS(tks_raw_new(count, argc, argv, key == NULL ? NULL : &at, NULL, &op, NULL), TKS_OK);
    CHECK_INT(op->count, strlen(routes));
    for (size_t i = 0; i < count; i++) {
        tks_bytes route = op->commands[i].route;
        CHECK(routes[i] == '-' ? route.size == 0 : route.size == 1 && *route.data == routes[i]);
    }
    tks_op_free(op);
}

TEST(raw_each_command_goes_by_its_first_key) {
    check_routes("GET a", NULL, "a");
    check_routes("get a / mget b c / EVAL x 1 d e", NULL, "abd");
    check_routes("PING", NULL, "-");
    check_routes("PING / DBSIZE", NULL, "--");
    check_routes("EVAL x 0 a", NULL, "-");
    check_routes("UNKNOWN a b", NULL, "a");
}

TEST(raw_a_command_without_a_key_goes_with_its_neighbour) {
    check_routes("SET a 1 / WAIT 1 0 / SET b 1 / WAIT 1 0", NULL, "aabb");
    check_routes("PING / DBSIZE / GET a / PING", NULL, "aaaa");
    check_routes("PING / GET a / GET b", NULL, "aab");
}

TEST(raw_a_transaction_goes_together) {
    check_routes("MULTI / SET b 1 / GET b / EXEC", NULL, "bbbb");
    check_routes("GET a / multi / PING / SET b 1 / exec / PING / GET c", NULL, "abbbbbc");
    check_routes("MULTI / SET a 1 / SET b 1 / DISCARD / GET c", NULL, "aaaac");
    check_routes("GET a / MULTI / EXEC", NULL, "aaa");
    check_routes("MULTI / EXEC / GET a", NULL, "aaa");
    check_routes("MULTI / GET a / EXEC / MULTI / GET b / EXEC", NULL, "aaabbb");
    check_routes("EXEC / GET a / GET b", NULL, "aab");
}

TEST(raw_a_given_key_routes_every_command) {
    check_routes("GET a / PING / MULTI / GET b / EXEC", "k", "kkkkk");
    size_t argc = 1;
    tks_bytes ping = TKS_LITERAL("PING"), empty = tks_bytes_of("", 0);
    tks_error err = TKS_ERROR_INIT;
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_new(1, &argc, &ping, &empty, NULL, &op, &err), TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "key is empty");
}

TEST(raw_names_are_compared_whole) {
    tks_bytes words[] = {TKS_LITERAL("PINGS"), TKS_LITERAL("k")};
    CHECK(tks_bytes_equal(tksp_raw_key(2, words), words[1]));
    words[0] = tks_bytes_of("PING\0", 5);
    CHECK(tks_bytes_equal(tksp_raw_key(2, words), words[1]));
    words[0] = tks_bytes_of("PIN", 3);
    CHECK(tks_bytes_equal(tksp_raw_key(2, words), words[1]));
    words[0] = tks_bytes_of("pInG", 4);
    CHECK_INT(tksp_raw_key(2, words).size, 0);
}
