/* alloc_op.c - retries do not accumulate memory. */
#include <string.h>

#include "alloc.h"
#include "test.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

static tks_reply *read_reply(const char *text) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, strlen(text), NULL), TKS_OK);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    tks_reader_free(reader);
    return reply;
}

/* One refusal such as LOADING, and the following sleep. */
static void refuse(tks_op *op, const char *text) {
    tks_reply *reply = read_reply(text);
    tks_event refused = {.type = TKS_EVENT_REPLIES, .replies = &reply};
    tks_event awake = {.type = TKS_EVENT_AWAKE};
    CHECK_INT(tks_op_step(op, &refused), TKS_NEED_SLEEP);
    CHECK_INT(tks_op_step(op, &awake), TKS_NEED_SEND);
}

static void lose(tks_op *op) {
    tks_error why = {TKS_ERR_CONNECTION, "gone"};
    tks_event lost = {.type = TKS_EVENT_LOST, .why = &why};
    tks_event awake = {.type = TKS_EVENT_AWAKE};
    CHECK_INT(tks_op_step(op, &lost), TKS_NEED_SLEEP);
    CHECK_INT(tks_op_step(op, &awake), TKS_NEED_SEND);
}

/* A server that loads for hours, with lost connections in between. */
TEST(alloc_a_long_refusal_takes_no_memory) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    tks_event start = {.type = TKS_EVENT_START};
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(tks_tokens_get(tokens, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), 0,
                                false, &op, NULL),
                 TKS_OK);
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    refuse(op, "-LOADING Redis is loading the dataset in memory\r\n");
    lose(op);
    long before = alloc_live();
    for (int i = 0; i < 20000; i++) {
        refuse(op, "-LOADING Redis is loading the dataset in memory\r\n");
        refuse(op, "-BUSY Redis is busy running a script.\r\n");
        lose(op);
    }
    CHECK(alloc_live() <= before + 1); /* the notes for the log */
    CHECK(tks_op_get_notes(op)->lines.capacity <= 64 * 1024);
    tks_op_free(op);
    tks_tokens_free(tokens);
}
