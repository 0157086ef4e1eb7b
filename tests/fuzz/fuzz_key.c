/* fuzz_key.c - two different tuples never share the key of an owner, or of an alias, whatever characters they
 * contain; and any text is a token of some kind. Input: six names, each ended by a byte 0xFE: app, type, name of one,
 * then of the other. */
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

static void make_keys(const tks_bytes *names, tks_buf *owner, tks_buf *alias) {
    char locator[TKS_LOCATOR_SIZE], field[TKS_FIELD_SIZE];
    tks_bytes none = {NULL, 0};
    tks_buf_init(owner, 1 << 20);
    tks_buf_init(alias, 1 << 20);
    tksp_key_locate(names[0], names[1], names[2], locator);
    REQUIRE(tksp_key_owner(owner, TKS_LITERAL("ts"), names[0], names[1], locator) == TKS_OK);
    tksp_key_field(none, names[0], names[1], names[2], field);
    REQUIRE(tksp_key_alias(alias, TKS_LITERAL("ts"), names[0], names[1], field) == TKS_OK);
}

/* No user input in a key: Redis Cluster hashes what is between '{' and '}'. */
static void require_plain(tks_bytes key) {
    REQUIRE(memcmp(key.data, "ts:", 3) == 0);
    for (size_t i = 3; i < key.size; i++) {
        REQUIRE(tksp_key_digit(key.data[i]) >= 0 || key.data[i] == '=');
    }
}

/* Any text has a kind; what is generated leads to its owner. */
static void require_tokens(tks_bytes text, const uint8_t *random, size_t size) {
    char locator[TKS_LOCATOR_SIZE], found[TKS_LOCATOR_SIZE];
    (void)tksp_token_read(text, found);
    tksp_key_locate(text, text, text, locator);
    for (int encoding = TKS_BASE64URL; encoding <= TKS_HEX; encoding++) {
        tks_buf token;
        tks_buf_init(&token, 1 << 20);
        if (size > 256) size = 256;
        REQUIRE(tksp_token_write(&token, (tks_encoding)encoding, locator, random, size) == TKS_OK);
        REQUIRE(tksp_token_read(tks_buf_bytes(&token), found));
        REQUIRE(memcmp(found, locator, sizeof found) == 0);
        tks_buf_clear(&token);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *at = data;
    tks_bytes names[6];
    tks_buf owners[2], aliases[2];
    bool same = true;

    if (size == 0 || memchr(data, 0, size) != NULL) return 0;
    require_tokens(fuzz_bytes(data, size), data, size);
    for (int i = 0; i < 6; i++) names[i] = next_name(&at, data + size);
    for (int i = 0; i < 3; i++) same = same && tks_bytes_equal(names[i], names[i + 3]);
    for (size_t i = 0; i < 2; i++) make_keys(&names[3 * i], &owners[i], &aliases[i]);
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&owners[0]), tks_buf_bytes(&owners[1])) == same);
    REQUIRE(tks_bytes_equal(tks_buf_bytes(&aliases[0]), tks_buf_bytes(&aliases[1])) == same);
    for (int i = 0; i < 2; i++) {
        require_plain(tks_buf_bytes(&owners[i]));
        require_plain(tks_buf_bytes(&aliases[i]));
        tks_buf_clear(&owners[i]);
        tks_buf_clear(&aliases[i]);
    }
    return 0;
}
