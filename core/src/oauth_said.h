/* oauth_said.h - sanitizes a server's error texts for messages and attributes.
 *
 * Rules:   texts are truncated between characters. Control characters and bidirectional controls
 *          become blanks. A text that repeats a secret, unchanged, escaped or in base64, is
 *          withheld; anything that looks like a JWT is removed.
 * Threads: pure. */
#ifndef TKSP_OAUTH_SAID_H
#define TKSP_OAUTH_SAID_H

#include <stdbool.h>

#include "tokenstore/buf.h"

/* Secrets that were sent and must not appear in a message. Empty texts are skipped. */
typedef struct tksp_secrets {
    const tks_bytes *texts;
    size_t count;
} tksp_secrets;

/* Writes UTF-8, with '?' for invalid bytes. `out` is NUL-terminated. */
void tksp_said_text(tks_bytes text, const tksp_secrets *secrets, char *out, size_t size);

/* Writes a URL without user, password, query and fragment, which may contain secrets. */
void tksp_said_url(tks_bytes url, const tksp_secrets *secrets, char *out, size_t size);

#endif
