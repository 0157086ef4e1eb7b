/* tokenstore/resp.h - the Redis protocol without I/O: format commands, read replies (hiredis).
 *
 * Purpose:   bytes in, replies out; no socket anywhere. Source: redis.io, "Redis serialization
 *            protocol specification". RESP2, which is what is asked for; RESP3's kinds are understood
 *            where a server sends them all the same.
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
    TKS_REPLY_OVERSIZED /**< a reply came that the reader could not hold; nothing of it was kept */
} tks_reply_type;

typedef struct tks_reply tks_reply;

/** Appends one command. TKS_OK or the buffer's error. `argc` ≥ 1; arguments may hold any byte. */
tks_status tks_resp_format(tks_buf *out, size_t argc, const tks_bytes *argv);

typedef struct tks_reader tks_reader;

/** How many arrays may stand in one another: 32; with hiredis before 1.0, which ends there, 8. */
size_t tks_reader_depth_max(void);

/** A reader holds one reply at a time, and of it never more than `max_reply` bytes: those of its strings, and
 * sixteen for each of its items, as soon as they are announced. (With what the allocator and the reader
 * need beside it, memory stays below twice that.)
 *
 * A reply that would take more, or is nested deeper than tks_reader_depth_max(), is read to its end and thrown
 * away as it comes. tks_reader_next then gives a reply of the type OVERSIZED in its place, so the connection
 * stays in step, and the replies before and behind it are good. Such a reply is an answer: the command
 * was carried out. How long to read on for it is the driver's to decide; tks_reader_check tells that it is
 * under way.
 *
 * TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_reader_new(size_t max_reply, tks_reader **out, tks_error *err);
void tks_reader_free(tks_reader *reader);

/** Copies `size` bytes in. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONNECTION (it has failed before). Errors
 * stick: a reader that failed once fails for good. */
tks_status tks_reader_feed(tks_reader *reader, const void *data, size_t size, tks_error *err);

/** The next whole reply, the caller's to free; NULL with TKS_OK when more bytes are needed.
 * TKS_ERR_CONNECTION when the bytes are not RESP, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_reader_next(tks_reader *reader, tks_reply **out, tks_error *err);

/** True when no byte waits and no reply is half read: only then may the connection be used again. */
bool tks_reader_is_idle(const tks_reader *reader) TKS_ALL_NONNULL;

/** TKS_ERR_LIMIT while a reply comes that will be OVERSIZED; else TKS_OK. */
tks_status tks_reader_check(const tks_reader *reader, tks_error *err);

tks_reply_type tks_reply_get_type(const tks_reply *reply) TKS_ALL_NONNULL;
int64_t tks_reply_get_integer(const tks_reply *reply); /**< of an INTEGER */
tks_bytes tks_reply_get_bytes(const tks_reply *reply)
    TKS_ALL_NONNULL; /**< of a STRING, STATUS or ERROR; borrowed */
size_t tks_reply_get_size(const tks_reply *reply) TKS_ALL_NONNULL; /**< of an ARRAY */

/** Of an ARRAY, borrowed; NULL past its end. */
const tks_reply *tks_reply_get_item(const tks_reply *reply, size_t index) TKS_ALL_NONNULL;

/** An error's text without what Redis puts around it before 7.0 where a command within a script failed, and the
 * word that names the error, "ERR" where there is none:
 *
 *     ERR Error running script (call to f_6b1b…): @user_script:3: @user_script: 3: -READONLY You can't write …
 *
 * Both are borrowed. Source: Redis 6.2, scripting.c, luaPushError and evalGenericCommand. */
tks_bytes tks_resp_innermost_error(tks_bytes text);
tks_bytes tks_resp_error_word(tks_bytes text);

/** The word of the error that a message of ours quotes: "the server answered: …", "AUTH refused: …"; of any
 * other text, that is of an error as the server sent it, its own. */
tks_bytes tks_resp_quoted_word(tks_bytes message);

/** An ERROR of this name ("NOSCRIPT")? Within a script too. */
bool tks_reply_is_error(const tks_reply *reply, const char *word) TKS_ALL_NONNULL;

/** Is it an error that says: not executed, try again later (LOADING, BUSY …)? Source: redis.io, "Redis cluster
 * specification", "EVAL"; the error table in Redis' server.c. */
bool tks_reply_is_not_now(const tks_reply *reply) TKS_ALL_NONNULL;

/** An ERROR by which a server that is full turns a new connection away? It comes as the first reply,
 * whatever was sent; nothing of that was read. Source: Redis' networking.c, acceptCommonHandler. */
bool tks_reply_is_refusal(const tks_reply *reply) TKS_ALL_NONNULL;

/** An error's text for a message, as a C string: printable, cut to `size`, and without the arguments
 * that Redis quotes for unknown commands, which may hold anything. */
void tks_resp_describe_error(tks_bytes text, char *out, size_t size);
/** The same of an ERROR; of an OVERSIZED what was too large. */
void tks_reply_describe_error(const tks_reply *reply, char *out, size_t size);

/** Frees a reply and all in it. NULL is accepted; strings are wiped first: they may hold secrets. */
void tks_reply_free(tks_reply *reply);

TKS_END_DECLS
#endif
