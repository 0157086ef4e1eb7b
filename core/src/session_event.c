/* session_event.c - channels, messages and flags of keyspace notifications. */
#include "tokenstore/session_event.h"

enum { RANDOM_SIZE = 11 }; /* characters that the Node package redis-jwt appends to the id */

const char *tks_session_end_name(tks_session_end kind) {
    return kind == TKS_SESSION_EXPIRED ? "expired" : "del";
}

tks_status tks_session_channel(tks_session_end kind, uint32_t db, tks_buf *out) {
    const char *name = tks_session_end_name(kind);
    tks_buf_append_bytes(out, TKS_LITERAL("__keyevent@"));
    tks_buf_append_int(out, db);
    tks_buf_append_bytes(out, TKS_LITERAL("__:"));
    return tks_buf_append(out, name, strlen(name));
}

/* Removes the prefix `part` from `bytes`. */
static bool skip(tks_bytes *bytes, const char *part, size_t size) {
    if (bytes->size < size || memcmp(bytes->data, part, size) != 0) return false;
    *bytes = tks_bytes_of(bytes->data + size, bytes->size - size);
    return true;
}

static bool skip_number(tks_bytes *bytes, uint32_t number) {
    char digits[TKS_INT_SIZE];
    return skip(bytes, digits, tks_format_int(number, digits));
}

static bool read_channel(tks_bytes channel, uint32_t db, tks_session_end *out) {
    if (!skip(&channel, "__keyevent@", 11) || !skip_number(&channel, db) ||
        !skip(&channel, "__:", 3)) {
        return false;
    }
    for (int kind = 0; kind < TKS_SESSION_ENDS; kind++) {
        const char *name = tks_session_end_name((tks_session_end)kind);
        *out = (tks_session_end)kind;
        if (tks_bytes_equal(channel, tks_bytes_of(name, strlen(name)))) return true;
    }
    return false;
}

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool tks_session_event_read(tks_bytes channel, tks_bytes key, uint32_t db, tks_session_event *out) {
    if (key.size < 1 + 1 + RANDOM_SIZE || !read_channel(channel, db, &out->kind)) return false;
    size_t id = key.size - RANDOM_SIZE - 1;
    for (size_t i = id + 1; i < key.size; i++) {
        if (!is_letter_or_digit(key.data[i])) return false;
    }
    if (memchr(key.data, ':', key.size) != key.data + id) return false;
    out->id = tks_bytes_of(key.data, id);
    out->rjwt = key;
    return true;
}

static bool has(tks_bytes flags, char flag) {
    return flags.size > 0 && memchr(flags.data, flag, flags.size) != NULL;
}

tks_status tks_keyspace_flags(tks_bytes current, tks_buf *out) {
    bool all = has(current, 'A'); /* an alias for all kinds of events, including g and x */
    tks_buf_append_bytes(out, current);
    if (!all && !has(current, 'g')) tks_buf_append_char(out, 'g');
    if (!all && !has(current, 'x')) tks_buf_append_char(out, 'x');
    if (!has(current, 'E')) tks_buf_append_char(out, 'E');
    return out->status;
}
