/* jwt_secret_spellings.c - encodings of bytes and text in configurations.
 *
 * Purpose:   UTF-16, escapes; base64 and base32 (RFC 4648), base85 (RFC 1924, Ascii85, Z85), hexadecimal, each amid
 *            other text; lists of byte numbers.
 * Rules:     each is tried separately, whatever the text looks like; only a result that is a key
 *            counts.
 * Lifecycle: nothing is kept; the caller wipes `out`. */
#include "jwt_secret.h"

enum {
    BASE_85 = 85,
    WORD_MIN = 32 /* characters: no key is shorter */
};

/* Removes blanks, quotes, Python's b before a quote, and a leading byte order mark. */
static tks_bytes trim(tks_bytes text) {
    while (text.size > 0) {
        if (begins_with(text, "\xEF\xBB\xBF")) {
            text = skip(text, 3);
        } else if (begins_with(text, "\xFF\xFE") || begins_with(text, "\xFE\xFF")) {
            text = skip(text, 2);
        } else if (is_blank(*text.data) || is_quote(*text.data) ||
                   (text.size > 1 && text.data[0] == 'b' && is_quote(text.data[1]))) {
            text = skip(text, 1);
        } else {
            break;
        }
    }
    return text;
}

/* ---- text ----------------------------------------------------------------------------------- */

/* UTF-16 and UTF-32, reduced to ASCII. */
static size_t narrow(tks_bytes text, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\0') out[size++] = text.data[i];
    }
    return (text.size - size) * 3 >= text.size ? size : 0;
}

/* Bytes that were read as Latin-1 and written as UTF-8. */
static size_t latin(tks_bytes text, char *out) {
    size_t size = 0, wide = 0;
    for (; text.size > 0; text = skip(text, 1)) {
        unsigned char c = (unsigned char)*text.data;
        if (c >= 0x80) {
            if ((c & 0xFE) != 0xC2 || text.size < 2 || (text.data[1] & 0xC0) != 0x80) return 0;
            c = (unsigned char)(c << 6 | (text.data[1] & 0x3F));
            text = skip(text, 1);
            wide++;
        }
        out[size++] = (char)c;
    }
    return wide > 0 ? size : 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int digit_16(char c) {
    if (is_digit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The `count` hexadecimal digits at index `at`; -1: not found. */
static int hex_number(tks_bytes text, size_t at, size_t count) {
    int number = 0;
    if (text.size < at + count) return -1;
    for (size_t i = at; i < at + count; i++) {
        int digit = digit_16(text.data[i]);
        if (digit < 0) return -1;
        number = number * 16 + digit;
    }
    return number;
}

/* A character reference of HTML and XML at the beginning of `text`; its size, 0: there is none. */
static size_t unescape_reference(tks_bytes text, char *out) {
    static const struct {
        const char *name, character;
    } named[] = {{"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (!begins_with(text, named[i].name)) continue;
        *out = named[i].character;
        return strlen(named[i].name);
    }
    const bool is_hex = begins_with(text, "&#x") || begins_with(text, "&#X");
    const int base = is_hex ? 16 : 10;
    size_t at = is_hex ? 3 : 2;
    int number = -1;
    if (!begins_with(text, "&#")) return 0;
    for (; at < text.size && number <= 0xFF; at++) {
        int digit = digit_16(text.data[at]);
        if (digit < 0 || digit >= base) break;
        number = (number < 0 ? 0 : number) * base + digit;
    }
    if (number < 0 || number > 0xFF || at == text.size || text.data[at] != ';') return 0;
    *out = (char)number;
    return at + 1;
}

/* The escape at the beginning of `text` as one character; its size, 0: there is none. */
static size_t unescape_one(tks_bytes text, char *out) {
    static const char names[] = "nrtbf", values[] = "\n\r\t\b\f";
    const char *name = NULL;
    size_t size = 0;
    int number = -1;
    if (text.size < 2) return 0;
    if (*text.data == '&') return unescape_reference(text, out);
    if (*text.data == '%') {
        number = hex_number(text, 1, 2);
        size = 3;
    } else if (text.data[1] == 'u' || text.data[1] == 'U') {
        number = hex_number(text, 2, 4);
        size = 6;
    } else if (text.data[1] == 'x' || text.data[1] == 'X') {
        number = hex_number(text, 2, 2);
        size = 4;
    } else {
        name = memchr(names, text.data[1], sizeof names - 1);
        *out = name != NULL ? values[name - names] : text.data[1];
        return 2;
    }
    if (number < 0 || number > 0xFF) return 0;
    *out = (char)number;
    return size;
}

size_t tksp_unescape(tks_bytes text, char *out) {
    size_t size = 0, step;
    bool escaped = false;
    for (; text.size > 0; text = skip(text, step)) {
        char c = *text.data;
        step = c == '\\' || c == '%' || c == '&' ? unescape_one(text, &c) : 0;
        escaped = escaped || step > 0;
        out[size++] = c;
        if (step == 0) step = 1;
    }
    return escaped ? size : 0;
}

/* ---- bases ---------------------------------------------------------------------------------- */

/* The value of a base64 or base64url character; -1: not one. */
static int digit_64(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

tks_bytes tksp_decode_64(tks_bytes text, char *out, size_t *size) {
    unsigned bits = 0, count = 0;
    *size = 0;
    for (; text.size > 0; text = skip(text, 1)) {
        int digit = digit_64(*text.data);
        if (digit < 0 && is_blank(*text.data)) continue;
        if (digit < 0) break;
        bits = bits << 6 | (unsigned)digit;
        if (++count % 4 != 1) out[(*size)++] = (char)(bits >> (8 - count % 4 * 2) % 8);
    }
    return text;
}

static size_t from_64(tks_bytes text, char *out) {
    size_t size = 0;
    text = tksp_decode_64(trim(text), out, &size);
    while (text.size > 0 && (*text.data == '=' || is_blank(*text.data) || is_quote(*text.data))) {
        text = skip(text, 1);
    }
    return text.size == 0 ? size : 0;
}

/* How many characters of base64, or of hexadecimal, `text` begins with. */
static size_t run_64(tks_bytes text) {
    size_t size = 0;
    while (size < text.size && digit_64(text.data[size]) >= 0) size++;
    return size;
}

/* Finds the longest word, as in "base64:…", "hex:…", a data URL, {"key": "…"}. */
static size_t longest_word(tks_bytes text, char *out) {
    const size_t whole = text.size;
    tks_bytes longest = tks_bytes_of(NULL, 0);
    while (text.size > 0) {
        size_t size = run_64(text);
        if (size > longest.size) longest = tks_bytes_of(text.data, size);
        text = skip(text, size > 0 ? size : 1);
    }
    if (longest.size < WORD_MIN || longest.size == whole) return 0;
    memcpy(out, longest.data, longest.size);
    return longest.size;
}

/* Base64 whose lines are quoted, in a list, or prefixed by "# " or "> ". A single letter belongs to
 * an escape, "\n". */
static size_t without_marks(tks_bytes text, char *out) {
    size_t size = 0;
    bool has_marks = false;
    while (text.size > 0) {
        size_t run = run_64(text);
        if (run > 1) {
            memcpy(out + size, text.data, run);
            size += run;
        }
        has_marks =
            has_marks || run == 1 || (run == 0 && !is_blank(*text.data) && *text.data != '=');
        text = skip(text, run > 0 ? run : 1);
    }
    return has_marks && size >= WORD_MIN ? size : 0;
}

/* Base32 (RFC 4648), in either case. */
static size_t from_32(tks_bytes text, char *out) {
    size_t size = 0;
    unsigned bits = 0, count = 0;
    for (text = trim(text); text.size > 0; text = skip(text, 1)) {
        char c = *text.data, upper = (char)(c & ~0x20);
        if (c == '=' || is_blank(c) || is_quote(c)) continue;
        bool is_letter = upper >= 'A' && upper <= 'Z';
        if (!is_letter && (c < '2' || c > '7')) return 0;
        bits = bits << 5 | (unsigned)(is_letter ? upper - 'A' : c - '2' + 26);
        count += 5;
        if (count >= 8) {
            count -= 8;
            out[size++] = (char)(bits >> count);
        }
    }
    return size;
}

/* The content of the last brackets, as in "der[] = {0x30};" and {"type":"Buffer","data":[48]}; without
 * brackets, everything. */
static tks_bytes inside(tks_bytes text) {
    static const char begins[] = "[({<", ends[] = "])}>";
    size_t at = text.size, size = 0;
    while (at > 0 && memchr(begins, text.data[at - 1], sizeof begins - 1) == NULL) at--;
    text = skip(text, at);
    while (size < text.size && memchr(ends, text.data[size], sizeof ends - 1) == NULL) size++;
    return tks_bytes_of(text.data, size);
}

/* Hexadecimal, also as {0x30, 0x59}, 30:59 and <Buffer 30 59>, and as in SQL: \x3059, x'3059'. */
static size_t from_16(tks_bytes text, char *out) {
    static const char between[] = ":,-;";
    size_t size = 0;
    text = inside(trim(text));
    if (begins_with(text, "Buffer ")) text = skip(text, 7);
    while (text.size > 0) {
        int number = hex_number(text, 0, 2);
        if (begins_with(text, "0x") || begins_with(text, "0X") || begins_with(text, "\\x") ||
            begins_with(text, "x'") || begins_with(text, "X'")) {
            text = skip(text, 2);
        } else if (number >= 0) {
            out[size++] = (char)number;
            text = skip(text, 2);
        } else if (is_blank(*text.data) || is_quote(*text.data) ||
                   memchr(between, *text.data, sizeof between - 1) != NULL) {
            text = skip(text, 1);
        } else {
            return 0;
        }
    }
    return size;
}

static bool is_word(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Reads a leading number, 48, 0x30 or 0x30u8. All numbers above 255 are equivalent. */
static int number_of(tks_bytes *text) {
    const bool is_hex = begins_with(*text, "0x") || begins_with(*text, "0X");
    const int base = is_hex ? 16 : 10;
    int number = 0;
    if (is_hex) *text = skip(*text, 2);
    while (text->size > 0 && digit_16(*text->data) >= 0 && digit_16(*text->data) < base) {
        if (number <= 0xFF) number = number * base + digit_16(*text->data);
        *text = skip(*text, 1);
    }
    while (text->size > 0 && is_word(*text->data)) *text = skip(*text, 1);
    return number;
}

/* Byte numbers, including Java's (-128 to 127), amid other text: [48, 89, -122], [48 89],
 * {"0":48,"1":89}, new byte[] {(byte)0x30}. */
static size_t from_numbers(tks_bytes text, char *out) {
    size_t size = 0;
    while (text.size > 0) {
        const bool is_negative = *text.data == '-' && text.size > 1 && is_digit(text.data[1]);
        if (is_negative) text = skip(text, 1);
        if (is_digit(*text.data)) {
            int number = number_of(&text);
            size_t end = text.size > 0 && is_quote(*text.data);
            bool is_place = end < text.size && text.data[end] == ':';
            if (is_place) continue; /* {"0":48} */
            if (number <= (is_negative ? 128 : 255)) {
                out[size++] = (char)(is_negative ? -number : number);
            }
        } else if (is_word(*text.data)) {
            while (text.size > 0 && is_word(*text.data)) text = skip(text, 1);
        } else {
            text = skip(text, 1);
        }
    }
    return size;
}

/* Removes surrounding whitespace and quotes. */
static tks_bytes unquote(tks_bytes text) {
    tks_bytes left = trim(text);
    while (left.size > 0 && is_blank(left.data[left.size - 1])) left.size--;
    if (left.size > 0 && left.data != text.data && is_quote(left.data[-1]) &&
        left.data[left.size - 1] == left.data[-1]) {
        left.size--;
    }
    return left;
}

/* Base85: five digits encode four bytes; at the end n digits encode n - 1 bytes. */
static size_t decode_85(tks_bytes text, const char *digits, char *out) {
    const size_t room = text.size;
    size_t size = 0, count = 0;
    uint64_t number = 0;
    text = unquote(text);
    if (begins_with(text, "<~")) text = skip(text, 2); /* Adobe's delimiters: <~ … ~> */
    for (; text.size > 0 && size + 4 <= room; text = skip(text, 1)) {
        const char c = *text.data, *digit = memchr(digits, c, BASE_85);
        if (is_blank(c)) continue;
        if (digit == NULL && c == '~') break;
        if (digit == NULL && count == 0 && (c == 'z' || c == 'y')) { /* four NULs, four spaces */
            memset(out + size, c == 'z' ? '\0' : ' ', 4);
            size += 4;
            continue;
        }
        if (digit == NULL) return 0;
        number = number * BASE_85 + (size_t)(digit - digits);
        if (++count < 5) continue;
        if (number > UINT32_MAX) return 0;
        for (int shift = 24; shift >= 0; shift -= 8) out[size++] = (char)(number >> shift);
        number = count = 0;
    }
    for (size_t i = count; i < 5; i++) number = number * BASE_85 + BASE_85 - 1;
    for (int shift = 24; count > 1 && size < room; count--, shift -= 8) {
        out[size++] = (char)(number >> shift);
    }
    return size;
}

static size_t from_ascii_85(tks_bytes text, char *out) {
    static const char digits[BASE_85 + 1] =
        "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "[\\]^_`abcdefghijklmnopqrstu";
    return decode_85(text, digits, out);
}

/* RFC 1924, as git and Python's b85encode write it. */
static size_t from_85(tks_bytes text, char *out) {
    static const char digits[BASE_85 + 1] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
        "uvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    return decode_85(text, digits, out);
}

/* ZeroMQ's RFC 32. */
static size_t from_z85(tks_bytes text, char *out) {
    static const char digits[BASE_85 + 1] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
        "UVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    return decode_85(text, digits, out);
}

const tksp_spelling tksp_spellings[] = {
    narrow,  latin,        tksp_unescape, from_64, longest_word, without_marks, from_32,
    from_16, from_numbers, from_ascii_85, from_85, from_z85,     NULL};
