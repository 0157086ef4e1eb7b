/* spike_file.c - see spike_file.h. */
#define _POSIX_C_SOURCE 200809L

#include "spike_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tokenstore/secret.h"

enum { SHOWN = 150, PIECE = 4096, CERTIFICATE_MAX = 1024 * 1024 };

static tks_status refuse(const char *path, const char *why, tks_error *err) {
    return tks_fail(err, TKS_ERR_SPIKE, "cannot read %.*s: %s", SHOWN, path, why);
}

/* Not with stdio, whose buffer is never wiped. */
static tks_status read_all(const char *path, tks_buf *out, tks_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return refuse(path, strerror(errno), err);
    }
    char *at;
    ssize_t got = 1;
    tks_status status = tks_buf_reserve(out, PIECE, &at);
    while (status == TKS_OK && got != 0) {
        got = read(fd, at, PIECE);
        if (got > 0) {
            tks_buf_advance(out, (size_t)got);
            status = tks_buf_reserve(out, PIECE, &at);
        } else if (got < 0 && errno != EINTR) {
            status = refuse(path, strerror(errno), err);
        }
    }
    (void)close(fd);
    if (status == TKS_ERR_DATA) {
        return refuse(path, "it is too large", err);
    }
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static tks_bytes trim(tks_bytes text) {
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[0])) {
        text = tks_bytes_of(text.data + 1, text.size - 1);
    }
    return text;
}

tks_status tksp_spike_read_file(tks_bytes path, tks_buf *out, tks_error *err) {
    tks_buf name, text;
    tks_buf_init(&name, SIZE_MAX);
    tks_buf_init(&text, TKSP_SPIKE_FILE_MAX);
    (void)tks_buf_append_bytes(&name, path);
    tks_status status = tks_buf_append_char(&name, '\0');
    status = status == TKS_OK ? read_all(name.data, &text, err) : tks_fail_memory(err);
    tks_bytes found = trim(tks_buf_bytes(&text));
    if (status == TKS_OK && found.size == 0) {
        status = refuse(name.data, "it is empty", err);
    }
    if (status == TKS_OK && tks_buf_append_bytes(out, found) != TKS_OK) {
        status = tks_fail_memory(err);
    }
    tks_buf_wipe(&text);
    tks_buf_clear(&name);
    return status;
}

tks_status tksp_spike_digest_file(const char *path, tks_buf *out, tks_error *err) {
    char digest[TKS_DIGEST_TEXT_SIZE];
    tks_buf text;
    tks_buf_init(&text, CERTIFICATE_MAX);
    tks_status status = read_all(path, &text, err);
    tks_bytes field = tks_buf_bytes(&text);
    if (status == TKS_OK) {
        tks_digest(tks_bytes_of(NULL, 0), &field, 1, digest);
        status =
            tks_buf_append(out, digest, sizeof digest) == TKS_OK ? TKS_OK : tks_fail_memory(err);
    }
    tks_buf_wipe(&text); /* it may also contain the private key */
    return status;
}
