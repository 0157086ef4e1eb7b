/* key.c - keys, fields, and the text of generated tokens. */
#include "key.h"

#include "tokenstore/json.h"

/* ---- digits ---------------------------------------------------------------------------------- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char HEX[] = "0123456789abcdef";

int tksp_key_digit(char c) {
    static const signed char next[256] = {
        /* one more than the digit is worth; 0: no digit */
        ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
        ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
        ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
        ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
        ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
        ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
        ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
        ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
        ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63,
        ['_'] = 64,
    };
    return next[(unsigned char)c] - 1;
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

/* CRC-32 as in zlib. Source: ISO 3309. */
static uint32_t crc(uint32_t state, const char *bytes, size_t size) {
    static const uint32_t table[256] = {
        0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535,
        0x9e6495a3, 0x0edb8832, 0x79dcb8a4, 0xe0d5e91e, 0x97d2d988, 0x09b64c2b, 0x7eb17cbd,
        0xe7b82d07, 0x90bf1d91, 0x1db71064, 0x6ab020f2, 0xf3b97148, 0x84be41de, 0x1adad47d,
        0x6ddde4eb, 0xf4d4b551, 0x83d385c7, 0x136c9856, 0x646ba8c0, 0xfd62f97a, 0x8a65c9ec,
        0x14015c4f, 0x63066cd9, 0xfa0f3d63, 0x8d080df5, 0x3b6e20c8, 0x4c69105e, 0xd56041e4,
        0xa2677172, 0x3c03e4d1, 0x4b04d447, 0xd20d85fd, 0xa50ab56b, 0x35b5a8fa, 0x42b2986c,
        0xdbbbc9d6, 0xacbcf940, 0x32d86ce3, 0x45df5c75, 0xdcd60dcf, 0xabd13d59, 0x26d930ac,
        0x51de003a, 0xc8d75180, 0xbfd06116, 0x21b4f4b5, 0x56b3c423, 0xcfba9599, 0xb8bda50f,
        0x2802b89e, 0x5f058808, 0xc60cd9b2, 0xb10be924, 0x2f6f7c87, 0x58684c11, 0xc1611dab,
        0xb6662d3d, 0x76dc4190, 0x01db7106, 0x98d220bc, 0xefd5102a, 0x71b18589, 0x06b6b51f,
        0x9fbfe4a5, 0xe8b8d433, 0x7807c9a2, 0x0f00f934, 0x9609a88e, 0xe10e9818, 0x7f6a0dbb,
        0x086d3d2d, 0x91646c97, 0xe6635c01, 0x6b6b51f4, 0x1c6c6162, 0x856530d8, 0xf262004e,
        0x6c0695ed, 0x1b01a57b, 0x8208f4c1, 0xf50fc457, 0x65b0d9c6, 0x12b7e950, 0x8bbeb8ea,
        0xfcb9887c, 0x62dd1ddf, 0x15da2d49, 0x8cd37cf3, 0xfbd44c65, 0x4db26158, 0x3ab551ce,
        0xa3bc0074, 0xd4bb30e2, 0x4adfa541, 0x3dd895d7, 0xa4d1c46d, 0xd3d6f4fb, 0x4369e96a,
        0x346ed9fc, 0xad678846, 0xda60b8d0, 0x44042d73, 0x33031de5, 0xaa0a4c5f, 0xdd0d7cc9,
        0x5005713c, 0x270241aa, 0xbe0b1010, 0xc90c2086, 0x5768b525, 0x206f85b3, 0xb966d409,
        0xce61e49f, 0x5edef90e, 0x29d9c998, 0xb0d09822, 0xc7d7a8b4, 0x59b33d17, 0x2eb40d81,
        0xb7bd5c3b, 0xc0ba6cad, 0xedb88320, 0x9abfb3b6, 0x03b6e20c, 0x74b1d29a, 0xead54739,
        0x9dd277af, 0x04db2615, 0x73dc1683, 0xe3630b12, 0x94643b84, 0x0d6d6a3e, 0x7a6a5aa8,
        0xe40ecf0b, 0x9309ff9d, 0x0a00ae27, 0x7d079eb1, 0xf00f9344, 0x8708a3d2, 0x1e01f268,
        0x6906c2fe, 0xf762575d, 0x806567cb, 0x196c3671, 0x6e6b06e7, 0xfed41b76, 0x89d32be0,
        0x10da7a5a, 0x67dd4acc, 0xf9b9df6f, 0x8ebeeff9, 0x17b7be43, 0x60b08ed5, 0xd6d6a3e8,
        0xa1d1937e, 0x38d8c2c4, 0x4fdff252, 0xd1bb67f1, 0xa6bc5767, 0x3fb506dd, 0x48b2364b,
        0xd80d2bda, 0xaf0a1b4c, 0x36034af6, 0x41047a60, 0xdf60efc3, 0xa867df55, 0x316e8eef,
        0x4669be79, 0xcb61b38c, 0xbc66831a, 0x256fd2a0, 0x5268e236, 0xcc0c7795, 0xbb0b4703,
        0x220216b9, 0x5505262f, 0xc5ba3bbe, 0xb2bd0b28, 0x2bb45a92, 0x5cb36a04, 0xc2d7ffa7,
        0xb5d0cf31, 0x2cd99e8b, 0x5bdeae1d, 0x9b64c2b0, 0xec63f226, 0x756aa39c, 0x026d930a,
        0x9c0906a9, 0xeb0e363f, 0x72076785, 0x05005713, 0x95bf4a82, 0xe2b87a14, 0x7bb12bae,
        0x0cb61b38, 0x92d28e9b, 0xe5d5be0d, 0x7cdcefb7, 0x0bdbdf21, 0x86d3d2d4, 0xf1d4e242,
        0x68ddb3f8, 0x1fda836e, 0x81be16cd, 0xf6b9265b, 0x6fb077e1, 0x18b74777, 0x88085ae6,
        0xff0f6a70, 0x66063bca, 0x11010b5c, 0x8f659eff, 0xf862ae69, 0x616bffd3, 0x166ccf45,
        0xa00ae278, 0xd70dd2ee, 0x4e048354, 0x3903b3c2, 0xa7672661, 0xd06016f7, 0x4969474d,
        0x3e6e77db, 0xaed16a4a, 0xd9d65adc, 0x40df0b66, 0x37d83bf0, 0xa9bcae53, 0xdebb9ec5,
        0x47b2cf7f, 0x30b5ffe9, 0xbdbdf21c, 0xcabac28a, 0x53b39330, 0x24b4a3a6, 0xbad03605,
        0xcdd70693, 0x54de5729, 0x23d967bf, 0xb3667a2e, 0xc4614ab8, 0x5d681b02, 0x2a6f2b94,
        0xb40bbe37, 0xc30c8ea1, 0x5a05df1b, 0x2d02ef8d,
    };
    for (size_t i = 0; i < size; i++) {
        state = state >> 8 ^ table[(state ^ (unsigned char)bytes[i]) & 255];
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
