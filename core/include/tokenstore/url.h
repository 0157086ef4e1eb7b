/* tokenstore/url.h - URLs and options of a server.
 *
 *     redis://[user[:password]@]host[:port][/db]      rediss://…  (TLS, verified)
 *     redis+unix:///path/to.sock[?db=0]               unix:///path/to.sock
 *     redis+cluster://host:port,host:port…            a Redis or Valkey Cluster, by some of its nodes; rediss+cluster://…
 *     redis+sentinel://host:port,host:port…/name[/db]  the primary that these Sentinels know by this name; rediss+sentinel://…
 *     embedded:[/some/dir]                            a private server (embedded.h)
 *     embedded:cluster                                … three of them
 *
 * valkey may replace redis in each scheme. Options, those of tks_target_options, are query parameters
 * (percent-decoded) or are set by name; ca, cert, key and server_name are for TLS, server for embedded:.
 * Lifecycle: tks_target is a heap handle; its strings are borrowed.
 * Threads:   immutable after the last tks_target_set. */
#ifndef TOKENSTORE_URL_H
#define TOKENSTORE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/option.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

typedef enum tks_transport {
    TKS_TCP,
    TKS_UNIX,
    TKS_EMBEDDED,
    TKS_CLUSTER,
    TKS_SENTINEL
} tks_transport;

/** Of which changes servers tell a near cache. */
typedef enum tks_near_tracking {
    TKS_NEAR_BROADCAST, /**< of all keys with the stores' prefixes */
    TKS_NEAR_KEYS       /**< of the keys that were read */
} tks_near_tracking;

typedef struct tks_address {
    char *host; /**< a name or an address, IPv6 without brackets */
    uint16_t port;
} tks_address;

struct tks_meter;
struct tks_server;

typedef struct tks_target {
    tks_transport transport;
    bool tls;
    bool embeds_cluster;  /**< EMBEDDED: a cluster of three */
    bool expects_primary; /**< a replica is left: set for the primary that Sentinels name */
    bool asks;     /**< the host provides user and password for each new connection; not in the URL:
                    set by the host before the target is used */
    char *host;    /**< TCP; an IPv6 address without its brackets */
    uint16_t port; /**< TCP; 6379 unless given */
    uint32_t db;
    tks_address *
        hosts; /**< CLUSTER: the nodes to ask first; SENTINEL: the Sentinels; `host_count` of them */

    size_t host_count;
    char *service;                           /**< SENTINEL: what they call the primary */
    char *sentinel_user, *sentinel_password; /**< SENTINEL; as user and password */
    char *address_map; /**< CLUSTER, SENTINEL: where announced addresses are reached; NULL: there */
    char *path;        /**< UNIX: the socket. EMBEDDED: the data directory, or NULL */
    char *user;        /**< NULL: the default user */
    char *password;    /**< NULL: no AUTH; wiped on free */
    char *ca, *cert, *key, *server_name; /**< TLS; NULL: system CAs, no client certificate, host */
    char *server;      /**< EMBEDDED: the binary; NULL: redis-server or valkey-server on PATH */
    char *client_name; /**< NULL: none */
    int64_t connect_timeout_ms;    /**< default 2000 */
    int64_t timeout_ms;            /**< one deadline for a whole operation; default 5000 */
    int64_t max_connection_age_ms; /**< default 300000; 0: none */
    size_t pool_size;      /**< the maximum number of connections, to each node; default 16 */
    size_t max_reply_size; /**< bytes; default 64 MiB */
    size_t near_cache;     /**< records that are kept in memory; default 0: none */
    int64_t near_cache_staleness_ms; /**< see near.h; default 2000 */
    tks_near_tracking near_cache_tracking;
    struct tks_server *server_facts; /**< what is learned of the server; see tks_server in op.h */
    struct tks_meter *meter;         /**< what operations have cost; see meter.h */
} tks_target;

extern const tks_options tks_target_options; /**< of a tks_target; texts are copied into it */

/** Parses `url`. TKS_OK, TKS_ERR_CONFIGURATION (the message names the invalid part and never contains the
 * password), TKS_ERR_MEMORY. The caller frees *out. */
TKS_MUST_USE tks_status tks_target_parse(tks_bytes url, tks_target **out, tks_error *err);

/** Sets one option by name, with a text value, like a query parameter. An unknown name, or one that does not apply
 * to the transport, is TKS_ERR_CONFIGURATION; the message names it. */
TKS_MUST_USE tks_status tks_target_set(tks_target *target, const char *name, tks_bytes value,
                                       tks_error *err);

/** Sets one of tks_target_options, in place of tks_option_set. TKS_OK, TKS_ERR_CONFIGURATION as above,
 * TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_target_set_option(tks_target *target, const tks_option *option,
                                              const tks_value *value, tks_error *err);

/** How long one new connection may be used, in ms: max_connection_age less up to a fifth at random, so that
 * connections opened together do not end together. INT64_MAX if there is no limit. */
int64_t tks_target_draw_age(const tks_target *target);

/** Appends the URL without user, password and options: for repr and messages. */
tks_status tks_target_describe(const tks_target *target, tks_buf *out);

/** NULL is accepted. */
void tks_target_free(tks_target *target);

TKS_END_DECLS
#endif
