/* test_move.c - importing keys of another program: what the operation sends, accepts and rejects. The script
 * is tested on a server, in tests/python/test_migrate.py. */
#include <stdio.h>

#include "key.h"
#include "test.h"
#include "tokenstore/move.h"

static const tks_foreign sample = {
    .key = {"app:a|type:t|owner:bob|token:x", 30},
    .value = {" {\"b\" : [ 1.50 ], \"a\":{}} ", 26},
    .app = {"a", 1},
    .type = {"t", 1},
    .owner = {"bob", 3},
    .token = {"x", 1},
};

typedef struct fixture {
    tks_tokens *tokens;
    tks_op *op;
} fixture;

static fixture begin(size_t capacity) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    fixture f = {NULL, NULL};
    options.max_data_size = 100;
    CHECK_STATUS(tks_tokens_new(&options, &f.tokens, NULL), TKS_OK);
    CHECK_STATUS(tks_move_new(f.tokens, capacity, &f.op, NULL), TKS_OK);
    return f;
}

static void end(fixture *f) {
    tks_op_free(f->op);
    tks_tokens_free(f->tokens);
}

/* What the sample's reply must begin with. */
static void sample_echo(char out[TKS_CHECK_SIZE + 2]) {
    char field[TKS_FIELD_SIZE];
    tksp_key_field(tks_bytes_of(NULL, 0), sample.app, sample.type, sample.token, field);
    memcpy(out, field, TKS_CHECK_SIZE);
    memcpy(out + TKS_CHECK_SIZE, "1", 2);
}

/* Answers all of `count` commands with {echo, outcome}. */
static tks_need answer(tks_op *op, size_t count, const char *echo, const char *outcome) {
    char text[64];
    tks_reader *reader = NULL;
    tks_reply *replies[4] = {NULL};
    int size = snprintf(text, sizeof text, "*2\r\n$5\r\n%s\r\n%s\r\n", echo, outcome);
    CHECK_STATUS(tks_reader_new(4096, &reader, NULL), TKS_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK_STATUS(tks_reader_feed(reader, text, (size_t)size, NULL), TKS_OK);
        CHECK_STATUS(tks_reader_next(reader, &replies[i], NULL), TKS_OK);
    }
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies};
    tks_need need = tks_op_step(op, &event);
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
    return need;
}

static tks_need start(tks_op *op) {
    tks_event event = {.type = TKS_EVENT_START};
    return tks_op_step(op, &event);
}

static bool holds(tks_bytes bytes, const char *part) {
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= bytes.size; i++) {
        if (memcmp(bytes.data + i, part, size) == 0) return true;
    }
    return false;
}

TEST(move_sends_owner_alias_and_key) {
    fixture f = begin(2);
    CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, NULL), TKS_OK);
    CHECK_INT(start(f.op), TKS_NEED_SEND);
    const tks_batch *batch = tks_op_get_batch(f.op);
    CHECK_INT(batch->replies, 1);
    CHECK_INT(batch->safety, TKS_IDEMPOTENT);
    CHECK(holds(batch->bytes, "\r\n$1\r\n4\r\n$23\r\nts:"));
    CHECK(holds(batch->bytes, "\r\n$30\r\nts:")); /* the alias */
    CHECK(holds(batch->bytes, "\r\napp:a|type:t|owner:bob|token:x\r\n$8\r\nts:moved\r\n"));
    /* As records spell it; and as it was read. */
    CHECK(holds(batch->bytes, "\r\n\"bob\"{\"b\":[1.5],\"a\":{}}\r\n"));
    CHECK(holds(batch->bytes, "\r\n {\"b\" : [ 1.50 ], \"a\":{}} \r\n"));
    end(&f);
}

TEST(move_gives_an_outcome_a_key) {
    static const char *const words[] = {":0", ":1", ":2", ":3", ":4"};
    char echo[TKS_CHECK_SIZE + 2];
    sample_echo(echo);
    for (int outcome = TKS_MOVED_GONE; outcome <= TKS_MOVED_TAKEN; outcome++) {
        fixture f = begin(2);
        CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, NULL), TKS_OK);
        CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, NULL), TKS_OK);
        CHECK_INT(start(f.op), TKS_NEED_SEND);
        CHECK_INT(answer(f.op, 2, echo, words[outcome]), TKS_DONE);
        const tks_result *result = tks_op_get_result(f.op);
        CHECK_INT(result->type, TKS_RESULT_REPLIES);
        if (CHECK_INT(result->size, 2)) {
            CHECK_INT(tks_reply_get_integer(result->replies[0]), outcome);
            CHECK_INT(tks_reply_get_integer(result->replies[1]), outcome);
        }
        end(&f);
    }
}

TEST(move_knows_answers_that_are_not_its_own) {
    static const char *const outcomes[] = {":1", ":5", ":-1", "+OK"};
    char echo[TKS_CHECK_SIZE + 2];
    sample_echo(echo);
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        fixture f = begin(1);
        CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, NULL), TKS_OK);
        CHECK_INT(start(f.op), TKS_NEED_SEND);
        CHECK_INT(answer(f.op, 1, i == 0 ? "----1" : echo, outcomes[i]), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
        end(&f);
    }
}

TEST(move_of_nothing_is_done_at_once) {
    fixture f = begin(0);
    tks_error err = TKS_ERROR_INIT;
    CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, &err), TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "more keys");
    CHECK_INT(start(f.op), TKS_DONE);
    CHECK_INT(tks_op_get_result(f.op)->size, 0);
    end(&f);
}

TEST(move_refuses_a_key_and_keeps_the_rest) {
    static const struct {
        const char *value, *owner, *message;
    } cases[] = {
        {"[]", "bob", "not an object"},
        {"null", "bob", "not an object"},
        {"", "bob", ""},
        {"{\"a\":1e400,\"b\":1,\"b\":2}", "bob", ""},
        {"{\"a\":01}", "bob", ""},
        {"{}", "", "owner is empty"},
        {"{\"a\":"
         "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "234567890123456789\"}",
         "bob", "larger than max_data_size (100 bytes)"},
    };
    char echo[TKS_CHECK_SIZE + 2];
    sample_echo(echo);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = begin(2);
        tks_error err = TKS_ERROR_INIT;
        tks_foreign odd = sample;
        odd.value = test_bytes(cases[i].value);
        odd.owner = test_bytes(cases[i].owner);
        test_context("%s", cases[i].value);
        CHECK_STATUS(tks_move_add(f.op, f.tokens, &odd, &err), TKS_ERR_DATA);
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK_STATUS(tks_move_add(f.op, f.tokens, &sample, NULL), TKS_OK);
        CHECK_INT(start(f.op), TKS_NEED_SEND);
        CHECK_INT(tks_op_get_batch(f.op)->replies, 1);
        CHECK_INT(answer(f.op, 1, echo, ":1"), TKS_DONE);
        end(&f);
    }
}
