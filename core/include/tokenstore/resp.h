/* tokenstore/resp.h - the Redis protocol without I/O: format commands, read replies (hiredis).
 *
 * Purpose:   bytes in, replies out; no socket anywhere. Source: redis.io, "Redis serialization
 *            protocol specification". RESP2 is requested; RESP3's types are understood if a server sends them anyway.
 * Lifecycle: a reader is fed and asked by one driver; replies are trees the caller frees.
 * Threads:   one thread at a time for each reader and each reply. */
#ifndef TOKENSTORE_RESP_H
#define TOKENSTORE_RESP_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

typedef enum tks_reply_type {
    TKS_REPLY_NIL,
    TKS_REPLY_STATUS, /**< +OK */
    TKS_REPLY_ERROR,  /**< -ERR … */
    TKS_REPLY_INTEGER,
    TKS_REPLY_STRING,
    TKS_REPLY_ARRAY,
    TKS_REPLY_OVERSIZED /**< a reply too large for the reader; nothing of it was kept */
} tks_reply_type;

typedef struct tks_reply tks_reply;

/** Appends one command. TKS_OK or the buffer's error. `argc` ≥ 1; arguments may contain any byte. */
TKS_MUST_USE tks_status tks_resp_format(tks_buf *out, size_t argc, const tks_bytes *argv);

typedef struct tks_reader tks_reader;

/** The maximum nesting of arrays: 32; 8 with hiredis before 1.0. */
size_t tks_reader_depth_max(void);

/** A reader holds one reply at a time, and never more than `max_reply` bytes of it: those of its strings, and
 * sixteen for each item, as soon as they are announced. (With the overhead of allocator and reader, memory stays
 * below twice that.)
 *
 * A larger reply, or one nested deeper than tks_reader_depth_max(), is read to its end and discarded.
 * tks_reader_next then returns a reply of type OVERSIZED in its place, so the connection stays in step, and the
 * replies before and after it are valid. Such a reply is an answer: the command was executed. The driver decides
 * how long to read on; tks_reader_check detects it.
 *
 * TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_reader_new(size_t max_reply, tks_reader **out, tks_error *err);
void tks_reader_free(tks_reader *reader);

/** Copies `size` bytes in. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONNECTION (it failed earlier). Errors are permanent. */
tks_status tks_reader_feed(tks_reader *reader, const void *data, size_t size, tks_error *err);

/** The next whole reply, to be freed by the caller; NULL with TKS_OK when more bytes are needed.
 * TKS_ERR_CONNECTION when the bytes are not RESP, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_reader_next(tks_reader *reader, tks_reply **out, tks_error *err);

/** True if no byte is pending and no reply is half read: only then may the connection be reused. */
bool tks_reader_is_idle(const tks_reader *reader) TKS_ALL_NONNULL;

/** TKS_ERR_LIMIT while an OVERSIZED reply is being read; else TKS_OK. */
TKS_MUST_USE tks_status tks_reader_check(const tks_reader *reader, tks_error *err);

tks_reply_type tks_reply_get_type(const tks_reply *reply) TKS_ALL_NONNULL;
int64_t tks_reply_get_integer(const tks_reply *reply); /**< of an INTEGER */
tks_bytes tks_reply_get_bytes(const tks_reply *reply)
    TKS_ALL_NONNULL; /**< of a STRING, STATUS or ERROR; borrowed */
size_t tks_reply_get_size(const tks_reply *reply) TKS_ALL_NONNULL; /**< of an ARRAY */

/** Of an ARRAY, borrowed; NULL past its end. */
const tks_reply *tks_reply_get_item(const tks_reply *reply, size_t index) TKS_ALL_NONNULL;

/** An error's text without the wrapping that Redis before 7.0 adds if a command within a script fails, and the
 * error's code, "ERR" if there is none:
 *
 *     ERR Error running script (call to f_6b1b…): @user_script:3: @user_script: 3: -READONLY You can't write …
 *
 * Both are borrowed. Source: Redis 6.2, scripting.c, luaPushError and evalGenericCommand. */
tks_bytes tks_resp_innermost_error(tks_bytes text);
tks_bytes tks_resp_error_word(tks_bytes text);

/** The code of the error quoted in one of our messages ("the server answered: …", "AUTH refused: …"), or of an
 * error as the server sent it. */
tks_bytes tks_resp_quoted_word(tks_bytes message);

/** A message to a subscriber: an ARRAY of `size` items that begins with `name` ("message", "pong" …)? */
bool tks_reply_is_push(const tks_reply *reply, tks_bytes name, size_t size) TKS_ALL_NONNULL;

/** An ERROR of this name ("NOSCRIPT")? Within a script too. */
bool tks_reply_is_error(const tks_reply *reply, const char *word) TKS_ALL_NONNULL;

/** Is it a temporary error: not executed, retry later (LOADING, BUSY …)? Source: redis.io, "Redis cluster
 * specification", "EVAL"; the error table in Redis' server.c. */
bool tks_reply_is_not_now(const tks_reply *reply) TKS_ALL_NONNULL;

/** Is it the ERROR with which a server rejects a new connection, since it is full, or in protected mode? It comes as
 * the first reply, whatever was sent; the server has read nothing. Source: Redis' networking.c, acceptCommonHandler. */
bool tks_reply_is_refusal(const tks_reply *reply) TKS_ALL_NONNULL;

/** TKS_OK unless it is that error; otherwise says so, and what to do: TKS_ERR_CONNECTION (full: retry later) or
 * TKS_ERR_SERVER (protected mode, in which a server without a password accepts only clients on its own host). */
tks_status tks_reply_check_refusal(const tks_reply *reply, tks_error *err) TKS_NONNULL(1);

/** An error's text for a message, as a C string: printable, truncated to `size`, and without the arguments that
 * Redis quotes for unknown commands, which may contain anything. */
void tks_resp_describe_error(tks_bytes text, char *out, size_t size);
/** The same for an ERROR; for an OVERSIZED, what was too large. */
void tks_reply_describe_error(const tks_reply *reply, char *out, size_t size);

/** An ARRAY that is not empty becomes its first item. */
void tks_reply_become_first(tks_reply *reply) TKS_ALL_NONNULL;

/** Frees a reply and all in it. NULL is accepted; strings are wiped first: they may contain secrets. */
void tks_reply_free(tks_reply *reply);

TKS_END_DECLS
#endif
