/* oauth_said.h - what a server said when it gave no token, made fit for messages and attributes.
 *
 * Rules:   Texts are cut to fit, between characters. Control characters, and those that turn a line around, become
 *          blanks. A text that repeats a secret, as it is, escaped or in base64, is withheld whole; what looks like a JWT
 *          is left out of it.
 * Threads: pure. */
#ifndef TKSP_OAUTH_SAID_H
#define TKSP_OAUTH_SAID_H

#include <stdbool.h>

#include "tokenstore/buf.h"

/* What was sent and must not come back in a message. Empty texts are skipped. */
typedef struct tksp_secrets {
    const tks_bytes *texts;
    size_t count;
} tksp_secrets;

/* UTF-8; what is not, becomes '?'. `out` ends with NUL. */
void tksp_said_text(tks_bytes text, const tksp_secrets *secrets, char *out, size_t size);

/* A URL: without user and password, query and fragment, where secrets would be. */
void tksp_said_url(tks_bytes url, const tksp_secrets *secrets, char *out, size_t size);

#endif
