/* key.c - keys, fields, and the text of generated tokens. */
#include "key.h"

#include "tokenstore/json.h"

/* ---- digits ---------------------------------------------------------------------------------- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char HEX[] = "0123456789abcdef";

int tksp_key_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* base64url, also where base64 wrote it. */
static char url_digit(char c) {
    return c == '+' ? '-' : c == '/' ? '_' : c;
}

/* ---- sums ------------------------------------------------------------------------------------- */

/* CRC-32 as in zlib, four bits at a time. Source: ISO 3309. */
static uint32_t crc(uint32_t state, const char *bytes, size_t size) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    for (size_t i = 0; i < size; i++) {
        state ^= (unsigned char)bytes[i];
        state = state >> 4 ^ table[state & 15];
        state = state >> 4 ^ table[state & 15];
    }
    return state;
}

enum { SUM_BITS = 24, SUM_SIZE = SUM_BITS / 6, SUM_SIZE_HEX = SUM_BITS / 4 };

static uint32_t sum_of(const char *text, size_t size) {
    return ~crc(~UINT32_C(0), text, size) >> (32 - SUM_BITS);
}

void tksp_key_kind(tks_bytes app, tks_bytes type, char kind[TKS_KIND_SIZE]) {
    const char sizes[] = {(char)app.size, (char)(app.size >> 8)}; /* names end within two bytes */
    uint32_t sum = crc(~UINT32_C(0), sizes, sizeof sizes);
    sum = ~crc(crc(sum, app.data, app.size), type.data, type.size);
    for (int i = 0; i < TKS_KIND_SIZE; i++) kind[i] = DIGITS[sum >> (26 - 6 * i) & 63];
}

uint32_t tksp_key_kind_number(tks_bytes prefix, const char kind[TKS_KIND_SIZE]) {
    uint32_t number = crc(crc(~UINT32_C(0), prefix.data, prefix.size), kind, TKS_KIND_SIZE);
    return number != 0 ? number : 1;
}

tks_status tksp_key_kinds(tks_buf *out, tks_bytes prefix) {
    tks_buf_append_bytes(out, prefix);
    return tks_buf_append(out, ":kinds", 6);
}

tks_status tksp_key_kind_names(tks_buf *out, tks_bytes app, tks_bytes type) {
    tks_buf_append_char(out, '[');
    tks_json_append_name(out, app);
    tks_buf_append_char(out, ',');
    tks_json_append_name(out, type);
    return tks_buf_append_char(out, ']');
}

/* ---- tokens ----------------------------------------------------------------------------------- */

/* A generated token's marker says what follows it, and in which digits. */
enum { MARKER = '1', MARKER_HEX = '2' };

enum { LOCATOR_SIZE_HEX = TKS_LOCATOR_SIZE * 6 / 4 };

static bool ends_with_sum(tks_bytes token, bool hex) {
    size_t size = hex ? SUM_SIZE_HEX : SUM_SIZE;
    if (token.size <= 1 + size) return false;
    const char *at = token.data + token.size - size;
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = hex ? hex_digit(at[i]) : tksp_key_digit(url_digit(at[i]));
        if (digit < 0) return false;
        sum = sum << (hex ? 4 : 6) | (uint32_t)digit;
    }
    return sum == sum_of(token.data, token.size - size);
}

/* Three digits of hexadecimal are two of base64url. */
static bool read_locator_hex(const char *from, char *locator) {
    for (int i = 0; i < TKS_LOCATOR_SIZE; i += 2) {
        int bits = 0;
        for (int k = 0; k < 3; k++) {
            int digit = hex_digit(*from++);
            if (digit < 0) return false;
            bits = bits << 4 | digit;
        }
        locator[i] = DIGITS[bits >> 6];
        locator[i + 1] = DIGITS[bits & 63];
    }
    return true;
}

static bool read_locator(const char *from, char *locator) {
    for (int i = 0; i < TKS_LOCATOR_SIZE; i++) {
        locator[i] = url_digit(from[i]);
        if (tksp_key_digit(locator[i]) < 0) return false;
    }
    return true;
}

bool tksp_token_read(tks_bytes token, char locator[TKS_LOCATOR_SIZE]) {
    char marker = token.size > 0 ? token.data[0] : '\0';
    bool hex = marker == MARKER_HEX;
    if ((marker != MARKER && !hex) || !ends_with_sum(token, hex)) return false;
    size_t size = hex ? LOCATOR_SIZE_HEX + SUM_SIZE_HEX : TKS_LOCATOR_SIZE + SUM_SIZE;
    if (token.size <= 1 + size) return false;
    return hex ? read_locator_hex(token.data + 1, locator) : read_locator(token.data + 1, locator);
}

static void append_digit(tks_buf *out, tks_encoding encoding, uint32_t digit) {
    char c = encoding == TKS_HEX ? HEX[digit] : DIGITS[digit];
    if (encoding == TKS_BASE64) c = c == '-' ? '+' : c == '_' ? '/' : c;
    tks_buf_append_char(out, c);
}

static void append_locator(tks_buf *out, tks_encoding encoding, const char *locator) {
    for (int i = 0; i < TKS_LOCATOR_SIZE; i += 2) {
        uint32_t first = (uint32_t)tksp_key_digit(locator[i]);
        uint32_t second = (uint32_t)tksp_key_digit(locator[i + 1]);
        uint32_t bits = first << 6 | second;
        if (encoding == TKS_HEX) {
            for (int shift = 8; shift >= 0; shift -= 4) {
                append_digit(out, encoding, bits >> shift & 15);
            }
        } else {
            append_digit(out, encoding, first);
            append_digit(out, encoding, second);
        }
    }
}

tks_status tksp_token_write(tks_buf *out, tks_encoding encoding, const char *locator,
                            const void *random, size_t size) {
    bool hex = encoding == TKS_HEX;
    size_t from = out->size;
    tks_buf_append_char(out, hex ? MARKER_HEX : MARKER);
    append_locator(out, encoding, locator);
    tks_encode(encoding, random, size, out);
    if (out->status != TKS_OK) return out->status;
    uint32_t sum = sum_of(out->data + from, out->size - from);
    int width = hex ? 4 : 6;
    for (int shift = SUM_BITS - width; shift >= 0; shift -= width) {
        append_digit(out, encoding, sum >> shift & ((1u << width) - 1));
    }
    return out->status;
}

/* ---- places ----------------------------------------------------------------------------------- */

/* The first field keeps tokens and owners apart where they are spelled alike. */
static void digest(const char *what, tks_bytes pepper, tks_bytes app, tks_bytes type,
                   tks_bytes name, char *out, size_t size) {
    const tks_bytes fields[] = {tks_bytes_of(what, 1), app, type, name};
    char text[TKS_DIGEST_TEXT_SIZE];
    tks_digest(pepper, fields, sizeof fields / sizeof fields[0], text);
    memcpy(out, text, size);
}

/* Without the pepper: it hides nothing that the record does not tell, and a new pepper need not move an owner. */
void tksp_key_locate(tks_bytes app, tks_bytes type, tks_bytes owner,
                     char locator[TKS_LOCATOR_SIZE]) {
    digest("o", tks_bytes_of(NULL, 0), app, type, owner, locator, TKS_LOCATOR_SIZE);
}

void tksp_key_locate_nobody(char locator[TKS_LOCATOR_SIZE]) {
    unsigned char random[TKS_LOCATOR_SIZE];
    tks_random(random, sizeof random);
    for (int i = 0; i < TKS_LOCATOR_SIZE; i++) locator[i] = DIGITS[random[i] & 63];
}

void tksp_key_field(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes token,
                    char field[TKS_FIELD_SIZE]) {
    digest("t", pepper, app, type, token, field, TKS_FIELD_SIZE);
}

/* `<prefix>:<kind>`, `mark` unless it is NUL, and `name`. */
static tks_status append_key(tks_buf *out, tks_bytes prefix, tks_bytes app, tks_bytes type,
                             char mark, const char *name, size_t size) {
    char kind[TKS_KIND_SIZE];
    tksp_key_kind(app, type, kind);
    tks_buf_append_bytes(out, prefix);
    tks_buf_append_char(out, ':');
    tks_buf_append(out, kind, sizeof kind);
    if (mark != '\0') tks_buf_append_char(out, mark);
    return tks_buf_append(out, name, size);
}

tks_status tksp_key_owner(tks_buf *out, tks_bytes prefix, tks_bytes app, tks_bytes type,
                          const char *locator) {
    return append_key(out, prefix, app, type, '\0', locator, TKS_LOCATOR_SIZE);
}

tks_status tksp_key_alias(tks_buf *out, tks_bytes prefix, tks_bytes app, tks_bytes type,
                          const char *field) {
    return append_key(out, prefix, app, type, '=', field, TKS_FIELD_SIZE);
}

/* ---- aliases ---------------------------------------------------------------------------------- */

bool tksp_alias_read(tks_bytes text, char locator[TKS_LOCATOR_SIZE]) {
    if (text.size == TKSP_ALIAS_SIZE + 1 && text.data[TKSP_ALIAS_SIZE] == TKSP_ALIAS_CLAIMED) {
        text.size--;
    }
    return text.size == TKSP_ALIAS_SIZE && read_locator(text.data, locator);
}
