/* buf.c - the growable buffer. */
#include "tokenstore/buf.h"

#include <stdlib.h>

#include "tokenstore/secret.h"

enum { FIRST_CAPACITY = 128 };

void tks_buf_init(tks_buf *buf, size_t max) {
    buf->data = NULL;
    buf->size = 0;
    buf->capacity = 0;
    buf->max = max;
    buf->status = TKS_OK;
}

void tks_buf_clear(tks_buf *buf) {
    if (buf == NULL) return;
    free(buf->data);
    tks_buf_init(buf, buf->max);
}

void tks_buf_wipe(tks_buf *buf) {
    if (buf == NULL) return;
    tks_wipe(buf->data, buf->capacity);
    tks_buf_clear(buf);
}

void tks_buf_reset(tks_buf *buf) {
    buf->size = 0;
    buf->status = TKS_OK;
}

/* Not realloc, which may free memory that contains a secret without wiping it. */
static tks_status grow(tks_buf *buf, size_t needed) {
    size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;
    while (capacity < needed) capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
    char *data = malloc(capacity);
    if (data == NULL) return buf->status = TKS_ERR_MEMORY;
    if (buf->size > 0) memcpy(data, buf->data, buf->size);
    tks_wipe(buf->data, buf->size);
    free(buf->data);
    buf->data = data;
    buf->capacity = capacity;
    return TKS_OK;
}

tks_status tks_buf_reserve(tks_buf *buf, size_t size, char **at) {
    *at = NULL;
    if (buf->status != TKS_OK) return buf->status;
    if (size > buf->max || buf->size > buf->max - size) return buf->status = TKS_ERR_DATA;
    if (buf->size + size > buf->capacity || buf->data == NULL) {
        if (grow(buf, buf->size + size) != TKS_OK) return buf->status;
    }
    *at = buf->data + buf->size;
    return TKS_OK;
}

void tks_buf_advance(tks_buf *buf, size_t size) {
    buf->size += size;
}

tks_status tks_buf_append(tks_buf *buf, const void *data, size_t size) {
    char *at;
    tks_status status = tks_buf_reserve(buf, size, &at);
    if (status == TKS_OK && size > 0) {
        memcpy(at, data, size);
        buf->size += size;
    }
    return status;
}

tks_status tks_buf_append_bytes(tks_buf *buf, tks_bytes bytes) {
    return tks_buf_append(buf, bytes.data, bytes.size);
}

tks_status tks_buf_append_char(tks_buf *buf, char c) {
    return tks_buf_append(buf, &c, 1);
}

/* Not snprintf, which is many times slower. */
size_t tks_format_int(int64_t value, char out[TKS_INT_SIZE]) {
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t first = TKS_INT_SIZE;
    do {
        out[--first] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) out[--first] = '-';
    memmove(out, out + first, TKS_INT_SIZE - first);
    return TKS_INT_SIZE - first;
}

tks_status tks_buf_append_int(tks_buf *buf, int64_t value) {
    char digits[TKS_INT_SIZE];
    return tks_buf_append(buf, digits, tks_format_int(value, digits));
}

void tks_buf_consume(tks_buf *buf, size_t size) {
    if (size >= buf->size) {
        buf->size = 0;
    } else if (size > 0) {
        memmove(buf->data, buf->data + size, buf->size - size);
        buf->size -= size;
    }
}
