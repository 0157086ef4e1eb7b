/* secret.c - the only file of the core that uses libsodium, besides jwt_sodium.c. */
#include "tokenstore/secret.h"

#include <sodium.h>

_Static_assert(TKS_PEPPER_MAX == crypto_generichash_KEYBYTES_MAX, "BLAKE2b's longest key");
_Static_assert(TKS_FINGERPRINT_KEY_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "SipHash's key");
_Static_assert(TKS_DIGEST_SIZE >= crypto_generichash_BYTES_MIN, "libsodium's shortest digest");
_Static_assert(TKS_DIGEST_TEXT_SIZE * 3 == TKS_DIGEST_SIZE * 4, "no padding, no partial group");

tks_status tks_secret_start(tks_error *err) {
    if (sodium_init() < 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "libsodium could not start: the system provides no random bytes");
    }
    return TKS_OK;
}

void tks_random(void *out, size_t size) {
    randombytes_buf(out, size);
}

uint32_t tks_random_below(uint32_t bound) {
    return randombytes_uniform(bound);
}

void tks_random_letters(char *out, size_t size) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[64];
    size_t used = sizeof random;
    while (size > 0) {
        if (used == sizeof random) {
            randombytes_buf(random, sizeof random);
            used = 0;
        }
        unsigned letter = random[used++] & 63;
        if (letter >= sizeof letters - 1) {
            continue; /* rejection sampling: draw 62 and 63 again */
        }
        *out++ = letters[letter];
        size--;
    }
    tks_wipe(random, sizeof random);
}

/* Written out, the eight bytes are one store. */
static void update_length(crypto_generichash_state *state, size_t size) {
    const uint64_t n = size;
    const unsigned char le[] = {
        n & 255,       n >> 8 & 255,  n >> 16 & 255, n >> 24 & 255,
        n >> 32 & 255, n >> 40 & 255, n >> 48 & 255, (unsigned char)(n >> 56)};
    (void)crypto_generichash_update(state, le, sizeof le);
}

/* Base64url. Not libsodium's, which is ten times slower because it is constant-time: a digest is not secret.
 * */
static void write_digest(const unsigned char *digest, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < TKS_DIGEST_SIZE; i += 3) {
        uint32_t group = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = digits[group >> 6 & 63];
        *out++ = digits[group & 63];
    }
}

void tks_digest(tks_bytes pepper, const tks_bytes *fields, size_t count, char *out) {
    crypto_generichash_state state;
    unsigned char digest[TKS_DIGEST_SIZE];

    (void)crypto_generichash_init(&state, (const unsigned char *)pepper.data, pepper.size,
                                  sizeof digest);
    for (size_t i = 0; i < count; i++) {
        update_length(&state, fields[i].size);
        (void)crypto_generichash_update(&state, (const unsigned char *)fields[i].data,
                                        fields[i].size);
    }
    (void)crypto_generichash_final(&state, digest, sizeof digest);
    write_digest(digest, out);
    sodium_memzero(&state, sizeof state);
}

void tks_fingerprint(const unsigned char *key, tks_bytes text, uint64_t out[2]) {
    unsigned char bytes[crypto_shorthash_siphashx24_BYTES];
    (void)crypto_shorthash_siphashx24(bytes, (const unsigned char *)text.data, text.size, key);
    memcpy(out, bytes, sizeof bytes);
}

void tks_derive(tks_bytes secret, tks_bytes salt, void *out, size_t size) {
    enum { BLOCK_SIZE = crypto_generichash_BYTES_MAX };
    crypto_generichash_state state;
    unsigned char key[crypto_generichash_KEYBYTES_MAX], block[BLOCK_SIZE];
    char *at = out;

    (void)crypto_generichash(key, sizeof key, (const unsigned char *)secret.data, secret.size, NULL,
                             0);
    for (unsigned char number = 0; size > 0; number++) {
        size_t part = size < BLOCK_SIZE ? size : BLOCK_SIZE;
        (void)crypto_generichash_init(&state, key, sizeof key, sizeof block);
        (void)crypto_generichash_update(&state, (const unsigned char *)salt.data, salt.size);
        (void)crypto_generichash_update(&state, &number, 1);
        (void)crypto_generichash_final(&state, block, sizeof block);
        memcpy(at, block, part);
        at += part;
        size -= part;
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(block, sizeof block);
    sodium_memzero(&state, sizeof state);
}

tks_status tks_encode(tks_encoding encoding, const void *bytes, size_t size, tks_buf *out) {
    int variant = encoding == TKS_BASE64 ? sodium_base64_VARIANT_ORIGINAL_NO_PADDING
                                         : sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    size_t room = encoding == TKS_HEX ? size * 2 + 1 : sodium_base64_encoded_len(size, variant);
    char *at;
    tks_status status = tks_buf_reserve(out, room, &at);
    if (status != TKS_OK) return status;
    if (encoding == TKS_HEX) {
        (void)sodium_bin2hex(at, room, bytes, size);
    } else {
        (void)sodium_bin2base64(at, room, bytes, size, variant);
    }
    tks_buf_advance(out, room - 1); /* libsodium appends a NUL */
    return TKS_OK;
}

bool tks_secret_equal(tks_bytes a, tks_bytes b) {
    return a.size == b.size && sodium_memcmp(a.data, b.data, a.size) == 0;
}

void tks_wipe(void *data, size_t size) {
    if (size > 0) sodium_memzero(data, size);
}
