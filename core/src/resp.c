/* resp.c - formats commands and accesses replies. resp_read.c reads replies. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "resp_private.h"
#include "tokenstore/secret.h"

/* ---- formatting ---- */

enum { COUNT_MAX = 1 + TKS_INT_SIZE + 2 }; /* a type byte, digits, "\r\n" */

static char *put_end(char *at) {
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *put_count(char *at, char mark, size_t count) {
    *at++ = mark;
    return put_end(at + tks_format_int((int64_t)count, at));
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

/* ---- replies ---- */

tks_reply_type tks_reply_get_type(const tks_reply *reply) {
    return reply->type;
}

int64_t tks_reply_get_integer(const tks_reply *reply) {
    return reply->u.integer;
}

tks_bytes tks_reply_get_bytes(const tks_reply *reply) {
    switch (reply->type) {
    case TKS_REPLY_STRING:
    case TKS_REPLY_STATUS:
    case TKS_REPLY_ERROR: return tks_bytes_of(reply->u.bytes, reply->size);
    default: return tks_bytes_of(NULL, 0);
    }
}

size_t tks_reply_get_size(const tks_reply *reply) {
    return reply->size;
}

const tks_reply *tks_reply_get_item(const tks_reply *reply, size_t index) {
    return reply->type == TKS_REPLY_ARRAY && index < reply->size ? &reply->u.items[index] : NULL;
}

/* Its memory stays the tree's, which is freed by its root. */
void tks_reply_become_first(tks_reply *reply) {
    *reply = reply->u.items[0];
}

static tks_bytes skip(tks_bytes text, size_t size) {
    return tks_bytes_of(text.data + size, text.size - size);
}

static bool begins_with(tks_bytes text, tks_bytes start) {
    return text.size >= start.size && memcmp(text.data, start.data, start.size) == 0;
}

/* The length of the word in capitals at the beginning of `text`, or 0. */
static size_t word_size(tks_bytes text) {
    size_t size = 0;
    while (size < text.size && text.data[size] >= 'A' && text.data[size] <= 'Z') size++;
    return size == text.size || text.data[size] == ' ' ? size : 0;
}

/* `text` without a prefix "@user_script:12: ". */
static tks_bytes skip_place(tks_bytes text) {
    static const char mark[] = "@user_script:";
    if (!begins_with(text, tks_bytes_of(mark, sizeof mark - 1))) return text;
    tks_bytes rest = skip(text, sizeof mark - 1);
    while (rest.size > 0 && (*rest.data == ' ' || (*rest.data >= '0' && *rest.data <= '9'))) {
        rest = skip(rest, 1);
    }
    return begins_with(rest, TKS_LITERAL(": ")) ? skip(rest, 2) : text;
}

tks_bytes tks_resp_innermost_error(tks_bytes text) {
    static const char opening[] = "ERR Error running script (call to ";
    tks_bytes rest = text;
    if (begins_with(rest, tks_bytes_of(opening, sizeof opening - 1))) {
        while (rest.size > 0 && !begins_with(rest, TKS_LITERAL("): "))) rest = skip(rest, 1);
        rest = skip(rest, rest.size > 0 ? 3 : 0);
    }
    for (tks_bytes next = skip_place(rest); next.size < rest.size; next = skip_place(rest)) {
        rest = next;
    }
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
        if (named && begins_with(rest, TKS_LITERAL(" refused: "))) {
            return tks_resp_error_word(skip(rest, sizeof " refused: " - 1));
        }
        if (begins_with(rest, TKS_LITERAL("the server answered: "))) {
            return tks_resp_error_word(skip(rest, sizeof "the server answered: " - 1));
        }
    }
    return tks_resp_error_word(message);
}

bool tks_reply_is_push(const tks_reply *reply, tks_bytes name, size_t size) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY || tks_reply_get_size(reply) != size) {
        return false;
    }
    const tks_reply *first = size > 0 ? tks_reply_get_item(reply, 0) : NULL;
    return first != NULL && tks_reply_get_type(first) == TKS_REPLY_STRING &&
           tks_bytes_equal(tks_reply_get_bytes(first), name);
}

bool tks_reply_is_error(const tks_reply *reply, const char *word) {
    return reply->type == TKS_REPLY_ERROR &&
           tks_bytes_equal(tks_resp_error_word(tks_reply_get_bytes(reply)),
                           tks_bytes_of(word, strlen(word)));
}

bool tks_reply_is_not_now(const tks_reply *reply) {
    static const char *const words[] = {"LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (tks_reply_is_error(reply, words[i])) return true;
    }
    return false;
}

bool tks_reply_is_refusal(const tks_reply *reply) {
    static const char full[] = "ERR max number of clients";
    return tks_reply_is_error(reply, "DENIED") ||
           (reply->type == TKS_REPLY_ERROR && reply->size >= sizeof full - 1 &&
            memcmp(reply->u.bytes, full, sizeof full - 1) == 0);
}

tks_status tks_reply_check_refusal(const tks_reply *reply, tks_error *err) {
    if (!tks_reply_is_refusal(reply)) return TKS_OK;
    if (tks_reply_is_error(reply, "DENIED")) {
        return tks_fail(err, TKS_ERR_SERVER,
                        "the server answered: DENIED (protected mode accepts only its own host): "
                        "set a password on it (requirepass), and put it into the URL");
    }
    return tks_fail(err, TKS_ERR_CONNECTION, "the server is full: max number of clients reached");
}

void tksp_describe_oversized(int64_t max_reply, char *out, size_t size) {
    if (max_reply == 0) {
        (void)snprintf(out, size, "the reply is nested deeper than %zu levels",
                       tks_reader_depth_max());
    } else {
        (void)snprintf(out, size,
                       "the reply is larger than max_reply_size (%" PRId64
                       " bytes): request less at a time, or raise it",
                       max_reply);
    }
}

void tks_reply_describe_error(const tks_reply *reply, char *out, size_t size) {
    if (reply->type == TKS_REPLY_OVERSIZED) {
        tksp_describe_oversized(reply->u.integer, out, size);
    } else {
        tks_resp_describe_error(tks_reply_get_bytes(reply), out, size);
    }
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
    tksp_tree *tree = (tksp_tree *)(void *)reply;
    if (tree == NULL) return;
    for (tksp_block *block = tree->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block->secret) tks_wipe(block->data, block->used);
        if (block->data != (char *)(block + 1)) free(block->data);
        if (block != &tree->first) free(block);
    }
    free(tree);
}
