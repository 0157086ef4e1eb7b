/* alloc_resp.c - a reply never needs more than twice max_reply_size, whatever its structure. */
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "test.h"
#include "tokenstore/resp.h"

enum { LIMIT = 1 << 20, CHUNK = 64 * 1024, MANY = 1 << 24 };

/* A reply: the head, then `unit` repeated. `lasting`: it is too large. */
typedef struct shape {
    const char *name, *head, *unit;
    size_t count;
    bool too_large;
} shape;

static const shape shapes[] = {
    {"small integers", "*65000\r\n", ":1\r\n", 65000, false},
    {"small integers, too many", "*70000\r\n", ":1\r\n", 70000, true},
    {"integers without an end", "*16777216\r\n", ":1\r\n", MANY, true},
    {"nil", "*65000\r\n", "_\r\n", 65000, false},
    {"empty strings", "*65000\r\n", "$0\r\n\r\n", 65000, false},
    {"empty statuses", "*65000\r\n", "+\r\n", 65000, false},
    {"strings of one byte", "*61000\r\n", "$1\r\nx\r\n", 61000, false},
    {"strings of 17 bytes", "*31000\r\n", "$17\r\n12345678901234567\r\n", 31000, false},
    {"statuses of 40 bytes", "*18000\r\n", "+1234567890123456789012345678901234567890\r\n", 18000,
     false},
    {"empty arrays", "*65000\r\n", "*0\r\n", 65000, false},
    {"arrays of one", "*32000\r\n", "*1\r\n:1\r\n", 32000, false},
    {"arrays of one string", "*20000\r\n", "*1\r\n$3\r\nabc\r\n", 20000, false},
    {"arrays in arrays", "*7000\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 7000,
     false},
    {"arrays of forty", "*1500\r\n",
     "*40\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:"
     "1\r\n:1\r\n"
     ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:"
     "1\r\n:1\r\n"
     ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
     1500, false},
    {"maps", "*20000\r\n", "%1\r\n:1\r\n:2\r\n", 20000, false},
    {"a long string", "$1048000\r\n", "12345678", 131000, false},
    {"a string that is too long", "$1048570\r\n", "1234567890", 104857, true},
    {"a string without an end", "$9223372036854775807\r\n", "1234567890", MANY, true},
    {"a long status", "+", "12345678", 131000, false},
    {"a status without an end", "+", "12345678", MANY, true},
    {"a long error behind strings", "*3\r\n$500\r\n", "1234567890\r\n-12345678", 1, false},
};

static size_t fill(const shape *s, size_t *at, size_t total, size_t head, size_t unit, char *out) {
    size_t size = 0;
    for (; size < CHUNK && *at < total; (*at)++) {
        out[size++] = *at < head ? s->head[*at] : s->unit[(*at - head) % unit];
    }
    return size;
}

/* Feeds the whole shape; returns the peak. */
static size_t measure(const shape *s, char *chunk, tks_reply **out, bool *skipping) {
    size_t head = strlen(s->head), unit = strlen(s->unit), at = 0;
    size_t total = head + unit * s->count, most = total < 8 * LIMIT ? total : 8 * LIMIT;
    tks_reader *reader = NULL;
    tks_status status;
    *out = NULL;
    alloc_peak_begin();
    status = tks_reader_new(LIMIT, &reader, NULL);
    while (status == TKS_OK && at < most && *out == NULL) {
        size_t size = fill(s, &at, total, head, unit, chunk);
        status = tks_reader_feed(reader, chunk, size, NULL);
        if (status == TKS_OK) status = tks_reader_next(reader, out, NULL);
    }
    if (status == TKS_OK && *out == NULL && most == total) { /* the end of a line or a string */
        status = tks_reader_feed(reader, "\r\n", 2, NULL);
        if (status == TKS_OK) status = tks_reader_next(reader, out, NULL);
    }
    CHECK_STATUS(status, TKS_OK);
    *skipping = tks_reader_check(reader, NULL) == TKS_ERR_LIMIT;
    tks_reader_free(reader);
    return alloc_peak();
}

TEST(alloc_resp_memory_of_every_shape) {
    char *chunk = malloc(CHUNK);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const shape *s = &shapes[i];
        tks_reply *reply;
        bool skipping;
        test_context("%s", s->name);
        size_t peak = measure(s, chunk, &reply, &skipping);
        CHECK(peak <= 2 * LIMIT);
        if (s->too_large) {
            CHECK(skipping || (reply != NULL && tks_reply_get_type(reply) == TKS_REPLY_OVERSIZED));
        } else if (s->count > 1) {
            CHECK(reply != NULL && tks_reply_get_type(reply) != TKS_REPLY_OVERSIZED &&
                  peak > LIMIT / 2);
        }
        if (getenv("VERBOSE")) printf("%-30s %zu\n", s->name, peak);
        tks_reply_free(reply);
    }
    free(chunk);
}
