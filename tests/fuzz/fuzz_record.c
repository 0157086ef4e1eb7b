/* fuzz_record.c - any value of a key is a record, whose parts survive a round trip, or it is rejected. And
 * any name is an owner that survives a round trip through its record. */
#include "fuzz.h"
#include "record.h"

enum { WRITTEN_MAX = 1 << 20 };

/* Writes `r`'s parts as a record, reads that, and requires the same parts. */
static void require_round_trip(const tksp_record *r) {
    tksp_arena arena = TKS_ARENA_INIT;
    tksp_record again;
    tks_buf text;
    char tag[TKS_TAG_SIZE] = {0};

    if (r->tag.size > 0) memcpy(tag, r->tag.data, TKS_TAG_SIZE);
    tks_buf_init(&text, WRITTEN_MAX);
    tks_buf_append_bytes(&text, TKS_LITERAL("[\"GCiQYICJA"));
    tks_buf_append_bytes(&text, r->check);
    tks_buf_append_bytes(&text, TKS_LITERAL("\","));
    if (tksp_record_write_tail(&text, r->owner, r->data, r->tag.size > 0 ? tag : NULL) == TKS_OK) {
        REQUIRE(tksp_record_read(tks_buf_bytes(&text), &arena, &again, NULL) == TKS_OK);
        REQUIRE(tks_bytes_equal(again.check, r->check));
        REQUIRE(tks_bytes_equal(again.owner, r->owner));
        REQUIRE(tks_bytes_equal(again.data, r->data));
        REQUIRE(tks_bytes_equal(again.tag, r->tag));
        tksp_arena_clear(&arena);
    }
    tks_buf_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tksp_arena arena = TKS_ARENA_INIT;
    tks_error err = TKS_ERROR_INIT;
    tksp_record record;
    tks_bytes text = fuzz_bytes(data, size);

    if (tksp_record_read(text, &arena, &record, &err) == TKS_OK) {
        REQUIRE(record.created_us >= 0 && record.created_us < INT64_C(1) << 54);
        REQUIRE(record.check.size == TKS_CHECK_SIZE);
        REQUIRE(record.owner.size > 0);
        REQUIRE(record.data.size >= 2);
        REQUIRE(record.tag.size == 0 || record.tag.size == TKS_TAG_SIZE);
        require_round_trip(&record);
    } else {
        REQUIRE(err.status == TKS_ERR_DATA);
    }
    tksp_arena_clear(&arena);

    if (size > 0 && memchr(data, 0, size) == NULL) {
        tksp_record made = {.check = TKS_LITERAL("abcd"), .owner = text, .data = TKS_LITERAL("{}")};
        require_round_trip(&made);
        made.tag = TKS_LITERAL("0f3");
        require_round_trip(&made);
    }
    return 0;
}
