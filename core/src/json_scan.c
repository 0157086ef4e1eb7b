/* json_scan.c - the strict scan that every JSON text passes before cJSON sees it.
 *
 * Purpose:   cJSON takes more than RFC 8259 does (leading zeros, control characters, invalid UTF-8,
 *            any nesting up to 1000, numbers cut at 63 characters) and rounds what it cannot hold.
 *            What passes here is plain JSON that every reader reads alike.
 * Lifecycle: builds nothing.
 * Threads:   nothing here keeps state. */
#include <math.h>

#include "json_private.h"

typedef struct scan {
    const unsigned char *at, *begin, *end;
    unsigned depth, max_depth;
    tksp_json_facts facts;
    tks_error *err;
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

/* The four hexadecimal digits behind "\u", or -1. */
static int read_hex4(const unsigned char *at, const unsigned char *end) {
    int code = 0;

    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        int digit = 0;
        if (is_digit(c)) {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10;
        } else {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

/* At "\u". */
static tks_status scan_unicode_escape(scan *s) {
    int code = read_hex4(s->at + 2, s->end);
    int low = 0;

    if (code < 0) {
        return refuse(s, "\\u wants four hexadecimal digits");
    }
    if (code == 0) {
        return refuse(s, "U+0000 is not allowed");
    }
    if (code >= 0xD800 && code <= 0xDFFF) {
        const unsigned char *next = s->at + 6;
        if (code <= 0xDBFF && s->end - next >= 2 && next[0] == '\\' && next[1] == 'u') {
            low = read_hex4(next + 2, s->end);
        }
        if (low < 0xDC00 || low > 0xDFFF) {
            return refuse(s, "half of a surrogate pair");
        }
        s->at += 6;
    }
    s->at += 6;
    return TKS_OK;
}

/* At '\'. */
static tks_status scan_escape(scan *s) {
    if (s->end - s->at < 2) {
        return refuse(s, "the string does not end");
    }
    switch (s->at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': s->at += 2; return TKS_OK;
    case 'u': return scan_unicode_escape(s);
    default: return refuse(s, "an unknown escape");
    }
}

/* At the opening quote. */
static tks_status scan_string(scan *s) {
    tks_status status = TKS_OK;

    s->at++;
    while (status == TKS_OK) {
        while (s->at < s->end && tksp_json_is_plain(*s->at)) {
            s->at++;
        }
        if (s->at == s->end) {
            status = refuse(s, "the string does not end");
        } else if (*s->at == '"') {
            s->at++;
            return TKS_OK;
        } else if (*s->at == '\\') {
            status = scan_escape(s);
        } else if (*s->at < 0x20) {
            status = refuse(s, "a control character must be written as an escape");
        } else {
            size_t length = tksp_utf8_sequence(s->at, (size_t)(s->end - s->at));
            if (length == 0) {
                status = refuse(s, "not valid UTF-8");
            }
            s->at += length;
        }
    }
    return status;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

static void skip_digits(scan *s) {
    while (next_is_digit(s)) {
        s->at++;
    }
}

static bool integer_is_safe(tks_bytes number) {
    int64_t value = 0;

    for (size_t i = number.data[0] == '-'; i < number.size; i++) {
        value = value * 10 + (number.data[i] - '0');
        if (value > TKS_JSON_INTEGER_MAX) {
            return false;
        }
    }
    return true;
}

/* TKS_ERR_DATA: too large. */
static tks_status check_finite(tks_bytes number) {
    tksp_c_locale locale;
    double value = 0;

    if (tksp_c_locale_enter(&locale) != TKS_OK) {
        return TKS_ERR_MEMORY;
    }
    value = tksp_json_read_double(number);
    tksp_c_locale_leave(&locale);
    return isfinite(value) ? TKS_OK : TKS_ERR_DATA;
}

/* The limits of a number that begins at `begin`. */
static tks_status check_number(scan *s, const unsigned char *begin, bool fraction, bool exponent) {
    tks_bytes number = tks_bytes_of((const char *)begin, (size_t)(s->at - begin));
    tks_status status = TKS_OK;

    s->facts.has_fraction |= fraction;
    s->facts.has_exponent |= exponent;
    s->at = begin; /* the place that messages name */
    if (number.size > TKSP_NUMBER_MAX) {
        return refuse(s, "a number of more than 63 characters");
    }
    if (!fraction && !exponent && !integer_is_safe(number)) {
        return refuse(s, "an integer beyond 2^53-1: write it as a string");
    }
    if (exponent) { /* 63 digits alone do not overflow */
        status = check_finite(number);
        if (status == TKS_ERR_MEMORY) {
            return tks_fail_memory(s->err);
        }
        if (status != TKS_OK) {
            return refuse(s, "a number too large for a double");
        }
    }
    s->at += number.size;
    return TKS_OK;
}

static tks_status scan_number(scan *s) {
    const unsigned char *begin = s->at;
    bool fraction = false;
    bool exponent = false;

    if (next_is(s, '-')) {
        s->at++;
    }
    if (next_is(s, '0')) {
        s->at++;
        if (next_is_digit(s)) {
            return refuse(s, "a number with a leading zero");
        }
    } else if (next_is_digit(s)) {
        skip_digits(s);
    } else {
        return refuse(s, "a digit is missing");
    }
    if (next_is(s, '.')) {
        s->at++;
        fraction = true;
        if (!next_is_digit(s)) {
            return refuse(s, "a digit is missing");
        }
        skip_digits(s);
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->at++;
        exponent = true;
        if (next_is(s, '+') || next_is(s, '-')) {
            s->at++;
        }
        if (!next_is_digit(s)) {
            return refuse(s, "a digit is missing");
        }
        skip_digits(s);
    }
    return check_number(s, begin, fraction, exponent);
}

/* ---- values ------------------------------------------------------------------------------------ */

static tks_status scan_value(scan *s);

static tks_status scan_word(scan *s, tks_bytes word) {
    if ((size_t)(s->end - s->at) < word.size || memcmp(s->at, word.data, word.size) != 0) {
        return refuse(s, "a value is missing");
    }
    s->at += word.size;
    return TKS_OK;
}

/* `"name" :` of a member. */
static tks_status scan_name(scan *s) {
    tks_status status = TKS_OK;

    if (!next_is(s, '"')) {
        return refuse(s, "a name in quotes is missing");
    }
    status = scan_string(s);
    if (status != TKS_OK) {
        return status;
    }
    skip_space(s);
    if (!next_is(s, ':')) {
        return refuse(s, "':' is missing");
    }
    s->at++;
    skip_space(s);
    return TKS_OK;
}

/* At '[' or '{', which `close` ends. */
static tks_status scan_members(scan *s, unsigned char close) {
    tks_status status = TKS_OK;

    if (s->depth == s->max_depth) {
        return refuse(s, "nested deeper than 32");
    }
    s->depth++;
    s->at++;
    skip_space(s);
    if (!next_is(s, close)) {
        for (;;) {
            if (close == '}') {
                status = scan_name(s);
            }
            if (status == TKS_OK) {
                status = scan_value(s);
            }
            if (status != TKS_OK) {
                return status;
            }
            skip_space(s);
            if (!next_is(s, ',')) {
                break;
            }
            s->at++;
            skip_space(s);
        }
    }
    if (!next_is(s, close)) {
        return refuse(s, close == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
    }
    s->at++;
    s->depth--;
    return TKS_OK;
}

/* At the value's first byte. Recursion ends at `max_depth`. */
static tks_status scan_value(scan *s) {
    if (s->at == s->end) {
        return refuse(s, "a value is missing");
    }
    switch (*s->at) {
    case '{': return scan_members(s, '}');
    case '[': return scan_members(s, ']');
    case '"': return scan_string(s);
    case 't': return scan_word(s, TKS_LITERAL("true"));
    case 'f': return scan_word(s, TKS_LITERAL("false"));
    case 'n': return scan_word(s, TKS_LITERAL("null"));
    default: break;
    }
    if (*s->at == '-' || is_digit(*s->at)) {
        return scan_number(s);
    }
    return refuse(s, "a value is missing");
}

tks_status tksp_json_scan(tks_bytes text, size_t max_size, unsigned max_depth,
                          tksp_json_facts *facts, tks_error *err) {
    scan s = {0};
    tks_status status = TKS_OK;

    *facts = s.facts;
    if (text.size > max_size) {
        return tks_fail(err, TKS_ERR_DATA, "%zu bytes of JSON, over the limit of %zu", text.size,
                        max_size);
    }
    if (text.size == 0) {
        return tks_fail(err, TKS_ERR_DATA, "not valid JSON: the text is empty");
    }
    s.at = s.begin = (const unsigned char *)text.data;
    s.end = s.begin + text.size;
    s.max_depth = max_depth;
    s.err = err;
    skip_space(&s);
    status = scan_value(&s);
    if (status != TKS_OK) {
        return status;
    }
    skip_space(&s);
    if (s.at != s.end) {
        return refuse(&s, "bytes behind the value");
    }
    *facts = s.facts;
    return TKS_OK;
}

tks_status tks_json_check(tks_bytes text, size_t max_size, tks_error *err) {
    tksp_json_facts facts;

    return tksp_json_scan(text, max_size, TKS_JSON_DEPTH, &facts, err);
}

tks_status tks_json_check_envelope(tks_bytes text, size_t max_size, tks_error *err) {
    tksp_json_facts facts;

    return tksp_json_scan(text, max_size, TKS_JSON_DEPTH + 1, &facts, err);
}

/* ---- the numbers of a scanned text -------------------------------------------------------------- */

/* Outside of strings only numbers hold digits, so there is no need to parse again. */
tks_bytes tksp_json_next_number(tks_bytes text, size_t *at) {
    size_t i = *at;
    size_t begin = 0;

    for (; i < text.size && !is_digit((unsigned char)text.data[i]); i++) {
        if (text.data[i] != '"') {
            continue;
        }
        for (i++; i < text.size && text.data[i] != '"'; i++) {
            if (text.data[i] == '\\') {
                i++;
            }
        }
    }
    for (begin = i; i < text.size; i++) {
        char c = text.data[i];
        if (!is_digit((unsigned char)c) && c != '-' && c != '+' && c != '.' && c != 'e' &&
            c != 'E') {
            break;
        }
    }
    *at = i;
    return tks_bytes_of(text.data + begin, i - begin);
}

bool tksp_json_is_integer(tks_bytes number) {
    for (size_t i = 0; i < number.size; i++) {
        if (!is_digit((unsigned char)number.data[i])) {
            return false;
        }
    }
    return true;
}
