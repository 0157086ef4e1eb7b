/* json_scan.c - validates a text before a tree is built from it.
 *
 * Purpose:   the grammar of RFC 8259, and the rules of json.h for our data or for data of other writers.
 *            cJSON accepts more than RFC 8259 (leading zeros, control characters, invalid UTF-8) and rounds
 *            or rejects what it cannot represent: the scan detects texts that it must not parse.
 * Lifecycle: allocates nothing.
 * Threads:   no state. */
#include <limits.h>

#include "json_private.h"

typedef struct scan {
    const unsigned char *at, *begin, *end;
    const tks_json_rules *rules;
    tksp_json_facts *facts;
    tks_error *err;
    unsigned depth;
    bool is_object[TKS_JSON_DEPTH_MAX]; /* type of each open level: object or array */
} scan;

static tks_status refuse(const scan *s, const char *problem) {
    return tks_fail(s->err, TKS_ERR_DATA, "not valid JSON at byte %zu: %s",
                    (size_t)(s->at - s->begin), problem);
}

static void skip_space(scan *s) {
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
}

static bool next_is(const scan *s, unsigned char c) {
    return s->at < s->end && *s->at == c;
}

static bool is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

static bool next_is_digit(const scan *s) {
    return s->at < s->end && is_digit(*s->at);
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* The four hexadecimal digits after "\u", or -1. */
static int read_hex4(const unsigned char *at, const unsigned char *end) {
    int code = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        if (is_digit(c)) {
            code = code * 16 + (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            code = code * 16 + (c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            code = code * 16 + (c - 'A' + 10);
        } else {
            return -1;
        }
    }
    return code;
}

int tksp_json_read_escape(const char *at, const char *end, size_t *size) {
    const unsigned char *digits = (const unsigned char *)at + 2, *stop = (const unsigned char *)end;
    int code = read_hex4(digits, stop), low = -1;
    *size = 6;
    if (code < 0xD800 || code > 0xDBFF) return code;
    if (stop - digits >= 6 && digits[4] == '\\' && digits[5] == 'u') {
        low = read_hex4(digits + 6, stop);
    }
    if (low < 0xDC00 || low > 0xDFFF) return code;
    *size = 12;
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

/* At "\u". */
static tks_status scan_unicode_escape(scan *s) {
    size_t size;
    int code = tksp_json_read_escape((const char *)s->at, (const char *)s->end, &size);
    if (code < 0) return refuse(s, "\\u must be followed by four hexadecimal digits");
    if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) {
        if (!s->rules->any) {
            return refuse(s, code == 0 ? "U+0000 is not allowed" : "unpaired surrogate");
        }
        s->facts->is_plain = false;
    }
    s->at += size;
    return TKS_OK;
}

/* At '\'. */
static tks_status scan_escape(scan *s) {
    if (s->end - s->at < 2) return refuse(s, "unterminated string");
    if (s->at[1] == 'u') return scan_unicode_escape(s);
    if (s->at[1] == '\0' || strchr("\"\\/bfnrt", s->at[1]) == NULL) {
        return refuse(s, "unknown escape");
    }
    s->at += 2;
    return TKS_OK;
}

/* At the opening quote. */
static tks_status scan_string(scan *s) {
    tks_status status = TKS_OK;
    s->at++;
    while (status == TKS_OK) {
        while (s->at < s->end && tksp_json_is_plain(*s->at)) s->at++;
        if (s->at == s->end) {
            status = refuse(s, "unterminated string");
        } else if (*s->at == '"') {
            s->at++;
            return TKS_OK;
        } else if (*s->at == '\\') {
            status = scan_escape(s);
        } else if (*s->at < 0x20) {
            status = refuse(s, "unescaped control character");
        } else {
            size_t length = tksp_utf8_sequence(s->at, (size_t)(s->end - s->at));
            if (length == 0) status = refuse(s, "not valid UTF-8");
            s->at += length;
        }
    }
    return status;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

static void skip_digits(scan *s) {
    while (next_is_digit(s)) s->at++;
}

/* Skips fraction and exponent, if any. */
static tks_status skip_rest(scan *s, bool *is_integer) {
    *is_integer = true;
    if (next_is(s, '.')) {
        s->at++;
        *is_integer = false;
        s->facts->has_fraction = true;
        if (!next_is_digit(s)) return refuse(s, "a digit is missing");
        skip_digits(s);
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->at++;
        *is_integer = false;
        if (next_is(s, '+') || next_is(s, '-')) s->at++;
        if (!next_is_digit(s)) return refuse(s, "a digit is missing");
        skip_digits(s);
    }
    return TKS_OK;
}

static bool integer_is_safe(const unsigned char *at, const unsigned char *end) {
    int64_t value = 0;
    for (at += *at == '-'; at < end; at++) {
        value = value * 10 + (*at - '0');
        if (value > TKS_JSON_INTEGER_MAX) return false;
    }
    return true;
}

/* An integer that begins at `begin`. */
static tks_status check_integer(scan *s, const unsigned char *begin) {
    const unsigned char *end = s->at;
    if (integer_is_safe(begin, end)) return TKS_OK;
    s->facts->is_plain = false;
    s->at = begin; /* the position for messages */
    if (!s->rules->any) return refuse(s, "an integer beyond 2^53-1: write it as a string");
    if (end - begin - (*begin == '-') > TKS_JSON_DIGITS_MAX) {
        return refuse(s, "an integer of more than 4300 digits");
    }
    s->at = end;
    return TKS_OK;
}

static tks_status scan_number(scan *s) {
    const unsigned char *begin = s->at;
    bool is_integer;
    if (next_is(s, '-')) s->at++;
    if (!next_is_digit(s)) return refuse(s, "a digit is missing");
    if (next_is(s, '0')) {
        s->at++;
        if (next_is_digit(s)) return refuse(s, "a number with a leading zero");
    }
    skip_digits(s);
    tks_status status = skip_rest(s, &is_integer);
    if (status != TKS_OK) return status;
    if (is_integer) return check_integer(s, begin);
    s->facts->has_double = true;
    if (s->at - begin > TKSP_NUMBER_MAX) s->facts->is_plain = false;
    return TKS_OK;
}

/* ---- values ------------------------------------------------------------------------------------ */

static tks_status scan_word(scan *s, tks_bytes word) {
    if ((size_t)(s->end - s->at) < word.size || memcmp(s->at, word.data, word.size) != 0) {
        return refuse(s, "a value is missing");
    }
    s->at += word.size;
    return TKS_OK;
}

/* `"name" :` of a member. */
static tks_status scan_name(scan *s) {
    if (!next_is(s, '"')) return refuse(s, "a name in quotes is missing");
    tks_status status = scan_string(s);
    if (status != TKS_OK) return status;
    skip_space(s);
    if (!next_is(s, ':')) return refuse(s, "':' is missing");
    s->at++;
    skip_space(s);
    return TKS_OK;
}

/* At '[' or '{'. */
static tks_status open_level(scan *s) {
    if (s->depth == s->rules->max_depth) {
        return tks_fail(s->err, TKS_ERR_DATA, "not valid JSON at byte %zu: nested deeper than %u",
                        (size_t)(s->at - s->begin), s->rules->max_depth);
    }
    s->is_object[s->depth++] = *s->at == '{';
    s->at++;
    skip_space(s);
    return TKS_OK;
}

/* At the value's first byte. */
static tks_status scan_value(scan *s) {
    if (s->at == s->end) return refuse(s, "a value is missing");
    switch (*s->at) {
    case '{':
    case '[': return open_level(s);
    case '"': return scan_string(s);
    case 't': return scan_word(s, TKS_LITERAL("true"));
    case 'f': return scan_word(s, TKS_LITERAL("false"));
    case 'n': return scan_word(s, TKS_LITERAL("null"));
    default: break;
    }
    return *s->at == '-' || is_digit(*s->at) ? scan_number(s) : refuse(s, "a value is missing");
}

/* After a value, or after an opening bracket (`first`): closes the levels that end here. *more: another value
 * follows. */
static tks_status scan_between(scan *s, bool first, bool *more) {
    *more = false;
    while (s->depth > 0) {
        bool is_object = s->is_object[s->depth - 1];
        if (!first) skip_space(s);
        if (next_is(s, is_object ? '}' : ']')) {
            s->at++;
            s->depth--;
            first = false;
            continue;
        }
        if (!first) {
            if (!next_is(s, ',')) {
                return refuse(s, is_object ? "',' or '}' is missing" : "',' or ']' is missing");
            }
            s->at++;
            skip_space(s);
        }
        *more = true;
        return is_object ? scan_name(s) : TKS_OK;
    }
    return TKS_OK;
}

static tks_status scan_text(scan *s) {
    bool more = true;
    tks_status status = TKS_OK;
    skip_space(s);
    while (status == TKS_OK && more) {
        unsigned before = s->depth;
        status = scan_value(s);
        if (status == TKS_OK) status = scan_between(s, s->depth > before, &more);
    }
    if (status != TKS_OK) return status;
    skip_space(s);
    return s->at == s->end ? TKS_OK : refuse(s, "data after the value");
}

tks_status tksp_json_scan(tks_bytes text, const tks_json_rules *rules, tksp_json_facts *facts,
                          tks_error *err) {
    size_t max_size =
        rules->max_size < INT_MAX ? rules->max_size : INT_MAX; /* the type of a node's name size */
    scan s;
    if (text.size > max_size) {
        return tks_fail(err, TKS_ERR_DATA, "%zu bytes of JSON, over the limit of %zu", text.size,
                        max_size);
    }
    if (text.size == 0) return tks_fail(err, TKS_ERR_DATA, "not valid JSON: the text is empty");
    *facts = (tksp_json_facts){.is_plain = true};
    s.at = s.begin = (const unsigned char *)text.data;
    s.end = s.begin + text.size;
    s.rules = rules;
    s.facts = facts;
    s.err = err;
    s.depth = 0;
    return scan_text(&s);
}

/* ---- numbers of a scanned text ----------------------------------------------------------------- */

/* Outside strings only numbers contain digits, so the text need not be parsed again. */
tks_bytes tksp_json_next_number(tks_bytes text, size_t *at) {
    size_t i = *at;
    for (; i < text.size && !is_digit((unsigned char)text.data[i]); i++) {
        if (text.data[i] != '"') continue;
        for (i++; i < text.size && text.data[i] != '"'; i++) i += text.data[i] == '\\';
    }
    size_t begin = i;
    while (i < text.size &&
           (is_digit((unsigned char)text.data[i]) || text.data[i] == '-' || text.data[i] == '+' ||
            text.data[i] == '.' || text.data[i] == 'e' || text.data[i] == 'E')) {
        i++;
    }
    *at = i;
    return tks_bytes_of(text.data + begin, i - begin);
}

bool tksp_json_is_integer(tks_bytes number) {
    for (size_t i = 0; i < number.size; i++) {
        if (!is_digit((unsigned char)number.data[i])) return false;
    }
    return true;
}
