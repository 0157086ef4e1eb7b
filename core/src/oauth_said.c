/* oauth_said.c - see oauth_said.h. */
#include "oauth_said.h"

#include <string.h>

#include "jwt_secret.h"
#include "tokenstore/secret.h"

static const char withheld[] = "(withheld: it contains a secret)";

enum {
    JWT_MIN = 20,    /* characters from "eyJ" on: shorter text is not a JWT */
    LOOK_MAX = 4096, /* bytes, more than the longest of these texts */
    DEPTH_MAX = 3    /* base64, percent-encoded, in JSON */
};

static bool contains(tks_bytes text, tks_bytes part) {
    if (part.size == 0) return false;
    for (size_t i = 0; i + part.size <= text.size; i++) {
        if (memcmp(text.data + i, part.data, part.size) == 0) return true;
    }
    return false;
}

static bool repeats(tks_bytes text, const tksp_secrets *secrets) {
    for (size_t i = 0; i < secrets->count; i++) {
        if (contains(text, secrets->texts[i])) return true;
    }
    return false;
}

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Like repeats, also with escapes other than those sent, and in base64. */
static bool repeats_spelled(tks_bytes text, const tksp_secrets *secrets, unsigned depth) {
    char room[LOOK_MAX];
    bool found = repeats(text, secrets);
    if (found || depth == DEPTH_MAX) return found;
    if (text.size > LOOK_MAX) text.size = LOOK_MAX;
    size_t size = tksp_unescape(text, room);
    found = size > 0 && repeats_spelled(tks_bytes_of(room, size), secrets, depth + 1);
    for (size_t i = 0; i < text.size && !found; i++) {
        if (!is_alnum(text.data[i]) || (i > 0 && is_alnum(text.data[i - 1]))) continue;
        (void)tksp_decode_64(skip(text, i), room, &size);
        found = repeats(tks_bytes_of(room, size), secrets);
    }
    tks_wipe(room, sizeof room);
    return found;
}

/* The size of a JWT at the beginning of `text`; 0: there is none. */
static size_t jwt_size(tks_bytes text) {
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t size = 0;
    if (text.size < JWT_MIN || memcmp(text.data, "eyJ", 3) != 0) return 0;
    while (size < text.size && text.data[size] != '\0' &&
           strchr(characters, text.data[size]) != NULL) {
        size++;
    }
    return size >= JWT_MIN ? size : 0;
}

/* The first character of `text` and its size in bytes; 0: not UTF-8. */
static uint32_t read_character(tks_bytes text, size_t *size) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text.data[0];
    size_t n = first < 0x80   ? 1
               : first < 0xC2 ? 0
               : first < 0xE0 ? 2
               : first < 0xF0 ? 3
               : first < 0xF5 ? 4
                              : 0;
    uint32_t c = n <= 1 ? first : first & (0x7FU >> n);
    *size = 0;
    if (n == 0 || n > text.size) return 0;
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)text.data[i];
        if ((next & 0xC0) != 0x80) return 0;
        c = c << 6 | (next & 0x3F);
    }
    if (c < least[n] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) return 0;
    *size = n;
    return c;
}

/* Control characters, line separators and bidirectional controls. */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

static void put(const char *text, size_t text_size, char *out, size_t size, size_t *at) {
    if (*at + text_size >= size) {
        *at = size; /* full: append nothing more, not even shorter text */
        return;
    }
    memcpy(out + *at, text, text_size);
    *at += text_size;
    out[*at] = '\0';
}

void tksp_said_text(tks_bytes text, const tksp_secrets *secrets, char *out, size_t size) {
    size_t at = 0, step;
    out[0] = '\0';
    if (repeats_spelled(text, secrets, 0)) {
        put(withheld, sizeof withheld - 1, out, size, &at);
        return;
    }
    for (; text.size > 0 && at < size; text = tks_bytes_of(text.data + step, text.size - step)) {
        uint32_t c;
        step = jwt_size(text);
        if (step > 0) {
            put("(a token)", 9, out, size, &at);
            continue;
        }
        c = read_character(text, &step);
        if (step == 0) {
            step = 1;
            put("?", 1, out, size, &at);
        } else if (is_control(c)) {
            if (at > 0 && out[at - 1] != ' ') put(" ", 1, out, size, &at);
        } else {
            put(text.data, step, out, size, &at);
        }
    }
}

void tksp_said_url(tks_bytes url, const tksp_secrets *secrets, char *out, size_t size) {
    size_t end = 0, host = 0;
    out[0] = '\0';
    if (url.size == 0) return;
    while (end < url.size && url.data[end] != '?' && url.data[end] != '#') end++;
    for (size_t i = 0; i + 2 < end && host == 0; i++) {
        if (memcmp(url.data + i, "://", 3) == 0) host = i + 3;
    }
    size_t at = host;
    for (size_t i = host; i < end && host > 0 && url.data[i] != '/'; i++) {
        if (url.data[i] == '@') at = i + 1;
    }
    tks_bytes rest = tks_bytes_of(url.data + at, end - at);
    if (at == host) {
        tksp_said_text(tks_bytes_of(url.data, end), secrets, out, size);
        return;
    }
    tksp_said_text(tks_bytes_of(url.data, host), secrets, out, size);
    size_t used = strlen(out);
    tksp_said_text(rest, secrets, out + used, size - used);
}
