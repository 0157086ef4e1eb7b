/* key.h - where a token's record and an owner's index live in Redis.
 *
 *     record   <prefix>:{<tag>}:<digest of app, type, token>
 *     index    <prefix>:{<tag>}:o:"<app>","<type>","<owner>"       (names as JSON strings)
 *
 * The tag is what Redis Cluster hashes, so all keys of one owner share a slot. It comes from a digest
 * of (app, type, owner) and stands, behind a marker character, at the head of every generated
 * token: a record is found from the token alone. A custom token's tag comes from its own digest.
 * Digests are BLAKE2b over length-prefixed fields, names in index keys are quoted: no two different
 * tuples meet in one key, whatever characters they hold. Everything here is pure. */
#ifndef TKSP_KEY_H
#define TKSP_KEY_H

#include "tokenstore/buf.h"
#include "tokenstore/secret.h"

enum {
    TKS_TAG_SIZE = 3,
    TKS_CHECK_SIZE = 4, /* head of a digest: binds a reply to what was asked */
    /* what a record key adds to its prefix: ":{" tag "}:" digest */
    TKS_RECORD_KEY_EXTRA = 2 + TKS_TAG_SIZE + 2 + TKS_DIGEST_TEXT_SIZE
};
#define TKS_TOKEN_MARKER '0' /* in the alphabet of every encoding, as the tag's characters are */

typedef struct tksp_place {
    char tag[TKS_TAG_SIZE];
    char digest[TKS_DIGEST_TEXT_SIZE];
} tksp_place;

/* The place of a token's record: digest and tag. */
void tksp_key_place(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes token,
                    tksp_place *out);

/* The place of an owner: its digest and the tag of its index and of its generated tokens. */
void tksp_key_owner(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes owner,
                    tksp_place *out);

/* Appends a record's key. TKS_OK or the buffer's error. */
tks_status tksp_key_record(tks_buf *out, tks_bytes prefix, const tksp_place *place);

/* Appends an owner's index key; `tag` is the owner's. TKS_OK or the buffer's error. */
tks_status tksp_key_index(tks_buf *out, tks_bytes prefix, const char *tag, tks_bytes app,
                          tks_bytes type, tks_bytes owner);

/* Appends `"<app>","<type>",` - what an index key has before the owner. */
tks_status tksp_key_names(tks_buf *out, tks_bytes app, tks_bytes type);

/* A base64url character's value, 0 … 63, or -1. */
int tksp_key_digit(char c);

#endif
