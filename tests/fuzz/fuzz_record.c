/* fuzz_record.c - any value of a key is a record, whose parts survive a round trip, or it is rejected. And
 * any name is an owner that survives a round trip through its record. No text is a record and what a rotation leaves. */
#include "fuzz.h"
#include "record.h"
#include "rotation.h"
#include "tokenstore/tokens.h"

enum { WRITTEN_MAX = 1 << 20 };

/* Writes `r`'s parts as a record, reads that, and requires the same parts. */
static void require_round_trip(const tksp_record *r) {
    tksp_arena arena = TKS_ARENA_INIT;
    tksp_record again;
    tks_buf text;

    tks_buf_init(&text, WRITTEN_MAX);
    if (tksp_record_write_head(&text, r) == TKS_OK && tksp_record_write_tail(&text, r) == TKS_OK) {
        REQUIRE(tksp_record_read(tks_buf_bytes(&text), &arena, &again, NULL) == TKS_OK);
        REQUIRE(again.created_us == r->created_us);
        REQUIRE(again.lasts == r->lasts);
        REQUIRE(memcmp(again.times, r->times, sizeof again.times) == 0);
        REQUIRE(tks_bytes_equal(again.check, r->check));
        REQUIRE(tks_bytes_equal(again.family, r->family));
        REQUIRE(tks_bytes_equal(again.owner, r->owner));
        REQUIRE(tks_bytes_equal(again.address, r->address));
        REQUIRE(tks_bytes_equal(again.agent, r->agent));
        REQUIRE(tks_bytes_equal(again.data, r->data));
        tksp_arena_clear(&arena);
    }
    tks_buf_clear(&text);
}

/* What a rotation leaves, perhaps. */
static void require_rotated(tks_bytes text, bool is_record) {
    tksp_arena arena = TKS_ARENA_INIT;
    tksp_rotated left;
    if (tksp_rotated_read(text, &arena, &left)) {
        REQUIRE(!is_record);
        REQUIRE(tksp_is_rotated(text));
        REQUIRE(left.check.size == TKS_CHECK_SIZE && left.family.size == TKS_FIELD_SIZE);
        REQUIRE(left.end_ms >= 0);
    }
    if (arena.status == TKS_OK && left.leads && tksp_rotated_read(text, &arena, &left)) {
        tks_buf tail;
        tks_buf_init(&tail, TKSP_FORWARD_SIZE);
        REQUIRE(left.token_size >= TKS_TOKEN_SIZE_MIN && left.token_size <= TKS_TOKEN_SIZE_MAX);
        REQUIRE(tksp_forward_write(&tail, left.encoding, left.token_size, left.salt.data,
                                   left.field.data) == TKS_OK);
        REQUIRE(text.size > tail.size &&
                memcmp(text.data + text.size - tail.size, tail.data, tail.size) == 0);
        tks_buf_clear(&tail);
    }
    tksp_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tksp_arena arena = TKS_ARENA_INIT;
    tks_error err = TKS_ERROR_INIT;
    tksp_record record;
    tks_bytes text = fuzz_bytes(data, size);

    bool is_record = tksp_record_read(text, &arena, &record, &err) == TKS_OK;
    require_rotated(text, is_record);
    if (is_record) {
        REQUIRE(record.created_us >= 0 && record.created_us < INT64_C(1) << 54);
        REQUIRE(record.check.size == TKS_CHECK_SIZE);
        REQUIRE(record.data.size >= 2);
        REQUIRE(record.family.size == 0 || record.family.size == TKS_FIELD_SIZE);
        require_round_trip(&record);
    } else {
        REQUIRE(err.status == TKS_ERR_DATA);
    }
    tksp_arena_clear(&arena);

    if (size > 0 && memchr(data, 0, size) == NULL) {
        tksp_record made = {.check = TKS_LITERAL("abcd"), .owner = text, .data = TKS_LITERAL("{}")};
        require_round_trip(&made);
        made.lasts = true;
        made.family = TKS_LITERAL("ABCDEFGHIJKLMNOPQRSTUV");
        made.address = made.agent = text;
        made.times[TKSP_TIME_SEEN] = (int64_t)size;
        require_round_trip(&made);
    }
    return 0;
}
