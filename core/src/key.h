/* key.h - where a token's record lives in Redis, and what a generated token is made of.
 *
 *     owner       <prefix>:<kind><locator>          a HASH: field -> record, all tokens of one app, type, owner
 *     alias       <prefix>:<kind>=<field>           a string: the locator of a custom token's owner
 *     kinds       <prefix>:kinds                    a HASH: kind -> ["app","type"], for listings of keys alone
 *
 * The locator is the head of a digest over (app, type, owner), and stands in every generated token of that owner: the
 * record is found from the token alone, by one HGET. A token without an owner has a random locator, so a hash of its own. The field is the head of a digest over (app, type, token), keyed
 * by the pepper. Digests are BLAKE2b over length-prefixed fields: no two different tuples meet, whatever characters they
 * hold. The kind is a checksum of (app, type): if two meet, nothing but a listing of keys is the worse for it.
 *
 * A generated token is
 *
 *     <marker> <locator> <random bytes> <sum>
 *
 * in one encoding from end to end. The sum is the head of a CRC-32 of what is before it: a text that was mistyped or
 * invented is known without asking Redis, and no custom token is taken for a generated one. Everything here is pure. */
#ifndef TKSP_KEY_H
#define TKSP_KEY_H

#include "tokenstore/buf.h"
#include "tokenstore/secret.h"

enum {
    TKS_KIND_SIZE = 4,
    TKS_LOCATOR_SIZE = 16, /* 96 bits, in base64url */
    TKS_FIELD_SIZE = 22,   /* 132 bits */
    TKS_CHECK_SIZE = 4,    /* head of a field: binds a reply to what was asked */
    TKS_TOKEN_EXTRA_MAX =
        1 + 2 * 12 + 6, /* characters besides the random bytes, of the longest encoding */
    TKS_KEY_EXTRA_MAX = 1 + TKS_KIND_SIZE + 1 + TKS_FIELD_SIZE /* what a key adds to its prefix */
};

/* Where a record is: `field` of the hash at `locator`. */
typedef struct tksp_place {
    char locator[TKS_LOCATOR_SIZE];
    char field[TKS_FIELD_SIZE];
} tksp_place;

/* Is it a generated token, by its marker, its alphabet and its sum? Writes its locator then. Anything else is a custom one. */
bool tksp_token_read(tks_bytes token, char locator[TKS_LOCATOR_SIZE]);

/* Appends a new token. TKS_OK or the buffer's error. */
tks_status tksp_token_write(tks_buf *out, tks_encoding encoding, const char *locator,
                            const void *random, size_t size);

/* Writes the locator of an owner; or, of nobody, a random one. */
void tksp_key_locate(tks_bytes app, tks_bytes type, tks_bytes owner,
                     char locator[TKS_LOCATOR_SIZE]);
void tksp_key_locate_nobody(char locator[TKS_LOCATOR_SIZE]);

/* Writes the field of a token. */
void tksp_key_field(tks_bytes pepper, tks_bytes app, tks_bytes type, tks_bytes token,
                    char field[TKS_FIELD_SIZE]);

/* Append a key. TKS_OK or the buffer's error. */
tks_status tksp_key_owner(tks_buf *out, tks_bytes prefix, tks_bytes app, tks_bytes type,
                          const char *locator);
tks_status tksp_key_alias(tks_buf *out, tks_bytes prefix, tks_bytes app, tks_bytes type,
                          const char *field);

/* What an alias holds: the locator of its token's owner, something random, so that no two creations have the same text,
 * and a mark behind it while the token is being created. The token may be gone: the record decides. False: it is no
 * alias's text. */
enum {
    TKSP_ALIAS_NONCE = 6,
    TKSP_ALIAS_SIZE = TKS_LOCATOR_SIZE + TKSP_ALIAS_NONCE,
    TKSP_ALIAS_CLAIMED = '?'
};
bool tksp_alias_read(tks_bytes text, char locator[TKS_LOCATOR_SIZE]);

/* Writes the kind of an app and a type. */
void tksp_key_kind(tks_bytes app, tks_bytes type, char kind[TKS_KIND_SIZE]);

/* A number, not 0, for a kind under a prefix. */
uint32_t tksp_key_kind_number(tks_bytes prefix, const char kind[TKS_KIND_SIZE]);

/* Appends the key of the registry of kinds, and what it has for one: ["app","type"]. TKS_OK or the buffer's error. */
tks_status tksp_key_kinds(tks_buf *out, tks_bytes prefix);
tks_status tksp_key_kind_names(tks_buf *out, tks_bytes app, tks_bytes type);

/* A base64url character's value, 0 … 63, or -1. */
int tksp_key_digit(char c);

#endif
