/* rotation.c - forwards, tombstones, successors. */
#include "rotation.h"

#include "tokenstore/tokens.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char LEADS = '>';

/* What is left of a text that is being read. */
typedef struct rest {
    const char *at, *end;
} rest;

static bool take(rest *from, size_t size, tks_bytes *out) {
    if ((size_t)(from->end - from->at) < size) return false;
    *out = tks_bytes_of(from->at, size);
    from->at += size;
    return true;
}

static bool take_char(rest *from, char c) {
    if (from->at == from->end || *from->at != c) return false;
    from->at++;
    return true;
}

static bool take_digits(rest *from, size_t size, tks_bytes *out) {
    if (!take(from, size, out)) return false;
    for (size_t i = 0; i < size; i++) {
        if (tksp_key_digit(out->data[i]) < 0) return false;
    }
    return true;
}

static bool read_forward(rest *from, tksp_rotated *out) {
    tks_bytes shape;
    if (!take_digits(from, TKSP_SHAPE_SIZE, &shape)) return false;
    int encoding = tksp_key_digit(shape.data[0]);
    int size = tksp_key_digit(shape.data[1]) * 64 + tksp_key_digit(shape.data[2]);
    out->leads = true;
    out->encoding = (tks_encoding)encoding;
    out->token_size = (size_t)size;
    return encoding <= TKS_HEX && size >= TKS_TOKEN_SIZE_MIN && size <= TKS_TOKEN_SIZE_MAX &&
           take_digits(from, TKSP_SALT_SIZE, &out->salt) &&
           take_digits(from, TKS_FIELD_SIZE, &out->field) && from->at == from->end;
}

bool tksp_rotated_read(tks_bytes text, tksp_arena *arena, tksp_rotated *out) {
    rest from = {text.data, text.data + text.size};
    tks_bytes created;
    memset(out, 0, sizeof *out);
    if (!take(&from, TKS_CREATED_SIZE, &created) || !take(&from, TKS_CHECK_SIZE, &out->check)) {
        return false;
    }
    if (from.at < from.end && *from.at != TKSP_ROTATED_MARK &&
        !tksp_record_read_end(&from.at, from.end, &out->end_ms)) {
        return false;
    }
    if (!take_char(&from, TKSP_ROTATED_MARK)) return false;
    if (!take_digits(&from, TKS_FIELD_SIZE, &out->family)) return false;
    if (take_char(&from, LEADS)) return read_forward(&from, out);
    return from.at == from.end || tksp_record_read_name(&from.at, from.end, arena, &out->owner);
}

void tksp_rotation_salt(char salt[TKSP_SALT_SIZE]) {
    unsigned char random[TKSP_SALT_SIZE];
    tks_random(random, sizeof random);
    for (int i = 0; i < TKSP_SALT_SIZE; i++) salt[i] = DIGITS[random[i] & 63];
}

tks_status tksp_forward_write(tks_buf *out, tks_encoding encoding, size_t token_size,
                              const char *salt, const char *field) {
    tks_buf_append_char(out, LEADS);
    tks_buf_append_char(out, DIGITS[encoding]);
    tks_buf_append_char(out, DIGITS[token_size / 64]);
    tks_buf_append_char(out, DIGITS[token_size % 64]);
    tks_buf_append(out, salt, TKSP_SALT_SIZE);
    return tks_buf_append(out, field, TKS_FIELD_SIZE);
}

tks_status tksp_successor_write(tks_buf *out, tks_bytes secret, tks_bytes salt,
                                tks_encoding encoding, const char *locator, size_t token_size) {
    char random[TKS_TOKEN_SIZE_MAX];
    tks_derive(secret, salt, random, token_size);
    tks_status status = tksp_token_write(out, encoding, locator, random, token_size);
    tks_wipe(random, sizeof random);
    return status;
}
