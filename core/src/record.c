/* record.c - reads and writes the one spelling of a record. */
#include "record.h"

#include "tokenstore/json.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character of a one-letter escape, or -1. */
static int short_escape(char c) {
    switch (c) {
    case '\\': return '\\';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return -1;
    }
}

/* Undoes tks_json_append_name. `text` is what stands between the quotes. False: not its spelling. */
static bool read_name(tks_bytes text, tksp_arena *arena, tks_bytes *out) {
    *out = text;
    if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL) return false;
    if (memchr(text.data, '\\', text.size) == NULL) return true;
    char *name = tksp_arena_alloc(arena, text.size);
    size_t size = 0;
    if (name == NULL) return true; /* the arena remembers */
    for (size_t i = 0; i < text.size; i++) {
        int c = (unsigned char)text.data[i];
        if (c == '\\') {
            if (text.size - i >= 6 && memcmp(text.data + i, "\\u00", 4) == 0) {
                int high = hex_digit(text.data[i + 4]), low = hex_digit(text.data[i + 5]);
                if (high < 0 || low < 0 || high + low == 0) return false;
                c = high * 16 + low;
                i += 5;
            } else if (text.size - i >= 2 && (c = short_escape(text.data[i + 1])) >= 0) {
                i += 1;
            } else {
                return false;
            }
        }
        name[size++] = (char)c;
    }
    *out = tks_bytes_of(name, size);
    return true;
}

static bool read_created(const char *digits, int64_t *out) {
    int64_t us = 0;
    for (int i = 0; i < TKS_CREATED_SIZE; i++) {
        int digit = tksp_key_digit(digits[i]);
        if (digit < 0) return false;
        us = us * 64 + digit;
    }
    *out = us;
    return true;
}

/* `,"tag"]` or `]` behind the data; cuts it off. */
static bool read_end(tks_bytes *rest, tks_bytes *tag) {
    enum { TAG_END = 2 + TKS_TAG_SIZE + 2 };
    *tag = tks_bytes_of(NULL, 0);
    if (rest->size < 3 || rest->data[rest->size - 1] != ']') return false;
    if (rest->data[rest->size - 2] == '}') {
        rest->size -= 1;
    } else {
        if (rest->size < TAG_END + 2) return false;
        const char *end = rest->data + rest->size - TAG_END;
        if (end[0] != ',' || end[1] != '"' || end[TAG_END - 2] != '"') return false;
        *tag = tks_bytes_of(end + 2, TKS_TAG_SIZE);
        rest->size -= TAG_END;
    }
    return rest->data[0] == '{' && rest->data[rest->size - 1] == '}';
}

static bool read_parts(tks_bytes text, tksp_arena *arena, tksp_record *out) {
    const char *at = text.data;
    if (text.size < TKS_RECORD_HEAD + 2 || at[0] != '[' || at[1] != '"' ||
        memcmp(at + TKS_RECORD_HEAD - 2, "\",\"", 3) != 0) {
        return false;
    }
    if (!read_created(at + 2, &out->created_us)) return false;
    out->check = tks_bytes_of(at + 2 + TKS_CREATED_SIZE, TKS_CHECK_SIZE);

    const char *owner = at + TKS_RECORD_HEAD + 1;
    const char *end = at + text.size;
    const char *quote = memchr(owner, '"', (size_t)(end - owner));
    if (quote == NULL || end - quote < 2 || quote[1] != ',') return false;
    if (!read_name(tks_bytes_of(owner, (size_t)(quote - owner)), arena, &out->owner)) return false;
    out->data = tks_bytes_of(quote + 2, (size_t)(end - quote) - 2);
    return read_end(&out->data, &out->tag);
}

tks_status tksp_record_read(tks_bytes text, tksp_arena *arena, tksp_record *out, tks_error *err) {
    memset(out, 0, sizeof *out);
    if (!read_parts(text, arena, out)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "the value at the token's key is not a tokenstore record: does another "
                        "program write to this prefix?");
    }
    return arena->status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

int64_t tksp_record_read_head(tks_bytes head, tks_bytes check) {
    int64_t created_us;
    if (head.size != TKS_CREATED_SIZE + TKS_CHECK_SIZE || check.size != TKS_CHECK_SIZE ||
        memcmp(head.data + TKS_CREATED_SIZE, check.data, TKS_CHECK_SIZE) != 0 ||
        !read_created(head.data, &created_us)) {
        return -2;
    }
    return created_us;
}

tks_status tksp_record_write_tail(tks_buf *out, tks_bytes owner, tks_bytes data, const char *tag) {
    tks_json_append_name(out, owner);
    tks_buf_append_char(out, ',');
    tks_buf_append_bytes(out, data);
    if (tag != NULL) {
        tks_buf_append(out, ",\"", 2);
        tks_buf_append(out, tag, TKS_TAG_SIZE);
        tks_buf_append_char(out, '"');
    }
    return tks_buf_append_char(out, ']');
}
