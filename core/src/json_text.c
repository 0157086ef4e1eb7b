/* json_text.c - JSON strings: UTF-8, escapes, names.
 *
 * Threads:   no state. */
#include "json_private.h"

size_t tksp_utf8_sequence(const unsigned char *at, size_t left) {
    /* The Unicode Standard, table 3-7: only the second byte's range depends on the first. */
    unsigned char lead = at[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t length = 0;

    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) {
            low = 0xA0; /* below is overlong */
        } else if (lead == 0xED) {
            high = 0x9F; /* above are surrogates */
        }
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) {
            low = 0x90; /* below is overlong */
        } else if (lead == 0xF4) {
            high = 0x8F; /* above is beyond U+10FFFF */
        }
    } else {
        return 0;
    }
    if (left < length || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

size_t tksp_json_escape(unsigned char c, char *out) {
    static const char digits[] = "0123456789abcdef";
    char letter = 0;

    switch (c) {
    case '"':
    case '\\': letter = (char)c; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default:
        memcpy(out, "\\u00", 4);
        out[4] = digits[c >> 4];
        out[5] = digits[c & 15];
        return TKSP_ESCAPE_MAX;
    }
    out[0] = '\\';
    out[1] = letter;
    return 2;
}

tks_status tks_json_append_name(tks_buf *out, tks_bytes text) {
    const unsigned char *data = (const unsigned char *)text.data;
    char escape[TKSP_ESCAPE_MAX];
    size_t begin = 0; /* start of the bytes not yet written */

    tks_buf_append_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = data[i];
        if (tksp_json_is_plain(c) || c >= 0x80) {
            continue;
        }
        if (c == 0) {
            return TKS_ERR_DATA;
        }
        tks_buf_append(out, text.data + begin, i - begin);
        begin = i + 1;
        if (c == '"') {
            tks_buf_append_bytes(out, TKS_LITERAL("\\u0022"));
        } else {
            tks_buf_append(out, escape, tksp_json_escape(c, escape));
        }
    }
    if (begin < text.size) {
        tks_buf_append(out, text.data + begin, text.size - begin);
    }
    return tks_buf_append_char(out, '"');
}

/* The index after the string whose opening quote is at `at`; `size` if it is not terminated. */
static size_t skip_string(tks_bytes text, size_t at) {
    for (at++; at < text.size; at++) {
        if (text.data[at] == '\\') {
            at++;
        } else if (text.data[at] == '"') {
            return at + 1;
        }
    }
    return text.size;
}

/* The index after the value at `at`. */
static size_t skip_value(tks_bytes text, size_t at) {
    size_t depth = 0;

    while (at < text.size) {
        char c = text.data[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            return at;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        at++;
    }
    return at;
}

bool tks_json_next_member(tks_bytes object, size_t *at, tks_bytes *name, tks_bytes *value) {
    size_t begin = *at + 1; /* after '{' or ',' */
    size_t colon = 0;
    size_t end = 0;

    *name = *value = tks_bytes_of(NULL, 0);
    if (begin >= object.size || object.data[begin] != '"') {
        return false;
    }
    colon = skip_string(object, begin);
    if (colon >= object.size || object.data[colon] != ':') {
        return false;
    }
    end = skip_value(object, colon + 1);
    *name = tks_bytes_of(object.data + begin, colon - begin);
    *value = tks_bytes_of(object.data + colon + 1, end - colon - 1);
    *at = end; /* at ',' or '}' */
    return true;
}

bool tks_json_next_item(tks_bytes array, size_t *at, tks_bytes *item) {
    size_t begin = *at + 1; /* after '[' or ',' */
    *item = tks_bytes_of(NULL, 0);
    if (begin >= array.size || array.data[begin] == ']') {
        return false;
    }
    size_t end = skip_value(array, begin);
    *item = tks_bytes_of(array.data + begin, end - begin);
    *at = end; /* at ',' or ']' */
    return true;
}
