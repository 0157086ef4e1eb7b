/* fuzz_resp.c - the same bytes give the same replies and the same end, in any fragments. Input: one byte that
 * selects the fragments, then the server's bytes. */
#include "fuzz.h"
#include "tokenstore/resp.h"

enum { TEXT_MAX = 1 << 22 };
static const size_t REPLY_MAX[] = {1 << 16, 100, 20, 8};

static void describe(const tks_reply *reply, tks_buf *out) {
    tks_reply_type type = tks_reply_get_type(reply);
    tks_buf_append_char(out, "_+-:$*!"[type]);
    if (type == TKS_REPLY_INTEGER || type == TKS_REPLY_OVERSIZED) {
        tks_buf_append_int(out, tks_reply_get_integer(reply));
    } else if (type == TKS_REPLY_ARRAY) {
        for (size_t i = 0; i < tks_reply_get_size(reply); i++) {
            describe(tks_reply_get_item(reply, i), out);
        }
        REQUIRE(tks_reply_get_item(reply, tks_reply_get_size(reply)) == NULL);
    } else if (type != TKS_REPLY_NIL) {
        tks_buf_append_bytes(out, tks_reply_get_bytes(reply));
    }
    tks_buf_append_char(out, ';');
}

/* All replies and the last status, as text. */
static void read_all(const uint8_t *data, size_t size, size_t piece, size_t max, tks_buf *out) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_reader_new(max, &reader, &err);

    for (size_t at = 0; at < size && status == TKS_OK; at += piece) {
        status = tks_reader_feed(reader, data + at, size - at < piece ? size - at : piece, &err);
        while (status == TKS_OK) {
            status = tks_reader_next(reader, &reply, &err);
            if (reply == NULL) break;
            REQUIRE(status == TKS_OK);
            describe(reply, out);
            tks_reply_free(reply);
        }
    }
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONNECTION);
    REQUIRE(err.status == status);
    tks_buf_append_char(out, status != TKS_OK ? '!' : tks_reader_is_idle(reader) ? '.' : '?');
    tks_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_buf whole, cut;

    if (size < 2) return 0;
    for (size_t i = 0; i < sizeof REPLY_MAX / sizeof REPLY_MAX[0]; i++) {
        tks_buf_init(&whole, TEXT_MAX);
        tks_buf_init(&cut, TEXT_MAX);
        read_all(data + 1, size - 1, size, REPLY_MAX[i], &whole);
        read_all(data + 1, size - 1, 1 + data[0] % 64, REPLY_MAX[i], &cut);
        REQUIRE(whole.status == TKS_OK);
        REQUIRE(tks_bytes_equal(tks_buf_bytes(&whole), tks_buf_bytes(&cut)));
        tks_buf_clear(&whole);
        tks_buf_clear(&cut);
    }
    return 0;
}
