/* rotation.h - what a rotation leaves in place of the old token, and the secret that follows from it.
 *
 * A forward lets the old token find the new one. It has a salt and the shape of the new secret, which is derived from the old
 * one and the salt: each holder of the old token arrives at the same new one, and the server, which has neither, at
 * none. The salt is gone when the forward ends. A tombstone then says that the token was rotated, and in which family. Its field
 * is the token's, but for the last character. Everything here is pure. */
#ifndef TKSP_ROTATION_H
#define TKSP_ROTATION_H

#include "record.h"

enum {
    TKSP_SALT_SIZE = 22, /* 132 bits, in base64url */
    TKSP_SHAPE_SIZE = 3, /* the encoding and the number of random bytes */
    TKSP_FORWARD_SIZE = 1 + TKSP_SHAPE_SIZE + TKSP_SALT_SIZE + TKS_FIELD_SIZE,
    TKSP_ROTATED_MARK = 'r',
    TKSP_TOMBSTONE_MARK = '~' /* the last character of a tombstone's field */
};

/* Slices of the text, but for an owner with escapes, which is in the arena. */
typedef struct tksp_rotated {
    tks_bytes check;
    int64_t end_ms; /* 0: the server ends the field */
    tks_bytes family;
    bool leads; /* it is a forward; else a tombstone */
    tks_encoding encoding;
    size_t token_size;
    tks_bytes salt, field; /* of a forward */
    tks_bytes owner;       /* of a tombstone; empty: anonymous */
} tksp_rotated;

/* Quickly, for what is not a record: does it look like one of these? */
static inline bool tksp_is_rotated(tks_bytes text) {
    enum { AT = TKS_CREATED_SIZE + TKS_CHECK_SIZE, BEHIND_END = AT + 1 + TKS_TIME_SIZE };
    return text.size > BEHIND_END &&
           text.data[text.data[AT] == 'e' ? BEHIND_END : AT] == TKSP_ROTATED_MARK;
}

/* False: it is neither; a record, perhaps. */
bool tksp_rotated_read(tks_bytes text, tksp_arena *arena, tksp_rotated *out);

/* Writes random characters. */
void tksp_rotation_salt(char salt[TKSP_SALT_SIZE]);

/* Appends what a forward has behind its family and locator. TKS_OK or the buffer's error. */
tks_status tksp_forward_write(tks_buf *out, tks_encoding encoding, size_t token_size,
                              const char *salt, const char *field);

/* Appends the token that follows from `secret`. TKS_OK or the buffer's error. */
tks_status tksp_successor_write(tks_buf *out, tks_bytes secret, tks_bytes salt,
                                tks_encoding encoding, const char *locator, size_t token_size);

#endif
