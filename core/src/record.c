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
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) return false;
    if (text.size == 0 || memchr(text.data, '\\', text.size) == NULL) return true;
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

/* ---- digits ------------------------------------------------------------------------------------- */

static bool read_digits(const char *digits, int count, int64_t *out) {
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        int digit = tksp_key_digit(digits[i]);
        if (digit < 0) return false;
        value = value * 64 + digit;
    }
    *out = value;
    return true;
}

static void append_digits(tks_buf *out, int count, int64_t value) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = count - 1; i >= 0; i--) tks_buf_append_char(out, digits[value >> (6 * i) & 63]);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static const char MARKS[TKSP_TIMES + 1] = "eius";
static const char LASTS = 'p', FAMILY = 'f';

static bool read_time(const char **at, const char *end, tksp_record_time which, int64_t *out_ms) {
    if (end - *at <= TKS_TIME_SIZE || **at != MARKS[which]) return false;
    if (!read_digits(*at + 1, TKS_TIME_SIZE, out_ms)) return false;
    *at += 1 + TKS_TIME_SIZE;
    return true;
}

bool tksp_record_read_end(const char **at, const char *end, int64_t *out_ms) {
    return read_time(at, end, TKSP_TIME_END, out_ms);
}

/* The times and the family, from *at on, up to a name or the data. */
static bool read_pieces(const char **at, const char *end, tksp_record *out) {
    out->lasts = *at < end && **at == LASTS;
    *at += out->lasts;
    for (int i = out->lasts ? TKSP_TIME_END + 1 : 0; i < TKSP_TIMES; i++) {
        if (*at == end || **at != MARKS[i]) continue;
        if (!read_time(at, end, (tksp_record_time)i, &out->times[i])) return false;
    }
    if (*at == end || **at != FAMILY) return true;
    if (end - *at <= TKS_FIELD_SIZE) return false;
    out->family = tks_bytes_of(*at + 1, TKS_FIELD_SIZE);
    for (int i = 0; i < TKS_FIELD_SIZE; i++) {
        if (tksp_key_digit(out->family.data[i]) < 0) return false;
    }
    *at += 1 + TKS_FIELD_SIZE;
    return true;
}

bool tksp_record_read_name(const char **at, const char *end, tksp_arena *arena, tks_bytes *out) {
    const char *first = *at + 1;
    const char *quote = **at == '"' ? memchr(first, '"', (size_t)(end - first)) : NULL;
    if (quote == NULL) return false;
    *at = quote + 1;
    return read_name(tks_bytes_of(first, (size_t)(quote - first)), arena, out);
}

/* None, the owner, or the owner and the request. */
static bool read_names(const char **at, const char *end, tksp_arena *arena, tksp_record *out) {
    tks_bytes *const names[] = {&out->owner, &out->address, &out->agent};
    size_t count = 0;
    while (*at < end && **at == '"') {
        if (count == 3 || !tksp_record_read_name(at, end, arena, names[count++])) return false;
    }
    return count == 0 || count == 3 || (count == 1 && out->owner.size > 0);
}

int64_t tksp_record_read_created(const char *digits) {
    int64_t us;
    return read_digits(digits, TKS_CREATED_SIZE, &us) ? us : -2;
}

static bool read_parts(tks_bytes text, tksp_arena *arena, tksp_record *out) {
    const char *at = text.data, *end = text.data + text.size;
    if (text.size < TKS_CREATED_SIZE + TKS_CHECK_SIZE + 2) return false;
    if (!read_digits(at, TKS_CREATED_SIZE, &out->created_us)) return false;
    out->check = tks_bytes_of(at + TKS_CREATED_SIZE, TKS_CHECK_SIZE);
    at += TKS_CREATED_SIZE + TKS_CHECK_SIZE;
    if (!read_pieces(&at, end, out) || !read_names(&at, end, arena, out)) return false;
    out->data = tks_bytes_of(at, (size_t)(end - at));
    return end - at >= 2 && at[0] == '{' && end[-1] == '}';
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

/* ---- writing ------------------------------------------------------------------------------------ */

static void append_time(tks_buf *out, const tksp_record *record, tksp_record_time which) {
    if (record->times[which] == 0) return;
    tks_buf_append_char(out, MARKS[which]);
    append_digits(out, TKS_TIME_SIZE, record->times[which]);
}

tks_status tksp_record_write_head(tks_buf *out, const tksp_record *record) {
    append_digits(out, TKS_CREATED_SIZE, record->created_us);
    tks_buf_append_bytes(out, record->check);
    if (record->lasts) tks_buf_append_char(out, LASTS);
    append_time(out, record, TKSP_TIME_END);
    return out->status;
}

tks_status tksp_record_write_tail(tks_buf *out, const tksp_record *record) {
    bool request = record->address.size > 0 || record->agent.size > 0;
    for (int i = TKSP_TIME_END + 1; i < TKSP_TIMES; i++) {
        append_time(out, record, (tksp_record_time)i);
    }
    if (record->family.size > 0) tks_buf_append_char(out, FAMILY);
    tks_buf_append_bytes(out, record->family);
    if (request || record->owner.size > 0) tks_json_append_name(out, record->owner);
    if (request) {
        tks_json_append_name(out, record->address);
        tks_json_append_name(out, record->agent);
    }
    return tks_buf_append_bytes(out, record->data);
}
