/* record.h - the text that Redis holds for one token.
 *
 *     <created><check>[p][<mark><time>…][f<family>]"<owner>"["<address>""<user agent>"]{<data>}
 *
 * created is microseconds since 1970 by the server's clock, nine base64url digits, most significant first; check is the
 * head of the token's field, so that a record that is not the one asked for is seen. "p" marks a token that never ends;
 * without it, and without an end of its own, the server ends the field. The times are milliseconds, seven
 * digits: each behind a letter that says which it is, in the order below. The family is the field of the first token of
 * a chain of rotations, where that is another. Of an anonymous token the owner is left out, or "" before a request. Names
 * are JSON strings in which '"' is written \u0022: the scripts find all parts by their places.
 *
 * A rotation may leave two texts that are no records, but begin like one:
 *
 *     <created><check>[e<time>]r<family>><shape><salt><field>      a forward, in the old token's field
 *     <created><check>[e<time>]r<family>["<owner>"]                a tombstone, in a field beside it
 *
 * See rotation.h. */
#ifndef TKSP_RECORD_H
#define TKSP_RECORD_H

#include "arena.h"
#include "key.h"

enum { TKS_CREATED_SIZE = 9, TKS_TIME_SIZE = 7 };

/* The times of a record, in their order: what each is, and its letter. 0: it has none. */
typedef enum tksp_record_time {
    TKSP_TIME_END,   /* 'e': when it ends, on servers that cannot end a field by themselves */
    TKSP_TIME_IDLE,  /* 'i': for how long it may be unused */
    TKSP_TIME_UNTIL, /* 'u': how long after its creation no use lets it live */
    TKSP_TIME_SEEN,  /* 's': when it was last used, as far as that was written */
    TKSP_TIMES
} tksp_record_time;

/* Slices of the record's text, but for names that had escapes: those are in the arena. */
typedef struct tksp_record {
    int64_t created_us;
    tks_bytes check;
    bool lasts;                /* it never ends */
    int64_t times[TKSP_TIMES]; /* milliseconds */
    tks_bytes family;          /* empty: its own field */
    tks_bytes owner;           /* empty: anonymous */
    tks_bytes address, agent;  /* of the request; empty: not known */
    tks_bytes data;
} tksp_record;

/* TKS_OK, TKS_ERR_DATA (not a record: the message says so), TKS_ERR_MEMORY. */
tks_status tksp_record_read(tks_bytes text, tksp_arena *arena, tksp_record *out, tks_error *err);

/* created from its nine digits; -2: they are none. */
int64_t tksp_record_read_created(const char *digits);

/* For what begins or ends like a record: reads an end, a name, at *at, which moves behind it. False: it is none. */
bool tksp_record_read_end(const char **at, const char *end, int64_t *out_ms);
bool tksp_record_read_name(const char **at, const char *end, tksp_arena *arena, tks_bytes *out);

/* Appends the head: the creation, the check and the end, which the server may have to write. TKS_OK or the buffer's error. */
tks_status tksp_record_write_head(tks_buf *out, const tksp_record *record);

/* Appends the rest. TKS_OK or the buffer's error. */
tks_status tksp_record_write_tail(tks_buf *out, const tksp_record *record);

#endif
