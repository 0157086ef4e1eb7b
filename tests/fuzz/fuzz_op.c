/* fuzz_op.c - every operation against a server that sends anything: it ends in a few steps, with a result or
 * an error, and frees its memory. Input: one byte that selects the operation, for tokens also a variant (with two
 * peppers), a custom or a generated token, and what is known of the server; then the server's bytes. In these "????" is
 * replaced by the check of the requested record, so that replies for random tokens can be valid. At the end of the bytes,
 * the connection is lost. */
#include "fuzz.h"
#include "key.h"
#include "server.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/node_tokens.h"

static const int64_t NOW_MS = 1700000000000, BOOT_MS = 5000;

enum {
    OPERATIONS = 16,
    VARIANT = OPERATIONS,
    GENERATED = 2 * OPERATIONS,
    ENDS_FIELDS = 4 * OPERATIONS, /* the server is known to do that, and its clock */
    NODE_OPERATIONS = 9,
    JWT_OPERATIONS = 16,
    NODE = 128,
    JWT = 192,
    STEPS_MAX = 100,
    REPLIES_MAX = 8,
    REPLY_MAX = 1 << 16
};

static const tks_bytes app = {"app", 3}, type = {"type", 4}, owner = {"bob", 3};
static const tks_bytes rjwt = {"bob:ABCDEFGHIJK", 15};
static const tks_bytes custom = {"my-custom-token", 15}, patch = {"{\"a\":null,\"b\":[1]}", 18};

/* A token of `owner`. */
static tks_bytes generate(tks_buf *out) {
    char locator[TKS_LOCATOR_SIZE];
    tks_buf_init(out, 1000);
    tksp_key_locate(app, type, owner, locator);
    REQUIRE(tksp_token_write(out, TKS_BASE64URL, locator, "0123456789abcdef", 16) == TKS_OK);
    return tks_buf_bytes(out);
}

static tks_status make(const tks_tokens *tokens, unsigned choice, tks_bytes token, tks_op **op) {
    const tks_new_token new[] = {
        {app, type, owner, {"{}", 2}, 0, {NULL, 0}},
        {app, type, owner, {"{\"a\":1}", 7}, 60000, {"my-custom-token", 15}},
    };
    const tks_bytes many[] = {token, {"", 0}, {"other", 5}};
    const tks_bytes words[] = {{"GET", 3}, {"x", 1}, {"PING", 4}};
    const size_t argc[] = {2, 1};
    tks_bytes id = {"5ebluL7339Lp_9mPUKHx2h", 22};
    bool variant = (choice & VARIANT) != 0;

    const tks_update updates[] = {
        {.data = patch},
        {.data = patch,
         .unset = {"[\"c\"]", 5},
         .expect = {"{\"n\":1}[\"x\"]", 12},
         .refresh_ms = 60000},
    };
    const tks_page pages[] = {{0, {NULL, 0}}, {1, id}};

    switch (choice % OPERATIONS) {
    case 0: return tks_tokens_get(tokens, app, type, token, 0, false, op, NULL);
    case 1: return tks_tokens_get(tokens, app, type, token, 3600000, true, op, NULL);
    case 2: return tks_tokens_get_many(tokens, app, type, 3, many, op, NULL);
    case 3: return tks_tokens_create(tokens, &new[0], op, NULL);
    case 4: return tks_tokens_create(tokens, &new[1], op, NULL);
    case 5: return tks_tokens_create_many(tokens, 2, new, op, NULL);
    case 6: return tks_tokens_refresh(tokens, app, type, token, 60000, op, NULL);
    case 7: return tks_tokens_update(tokens, app, type, token, &updates[variant], op, NULL);
    case 8: return tks_tokens_delete(tokens, app, type, token, op, NULL);
    case 9:
        return variant ? tks_tokens_get_by_id(tokens, app, type, owner, id, op, NULL)
                       : tks_tokens_delete_by_id(tokens, app, type, owner, id, op, NULL);
    case 10:
        if (variant) {
            return tks_tokens_update_by_id(tokens, app, type, owner, id, &updates[1], op, NULL);
        }
        return tks_tokens_delete_all(tokens, app, type, owner, token, op, NULL);
    case 11: return tks_tokens_list(tokens, app, type, owner, &pages[variant], op, NULL);
    case 14: return tks_tokens_take(tokens, app, type, token, op, NULL);
    case 13:
        return variant ? tks_tokens_update_all(tokens, app, type, owner, patch, op, NULL)
                       : tks_tokens_count(tokens, app, type, owner, op, NULL);
    case 12: return tks_tokens_rotate(tokens, app, type, token, 0, op, NULL);
    default: return tks_raw_new(2, argc, words, NULL, NULL, op, NULL);
    }
}

/* Tokenstore's operations, selected by a byte from NODE on. */
static tks_status make_node(const tks_node_tokens *store, unsigned choice, tks_op **op) {
    tks_bytes id = {"01234567-89ab-4def-8123-456789abcdef", 36}, key = {"kkkkkkkk", 8};
    switch (choice % NODE_OPERATIONS) {
    case 0: return tks_node_tokens_add(store, owner, patch, key, 60000, op, NULL);
    case 1: return tks_node_tokens_get(store, id, op, NULL);
    case 2: return tks_node_tokens_get_key(store, key, op, NULL);
    case 3: return tks_node_tokens_set(store, id, patch, op, NULL);
    case 4: return tks_node_tokens_delete_key(store, key, op, NULL);
    case 5: return tks_node_tokens_list(store, owner, op, NULL);
    case 6: return tks_node_tokens_reset(store, op, NULL);
    case 7: return tks_node_tokens_take_hash(store, key, op, NULL);
    default: return tks_node_tokens_make_hash(store, owner, 60000, op, NULL);
    }
}

static tks_status make_verify(const tks_jwt_sessions *sessions, tks_key *key, tks_bytes claims,
                              bool value_session, tks_op **op) {
    tks_buf text;
    tks_buf_init(&text, TKS_JWT_SIZE_MAX);
    REQUIRE(tks_jwt_encode(claims, key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0, &text, NULL) ==
            TKS_OK);
    tks_status status =
        tks_jwt_sessions_verify(sessions, tks_buf_bytes(&text), value_session, 1, op, NULL);
    tks_buf_clear(&text);
    return status;
}

/* RedisJWT's operations, selected by a byte from JWT on. */
static tks_status make_jwt(const tks_jwt_sessions *s, tks_key *key, unsigned choice, tks_op **op) {
    const tks_jwt_session_new new = {owner, {"{\"a\":1}", 7}, {"{\"b\":2}", 7}, 60000, 1};
    const tks_bytes plain = TKS_LITERAL("{\"rjwt\":\"bob:ABCDEFGHIJK\",\"iat\":5}");
    const tks_bytes other = TKS_LITERAL("{\"rjwt\":\"bob:ABCDEFGHIJK\",\"dataSession\":5}");
    switch (choice % JWT_OPERATIONS) {
    case 0: return tks_jwt_sessions_sign(s, &new, op, NULL);
    case 1: return make_verify(s, key, plain, false, op);
    case 2: return make_verify(s, key, plain, true, op);
    case 3: return make_verify(s, key, other, true, op);
    case 4: return tks_jwt_sessions_list(s, owner, op, NULL);
    case 5: return tks_jwt_sessions_count(s, owner, op, NULL);
    case 6: return tks_jwt_sessions_get_values(s, owner, op, NULL);
    case 7: return tks_jwt_sessions_destroy_all(s, owner, op, NULL);
    case 8: return tks_jwt_sessions_destroy(s, rjwt, op, NULL);
    case 9: return tks_jwt_sessions_exists(s, rjwt, op, NULL);
    case 10: return tks_jwt_sessions_ttl(s, rjwt, op, NULL);
    case 11: return tks_jwt_sessions_get_value(s, rjwt, op, NULL);
    case 12: return tks_jwt_sessions_put(s, rjwt, plain, 60000, op, NULL);
    case 13: return tks_jwt_sessions_reindex(s, op, NULL);
    case 14: return tks_jwt_sessions_ping(s, op, NULL);
    default: return tks_jwt_sessions_get_info(s, TKS_LITERAL("DBSIZE"), op, NULL);
    }
}

/* Half of them also search sessions of the Node package. */
static tks_op *make_jwt_any(unsigned choice) {
    tks_jwt_sessions_options options = {.key_count = 1, .algorithm = TKS_JWT_HS256};
    tks_jwt_sessions *sessions = NULL;
    tks_key *key = NULL;
    tks_op *op = NULL;
    REQUIRE(tks_key_from_secret(TKS_LITERAL("0123456789abcdef0123456789abcdef"), NULL, NULL, &key,
                                NULL) == TKS_OK);
    options.keys = &key;
    options.node_writers = choice / JWT_OPERATIONS % 2 == 1;
    REQUIRE(tks_jwt_sessions_new(&options, &sessions, NULL) == TKS_OK);
    REQUIRE(make_jwt(sessions, key, choice, &op) == TKS_OK);
    tks_jwt_sessions_free(sessions);
    tks_key_free(key);
    return op;
}

/* Makes the operation; its store is freed. */
static tks_op *make_any(unsigned choice) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const tks_bytes peppers[] = {TKS_LITERAL("the new pepper 1"), TKS_LITERAL("the old pepper 0")};
    tks_node_tokens_options node_options = {{NULL, 0}, 8, 0, 0};
    tks_tokens *tokens = NULL;
    tks_node_tokens *store = NULL;
    tks_op *op = NULL;
    if (choice >= JWT) return make_jwt_any(choice - JWT);
    if (choice >= NODE) {
        REQUIRE(tks_node_tokens_new(&node_options, &store, NULL) == TKS_OK);
        REQUIRE(make_node(store, choice - NODE, &op) == TKS_OK);
    } else {
        if (choice & VARIANT) {
            options.peppers = peppers;
            options.pepper_count = 2;
        }
        REQUIRE(tks_tokens_new(&options, &tokens, NULL) == TKS_OK);
        tks_buf generated;
        tks_bytes token = generate(&generated);
        REQUIRE(make(tokens, choice, choice & GENERATED ? token : custom, &op) == TKS_OK);
        tks_buf_clear(&generated);
    }
    tks_node_tokens_free(store);
    tks_tokens_free(tokens);
    return op;
}

/* Replaces "????" by the check of the last field, or the first echo, in `batch`. */
static void put_check(tks_bytes batch, char *text, size_t size) {
    const char *field = NULL, *echo = NULL;
    for (size_t i = 0; i + 5 + TKS_FIELD_SIZE <= batch.size; i++) {
        if (memcmp(batch.data + i, "$22\r\n", 5) == 0) field = batch.data + i + 5;
        if (memcmp(batch.data + i, "$5\r\n", 4) == 0 && echo == NULL) echo = batch.data + i + 4;
    }
    if (field == NULL) field = echo;
    for (size_t i = 0; field != NULL && i + TKS_CHECK_SIZE <= size; i++) {
        if (memcmp(text + i, "????", 4) == 0) memcpy(text + i, field, TKS_CHECK_SIZE);
    }
}

/* Handles a batch: with the next replies, or as lost. */
static tks_need answer(tks_op *op, char *text, size_t *size) {
    const tks_batch *batch = tks_op_get_batch(op);
    tks_reply *replies[REPLIES_MAX] = {NULL};
    tks_event event = {.type = TKS_EVENT_REPLIES,
                       .now_ms = NOW_MS,
                       .boot_ms = BOOT_MS,
                       .replies = replies};
    tks_reader *reader = NULL;
    tks_status status = tks_reader_new(REPLY_MAX, &reader, NULL);
    size_t count = 0;

    REQUIRE(batch->replies > 0 && batch->replies <= REPLIES_MAX && batch->bytes.size > 0);
    put_check(batch->bytes, text, *size);
    /* Byte by byte, so that the remaining bytes are left for the next batch. */
    while (*size > 0 && count < batch->replies && status == TKS_OK) {
        status = tks_reader_feed(reader, text, 1, NULL);
        memmove(text, text + 1, --*size);
        if (status == TKS_OK) status = tks_reader_next(reader, &replies[count], NULL);
        if (replies[count] != NULL) count++;
    }
    if (count < batch->replies) {
        for (size_t i = 0; i < count; i++) {
            tks_reply_free(replies[i]);
            replies[i] = NULL;
        }
        event.type = TKS_EVENT_LOST;
        event.sent = *size % 2 == 0;
    }
    tks_reader_free(reader);
    tks_need need = tks_op_step(op, &event);
    for (size_t i = 0; i < REPLIES_MAX; i++) tks_reply_free(replies[i]);
    return need;
}

static void require_session(const tks_session *session) {
    REQUIRE(tks_bytes_equal(session->rjwt, rjwt) && tks_bytes_equal(session->id, owner));
    REQUIRE(session->claims != NULL || session->iat == 5);
}

static void require_result(const tks_result *result) {
    REQUIRE(result->type <= TKS_RESULT_SESSIONS);
    if (result->type == TKS_RESULT_SESSION) require_session(&result->sessions[0]);
    for (size_t i = 0; result->type == TKS_RESULT_SESSIONS && i < result->size; i++) {
        REQUIRE(result->sessions[i].iat == -1 && result->sessions[i].rjwt.size > 0);
    }
    for (size_t i = 0; result->type == TKS_RESULT_JSONS && i < result->size; i++) {
        REQUIRE(tks_json_get_type(result->values[i]) == TKS_JSON_OBJECT);
    }
    if (result->type != TKS_RESULT_TOKEN && result->type != TKS_RESULT_TOKENS) return;
    for (size_t i = 0; i < result->size; i++) {
        const tks_token *t = &result->tokens[i];
        if (!t->found) continue;
        REQUIRE(t->owner.size > 0 && t->id.size == TKS_FIELD_SIZE);
        REQUIRE(tks_json_get_type(t->data) == TKS_JSON_OBJECT);
        REQUIRE(t->created_us >= 0 && t->expires_ms >= 0);
    }
}

/* What an earlier operation found out; NULL: nothing. */
static tks_server *make_server(unsigned choice) {
    if (choice >= NODE || (choice & ENDS_FIELDS) == 0) return NULL;
    tks_server *server = tks_server_new();
    REQUIRE(server != NULL);
    tksp_server_set_ends_fields(server, TKSP_YES);
    tksp_server_learn_time(server, NOW_MS * 1000, BOOT_MS);
    return server;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_event event = {.type = TKS_EVENT_START, .now_ms = NOW_MS, .boot_ms = BOOT_MS};
    int steps = 0;

    if (size == 0) return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, --size);
    tks_op *op = make_any(data[0]);
    tks_server *server = make_server(data[0]);
    if (server != NULL) tks_op_set_server(op, server);
    tks_need need = tks_op_step(op, &event);
    while (need == TKS_NEED_SEND || need == TKS_NEED_SLEEP) {
        if (need == TKS_NEED_SEND) {
            need = answer(op, text, &size);
        } else {
            REQUIRE(tks_op_get_sleep(op) <= 1000);
            event.type = ++steps > STEPS_MAX ? TKS_EVENT_DEADLINE : TKS_EVENT_AWAKE;
            need = tks_op_step(op, &event);
        }
    }
    if (need == TKS_DONE) {
        require_result(tks_op_get_result(op));
    } else {
        REQUIRE(tks_op_get_error(op)->message[0] != '\0');
    }
    tks_op_free(op);
    tks_server_free(server);
    free(text);
    return 0;
}
