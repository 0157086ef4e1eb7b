/* tokenstore/greeting.h - the first commands on a new connection: AUTH, SELECT, CLIENT SETNAME, and ROLE to a primary that Sentinels
 * named, in one round trip; PING if there are no others.
 *
 * Purpose:   every driver opens its connections in the same way, with the same error messages. No I/O here.
 * Lifecycle: tks_greeting is the caller's storage: init, send `bytes`, read `count` replies, judge, clear.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_GREETING_H
#define TOKENSTORE_GREETING_H

#include "tokenstore/api.h"
#include "tokenstore/resp.h"
#include "tokenstore/url.h"

TKS_BEGIN_DECLS

enum { TKS_GREETING_MAX = 4 }; /**< commands in a greeting */

typedef struct tks_greeting {
    tks_buf out;  /**< the commands, ready to be written; they hold the password */
    size_t count; /**< so many replies are due */
    const char *names[TKS_GREETING_MAX];
} tks_greeting;

/** User and password for one new connection, in place of the target's. */
typedef struct tks_credentials {
    char *user; /**< NULL: the default user */
    char *password;
    bool refused; /**< set by tks_greeting_judge: the server rejected them */
} tks_credentials;

/** Copies both; `user.data` NULL is the default user. Neither contains NUL. Previous contents must have been
 * cleared. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_credentials_init(tks_credentials *credentials, tks_bytes user,
                                             tks_bytes password);

/** Wipes and frees them; zero-initialised ones are accepted. */
void tks_credentials_clear(tks_credentials *credentials);

/** Builds the greeting for `target`; clear it on failure too. `credentials` NULL: the target's.
 * TKS_OK, TKS_ERR_MEMORY, TKS_ERR_DATA (too long). */
TKS_MUST_USE tks_status tks_greeting_init(tks_greeting *greeting, const tks_target *target,
                                          const tks_credentials *credentials, tks_error *err);

/** Checks the first `count` replies, which may be fewer than the commands: a full server answers once and hangs up.
 * TKS_OK; TKS_ERR_CONNECTION (the server is not ready, or not Redis: retry), TKS_ERR_SERVER (it answered with an
 * error; *final is set if a retry cannot help). The message never contains the password. */
TKS_MUST_USE tks_status tks_greeting_judge(const tks_greeting *greeting, const tks_target *target,
                                           tks_credentials *credentials, tks_reply *const *replies,
                                           size_t count, bool *final, tks_error *err);

/** The likely cause, for a message, if the server hung up without answering the greeting; "" or words that begin
 * with a blank. */
const char *tks_greeting_get_hint(const tks_target *target) TKS_ALL_NONNULL;

/** Frees the commands, wiping them. */
void tks_greeting_clear(tks_greeting *greeting);

TKS_END_DECLS
#endif
