/* tokenstore/secret.h - random bytes, digests, constant-time comparison, wiping (libsodium).
 *
 * Threads: safe from any thread; tks_secret_start is idempotent. */
#ifndef TOKENSTORE_SECRET_H
#define TOKENSTORE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

enum {
    TKS_DIGEST_SIZE = 21,          /**< BLAKE2b-168: 28 characters of base64url without padding */
    TKS_FINGERPRINT_KEY_SIZE = 16, /**< a key of tks_fingerprint */
    TKS_DIGEST_TEXT_SIZE =
        28,             /**< see docs/explanation/stored-format.md for why not one byte more */
    TKS_PEPPER_MAX = 64 /**< BLAKE2b's longest key */
};

/** The encoding of a token's random bytes. */
typedef enum tks_encoding { TKS_BASE64URL, TKS_BASE64, TKS_HEX } tks_encoding;

/** Must be called before anything else here; may be called any number of times, from any thread.
 * TKS_ERR_CONFIGURATION if the system has no source of randomness. */
tks_status tks_secret_start(tks_error *err);

/** Fills `out` with `size` random bytes from the system's generator. */
void tks_random(void *out, size_t size);

/** A uniform random number in 0 … bound-1. `bound` > 0. */
uint32_t tks_random_below(uint32_t bound);

/** Fills `out` with `size` uniform random characters of [A-Za-z0-9], without NUL. Most sizes need one call of the
 * system's generator. */
void tks_random_letters(char *out, size_t size);

/** The digest of `count` fields, each preceded by its length, so that different lists of fields never give the same
 * input; keyed by `pepper` unless it is empty. Writes TKS_DIGEST_TEXT_SIZE characters of base64url to `out`, no
 * NUL. */
void tks_digest(tks_bytes pepper, const tks_bytes *fields, size_t count, char *out);

/** A fingerprint for tables in memory: SipHash-2-4 with 128 bits. Without the secret key of TKS_FINGERPRINT_KEY_SIZE random bytes nobody can
 * make two texts with the same, or find a text. */
void tks_fingerprint(const unsigned char *key, tks_bytes text, uint64_t out[2]) TKS_ALL_NONNULL;

/** Fills `out` with `size` bytes, at most 256, that follow from a secret and a salt, and from which neither follows:
 * BLAKE2b over (salt, number of the block), keyed by BLAKE2b-512 of the secret. */
void tks_derive(tks_bytes secret, tks_bytes salt, void *out, size_t size);

/** Appends `bytes` to `out` in `encoding`, without padding. TKS_OK or the buffer's error. */
tks_status tks_encode(tks_encoding encoding, const void *bytes, size_t size, tks_buf *out);

/** Equal? In time that depends only on the sizes. */
bool tks_secret_equal(tks_bytes a, tks_bytes b);

/** Overwrites `size` bytes in a way the compiler keeps. NULL with size 0 is accepted. */
void tks_wipe(void *data, size_t size);

TKS_END_DECLS
#endif
