/* tokenstore/spike_creator.h - the options of the Node package spike-get-token, read by their names.
 *
 * Purpose:   get_token_creator in every language passes its options on, name by name; all faults are collected and
 *            reported together.
 * Lifecycle: new, set for each option, finish, use the result, free.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_SPIKE_CREATOR_H
#define TOKENSTORE_SPIKE_CREATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"

TKS_BEGIN_DECLS

typedef struct tks_creator tks_creator;

typedef enum tks_creator_type {
    TKS_CREATOR_TEXT,
    TKS_CREATOR_BOOL,
    TKS_CREATOR_NUMBER,
    TKS_CREATOR_OTHER /**< of a type that no option has */
} tks_creator_type;

typedef struct tks_creator_value {
    tks_creator_type type;
    tks_bytes text;
    double number; /**< of a BOOL: 0 or 1 */
} tks_creator_value;

/** The options; strings are borrowed from the creator, empty if not given. */
typedef struct tks_creator_options {
    tks_bytes client_id, client_secret;
    tks_bytes token_url; /**< spikeURL, with /oauth2/token unless it has a path of its own */
    tks_bytes key_url;   /**< of the same server; empty where key_path is given */
    tks_bytes key_path;
    tks_bytes grant_type, audience;
    tks_bytes redis_key;    /**< the HASH, as spike-token-manager names it; empty: its usual name */
    tks_bytes redis_string; /**< the STRING, as spike-get-token names it; empty: none */
    tks_bytes redis_host;   /**< a host, or a URL; empty: no Redis */
    tks_bytes host_header;
    bool validate; /**< TLS certificates; default: true */
    uint32_t retries;
    uint32_t sleep_ms;  /**< between tries */
    uint32_t budget_ms; /**< for all tries together: all sleeps plus ten seconds, at most an hour */
} tks_creator_options;

/** NULL: out of memory. */
tks_creator *tks_creator_new(void);

/** Sets one option; copies it. Unknown names, wrong types and repetitions (ClientId and clientId) are
 * faults that finish reports. */
void tks_creator_set(tks_creator *creator, tks_bytes name, const tks_creator_value *value);

/** TKS_OK, or TKS_ERR_CONFIGURATION with every fault in one message, or TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_creator_finish(tks_creator *creator, tks_creator_options *out,
                                           tks_error *err);

/** Wipes and frees. NULL is accepted. */
void tks_creator_free(tks_creator *creator);

/** Appends an endpoint of the Spike server at `url`: the URL, one '/', and `path`. TKS_OK or the buffer's error. */
TKS_MUST_USE tks_status tks_spike_join_url(tks_bytes url, const char *path, tks_buf *out);

TKS_END_DECLS
#endif
