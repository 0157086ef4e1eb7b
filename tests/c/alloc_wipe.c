/* alloc_wipe.c - secrets are wiped before their memory is freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"
#include "tokenstore/greeting.h"
#include "tokenstore/json.h"
#include "tokenstore/jwt.h"
#include "tokenstore/tokens.h"

static const char SECRET[] = "canary-canary-canary-canary"; /* occurs nowhere else in the heap */

static tks_bytes secret(void) {
    return tks_bytes_of(SECRET, sizeof SECRET - 1);
}

static void begin(const char *what) {
    test_context("%s", what);
    alloc_watch(SECRET, sizeof SECRET - 1);
}

static void end(void) {
    CHECK_INT(alloc_spilled(), 0);
    alloc_watch(NULL, 0);
}

/* Self-test: an unwiped secret is detected. */
TEST(wipe_a_spilled_secret_is_noticed) {
    begin("free, realloc");
    char *block = malloc(200);
    if (!CHECK(block != NULL)) return;
    memcpy(block + 100, SECRET, sizeof SECRET);
    char *moved = realloc(block, 1 << 20);
    if (!CHECK(moved != NULL)) return;
    free(moved);
    CHECK(alloc_spilled() > 0);
    alloc_watch(NULL, 0);
}

TEST(wipe_buffers_that_grow) {
    tks_buf buf;
    begin("a buffer");
    tks_buf_init(&buf, 1 << 20);
    for (int i = 0; i < 1000; i++) tks_buf_append_bytes(&buf, secret());
    tks_buf_wipe(&buf);
    end();
}

/* ---- operations ------------------------------------------------------------------------------- */

static tks_tokens *new_tokens(void) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    const tks_bytes peppers[] = {secret(), TKS_LITERAL("another pepper 0")};
    options.peppers = peppers;
    options.pepper_count = 2;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    return tokens;
}

static void start_and_free(tks_op *op) {
    tks_event start = {.type = TKS_EVENT_START, .now_ms = 1};
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    tks_op_free(op);
}

TEST(wipe_tokens) {
    tks_bytes app = TKS_LITERAL("a"), type = TKS_LITERAL("t"), owner = TKS_LITERAL("o");
    tks_new_token new = {.app = app,
                         .type = type,
                         .owner = owner,
                         .data = TKS_LITERAL("{}"),
                         .custom_token = secret()};
    tks_bytes many[] = {secret(), TKS_LITERAL("other"), secret()};
    tks_tokens *tokens;
    tks_op *op;
    begin("create");
    tokens = new_tokens();
    CHECK_STATUS(tks_tokens_create(tokens, &new, &op, NULL), TKS_OK);
    start_and_free(op);
    CHECK_STATUS(tks_tokens_create_many(tokens, 1, &new, &op, NULL), TKS_OK);
    start_and_free(op);
    end();
    begin("get");
    CHECK_STATUS(tks_tokens_get(tokens, app, type, secret(), 0, true, &op, NULL), TKS_OK);
    start_and_free(op);
    CHECK_STATUS(tks_tokens_get_many(tokens, app, type, 3, many, &op, NULL), TKS_OK);
    start_and_free(op);
    end();
    begin("changes");
    const tks_update update = {.data = TKS_LITERAL("{}")};
    const tks_rotation rotation = {.grace_ms = 10000};
    CHECK_STATUS(tks_tokens_update(tokens, app, type, secret(), &update, &op, NULL), TKS_OK);
    start_and_free(op);
    CHECK_STATUS(tks_tokens_rotate(tokens, app, type, secret(), &rotation, &op, NULL), TKS_OK);
    start_and_free(op);
    CHECK_STATUS(tks_tokens_take(tokens, app, type, secret(), &op, NULL), TKS_OK);
    start_and_free(op);
    CHECK_STATUS(tks_tokens_delete(tokens, app, type, secret(), &op, NULL), TKS_OK);
    start_and_free(op);
    tks_tokens_free(tokens);
    end();
}

TEST(wipe_raw_commands) {
    const tks_bytes words[] = {TKS_LITERAL("ECHO"), secret()};
    const size_t argc[] = {2};
    tks_op *op;
    begin("ECHO");
    CHECK_STATUS(tks_raw_new(1, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    start_and_free(op);
    end();
}

TEST(wipe_replies) {
    static const char text[] = "*2\r\n$27\r\ncanary-canary-canary-canary\r\n:1\r\n";
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    begin("a reply");
    CHECK_STATUS(tks_reader_new(1000, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, sizeof text - 1, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    tks_reply_free(reply);
    tks_reader_free(reader);
    end();
}

TEST(wipe_json) {
    static const char *const texts[] = {
        "{\"canary-canary-canary-canary\":1,\"x\":[\"canary-canary-canary-canary\"]}",
        "[{\"\\u0000canary-canary-canary-canary\":1},\"\\u0000canary-canary-canary-canary\"]",
        "{\"a\":\"canary-canary-canary-canary\",\"a\":12345678901234567890}",
        "{\"a\":\"canary-canary-canary-canary\",\"a\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_json *tree = NULL;
        begin(texts[i]);
        CHECK_STATUS(tks_json_read_foreign(test_bytes(texts[i]), &tree, NULL), TKS_OK);
        tks_json_free(tree);
        end();
    }
}

/* ---- passwords and keys ------------------------------------------------------------------------ */

TEST(wipe_passwords) {
    tks_target *target = NULL;
    tks_greeting greeting;
    begin("a password");
    CHECK_STATUS(
        tks_target_parse(TKS_LITERAL("redis://bob:canary-canary-canary-canary@h/1"), &target, NULL),
        TKS_OK);
    CHECK_STATUS(tks_greeting_init(&greeting, target, NULL, NULL), TKS_OK);
    CHECK_INT(greeting.count, 2);
    tks_greeting_clear(&greeting);
    tks_target_free(target);
    end();
}

TEST(wipe_credentials) {
    tks_target *target = NULL;
    tks_greeting greeting;
    tks_credentials credentials;
    begin("a password that the host gave");
    CHECK_STATUS(tks_target_parse(TKS_LITERAL("redis://h"), &target, NULL), TKS_OK);
    CHECK_STATUS(tks_credentials_init(&credentials, TKS_LITERAL("bob"), test_bytes(SECRET)),
                 TKS_OK);
    CHECK_STATUS(tks_greeting_init(&greeting, target, &credentials, NULL), TKS_OK);
    tks_greeting_clear(&greeting);
    tks_credentials_clear(&credentials);
    tks_target_free(target);
    end();
}

TEST(wipe_keys) {
    tks_key_options options = {0};
    tks_key *key = NULL;
    char text[2 * sizeof SECRET];
    (void)snprintf(text, sizeof text, "%s%s", SECRET, SECRET); /* long enough for HS256 */
    begin("an HMAC key");
    CHECK_STATUS(tks_key_from_secret(test_bytes(text), &options, NULL, &key, NULL), TKS_OK);
    tks_key_free(key);
    end();
}
