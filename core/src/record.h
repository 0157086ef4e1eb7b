/* record.h - the text that Redis holds for one token.
 *
 *     ["<created><check>","<owner>",{<data>}]              a generated token
 *     ["<created><check>","<owner>",{<data>},"<tag>"]      a custom one whose owner has another tag
 *
 * created is microseconds since 1970 by the server's clock, 9 base64url digits, most significant
 * first; check is the head of the record's digest, so that a record that is not the one asked for is
 * seen. It is JSON, but of one spelling only: the scripts find its parts by their places. */
#ifndef TKSP_RECORD_H
#define TKSP_RECORD_H

#include "arena.h"
#include "key.h"

enum {
    TKS_CREATED_SIZE = 9,
    TKS_RECORD_HEAD = 2 + TKS_CREATED_SIZE + TKS_CHECK_SIZE + 2 /* up to the owner's quote */
};

/* Slices of the record's text, but for `owner` where it had escapes: that is in the arena. */
typedef struct tksp_record {
    int64_t created_us;
    tks_bytes check;
    tks_bytes owner;
    tks_bytes data;
    tks_bytes tag; /* empty: the record's own */
} tksp_record;

/* TKS_OK, TKS_ERR_DATA (not a record: the message says so), TKS_ERR_MEMORY. */
tks_status tksp_record_read(tks_bytes text, tksp_arena *arena, tksp_record *out, tks_error *err);

/* `<created><check>`: created in microseconds, or -2 unless the check is `check`. */
int64_t tksp_record_read_head(tks_bytes head, tks_bytes check);

/* Appends what follows the head: `"<owner>",{<data>}]`, with `,"<tag>"` unless `tag` is NULL.
 * TKS_OK or the buffer's error. */
tks_status tksp_record_write_tail(tks_buf *out, tks_bytes owner, tks_bytes data, const char *tag);

#endif
