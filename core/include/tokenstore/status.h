/* tokenstore/status.h - all errors, in one table.
 *
 * Purpose:   one enum names every kind of failure; the same table defines the Lua code, the Python exception and
 *            the general text, so that every language has the same errors.
 * Lifecycle: tks_error is the caller's storage: initialise it with TKS_ERROR_INIT.
 * Threads:   a tks_error belongs to one thread at a time; everything else here is constant.
 *
 * "Not found" is a result, never a status. */
#ifndef TOKENSTORE_STATUS_H
#define TOKENSTORE_STATUS_H

#include "tokenstore/api.h"

TKS_BEGIN_DECLS

/** X(enumerator, code for Lua, Python exception, general text) */
#define TKS_STATUS_MAP(X)                                                                          \
    X(TKS_OK, "ok", "", "no error")                                                                \
    X(TKS_ERR_CONFIGURATION, "configuration", "ConfigurationError", "invalid configuration")       \
    X(TKS_ERR_CONNECTION, "connection", "ConnectionError", "no usable connection")                 \
    X(TKS_ERR_TIMEOUT, "timeout", "TimeoutError", "the deadline passed")                           \
    X(TKS_ERR_OUTCOME_UNKNOWN, "outcome_unknown", "OutcomeUnknownError",                           \
      "sent, but no answer came: it may or may not have happened")                                 \
    X(TKS_ERR_NOT_REPLICATED, "not_replicated", "NotReplicatedError",                              \
      "done, but fewer replicas have it than were asked for")                                      \
    X(TKS_ERR_SERVER, "server", "ServerError", "the server answered with an error")                \
    X(TKS_ERR_DATA, "data", "DataError", "invalid data")                                           \
    X(TKS_ERR_INVALID_TOKEN, "invalid_token", "InvalidTokenError", "the token is not valid")       \
    X(TKS_ERR_EXPIRED_TOKEN, "expired_token", "ExpiredTokenError", "the token has expired")        \
    X(TKS_ERR_REUSED_TOKEN, "reused_token", "TokenReusedError", "the token was rotated before")    \
    X(TKS_ERR_CONFLICT, "conflict", "ConflictError", "the data is not as expected")                \
    X(TKS_ERR_LIMIT, "limit", "LimitError", "a limit was reached")                                 \
    X(TKS_ERR_SPIKE, "spike", "SpikeError", "could not obtain an access token")                    \
    X(TKS_ERR_SPIKE_AUTH, "spike_auth", "SpikeAuthError", "the client was rejected")               \
    X(TKS_ERR_CLOSED, "closed", "Error", "the object is closed")                                   \
    X(TKS_ERR_MEMORY, "memory", "MemoryError", "out of memory")                                    \
    X(TKS_ERR_INTERRUPTED, "interrupted", "KeyboardInterrupt", "interrupted by a signal")

typedef enum tks_status {
#define TKS_STATUS_ENUM(name, code, exception, text) name,
    TKS_STATUS_MAP(TKS_STATUS_ENUM)
#undef TKS_STATUS_ENUM
        TKS_STATUS_COUNT
} tks_status;

enum { TKS_ERROR_SIZE = 704 };

/** The detail of a failure. `message` says what was wrong and what to do; it never contains a token, a secret, a
 * password or session data. */
typedef struct tks_error {
    tks_status status;
    char message[TKS_ERROR_SIZE];
} tks_error;

#define TKS_ERROR_INIT                                                                             \
    { TKS_OK, "" }

/** Initialises it as TKS_ERROR_INIT does, without writing the whole message: for functions that are called often. */
static inline void tks_error_init(tks_error *err) {
    err->status = TKS_OK;
    err->message[0] = '\0';
}

/** The short name of `status`, Lua's third result ("timeout"). Never NULL. */
const char *tks_status_code(tks_status status);

/** The general text of `status`. Never NULL. */
const char *tks_status_text(tks_status status);

/** Records a failure in `err` (may be NULL) unless there is one already - the first error wins - and returns
 * `status`, so that a function can end with `return tks_fail(err, …)`. The message is truncated to fit. `format` is
 * printf's. */
tks_status tks_fail(tks_error *err, tks_status status, const char *format, ...) TKS_PRINTF(3, 4);

/** tks_fail for the commonest failure: returns TKS_ERR_MEMORY with its general text. */
tks_status tks_fail_memory(tks_error *err);

TKS_END_DECLS
#endif
