/* resp_read.c - the reply reader: bytes in, replies out, within a memory limit.
 *
 * hiredis builds the replies (resp_build.c). This state machine reads each byte first: it knows where each
 * item ends and counts the memory of the reply. So a reply that is too large can be skipped without losing
 * the connection, which hiredis alone cannot do.
 *
 * Bytes are passed on unchanged, up to `passed`, with two exceptions: a long string bypasses hiredis' buffer,
 * which would hold it a second time, and RESP3 types, or forms that only some versions of hiredis accept, are
 * rewritten. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "resp_private.h"
#include "tokenstore/secret.h"

enum {
    DIGITS_MAX = 19,       /* of an int64_t: any such number fits into a uint64_t */
    NUMBER_MAX = 32,       /* bytes of a line with a number, including type byte and line end */
    SHORT_MAX = 16 * 1024, /* bytes of a string that passes through hiredis' buffer */
    INPUT_KEPT = 16 * 1024
};

typedef enum state {
    IN_LINE,   /* a type byte and text up to "\r\n" */
    IN_BODY,   /* in a string of known size */
    AT_RETURN, /* after it: "\r" */
    AT_NEWLINE /* "\n" */
} state;

struct tks_reader {
    size_t max_reply;
    bool failed;
    tks_buf
        input; /* the input, of which `at` bytes are read and `passed` are passed to the builder */
    size_t at, passed;
    tksp_builder *builder;
    tks_reply *reply; /* the finished one; NULL: none */

    state state;
    tks_buf line;         /* a partial line */
    size_t body_left;     /* bytes of the string still to come */
    const char *body;     /* where they are copied; NULL: fed normally */
    const char *body_end; /* the line end that is fed after such a string */
    bool verbatim;        /* a verbatim string: begins with its format, "txt:" */

    uint64_t left; /* items still to come, including the current one; 0: between replies */
    size_t held;   /* memory of the reply, including announced items */
    bool skipping, too_deep;
    size_t depth;                    /* arrays around the item */
    uint64_t levels[TKSP_DEPTH_MAX]; /* items still to come in each */
};

tks_status tks_reader_new(size_t max_reply, tks_reader **out, tks_error *err) {
    tks_reader *reader = calloc(1, sizeof *reader);
    *out = NULL;
    if (reader == NULL) return tks_fail_memory(err);
    reader->builder = tksp_builder_new();
    if (reader->builder == NULL) {
        free(reader);
        return tks_fail_memory(err);
    }
    reader->max_reply = max_reply < UINT32_MAX ? max_reply : UINT32_MAX;
    tks_buf_init(&reader->input, SIZE_MAX);
    tks_buf_init(&reader->line, 0);
    *out = reader;
    return TKS_OK;
}

void tks_reader_free(tks_reader *reader) {
    if (reader == NULL) return;
    tks_reply_free(reader->reply);
    tksp_builder_free(reader->builder);
    tks_buf_wipe(&reader->input);
    tks_buf_wipe(&reader->line);
    free(reader);
}

static tks_status fail(tks_reader *reader, tks_error *err) {
    reader->failed = true;
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "the server's reply is not the Redis protocol: is this a Redis server, and do "
                    "both sides use TLS (rediss://) or neither?");
}

/* A server that expects TLS replies with a TLS alert. Source: RFC 8446, section 5.1. */
static tks_status fail_mark(tks_reader *reader, const char *from, size_t size, tks_error *err) {
    static const char alert[] = {21, 3};
    if (from[0] != alert[0] || (size > 1 && from[1] != alert[1])) return fail(reader, err);
    reader->failed = true;
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "the server replied with a TLS alert: for a TLS port use rediss://");
}

static tks_status fail_memory(tks_reader *reader, tks_error *err) {
    reader->failed = true;
    return tks_fail_memory(err);
}

/* ---- passing bytes on -------------------------------------------------------------------------- */

static tks_status build(tks_reader *reader, const char *data, size_t size, tks_error *err) {
    if (reader->skipping || size == 0) return TKS_OK;
    tks_status status = tksp_builder_feed(reader->builder, data, size, &reader->reply);
    if (status == TKS_OK) return TKS_OK;
    return status == TKS_ERR_MEMORY ? fail_memory(reader, err) : fail(reader, err);
}

/* Feeds everything that was read up to `at`. */
static tks_status pass(tks_reader *reader, size_t at, tks_error *err) {
    size_t from = reader->passed;
    reader->passed = at;
    return build(reader, reader->input.data + from, at - from, err);
}

/* Discards the reply from here on. */
static void skip(tks_reader *reader) {
    tksp_builder_drop(reader->builder);
    reader->body = NULL;
    reader->skipping = true;
}

/* Counts `size` more bytes. False: the reply is being skipped. */
static bool fits(tks_reader *reader, size_t size) {
    if (!reader->skipping && size > reader->max_reply - reader->held) skip(reader);
    if (!reader->skipping) reader->held += size;
    return !reader->skipping;
}

/* ---- items ------------------------------------------------------------------------------------- */

static void begin_reply(tks_reader *reader) {
    reader->left = 1;
    reader->held = 0;
    reader->depth = 0;
    reader->skipping = false;
    reader->too_deep = false;
    (void)fits(reader, sizeof(tks_reply));
}

static void end_item(tks_reader *reader) {
    reader->left--;
    reader->state = IN_LINE;
    while (!reader->skipping && reader->depth > 0 && --reader->levels[reader->depth - 1] == 0) {
        reader->depth--;
    }
}

/* A line: its text, and whether it is whole, with its position in the input. */
typedef struct line {
    char *text; /* with the type byte, without the line end */
    size_t size;
    bool whole;
    size_t from;
} line;

/* Feeds the line unchanged. */
static tks_status build_line(tks_reader *reader, const line *l, tks_error *err) {
    if (l->whole) return TKS_OK; /* passed together with what follows */
    tks_status status = build(reader, l->text, l->size, err);
    return status == TKS_OK ? build(reader, "\r\n", 2, err) : status;
}

/* Feeds `text` instead of the line. */
static tks_status build_instead(tks_reader *reader, const line *l, const char *text,
                                tks_error *err) {
    if (l->whole) {
        tks_status status = pass(reader, l->from, err);
        if (status != TKS_OK) return status;
    }
    reader->passed = reader->at;
    return build(reader, text, strlen(text), err);
}

static bool is_canonical(tks_bytes number) {
    if (number.size > 1 && number.data[0] == '-') return number.data[1] != '0';
    return number.size == 1 || (number.data[0] != '0' && number.data[0] != '+');
}

/* Feeds the line with this type byte and number. */
static tks_status build_number(tks_reader *reader, const line *l, char mark, int64_t number,
                               tks_error *err) {
    char text[NUMBER_MAX];
    if (mark == l->text[0] && is_canonical(tks_bytes_of(l->text + 1, l->size - 1))) {
        return build_line(reader, l, err);
    }
    (void)snprintf(text, sizeof text, "%c%" PRId64 "\r\n", mark, number);
    return build_instead(reader, l, text, err);
}

static tks_status read_integer(tks_reader *reader, const line *l, char mark, int64_t value,
                               tks_error *err) {
    tks_status status = build_number(reader, l, mark, value, err);
    end_item(reader);
    return status;
}

/* Sets the text of a line aside for the next string; a long one is not copied. */
static bool put_aside(tks_reader *reader, const line *l) {
    size_t size = l->size - 1;
    if (!l->whole && size > SHORT_MAX) {
        return tksp_builder_adopt(reader->builder, &reader->line, 1, l->size);
    }
    if (tksp_builder_set_aside(reader->builder, size, 0) == NULL) return false;
    tksp_builder_fill(reader->builder, l->text + 1, size);
    return true;
}

/* A string in a line. `instead`: what hiredis reads if it must not read the text itself. */
static tks_status build_text(tks_reader *reader, const line *l, const char *instead,
                             tks_error *err) {
    /* hiredis 1.x rejects CR and LF within a line. */
    if (l->size <= SHORT_MAX && l->text[0] == instead[0] &&
        memchr(l->text, '\r', l->size) == NULL && memchr(l->text, '\n', l->size) == NULL) {
        return build_line(reader, l, err);
    }
    tks_status status = build_instead(reader, l, "", err); /* feed the strings before it first */
    if (status != TKS_OK) return status;
    if (!put_aside(reader, l)) return fail_memory(reader, err);
    return build(reader, instead, strlen(instead), err);
}

static tks_status read_text(tks_reader *reader, const line *l, const char *instead,
                            tks_error *err) {
    tks_status status = fits(reader, l->size - 1) ? build_text(reader, l, instead, err) : TKS_OK;
    end_item(reader);
    return status;
}

/* Begins a string of `size` bytes. */
static tks_status begin_string(tks_reader *reader, const line *l, size_t size, tks_error *err) {
    char mark = l->text[0];
    size_t skipped = mark == '=' ? 4 : 0;
    reader->state = IN_BODY;
    reader->body_left = size;
    reader->body = NULL;
    if (size < skipped) return fail(reader, err);
    if (!fits(reader, size)) return TKS_OK;
    if (mark == '$' && size <= SHORT_MAX) return build_number(reader, l, mark, (int64_t)size, err);
    reader->body_end = mark == '!' ? "-\r\n" : "$0\r\n\r\n";
    tks_status status = build_instead(reader, l, "", err);
    if (status != TKS_OK) return status;
    reader->body = tksp_builder_set_aside(reader->builder, size, skipped);
    reader->verbatim = mark == '=';
    return reader->body != NULL ? TKS_OK : fail_memory(reader, err);
}

static tks_status begin_array(tks_reader *reader, const line *l, uint64_t size, tks_error *err) {
    size_t most = SIZE_MAX / sizeof(tks_reply);
    tks_status status = TKS_OK;
    /* A hostile server may announce more items than fit into the counter; such a reply never ends. */
    reader->left = size < UINT64_MAX - reader->left ? reader->left + size : UINT64_MAX;
    if (!reader->skipping && reader->depth == tks_reader_depth_max()) {
        reader->too_deep = true;
        skip(reader);
    }
    if (fits(reader, size < most ? (size_t)size * sizeof(tks_reply) : SIZE_MAX)) {
        status = build_number(reader, l, '*', (int64_t)size, err);
        if (size > 0) {
            reader->left--;
            reader->levels[reader->depth++] = size;
            return status;
        }
    }
    end_item(reader);
    return status;
}

/* ---- lines ------------------------------------------------------------------------------------ */

static const char MARKS[] = "+-:$*_#,(!=%~>";
static const char TEXT_MARKS[] = "+-,("; /* types of lines that may be long */

static bool is_one_of(const char *marks, char mark) {
    return mark != '\0' && strchr(marks, mark) != NULL;
}

static bool read_number(tks_bytes text, int64_t *out) {
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative || (text.size > 0 && text.data[0] == '+') ? 1 : 0;
    uint64_t value = 0;
    if (at == text.size || text.size - at > DIGITS_MAX) return false;
    for (; at < text.size; at++) {
        unsigned digit = (unsigned char)text.data[at] - '0';
        if (digit > 9) return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return value <= (negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX);
}

/* RESP3 types come after HELLO 3, or from a hostile server. */
static tks_status read_line(tks_reader *reader, const line *l, tks_error *err) {
    tks_bytes text = tks_bytes_of(l->text + 1, l->size - 1);
    char mark = l->text[0];
    int64_t number = 0;
    switch (mark) {
    case '+': return read_text(reader, l, "+\r\n", err);
    case '-': return read_text(reader, l, "-\r\n", err);
    case ',': /* a double */
    case '(': /* a large integer */ return read_text(reader, l, "$0\r\n\r\n", err);
    case '_':
        if (text.size > 0) return fail(reader, err);
        return read_integer(reader, l, '$', -1, err);
    case '#':
        if (text.size != 1 || !is_one_of("tf", text.data[0])) return fail(reader, err);
        return read_integer(reader, l, ':', text.data[0] == 't', err);
    default: break;
    }
    if (!read_number(text, &number)) return fail(reader, err);
    if (mark == ':') return read_integer(reader, l, ':', number, err);
    if (number == -1 && is_one_of("$*", mark)) return read_integer(reader, l, '$', -1, err);
    if (number < 0) return fail(reader, err);
    if (is_one_of("$!=", mark)) return begin_string(reader, l, (size_t)number, err);
    return begin_array(reader, l, (mark == '%' ? 2 : 1) * (uint64_t)number, err);
}

/* Appends a part of a line to reader->line. */
static tks_status keep_line(tks_reader *reader, const char *data, size_t size, tks_error *err) {
    tks_buf *kept = &reader->line;
    char mark = kept->size > 0 ? kept->data[0] : data[0];
    char ends[] = {mark, '\0'};
    bool text = is_one_of(TEXT_MARKS, mark);
    if (kept->size == 0) tks_buf_init(kept, reader->max_reply - reader->held + NUMBER_MAX);
    if (!text && kept->size + size > NUMBER_MAX) return fail(reader, err);
    /* Type byte and line end do not count. */
    if (text && !reader->skipping && kept->size + size > reader->max_reply - reader->held + 3) {
        skip(reader);
    }
    if (reader->skipping && text) {
        /* The type byte and the last byte, which may be the CR. */
        ends[1] = data[size - 1];
        tks_buf_wipe(kept);
        data = ends;
        size = sizeof ends;
    }
    return tks_buf_append(kept, data, size) == TKS_OK ? TKS_OK : fail_memory(reader, err);
}

/* Completes a line that arrived in parts. */
static tks_status end_kept_line(tks_reader *reader, tks_error *err) {
    tks_buf *kept = &reader->line;
    line l = {.text = kept->data, .size = kept->size < 3 ? kept->size : kept->size - 2};
    tks_status status = read_line(reader, &l, err);
    tks_buf_wipe(kept);
    return status;
}

static tks_status take_line(tks_reader *reader, tks_error *err) {
    size_t from = reader->at;
    char *text = reader->input.data + from;
    size_t rest = reader->input.size - from;
    char *newline = memchr(text, '\n', rest);
    size_t size = newline != NULL ? (size_t)(newline - text) + 1 : rest;
    if (reader->line.size == 0 && !is_one_of(MARKS, text[0])) {
        return fail_mark(reader, text, rest, err);
    }
    if (reader->left == 0) begin_reply(reader);
    if (reader->line.size == 0 && newline != NULL && newline[-1] == '\r') {
        line l = {.text = text, .size = size - 2, .whole = true, .from = from};
        reader->at += size;
        return read_line(reader, &l, err);
    }
    char before = size > 1                ? text[size - 2]
                  : reader->line.size > 0 ? reader->line.data[reader->line.size - 1]
                                          : '\0';
    tks_status status = pass(reader, from, err);
    reader->passed = reader->at += size;
    if (status == TKS_OK) status = keep_line(reader, text, size, err);
    if (status != TKS_OK || newline == NULL || before != '\r') return status;
    return end_kept_line(reader, err);
}

/* ---- input ------------------------------------------------------------------------------------- */

tks_status tks_reader_feed(tks_reader *reader, const void *data, size_t size, tks_error *err) {
    if (reader->failed) {
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection failed earlier");
    }
    tks_buf_consume(&reader->input, reader->at);
    reader->at = reader->passed = 0;
    if (tks_buf_append(&reader->input, data, size) != TKS_OK) return fail_memory(reader, err);
    return TKS_OK;
}

static void take_body(tks_reader *reader) {
    size_t rest = reader->input.size - reader->at;
    size_t size = reader->body_left < rest ? reader->body_left : rest;
    if (reader->body != NULL && size > 0) {
        tksp_builder_fill(reader->builder, reader->input.data + reader->at, size);
        reader->passed = reader->at + size;
    }
    reader->at += size;
    reader->body_left -= size;
    if (reader->body_left == 0) reader->state = AT_RETURN;
}

static tks_status end_string(tks_reader *reader, tks_error *err) {
    tks_status status = TKS_OK;
    if (reader->body != NULL) {
        if (reader->verbatim && reader->body[3] != ':') return fail(reader, err);
        reader->passed = reader->at;
        reader->body = NULL;
        status = build(reader, reader->body_end, strlen(reader->body_end), err);
    }
    end_item(reader);
    return status;
}

static tks_status read_some(tks_reader *reader, tks_error *err) {
    switch (reader->state) {
    case IN_LINE: return take_line(reader, err);
    case IN_BODY: take_body(reader); return TKS_OK;
    case AT_RETURN:
        if (reader->input.data[reader->at++] != '\r') return fail(reader, err);
        if (reader->body != NULL) reader->passed = reader->at;
        reader->state = AT_NEWLINE;
        return TKS_OK;
    case AT_NEWLINE: break;
    }
    if (reader->input.data[reader->at++] != '\n') return fail(reader, err);
    return end_string(reader, err);
}

/* The value of the OVERSIZED reply for a skipped one. */
static int64_t mark_of(const tks_reader *reader) {
    return reader->too_deep ? 0 : (int64_t)reader->max_reply;
}

/* Returns the finished reply, or an OVERSIZED one. */
static tks_status hand_out(tks_reader *reader, tks_reply **out, tks_error *err) {
    if (reader->skipping) {
        reader->skipping = false;
        reader->reply = tksp_builder_mark(reader->builder, mark_of(reader));
        if (reader->reply == NULL) return fail_memory(reader, err);
    }
    /* Cannot happen: hiredis disagrees about the end. */
    if (reader->reply == NULL) return fail(reader, err);
    *out = reader->reply;
    reader->reply = NULL;
    return TKS_OK;
}

/* True if a reply begins here that is one short string, complete and in the usual form, as nearly all replies are: it
 * goes to hiredis at once. *size: its bytes, with its line and its end. */
static bool is_short_string(const tks_reader *reader, size_t *size) {
    size_t rest = reader->input.size - reader->at, length = 0, at = 1;
    /* Without input its data may be NULL. */
    if (reader->left != 0 || reader->line.size != 0 || rest < 6) return false;
    const char *text = reader->input.data + reader->at;
    if (text[0] != '$' || text[1] < '1' || text[1] > '9') return false;
    while (at < 5 && text[at] >= '0' && text[at] <= '9') {
        length = length * 10 + (size_t)(text[at++] - '0');
    }
    *size = at + 2 + length + 2;
    return *size <= rest && text[at] == '\r' && text[at + 1] == '\n' && text[*size - 2] == '\r' &&
           text[*size - 1] == '\n' && length + sizeof(tks_reply) <= reader->max_reply;
}

tks_status tks_reader_next(tks_reader *reader, tks_reply **out, tks_error *err) {
    tks_status status = TKS_OK;
    size_t size;
    *out = NULL;
    if (reader->failed) {
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection failed earlier");
    }
    if (is_short_string(reader, &size)) {
        reader->skipping = false;
        reader->at += size;
        status = pass(reader, reader->at, err);
        return status == TKS_OK ? hand_out(reader, out, err) : status;
    }
    while (status == TKS_OK && reader->at < reader->input.size) {
        status = read_some(reader, err);
        if (status == TKS_OK && reader->left == 0) {
            status = pass(reader, reader->at, err);
            return status == TKS_OK ? hand_out(reader, out, err) : status;
        }
    }
    if (status == TKS_OK) status = pass(reader, reader->at, err);
    if (status != TKS_OK) return status;
    reader->at = reader->passed = 0;
    if (reader->input.capacity > INPUT_KEPT) tks_buf_wipe(&reader->input);
    tks_buf_reset(&reader->input);
    return TKS_OK;
}

bool tks_reader_is_idle(const tks_reader *reader) {
    return !reader->failed && reader->left == 0 && reader->at == reader->input.size;
}

tks_status tks_reader_check(const tks_reader *reader, tks_error *err) {
    char text[100];
    if (!reader->skipping) return TKS_OK;
    tksp_describe_oversized(mark_of(reader), text, sizeof text);
    return tks_fail(err, TKS_ERR_LIMIT, "%s", text);
}
