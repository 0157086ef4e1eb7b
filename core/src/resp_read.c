/* resp_read.c - the reader: bytes in, replies out, and never more memory than was allowed.
 *
 * One machine reads replies and skips those that are too large. It counts the items that are still to come
 * (`left`), which is all it has to know to stay in step with the protocol; what it reads it keeps only while
 * the reply fits.
 *
 * Not hiredis' reader: that one gives up on a reply that is too large, and with it the connection; it holds
 * a string twice, wipes neither, and in version 0.14 it ends at seven levels. */
#include <stdlib.h>

#include "resp_private.h"
#include "tokenstore/secret.h"

enum {
    DIGITS_MAX = 19, /* of an int64_t: as many as a uint64_t can hold, whatever they are */
    NUMBER_MAX = 32, /* bytes of a line that holds a number, its mark and its end among them */
    INPUT_KEPT = 16 * 1024,
    BLOCK_MIN = 512,
    BLOCK_MAX = 64 * 1024,
    ROOT_ITEMS_MAX = 64 /* items of an array that stand in the first block */
};

typedef enum state {
    IN_LINE,   /* a mark, then what it says, up to "\r\n" */
    IN_BODY,   /* of a string whose size is known */
    AT_RETURN, /* behind it: "\r" */
    AT_NEWLINE /* "\n" */
} state;

typedef struct level {
    tks_reply *items;
    uint32_t size, next;
} level;

struct tks_reader {
    size_t max_reply;
    bool failed;
    tks_buf input; /* what was fed, of which `at` bytes are read */
    size_t at;

    state state;
    tks_buf line;     /* a line that comes in pieces */
    size_t body_left; /* bytes of the string that are still to come */
    char *body;       /* where they go */
    tks_reply *item;  /* that is being read */

    uint64_t left;   /* items still to come, that one included; 0: no reply is under way */
    size_t held;     /* bytes that the reply takes, items that were announced included */
    tksp_tree *tree; /* NULL: it has not begun, or is being skipped */
    bool skipping, too_deep;
    bool verbatim; /* the string begins with its format: "txt:" */
    size_t depth;  /* arrays around the item */
    level levels[TKS_REPLY_DEPTH_MAX];
};

tks_status tks_reader_new(size_t max_reply, tks_reader **out, tks_error *err) {
    tks_reader *reader = *out = calloc(1, sizeof *reader);
    if (reader == NULL) return tks_fail_memory(err);
    reader->max_reply = max_reply < UINT32_MAX ? max_reply : UINT32_MAX;
    tks_buf_init(&reader->input, SIZE_MAX);
    tks_buf_init(&reader->line, 0);
    return TKS_OK;
}

static void drop_tree(tks_reader *reader) {
    if (reader->tree != NULL) tks_reply_free(&reader->tree->root);
    reader->tree = NULL;
    reader->item = NULL;
    reader->body = NULL;
    reader->depth = 0;
}

void tks_reader_free(tks_reader *reader) {
    if (reader == NULL) return;
    drop_tree(reader);
    tks_buf_wipe(&reader->input);
    tks_buf_wipe(&reader->line);
    free(reader);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static tksp_block *init_block(tksp_block *block, tksp_block *next, size_t size, bool secret) {
    *block =
        (tksp_block){.next = next, .data = (char *)(block + 1), .size = size, .secret = secret};
    return block;
}

/* The reply's first block: with a string of `size` bytes, or an array's items, all of a small reply. */
static bool begin_tree(tks_reader *reader, size_t size) {
    reader->tree = malloc(sizeof *reader->tree + size);
    if (reader->tree == NULL) return false;
    reader->tree->blocks = init_block(&reader->tree->first, NULL, size, true);
    return true;
}

/* `size` bytes in the reply's blocks. What is large gets a block of its own, behind the one that is being
 * filled. Pages of it that are never reached cost nothing. */
static void *take(tks_reader *reader, size_t size, size_t alignment, bool secret) {
    tksp_block *filling = reader->tree->blocks;
    size_t at = (filling->used + alignment - 1) / alignment * alignment;
    if (at <= filling->size && filling->size - at >= size) {
        filling->used = at + size;
        return filling->data + at;
    }
    size_t room = reader->held / 8;
    room = room < BLOCK_MIN ? BLOCK_MIN : room > BLOCK_MAX ? BLOCK_MAX : room;
    bool alone = size > room / 4;
    if (alone) room = size;
    tksp_block *block = malloc(sizeof *block + room);
    if (block == NULL) return NULL;
    if (alone)
        filling->next = init_block(block, filling->next, room, secret);
    else
        reader->tree->blocks = init_block(block, filling, room, true);
    block->used = size;
    return block->data;
}

/* What is in reader->line as a block of the reply: a long line is not copied. */
static bool adopt_line(tks_reader *reader) {
    tksp_block *filling = reader->tree->blocks;
    tksp_block *block = malloc(sizeof *block);
    if (block == NULL) return false;
    *block = (tksp_block){filling->next, reader->line.data, reader->line.capacity,
                          reader->line.size, true};
    filling->next = block;
    tks_buf_init(&reader->line, 0);
    return true;
}

/* ---- a reply ---------------------------------------------------------------------------------- */

/* From here on nothing of the reply is kept. */
static void skip(tks_reader *reader) {
    drop_tree(reader);
    reader->skipping = true;
}

/* Counts `size` bytes more. False: the reply is being skipped. */
static bool fits(tks_reader *reader, size_t size) {
    if (!reader->skipping && size > reader->max_reply - reader->held) skip(reader);
    if (!reader->skipping) reader->held += size;
    return !reader->skipping;
}

static void begin_reply(tks_reader *reader) {
    reader->left = 1;
    reader->held = 0;
    reader->skipping = false;
    reader->too_deep = false;
    (void)fits(reader, sizeof(tks_reply));
}

/* The place of the next item, filled but for its value; where it is the first, with a tree that has room for
 * `size` bytes. NULL: memory is short. */
static tks_reply *begin_item(tks_reader *reader, tks_reply_type type, size_t size) {
    tks_reply *item;
    if (reader->depth > 0) {
        level *around = &reader->levels[reader->depth - 1];
        item = &around->items[around->next++];
    } else {
        if (!begin_tree(reader, size)) return NULL;
        item = &reader->tree->root;
    }
    *item = (tks_reply){.type = type};
    return item;
}

static void end_item(tks_reader *reader) {
    reader->left--;
    reader->item = NULL;
    reader->body = NULL;
    reader->state = IN_LINE;
    while (reader->depth > 0) {
        const level *around = &reader->levels[reader->depth - 1];
        if (around->next < around->size) break;
        reader->depth--;
    }
}

static tks_status fail(tks_reader *reader, tks_error *err) {
    reader->failed = true;
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "the server's answer is not the Redis protocol: is this a Redis server, and "
                    "does TLS (rediss://) fit on both sides?");
}

/* A server that expected TLS answers in TLS, with an alert. Source: RFC 8446, section 5.1. */
static tks_status fail_mark(tks_reader *reader, const char *from, size_t size, tks_error *err) {
    static const char alert[] = {21, 3};
    if (from[0] != alert[0] || (size > 1 && from[1] != alert[1])) return fail(reader, err);
    reader->failed = true;
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "the server's answer is a TLS alert: a TLS port? then rediss://");
}

static tks_status fail_memory(tks_reader *reader, tks_error *err) {
    reader->failed = true;
    return tks_fail_memory(err);
}

/* An integer, nil or truth. */
static tks_status read_integer(tks_reader *reader, tks_reply_type type, int64_t value,
                               tks_error *err) {
    if (!reader->skipping) {
        tks_reply *item = begin_item(reader, type, 0);
        if (item == NULL) return fail_memory(reader, err);
        item->u.integer = value;
    }
    end_item(reader);
    return TKS_OK;
}

/* A string of `size` bytes that follow. */
static tks_status begin_string(tks_reader *reader, tks_reply_type type, size_t size,
                               tks_error *err) {
    reader->state = IN_BODY;
    reader->body_left = size;
    if (!fits(reader, size)) return TKS_OK;
    reader->item = begin_item(reader, type, size);
    reader->body = reader->item == NULL ? NULL : take(reader, size, 1, true);
    if (reader->body == NULL) return fail_memory(reader, err);
    reader->item->u.bytes = reader->body;
    reader->item->size = (uint32_t)size;
    return TKS_OK;
}

/* A string that is a line. */
static tks_status read_text(tks_reader *reader, tks_reply_type type, char *text, size_t size,
                            tks_error *err) {
    if (fits(reader, size)) {
        bool long_line = reader->line.size > reader->max_reply / 4;
        tks_reply *item = begin_item(reader, type, long_line ? 0 : size);
        if (item == NULL) return fail_memory(reader, err);
        item->size = (uint32_t)size;
        item->u.bytes = long_line ? text : take(reader, size, 1, true);
        if (long_line ? !adopt_line(reader) : item->u.bytes == NULL)
            return fail_memory(reader, err);
        if (!long_line && size > 0) memcpy(item->u.bytes, text, size);
    }
    end_item(reader);
    return TKS_OK;
}

static tks_status begin_array(tks_reader *reader, uint64_t size, tks_error *err) {
    size_t most = SIZE_MAX / sizeof(tks_reply);
    /* A hostile server may announce more than can be counted; that never ends, as it should not. */
    reader->left = size < UINT64_MAX - reader->left ? reader->left + size : UINT64_MAX;
    if (!reader->skipping && size > 0 && reader->depth == TKS_REPLY_DEPTH_MAX) {
        reader->too_deep = true;
        skip(reader);
    }
    if (fits(reader, size < most ? (size_t)size * sizeof(tks_reply) : SIZE_MAX)) {
        size_t bytes = (size_t)size * sizeof(tks_reply);
        size_t most_first = ROOT_ITEMS_MAX * sizeof(tks_reply);
        tks_reply *array = begin_item(reader, TKS_REPLY_ARRAY, bytes < most_first ? bytes : 0);
        tks_reply *items = array == NULL ? NULL : take(reader, bytes, _Alignof(tks_reply), false);
        if (items == NULL) return fail_memory(reader, err);
        array->u.items = items;
        array->size = (uint32_t)size;
        if (size > 0) reader->levels[reader->depth++] = (level){items, (uint32_t)size, 0};
    }
    end_item(reader);
    return TKS_OK;
}

/* ---- lines ------------------------------------------------------------------------------------ */

static const char MARKS[] = "+-:$*_#,(!=%~>";
static const char TEXT_MARKS[] = "+-,("; /* of lines that may be long */

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

/* One line, mark and all, without its end. RESP3's kinds come from a server that was asked for them, with
 * HELLO 3, or that is hostile. */
static tks_status read_line(tks_reader *reader, char *line, size_t size, tks_error *err) {
    tks_bytes text = tks_bytes_of(line + 1, size - 1);
    int64_t number = 0;
    switch (line[0]) {
    case '+': return read_text(reader, TKS_REPLY_STATUS, line + 1, size - 1, err);
    case '-': return read_text(reader, TKS_REPLY_ERROR, line + 1, size - 1, err);
    case ',': /* a double */
    case '(': /* a large integer */
        return read_text(reader, TKS_REPLY_STRING, line + 1, size - 1, err);
    case '_':
        if (text.size > 0) return fail(reader, err);
        return read_integer(reader, TKS_REPLY_NIL, 0, err);
    case '#':
        if (text.size != 1 || !is_one_of("tf", text.data[0])) return fail(reader, err);
        return read_integer(reader, TKS_REPLY_INTEGER, text.data[0] == 't', err);
    default: break;
    }
    if (!read_number(text, &number)) return fail(reader, err);
    if (line[0] == ':') return read_integer(reader, TKS_REPLY_INTEGER, number, err);
    if (number == -1 && is_one_of("$*", line[0]))
        return read_integer(reader, TKS_REPLY_NIL, 0, err);
    if (number < 0) return fail(reader, err);
    switch (line[0]) {
    case '=':
        reader->verbatim = true;
        return begin_string(reader, TKS_REPLY_STRING, (size_t)number, err);
    case '$': return begin_string(reader, TKS_REPLY_STRING, (size_t)number, err);
    case '!': return begin_string(reader, TKS_REPLY_ERROR, (size_t)number, err);
    case '%': return begin_array(reader, 2 * (uint64_t)number, err);
    default: return begin_array(reader, (uint64_t)number, err);
    }
}

/* A line that has come in part, kept in reader->line. */
static tks_status keep_line(tks_reader *reader, const char *data, size_t size, tks_error *err) {
    tks_buf *line = &reader->line;
    char mark = line->size > 0 ? line->data[0] : data[0];
    char kept[] = {mark, '\0'};
    bool text = is_one_of(TEXT_MARKS, mark);
    if (line->size == 0) tks_buf_init(line, reader->max_reply - reader->held + NUMBER_MAX);
    if (!text && line->size + size > NUMBER_MAX) return fail(reader, err);
    /* Its mark and its end do not count. */
    if (text && !reader->skipping && line->size + size > reader->max_reply - reader->held + 3)
        skip(reader);
    if (reader->skipping && text) {
        /* Its mark, and its last byte, which may be the first of its end. */
        kept[1] = data[size - 1];
        tks_buf_wipe(line);
        data = kept;
        size = sizeof kept;
    }
    return tks_buf_append(line, data, size) == TKS_OK ? TKS_OK : fail_memory(reader, err);
}

static tks_status take_line(tks_reader *reader, tks_error *err) {
    tks_buf *line = &reader->line;
    char *from = reader->input.data + reader->at;
    size_t rest = reader->input.size - reader->at;
    char *newline = memchr(from, '\n', rest);
    size_t size = newline != NULL ? (size_t)(newline - from) + 1 : rest;
    tks_status status;
    if (line->size == 0 && !is_one_of(MARKS, from[0])) return fail_mark(reader, from, rest, err);
    if (reader->left == 0) begin_reply(reader);
    reader->at += size;
    if (line->size == 0 && newline != NULL && newline[-1] == '\r')
        return read_line(reader, from, size - 2, err);
    char before = size > 1 ? from[size - 2] : line->size > 0 ? line->data[line->size - 1] : '\0';
    status = keep_line(reader, from, size, err);
    if (status != TKS_OK || newline == NULL || before != '\r') return status;
    size_t end = line->size < 3 ? line->size : line->size - 2;
    status = read_line(reader, line->data, end, err);
    tks_buf_wipe(line);
    return status;
}

/* ---- what comes -------------------------------------------------------------------------------- */

tks_status tks_reader_feed(tks_reader *reader, const void *data, size_t size, tks_error *err) {
    if (reader->failed)
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection's reader has failed before");
    tks_buf_consume(&reader->input, reader->at);
    reader->at = 0;
    if (tks_buf_append(&reader->input, data, size) != TKS_OK) return fail_memory(reader, err);
    return TKS_OK;
}

static void take_body(tks_reader *reader) {
    size_t rest = reader->input.size - reader->at;
    size_t size = reader->body_left < rest ? reader->body_left : rest;
    if (reader->body != NULL && size > 0) {
        memcpy(reader->body, reader->input.data + reader->at, size);
        reader->body += size;
    }
    reader->at += size;
    reader->body_left -= size;
    if (reader->body_left == 0) reader->state = AT_RETURN;
}

static tks_status end_string(tks_reader *reader, tks_error *err) {
    tks_reply *item = reader->item;
    if (reader->verbatim && item != NULL) {
        if (item->size < 4 || item->u.bytes[3] != ':') return fail(reader, err);
        item->u.bytes += 4;
        item->size -= 4;
    }
    reader->verbatim = false;
    end_item(reader);
    return TKS_OK;
}

static tks_status read_some(tks_reader *reader, tks_error *err) {
    switch (reader->state) {
    case IN_LINE: return take_line(reader, err);
    case IN_BODY: take_body(reader); return TKS_OK;
    case AT_RETURN:
        if (reader->input.data[reader->at++] != '\r') return fail(reader, err);
        reader->state = AT_NEWLINE;
        return TKS_OK;
    case AT_NEWLINE: break;
    }
    if (reader->input.data[reader->at++] != '\n') return fail(reader, err);
    return end_string(reader, err);
}

/* What takes the place of the reply that is being skipped. */
static tks_reply mark_of(const tks_reader *reader) {
    return (tks_reply){.type = TKS_REPLY_OVERSIZED,
                       .u.integer = reader->too_deep ? 0 : (int64_t)reader->max_reply};
}

/* The reply that has ended here, or what takes the place of one that was too large. */
static tks_status hand_out(tks_reader *reader, tks_reply **out, tks_error *err) {
    if (reader->skipping) {
        if (!begin_tree(reader, 0)) return fail_memory(reader, err);
        reader->tree->root = mark_of(reader);
        reader->skipping = false;
    }
    *out = &reader->tree->root;
    reader->tree = NULL;
    return TKS_OK;
}

tks_status tks_reader_next(tks_reader *reader, tks_reply **out, tks_error *err) {
    *out = NULL;
    if (reader->failed)
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection's reader has failed before");
    while (reader->at < reader->input.size) {
        tks_status status = read_some(reader, err);
        if (status != TKS_OK) return status;
        if (reader->left == 0) return hand_out(reader, out, err);
    }
    reader->at = 0;
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
    const tks_reply mark = mark_of(reader);
    tks_reply_describe_error(&mark, text, sizeof text);
    return tks_fail(err, TKS_ERR_LIMIT, "%s", text);
}
