/* fuzz_key.c - two different tuples never share a key of a record or an index, whatever characters they
 * contain. Input: six names, each ended by a byte 0xFE: app, type, name of one, then of the other. */
#include "fuzz.h"
#include "key.h"

enum { SEPARATOR = 0xFE };

/* The next name in *at … end; without its separator. */
static tks_bytes next_name(const uint8_t **at, const uint8_t *end) {
    const uint8_t *begin = *at;
    const uint8_t *stop = begin == end ? NULL : memchr(begin, SEPARATOR, (size_t)(end - begin));
    if (stop == NULL) stop = end;
    *at = stop == end ? end : stop + 1;
    return fuzz_bytes(begin, (size_t)(stop - begin));
}

static void make_keys(const tks_bytes *names, tks_buf *record, tks_buf *index) {
    tksp_place place;
    tks_bytes none = {NULL, 0};
    tks_buf_init(record, 1 << 20);
    tks_buf_init(index, 1 << 20);
    tksp_key_place(none, names[0], names[1], names[2], &place);
    REQUIRE(tksp_key_record(record, TKS_LITERAL("ts"), &place) == TKS_OK);
    tksp_key_owner(none, names[0], names[1], names[2], &place);
    REQUIRE(tksp_key_index(index, TKS_LITERAL("ts"), place.tag, names[0], names[1], names[2]) ==
            TKS_OK);
}

/* Exactly one '{' … '}' before any user input: Redis Cluster hashes the tag. */
static void require_hash_tag(tks_bytes key) {
    REQUIRE(key.size >= 8 && memcmp(key.data, "ts:{", 4) == 0 && key.data[7] == '}');
    for (size_t i = 4; i < 7; i++) REQUIRE(tksp_key_digit(key.data[i]) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *at = data;
    tks_bytes names[6];
    tks_buf records[2], indexes[2];
    bool same = true;

    if (size == 0 || memchr(data, 0, size) != NULL) return 0;
    for (int i = 0; i < 6; i++) names[i] = next_name(&at, data + size);
    for (int i = 0; i < 3; i++) same = same && tks_bytes_equal(names[i], names[i + 3]);
    for (size_t i = 0; i < 2; i++) make_keys(&names[3 * i], &records[i], &indexes[i]);
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&records[0]), tks_buf_bytes(&records[1])) == same);
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&indexes[0]), tks_buf_bytes(&indexes[1])) == same);
    for (int i = 0; i < 2; i++) {
        require_hash_tag(tks_buf_bytes(&records[i]));
        require_hash_tag(tks_buf_bytes(&indexes[i]));
        REQUIRE(!tks_bytes_equal(tks_buf_bytes(&records[i]), tks_buf_bytes(&indexes[i])));
        tks_buf_clear(&records[i]);
        tks_buf_clear(&indexes[i]);
    }
    return 0;
}
