/* json_read.c - reads a text into a tree in one pass.
 *
 * Purpose:   the grammar of RFC 8259, no more; and the rules of json.h for our own data, or what other
 *            writers may store. No library does both: they cut strings at U+0000, refuse half of a
 *            surrogate pair, or round integers.
 * Lifecycle: the parser is on the caller's stack and borrows the text; the tree owns what it has.
 * Threads:   nothing here keeps state; the "C" locale is the calling thread's alone. */
#include <math.h>
#include <stdlib.h>

#include "json_private.h"

typedef struct level {
    tks_json *node; /* an array or object that is open */
    tks_json *last; /* its last child so far */
} level;

typedef struct parser {
    const unsigned char *at, *begin, *end;
    const tks_json_rules *rules;
    tksp_json_tree *tree;
    tks_error *err;
    tks_bytes name; /* of the member at hand */
    bool has_locale;
    tksp_c_locale locale;
    unsigned depth;
    level levels[TKS_JSON_DEPTH_MAX];
} parser;

static tks_status refuse(const parser *p, const char *problem) {
    return tks_fail(p->err, TKS_ERR_DATA, "not valid JSON at byte %zu: %s",
                    (size_t)(p->at - p->begin), problem);
}

static void skip_space(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
        p->at++;
}

static bool next_is(const parser *p, unsigned char c) {
    return p->at < p->end && *p->at == c;
}

static bool is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

static bool next_is_digit(const parser *p) {
    return p->at < p->end && is_digit(*p->at);
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* The four hexadecimal digits behind "\u", or -1. */
static int read_hex4(const unsigned char *at, const unsigned char *end) {
    int code = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        if (is_digit(c))
            code = code * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            code = code * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            code = code * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return code;
}

/* As UTF-8; half of a surrogate pair in the three bytes that it would have (WTF-8). */
static char *put_code(char *out, int code) {
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xE0 | code >> 12);
        } else {
            *out++ = (char)(0xF0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* At "\u". */
static tks_status read_unicode_escape(parser *p, char **out) {
    int code = read_hex4(p->at + 2, p->end), low = -1;
    size_t size = 6;
    if (code < 0) return refuse(p, "\\u wants four hexadecimal digits");
    if (code == 0 && !p->rules->any) return refuse(p, "U+0000 is not allowed");
    if (code >= 0xD800 && code <= 0xDFFF) {
        const unsigned char *next = p->at + 6;
        if (code <= 0xDBFF && p->end - next >= 2 && next[0] == '\\' && next[1] == 'u')
            low = read_hex4(next + 2, p->end);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            size = 12;
        } else if (!p->rules->any) {
            return refuse(p, "half of a surrogate pair");
        }
    }
    *out = put_code(*out, code);
    p->at += size;
    return TKS_OK;
}

/* At '\'. */
static tks_status read_escape(parser *p, char **out) {
    char c;
    if (p->end - p->at < 2) return refuse(p, "the string does not end");
    switch (p->at[1]) {
    case '"':
    case '\\':
    case '/': c = (char)p->at[1]; break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u': return read_unicode_escape(p, out);
    default: return refuse(p, "an unknown escape");
    }
    *(*out)++ = c;
    p->at += 2;
    return TKS_OK;
}

/* At the opening quote. */
static tks_status read_string(parser *p, tks_bytes *string) {
    char *begin = p->tree->room, *out = begin;
    tks_status status = TKS_OK;
    p->at++;
    while (status == TKS_OK) {
        const unsigned char *from = p->at;
        while (p->at < p->end && tksp_json_is_plain(*p->at)) p->at++;
        memcpy(out, from, (size_t)(p->at - from));
        out += p->at - from;
        if (p->at == p->end) {
            status = refuse(p, "the string does not end");
        } else if (*p->at == '"') {
            p->at++;
            *out = '\0';
            *string = tks_bytes_of(begin, (size_t)(out - begin));
            p->tree->room = out + 1;
            return TKS_OK;
        } else if (*p->at == '\\') {
            status = read_escape(p, &out);
        } else if (*p->at < 0x20) {
            status = refuse(p, "a control character must be written as an escape");
        } else {
            size_t length = tksp_utf8_sequence(p->at, (size_t)(p->end - p->at));
            if (length == 0) {
                status = refuse(p, "not valid UTF-8");
            } else {
                memcpy(out, p->at, length);
                out += length;
                p->at += length;
            }
        }
    }
    p->tree->room = out; /* to be wiped */
    return status;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

static void skip_digits(parser *p) {
    while (next_is_digit(p)) p->at++;
}

/* Fraction and exponent, if there are any. */
static tks_status skip_rest(parser *p, bool *is_integer) {
    *is_integer = true;
    if (next_is(p, '.')) {
        p->at++;
        *is_integer = false;
        if (!next_is_digit(p)) return refuse(p, "a digit is missing");
        skip_digits(p);
    }
    if (next_is(p, 'e') || next_is(p, 'E')) {
        p->at++;
        *is_integer = false;
        if (next_is(p, '+') || next_is(p, '-')) p->at++;
        if (!next_is_digit(p)) return refuse(p, "a digit is missing");
        skip_digits(p);
    }
    return TKS_OK;
}

/* The text from `begin` on as a double. strtod wants a NUL, and '.' for the decimal point. */
static tks_status read_double(parser *p, const unsigned char *begin, double *out) {
    size_t size = (size_t)(p->at - begin);
    char *copy = p->tree->room; /* the delimiter's place is free for the NUL */
    if (!p->has_locale) {
        if (tksp_c_locale_enter(&p->locale) != TKS_OK) return tks_fail_memory(p->err);
        p->has_locale = true;
    }
    memcpy(copy, begin, size);
    copy[size] = '\0';
    *out = strtod(copy, NULL);
    return TKS_OK;
}

/* Digits, and before them perhaps '-', as an integer of 64 bits. False: it is none. */
static bool fits(const unsigned char *at, const unsigned char *end, int64_t *out) {
    bool negative = *at == '-';
    uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;
    for (at += negative; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (most - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = negative ? -1 - (int64_t)(value - 1) : (int64_t)value;
    return true;
}

static tks_status read_integer(parser *p, const unsigned char *begin, tks_json *node) {
    const unsigned char *end = p->at;
    int64_t value = 0;
    bool small = fits(begin, end, &value);
    if (small &&
        (p->rules->any || (value <= TKS_JSON_INTEGER_MAX && value >= -TKS_JSON_INTEGER_MAX))) {
        node->type = TKS_JSON_INTEGER;
        node->u.integer = value;
        return TKS_OK;
    }
    p->at = begin; /* the place that messages name */
    if (!p->rules->any) return refuse(p, "an integer beyond 2^53-1: write it as a string");
    if (end - begin - (*begin == '-') > TKS_JSON_DIGITS_MAX)
        return refuse(p, "an integer of more than 4300 digits");
    p->at = end;
    tks_status status = read_double(p, begin, &node->u.number);
    node->type = TKS_JSON_BIG;
    node->text = tks_bytes_of(p->tree->room, (size_t)(end - begin));
    p->tree->room += node->text.size + 1;
    return status;
}

static tks_status read_number(parser *p, tks_json *node) {
    const unsigned char *begin = p->at;
    bool is_integer;
    if (next_is(p, '-')) p->at++;
    if (!next_is_digit(p)) return refuse(p, "a digit is missing");
    if (next_is(p, '0')) {
        p->at++;
        if (next_is_digit(p)) return refuse(p, "a number with a leading zero");
    }
    skip_digits(p);
    tks_status status = skip_rest(p, &is_integer);
    if (status != TKS_OK) return status;
    if (is_integer) return read_integer(p, begin, node);
    node->type = TKS_JSON_DOUBLE;
    status = read_double(p, begin, &node->u.number);
    if (status == TKS_OK && !p->rules->any && !isfinite(node->u.number)) {
        p->at = begin;
        status = refuse(p, "a number too large for a double");
    }
    return status;
}

/* ---- values ------------------------------------------------------------------------------------ */

static tks_status read_word(parser *p, tks_bytes word, tks_json *node, tks_json_type type) {
    if ((size_t)(p->end - p->at) < word.size || memcmp(p->at, word.data, word.size) != 0)
        return refuse(p, "a value is missing");
    p->at += word.size;
    node->type = type;
    node->u.integer = *word.data == 't';
    return TKS_OK;
}

/* `"name" :` of a member. */
static tks_status read_name(parser *p) {
    if (!next_is(p, '"')) return refuse(p, "a name in quotes is missing");
    tks_status status = read_string(p, &p->name);
    if (status != TKS_OK) return status;
    skip_space(p);
    if (!next_is(p, ':')) return refuse(p, "':' is missing");
    p->at++;
    skip_space(p);
    return TKS_OK;
}

/* A node for the value at hand, at its place in the tree. */
static tks_json *add_node(parser *p) {
    tks_json *node = p->depth == 0 ? &p->tree->root : tksp_json_tree_node(p->tree);
    if (node == NULL) return NULL;
    *node = (tks_json){.name = p->name};
    p->name = tks_bytes_of(NULL, 0);
    if (p->depth > 0) {
        level *open = &p->levels[p->depth - 1];
        if (open->last == NULL)
            open->node->child = node;
        else
            open->last->next = node;
        open->last = node;
        open->node->u.size++;
    }
    return node;
}

/* At '[' or '{'. */
static tks_status open_level(parser *p, tks_json *node) {
    if (p->depth == p->rules->max_depth)
        return tks_fail(p->err, TKS_ERR_DATA, "not valid JSON at byte %zu: nested deeper than %u",
                        (size_t)(p->at - p->begin), p->rules->max_depth);
    node->type = *p->at == '{' ? TKS_JSON_OBJECT : TKS_JSON_ARRAY;
    p->levels[p->depth++] = (level){.node = node};
    p->at++;
    skip_space(p);
    return TKS_OK;
}

/* At the value's first byte. */
static tks_status read_value(parser *p) {
    if (p->at == p->end) return refuse(p, "a value is missing");
    tks_json *node = add_node(p);
    if (node == NULL) return tks_fail_memory(p->err);
    switch (*p->at) {
    case '{':
    case '[': return open_level(p, node);
    case '"': node->type = TKS_JSON_STRING; return read_string(p, &node->text);
    case 't': return read_word(p, TKS_LITERAL("true"), node, TKS_JSON_BOOL);
    case 'f': return read_word(p, TKS_LITERAL("false"), node, TKS_JSON_BOOL);
    case 'n': return read_word(p, TKS_LITERAL("null"), node, TKS_JSON_NULL);
    default: break;
    }
    return *p->at == '-' || is_digit(*p->at) ? read_number(p, node)
                                             : refuse(p, "a value is missing");
}

/* Behind a value, or behind a bracket (`first`): ends what ends here. *more: another value follows. */
static tks_status read_between(parser *p, bool first, bool *more) {
    *more = false;
    while (p->depth > 0) {
        tks_json *open = p->levels[p->depth - 1].node;
        bool is_object = open->type == TKS_JSON_OBJECT;
        if (!first) skip_space(p);
        if (next_is(p, is_object ? '}' : ']')) {
            p->at++;
            p->depth--;
            first = false;
            tks_status status = is_object && open->u.size > 1
                                    ? tksp_json_check_names(open, p->rules->last_counts, p->err)
                                    : TKS_OK;
            if (status != TKS_OK) return status;
            continue;
        }
        if (!first) {
            if (!next_is(p, ','))
                return refuse(p, is_object ? "',' or '}' is missing" : "',' or ']' is missing");
            p->at++;
            skip_space(p);
        }
        *more = true;
        return is_object ? read_name(p) : TKS_OK;
    }
    return TKS_OK;
}

static tks_status read_text(parser *p) {
    bool more = true;
    tks_status status = TKS_OK;
    skip_space(p);
    while (status == TKS_OK && more) {
        unsigned before = p->depth;
        status = read_value(p);
        if (status == TKS_OK) status = read_between(p, p->depth > before, &more);
    }
    if (status != TKS_OK) return status;
    skip_space(p);
    return p->at == p->end ? TKS_OK : refuse(p, "bytes behind the value");
}

tks_status tks_json_read(tks_bytes text, const tks_json_rules *rules, tks_json **out,
                         tks_error *err) {
    parser p;
    *out = NULL;
    if (text.size > rules->max_size)
        return tks_fail(err, TKS_ERR_DATA, "%zu bytes of JSON, over the limit of %zu", text.size,
                        rules->max_size);
    if (text.size == 0) return tks_fail(err, TKS_ERR_DATA, "not valid JSON: the text is empty");
    p.at = p.begin = (const unsigned char *)text.data;
    p.end = p.begin + text.size;
    p.rules = rules;
    p.err = err;
    p.name = tks_bytes_of(NULL, 0);
    p.has_locale = false;
    p.depth = 0;
    p.tree = tksp_json_tree_new(text.size);
    if (p.tree == NULL) return tks_fail_memory(err);
    tks_status status = read_text(&p);
    if (p.has_locale) tksp_c_locale_leave(&p.locale);
    if (status != TKS_OK) {
        tksp_json_tree_free(p.tree);
        return status;
    }
    *out = &p.tree->root;
    return TKS_OK;
}

tks_status tks_json_read_foreign(tks_bytes text, tks_json **out, tks_error *err) {
    static const tks_json_rules rules = {.max_size = SIZE_MAX,
                                         .max_depth = TKS_JSON_DEPTH_MAX,
                                         .any = true,
                                         .last_counts = true};
    return tks_json_read(text, &rules, out, err);
}

tks_status tks_json_parse(tks_bytes text, size_t max_size, tks_json **out, tks_error *err) {
    const tks_json_rules rules = {.max_size = max_size, .max_depth = TKS_JSON_DEPTH};
    return tks_json_read(text, &rules, out, err);
}

tks_status tks_json_check(tks_bytes text, size_t max_size, tks_error *err) {
    tks_json *tree;
    tks_status status = tks_json_parse(text, max_size, &tree, err);
    tks_json_free(tree);
    return status;
}
