/* target.c - the options of a target: names, bounds, defaults, description.
 *
 * Purpose:   one table says which options there are, where each may stand and what its values may
 *            be, so that a query parameter and a keyword argument cannot differ.
 * Lifecycle: tksp_target_new (or tks_target_parse), tks_target_set any number of times,
 *            tks_target_free.
 * Threads:   one thread at a time until the last tks_target_set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address_map.h"
#include "option.h"
#include "server.h"
#include "tokenstore/meter.h"
#include "tokenstore/near.h"
#include "tokenstore/secret.h"
#include "url_private.h"

enum { LABEL_MAX = 63, TIME_MAX_MS = 86400 * 1000 };

bool tksp_labels_fit(tks_bytes name) {
    size_t label = 0;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '.' && label == 0) {
            return false;
        }
        label = name.data[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) {
            return false;
        }
    }
    return true;
}

static bool is_host_name(tks_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_' || c == ':';
        if (!good) {
            return false;
        }
    }
    return tksp_labels_fit(text);
}

/* Redis takes '!' to '~' in a client's name and refuses the rest. */
static bool is_client_name(tks_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* ---- the table ---- */

#define TKSP_OPTIONS_OF tks_target
#define SECONDS(name, member)                                                                      \
    TKSP_OPTION(name, TKS_OPTION_DURATION, member), .min = 1, .max = TIME_MAX_MS
#define FILE_NAME(member)                                                                          \
    TKSP_OPTION(#member, TKS_OPTION_PATH, member), .min = 1, .max = 4095, .wanted = "a file name"

/* In this order: those of TLS begin at TLS, that of an embedded server at EMBEDDED, those of Sentinels at SENTINEL,
 * that of nodes at NODES. */
enum { TLS = 10, EMBEDDED = 14, SENTINEL = 15, NODES = 17 };

static const char *const trackings[] =
    {[TKS_NEAR_BROADCAST] = "broadcast", [TKS_NEAR_KEYS] = "keys", NULL};

static const tks_option rows[] = {
    {SECONDS("connect_timeout", connect_timeout_ms), .fallback = "2"},
    {SECONDS("timeout", timeout_ms), .fallback = "5"},
    {TKSP_OPTION("max_connection_age", TKS_OPTION_DURATION, max_connection_age_ms), .min = 0,
     .max = TIME_MAX_MS, .fallback = "300", .wanted = "0 (no limit) or 0.001 to 86400 seconds"},
    {TKSP_OPTION("pool_size", TKS_OPTION_COUNT, pool_size), .min = 1, .max = 1024,
     .fallback = "16"},
    {TKSP_OPTION("max_reply_size", TKS_OPTION_COUNT, max_reply_size), .min = 1024,
     .max = INT64_C(2) << 30, .fallback = "67108864"},
    {TKSP_OPTION("near_cache", TKS_OPTION_COUNT, near_cache), .min = 0, .max = TKS_NEAR_ENTRIES_MAX,
     .fallback = "0"},
    {TKSP_OPTION("near_cache_staleness", TKS_OPTION_DURATION, near_cache_staleness_ms),
     .min = TKS_NEAR_STALENESS_MIN_MS, .max = TIME_MAX_MS, .fallback = "2"},
    {TKSP_OPTION("near_cache_tracking", TKS_OPTION_CHOICE, near_cache_tracking),
     .choices = trackings, .fallback = "broadcast"},
    {TKSP_OPTION("client_name", TKS_OPTION_STRING, client_name), .min = 1, .max = 255,
     .wanted = "1 to 255 printable ASCII characters without spaces", .fits = is_client_name},
    {TKSP_OPTION("db", TKS_OPTION_COUNT, db), .min = 0, .max = INT32_MAX, .fallback = "0",
     .wanted = "the number of a database, such as /0 or ?db=0"},
    {FILE_NAME(ca)},
    {FILE_NAME(cert)},
    {FILE_NAME(key)},
    {TKSP_OPTION("server_name", TKS_OPTION_STRING, server_name), .min = 1, .max = 253,
     .wanted = "a host name or an IP address", .fits = is_host_name},
    {FILE_NAME(server)},
    {TKSP_OPTION("sentinel_user", TKS_OPTION_STRING, sentinel_user), .min = 1, .max = 1024},
    {TKSP_OPTION("sentinel_password", TKS_OPTION_STRING, sentinel_password), .min = 1, .max = 1024},
    {TKSP_OPTION("address_map", TKS_OPTION_MAP, address_map), .min = 1, .max = 65536,
     .wanted = "announced addresses and where they are reached, such as "
               "10.0.0.5:7000=localhost:17000,10.0.0.6=node-6",
     .fits = tksp_is_address_map},
};

static const tks_target nothing;
const tks_options tks_target_options = TKSP_OPTIONS(rows, nothing);

/* ---- targets ---- */

tks_target *tksp_target_new(tks_transport transport, bool tls) {
    tks_target *target = calloc(1, sizeof *target);
    if (target == NULL) return NULL;
    target->transport = transport;
    target->tls = tls;
    target->server_facts = tks_server_new();
    target->meter = tks_meter_new();
    if (target->server_facts != NULL && target->meter != NULL &&
        tksp_options_complete(&tks_target_options, target, NULL) == TKS_OK) {
        return target;
    }
    tks_target_free(target);
    return NULL;
}

void tks_target_free(tks_target *target) {
    if (target == NULL) return;
    if (target->password != NULL) {
        tks_wipe(target->password, strlen(target->password));
    }
    tks_server_free(target->server_facts);
    tks_meter_free(target->meter);
    for (size_t i = 0; i < target->host_count; i++) free(target->hosts[i].host);
    free(target->hosts);
    free(target->service);
    free(target->address_map);
    free(target->sentinel_user);
    if (target->sentinel_password != NULL) {
        tks_wipe(target->sentinel_password, strlen(target->sentinel_password));
    }
    free(target->sentinel_password);
    free(target->host);
    free(target->path);
    free(target->user);
    free(target->password);
    free(target->ca);
    free(target->cert);
    free(target->key);
    free(target->server_name);
    free(target->server);
    free(target->client_name);
    free(target);
}

/* False: out of memory. */
static bool copy_text(char **member, const char *text) {
    if (text == NULL) return true;
    size_t size = strlen(text) + 1;
    *member = malloc(size);
    if (*member != NULL) memcpy(*member, text, size);
    return *member != NULL;
}

tks_target *tksp_target_of_node(const tks_target *url, tks_node_role role, const char *host,
                                uint16_t port) {
    bool sentinel = role == TKS_NODE_SENTINEL;
    tks_target *target = malloc(sizeof *target);
    if (target == NULL) return NULL;
    *target = *url;
    target->transport = TKS_TCP;
    target->port = port;
    target->hosts = NULL;
    target->host_count = 0;
    target->host = target->path = target->user = target->password = target->ca = target->cert =
        target->key = target->server_name = target->server = target->client_name = target->service =
            target->address_map = target->sentinel_user = target->sentinel_password = NULL;
    target->server_facts = tks_server_hold(url->server_facts);
    target->meter = tks_meter_hold(url->meter);
    target->expects_primary = role == TKS_NODE_PRIMARY;
    if (sentinel) {
        target->db = 0;
        target->asks = false;
    }
    if (copy_text(&target->host, host) &&
        copy_text(&target->user, sentinel ? url->sentinel_user : url->user) &&
        copy_text(&target->password, sentinel ? url->sentinel_password : url->password) &&
        copy_text(&target->ca, url->ca) && copy_text(&target->cert, url->cert) &&
        copy_text(&target->key, url->key) && copy_text(&target->server_name, url->server_name) &&
        copy_text(&target->client_name, url->client_name)) {
        return target;
    }
    tks_target_free(target);
    return NULL;
}

/* Puts a copy of a text into its member. */
static tks_status set_text(tks_target *target, const tks_option *option, tks_bytes text,
                           tks_error *err) {
    char **member = (char **)(void *)((char *)target + option->offset);
    char *copy = malloc(text.size + 1);
    if (copy == NULL) return tks_fail_memory(err);
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *before = *member;
    tks_value value = {.text = tks_bytes_of(copy, text.size)};
    tks_status status = tks_option_set(option, target, &value, err);
    if (status != TKS_OK) {
        free(copy);
        return status;
    }
    free(before);
    *member = copy;
    return TKS_OK;
}

static tks_status check_place(const tks_target *target, const tks_option *option, tks_error *err) {
    long row = option - rows;
    if (row >= NODES && target->transport != TKS_SENTINEL && target->transport != TKS_CLUSTER) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for redis+cluster:// and redis+sentinel:// URLs only: "
                        "omit it",
                        option->name);
    }
    if (row >= SENTINEL && row < NODES && target->transport != TKS_SENTINEL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for redis+sentinel:// URLs only: omit it", option->name);
    }
    if (row >= EMBEDDED && row < SENTINEL && target->transport != TKS_EMBEDDED) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for embedded: URLs only: omit it", option->name);
    }
    if (row >= TLS && row < EMBEDDED && !target->tls) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for TLS only: use a rediss:// URL, or omit it",
                        option->name);
    }
    return TKS_OK;
}

tks_status tks_target_set_option(tks_target *target, const tks_option *option,
                                 const tks_value *value, tks_error *err) {
    tks_status status = check_place(target, option, err);
    if (status != TKS_OK) return status;
    return option->type <= TKS_OPTION_PATH ? set_text(target, option, value->text, err)
                                           : tks_option_set(option, target, value, err);
}

tks_status tksp_target_set_text(tks_target *target, const tks_option *option, tks_bytes text,
                                tks_error *err) {
    tks_value value;
    tks_status status = check_place(target, option, err);
    if (status == TKS_OK) status = tksp_option_parse(option, text, &value, err);
    return status == TKS_OK ? tks_target_set_option(target, option, &value, err) : status;
}

void tksp_target_list_options(char *out, size_t size) {
    size_t at = 0;
    for (size_t i = 0; i < tks_target_options.count && at < size; i++) {
        int more = snprintf(out + at, size - at, "%s%s", i == 0 ? "" : ", ", rows[i].name);
        at += more > 0 ? (size_t)more : 0;
    }
}

tks_status tks_target_set(tks_target *target, const char *name, tks_bytes value, tks_error *err) {
    const tks_option *option =
        tks_option_find(&tks_target_options, tks_bytes_of(name, strlen(name)));
    char known[TKSP_OPTION_NAMES_SIZE];
    if (option != NULL) return tksp_target_set_text(target, option, value, err);
    tksp_target_list_options(known, sizeof known);
    return tks_fail(err, TKS_ERR_CONFIGURATION, "unknown option %.40s: known are %s", name, known);
}

int64_t tks_target_draw_age(const tks_target *target) {
    int64_t age = target->max_connection_age_ms;
    return age == 0 ? INT64_MAX : age - (int64_t)tks_random_below((uint32_t)(age / 5) + 1);
}

/* Percent-encodes what a path in a URL cannot hold as it is. */
static tks_status append_path(tks_buf *out, const char *path) {
    static const char HEX[] = "0123456789ABCDEF";
    for (const char *p = path; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c == 0x7f || c == '%' || c == '?' || c == '#') {
            char code[3] = {'%', HEX[c >> 4], HEX[c & 15]};
            tks_buf_append(out, code, sizeof code);
        } else {
            tks_buf_append_char(out, *p);
        }
    }
    return out->status;
}

void tksp_append_address(tks_buf *out, const char *host, uint16_t port) {
    bool brackets = strchr(host, ':') != NULL;
    tks_buf_append(out, "[", brackets ? 1 : 0);
    tks_buf_append(out, host, strlen(host));
    tks_buf_append(out, "]:", brackets ? 2 : 0);
    tks_buf_append(out, ":", brackets ? 0 : 1);
    tks_buf_append_int(out, port);
}

tks_status tksp_target_name_server(tks_target *target, tks_error *err) {
    enum { NAME_MAX_SIZE = 4096 };
    tks_buf name;
    tks_buf_init(&name, NAME_MAX_SIZE);
    if (target->transport == TKS_TCP) {
        tksp_append_address(&name, target->host, target->port);
    } else if (target->transport == TKS_UNIX) {
        tks_buf_append(&name, target->path, strlen(target->path));
    } else {
        tks_buf_append_bytes(&name, TKS_LITERAL("embedded:"));
    }
    tks_status status = name.status;
    if (status == TKS_OK) status = tksp_server_set_name(target->server_facts, tks_buf_bytes(&name));
    tks_buf_clear(&name);
    return status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

tks_status tks_target_describe(const tks_target *target, tks_buf *out) {
    switch (target->transport) {
    case TKS_TCP:
        tks_buf_append_bytes(out, target->tls ? TKS_LITERAL("rediss://") : TKS_LITERAL("redis://"));
        tksp_append_address(out, target->host, target->port);
        tks_buf_append_char(out, '/');
        return tks_buf_append_int(out, target->db);
    case TKS_CLUSTER:
    case TKS_SENTINEL:
        tks_buf_append_bytes(out, target->tls ? TKS_LITERAL("rediss+") : TKS_LITERAL("redis+"));
        tks_buf_append_bytes(
            out, target->service == NULL ? TKS_LITERAL("cluster://") : TKS_LITERAL("sentinel://"));
        for (size_t i = 0; i < target->host_count; i++) {
            tks_buf_append(out, ",", i > 0 ? 1 : 0);
            tksp_append_address(out, target->hosts[i].host, target->hosts[i].port);
        }
        if (target->service != NULL) {
            tks_buf_append_char(out, '/');
            (void)append_path(out, target->service);
        }
        tks_buf_append_char(out, '/');
        return tks_buf_append_int(out, target->db);
    case TKS_UNIX:
        tks_buf_append_bytes(out, TKS_LITERAL("redis+unix://"));
        append_path(out, target->path);
        if (target->db != 0) {
            tks_buf_append_bytes(out, TKS_LITERAL("?db="));
            tks_buf_append_int(out, target->db);
        }
        return out->status;
    case TKS_EMBEDDED:
        tks_buf_append_bytes(out, TKS_LITERAL("embedded:"));
        if (target->embeds_cluster) return tks_buf_append_bytes(out, TKS_LITERAL("cluster"));
        return append_path(out, target->path != NULL ? target->path : "");
    }
    return TKS_ERR_DATA;
}
