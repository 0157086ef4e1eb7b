/* tokenstore/buf.h - byte strings, and a growable buffer with a maximum.
 *
 * Purpose:   strings are bytes and a length; NUL is an ordinary byte.
 * Lifecycle: tks_buf is the caller's storage: tks_buf_init, append, tks_buf_clear. Data pointers
 *            are valid until the next append.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_BUF_H
#define TOKENSTORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tokenstore/api.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

/** Borrowed bytes. `data` may be NULL only if `size` is 0. */
typedef struct tks_bytes {
    const char *data;
    size_t size;
} tks_bytes;

static inline tks_bytes tks_bytes_of(const char *data, size_t size) {
    tks_bytes b = {data, size};
    return b;
}

/** A string literal as bytes, without its NUL. */
#define TKS_LITERAL(s) tks_bytes_of("" s, sizeof(s) - 1)

static inline bool tks_bytes_equal(tks_bytes a, tks_bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/** A growable buffer that never grows past `max`. Errors stick: after a failed append every later
 * one fails alike, so a run of appends needs one check at its end (tks_buf_status). */
typedef struct tks_buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t max;
    tks_status status;
} tks_buf;

/** An empty buffer for at most `max` bytes. Allocates nothing. */
void tks_buf_init(tks_buf *buf, size_t max);

/** Frees the storage; the buffer is empty and usable again. NULL is accepted. */
void tks_buf_clear(tks_buf *buf);

/** tks_buf_clear for secrets: wipes the storage first. (Growing wipes the storage left behind.) */
void tks_buf_wipe(tks_buf *buf);

/** Keeps the storage, drops the contents and a sticky error. */
void tks_buf_reset(tks_buf *buf);

/** Appends. TKS_OK, TKS_ERR_MEMORY, or TKS_ERR_DATA if `max` would be exceeded. */
tks_status tks_buf_append(tks_buf *buf, const void *data, size_t size);
tks_status tks_buf_append_bytes(tks_buf *buf, tks_bytes bytes);
tks_status tks_buf_append_char(tks_buf *buf, char c);
tks_status tks_buf_append_int(tks_buf *buf, int64_t value); /**< decimal digits */

/** Writes `value` as decimal digits, with a '-' if negative; returns the number of characters. */
enum { TKS_INT_SIZE = 20 };
size_t tks_format_int(int64_t value, char out[TKS_INT_SIZE]);

/** Reserves room for `size` more bytes and returns its start in *at; nothing counts as written before
 * tks_buf_advance. */
tks_status tks_buf_reserve(tks_buf *buf, size_t size, char **at);
void tks_buf_advance(tks_buf *buf, size_t size);

/** Drops the first `size` bytes (at most all of them). */
void tks_buf_consume(tks_buf *buf, size_t size);

/** The contents, borrowed until the next change. */
static inline tks_bytes tks_buf_bytes(const tks_buf *buf) {
    return tks_bytes_of(buf->data, buf->size);
}

TKS_END_DECLS
#endif
