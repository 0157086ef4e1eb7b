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

#include "option.h"
#include "tokenstore/op.h"
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

/* In this order: those of TLS begin at TLS, those of an embedded server at EMBEDDED. */
enum { TLS = 7, EMBEDDED = 11 };

static const tks_option rows[] = {
    {SECONDS("connect_timeout", connect_timeout_ms), .fallback = "2"},
    {SECONDS("timeout", timeout_ms), .fallback = "5"},
    {TKSP_OPTION("max_connection_age", TKS_OPTION_DURATION, max_connection_age_ms), .min = 0,
     .max = TIME_MAX_MS, .fallback = "300", .wanted = "0 (no limit) or 0.001 to 86400 seconds"},
    {TKSP_OPTION("pool_size", TKS_OPTION_COUNT, pool_size), .min = 1, .max = 1024,
     .fallback = "16"},
    {TKSP_OPTION("max_reply_size", TKS_OPTION_COUNT, max_reply_size), .min = 1024,
     .max = INT64_C(2) << 30, .fallback = "67108864"},
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
    if (target->server_facts != NULL &&
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
    if (row >= EMBEDDED && target->transport != TKS_EMBEDDED) {
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

tks_status tks_target_describe(const tks_target *target, tks_buf *out) {
    switch (target->transport) {
    case TKS_TCP: {
        bool brackets = strchr(target->host, ':') != NULL;
        tks_buf_append_bytes(out, target->tls ? TKS_LITERAL("rediss://") : TKS_LITERAL("redis://"));
        tks_buf_append(out, "[", brackets ? 1 : 0);
        tks_buf_append(out, target->host, strlen(target->host));
        tks_buf_append(out, "]:", brackets ? 2 : 0);
        tks_buf_append(out, ":", brackets ? 0 : 1);
        tks_buf_append_int(out, target->port);
        tks_buf_append_char(out, '/');
        return tks_buf_append_int(out, target->db);
    }
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
        return append_path(out, target->path != NULL ? target->path : "");
    }
    return TKS_ERR_DATA;
}
