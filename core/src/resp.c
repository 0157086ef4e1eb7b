/* resp.c - the only file that sees hiredis: its reader, with our reply objects. And the formatter.
 *
 * Why our own objects: they let us refuse a declared length before anything of that size is
 * allocated (an array header of a gigabyte costs the sender eleven bytes), and wipe strings. */
#include "tokenstore/resp.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "tokenstore/secret.h"

/* hiredis 1.0 widened these. */
#if defined(HIREDIS_MAJOR) && HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

struct tks_reply {
    tks_reply_type type;
    int64_t integer;
    size_t size; /* bytes of a string, items of an array */
    union {
        char *bytes; /* in the same allocation, after the struct */
        tks_reply **items;
    } u;
};

struct tks_reader {
    redisReader *reader;
    size_t max_reply;
    size_t fed;      /* bytes since the last whole reply */
    size_t declared; /* items that its arrays have announced so far */
    bool refused;    /* they were too many */
    bool failed;
};

/* ---- formatting ---- */

/* Not redisFormatCommandArgv: that prints each length with sprintf and gives the command in storage of
 * its own, one more copy of what may be secret. It took a tenth of a whole `get`. */

enum { COUNT_MAX = 1 + 20 + 2 }; /* a mark, the digits of a size_t, "\r\n" */

static char *put_end(char *at) {
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *put_count(char *at, char mark, size_t count) {
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    *at++ = mark;
    memcpy(at, digits + first, sizeof digits - first);
    return put_end(at + (sizeof digits - first));
}

tks_status tks_resp_format(tks_buf *out, size_t argc, const tks_bytes *argv) {
    size_t room = COUNT_MAX;
    char *begin;
    if (out->status != TKS_OK) return out->status;
    for (size_t i = 0; i < argc; i++) {
        room += COUNT_MAX + 2;
        if (room > out->max || argv[i].size > out->max - room) return out->status = TKS_ERR_DATA;
        room += argv[i].size;
    }
    tks_status status = tks_buf_reserve(out, room, &begin);
    if (status != TKS_OK) return status;
    char *at = put_count(begin, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        at = put_count(at, '$', argv[i].size);
        if (argv[i].size > 0) memcpy(at, argv[i].data, argv[i].size);
        at = put_end(at + argv[i].size);
    }
    tks_buf_advance(out, (size_t)(at - begin));
    return TKS_OK;
}

/* ---- reply objects, built by hiredis' reader through these callbacks ---- */

static tks_reply *new_reply(const redisReadTask *task, tks_reply_type type, size_t extra) {
    tks_reply *reply = malloc(sizeof *reply + extra);
    if (reply == NULL) return NULL;
    reply->type = type;
    reply->integer = 0;
    reply->size = 0;
    reply->u.bytes = (char *)(reply + 1);
    if (task->parent != NULL) {
        tks_reply *parent = task->parent->obj;
        parent->u.items[task->idx] = reply;
    }
    return reply;
}

static void *create_string(const redisReadTask *task, char *text, size_t size) {
    tks_reply_type type = task->type == REDIS_REPLY_ERROR    ? TKS_REPLY_ERROR
                          : task->type == REDIS_REPLY_STATUS ? TKS_REPLY_STATUS
                                                             : TKS_REPLY_STRING;
    tks_reply *reply = new_reply(task, type, size);
    if (reply != NULL && size > 0) memcpy(reply->u.bytes, text, size);
    if (reply != NULL) reply->size = size;
    return reply;
}

/* hiredis 0.14 stops at 7 levels by itself, 1.x at none; replies are freed by recursion. */
enum { DEPTH_MAX = 32 };

static void *create_array(const redisReadTask *task, array_size count) {
    tks_reader *owner = task->privdata;
    /* The shortest item, "_\r\n" or ":1\r\n", takes three bytes of the reply. All arrays of a reply
     * count together: nested ones would each get the whole maximum otherwise. A negative count (int
     * in hiredis 0.14) is a huge one here. */
    size_t most = owner->max_reply / 3;
    int depth = 0;
    for (const redisReadTask *t = task->parent; t != NULL; t = t->parent) depth++;
    if (depth >= DEPTH_MAX || (size_t)count > most || owner->declared > most - (size_t)count) {
        owner->refused = true;
        return NULL;
    }
    owner->declared += (size_t)count;
    tks_reply *reply = new_reply(task, TKS_REPLY_ARRAY, (size_t)count * sizeof(tks_reply *));
    if (reply == NULL) return NULL;
    reply->u.items = (tks_reply **)(void *)(reply + 1);
    reply->size = (size_t)count;
    for (size_t i = 0; i < reply->size; i++)
        reply->u.items[i] = NULL; /* not memset: a null pointer need not be zero bytes */
    return reply;
}

static void *create_integer(const redisReadTask *task, long long value) {
    tks_reply *reply = new_reply(task, TKS_REPLY_INTEGER, 0);
    if (reply != NULL) reply->integer = value;
    return reply;
}

static void *create_nil(const redisReadTask *task) {
    return new_reply(task, TKS_REPLY_NIL, 0);
}

static void free_object(void *object) {
    tks_reply_free(object);
}

/* RESP3's kinds, sent by a server that was asked for them (HELLO 3) or that is hostile. They must
 * be taken: hiredis 1.x puts small integers where an object belongs when these callbacks are NULL. */
#if defined(HIREDIS_MAJOR) && HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *text, size_t size) {
    (void)value;
    return create_string(task, text, size);
}

static void *create_bool(const redisReadTask *task, int value) {
    return create_integer(task, value);
}
#endif

static redisReplyObjectFunctions reply_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if defined(HIREDIS_MAJOR) && HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = free_object,
};

/* ---- the reader ---- */

tks_status tks_reader_new(size_t max_reply, tks_reader **out, tks_error *err) {
    *out = NULL;
    tks_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return tks_fail_memory(err);
    reader->max_reply = max_reply;
    reader->reader = redisReaderCreateWithFunctions(&reply_functions);
    if (reader->reader == NULL) {
        free(reader);
        return tks_fail_memory(err);
    }
    reader->reader->privdata = reader;
    *out = reader;
    return TKS_OK;
}

void tks_reader_free(tks_reader *reader) {
    if (reader == NULL) return;
    redisReaderFree(reader->reader);
    free(reader);
}

static tks_status too_large(tks_reader *reader, tks_error *err) {
    reader->failed = true;
    return tks_fail(
        err, TKS_ERR_CONNECTION,
        "the server's reply is larger than max_reply_size (%zu bytes): raise it, or ask "
        "for less at a time",
        reader->max_reply);
}

tks_status tks_reader_feed(tks_reader *reader, const void *data, size_t size, tks_error *err) {
    if (reader->failed)
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection's reader has failed before");
    if (redisReaderFeed(reader->reader, data, size) != REDIS_OK) {
        reader->failed = true;
        return tks_fail_memory(err);
    }
    reader->fed += size;
    return TKS_OK;
}

static size_t waiting(const tks_reader *reader) {
    return reader->reader->len - reader->reader->pos;
}

/* How large the reply under way is at least. hiredis leaves the length of a string unread until the
 * whole string is there, and takes every other line at once: a number and CRLF at its position are such
 * a length. */
static size_t announced(const tks_reader *reader) {
    size_t left = waiting(reader), size = 0, digits = 0;
    const char *at = left > 0 ? reader->reader->buf + reader->reader->pos : NULL;
    while (digits < left && at[digits] >= '0' && at[digits] <= '9') {
        if (size <= reader->max_reply) size = size * 10 + (size_t)(at[digits] - '0');
        digits++;
    }
    if (digits == 0 || left - digits < 2 || memcmp(at + digits, "\r\n", 2) != 0) return reader->fed;
    size_t whole = digits + size + 4;
    return whole > left ? reader->fed - left + whole : reader->fed;
}

tks_status tks_reader_next(tks_reader *reader, tks_reply **out, tks_error *err) {
    void *reply = NULL;
    *out = NULL;
    if (reader->failed)
        return tks_fail(err, TKS_ERR_CONNECTION, "the connection's reader has failed before");
    if (redisReaderGetReply(reader->reader, &reply) != REDIS_OK) {
        int reason = reader->reader->err;
        reader->failed = true;
        if (reader->refused) return too_large(reader, err);
        if (reason == REDIS_ERR_OOM) return tks_fail_memory(err);
        return tks_fail(
            err, TKS_ERR_CONNECTION,
            "the server's answer is not the Redis protocol: is this a Redis server, and "
            "does TLS (rediss://) fit on both sides?");
    }
    if (reply == NULL) {
        return announced(reader) > reader->max_reply ? too_large(reader, err) : TKS_OK;
    }
    /* What is left in the buffer belongs to the replies behind this one. */
    size_t size = reader->fed - waiting(reader);
    reader->fed = waiting(reader);
    reader->declared = 0;
    if (size > reader->max_reply) {
        tks_reply_free(reply);
        return too_large(reader, err);
    }
    *out = reply;
    return TKS_OK;
}

bool tks_reader_is_idle(const tks_reader *reader) {
    return !reader->failed && reader->fed == 0;
}

/* ---- replies ---- */

tks_reply_type tks_reply_get_type(const tks_reply *reply) {
    return reply->type;
}

int64_t tks_reply_get_integer(const tks_reply *reply) {
    return reply->integer;
}

tks_bytes tks_reply_get_bytes(const tks_reply *reply) {
    return tks_bytes_of(reply->u.bytes, reply->size);
}

size_t tks_reply_get_size(const tks_reply *reply) {
    return reply->size;
}

const tks_reply *tks_reply_get_item(const tks_reply *reply, size_t index) {
    return index < reply->size ? reply->u.items[index] : NULL;
}

static tks_bytes skip(tks_bytes text, size_t size) {
    return tks_bytes_of(text.data + size, text.size - size);
}

static bool begins_with(tks_bytes text, tks_bytes start) {
    return text.size >= start.size && memcmp(text.data, start.data, start.size) == 0;
}

/* How long the capitals are that `text` begins with, where they are a word. */
static size_t word_size(tks_bytes text) {
    size_t size = 0;
    while (size < text.size && text.data[size] >= 'A' && text.data[size] <= 'Z') size++;
    return size == text.size || text.data[size] == ' ' ? size : 0;
}

/* What is left of `text` behind "@user_script:12: ", or all of it. */
static tks_bytes skip_place(tks_bytes text) {
    static const char mark[] = "@user_script:";
    if (!begins_with(text, tks_bytes_of(mark, sizeof mark - 1))) return text;
    tks_bytes rest = skip(text, sizeof mark - 1);
    while (rest.size > 0 && (*rest.data == ' ' || (*rest.data >= '0' && *rest.data <= '9')))
        rest = skip(rest, 1);
    return begins_with(rest, TKS_LITERAL(": ")) ? skip(rest, 2) : text;
}

tks_bytes tks_resp_innermost_error(tks_bytes text) {
    static const char opening[] = "ERR Error running script (call to ";
    tks_bytes rest = text;
    if (begins_with(rest, tks_bytes_of(opening, sizeof opening - 1))) {
        while (rest.size > 0 && !begins_with(rest, TKS_LITERAL("): "))) rest = skip(rest, 1);
        rest = skip(rest, rest.size > 0 ? 3 : 0);
    }
    for (tks_bytes next = skip_place(rest); next.size < rest.size; next = skip_place(rest))
        rest = next;
    if (rest.size < text.size && begins_with(rest, TKS_LITERAL("-"))) rest = skip(rest, 1);
    return word_size(rest) > 0 ? rest : text;
}

tks_bytes tks_resp_error_word(tks_bytes text) {
    tks_bytes error = tks_resp_innermost_error(text);
    size_t size = word_size(error);
    return size > 0 ? tks_bytes_of(error.data, size) : TKS_LITERAL("ERR");
}

tks_bytes tks_resp_quoted_word(tks_bytes message) {
    for (size_t i = 0; i < message.size; i++) {
        tks_bytes rest = skip(message, i);
        bool named = i > 0 && message.data[i - 1] >= 'A' && message.data[i - 1] <= 'Z';
        if (named && begins_with(rest, TKS_LITERAL(" refused: ")))
            return tks_resp_error_word(skip(rest, sizeof " refused: " - 1));
        if (begins_with(rest, TKS_LITERAL("the server answered: ")))
            return tks_resp_error_word(skip(rest, sizeof "the server answered: " - 1));
    }
    return tks_resp_error_word(message);
}

bool tks_reply_is_error(const tks_reply *reply, const char *word) {
    return reply->type == TKS_REPLY_ERROR &&
           tks_bytes_equal(tks_resp_error_word(tks_reply_get_bytes(reply)),
                           tks_bytes_of(word, strlen(word)));
}

bool tks_reply_is_refusal(const tks_reply *reply) {
    static const char words[] = "ERR max number of clients";
    return reply->type == TKS_REPLY_ERROR && reply->size >= sizeof words - 1 &&
           memcmp(reply->u.bytes, words, sizeof words - 1) == 0;
}

void tks_reply_describe_error(const tks_reply *reply, char *out, size_t size) {
    tks_resp_describe_error(tks_reply_get_bytes(reply), out, size);
}

void tks_resp_describe_error(tks_bytes text, char *out, size_t size) {
    size_t n = 0;
    for (; n + 1 < size && n < text.size; n++) {
        const char *at = text.data + n;
        if (begins_with(skip(text, n), TKS_LITERAL("with args beginning with"))) break;
        out[n] = *at >= ' ' && *at <= '~' ? *at : '?';
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == ',')) n--;
    if (size > 0) out[n] = '\0';
}

void tks_reply_free(tks_reply *reply) {
    if (reply == NULL) return;
    if (reply->type == TKS_REPLY_ARRAY) {
        for (size_t i = 0; i < reply->size; i++) tks_reply_free(reply->u.items[i]);
    } else {
        tks_wipe(reply->u.bytes, reply->size);
    }
    free(reply);
}
