/* target.c - the options of a target: names, bounds, defaults, description.
 *
 * Purpose:   one table says which options there are, where each may stand and what its values may
 *            be, so that a query parameter and a keyword argument cannot differ.
 * Lifecycle: tksp_target_new (or tks_target_parse), tks_target_set any number of times,
 *            tks_target_free.
 * Threads:   one thread at a time until the last tks_target_set. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tokenstore/secret.h"
#include "url_private.h"

enum {
    CONNECT_TIMEOUT_MS = 2000,
    TIMEOUT_MS = 5000,
    MAX_CONNECTION_AGE_MS = 300000,
    POOL_SIZE = 16,
    POOL_SIZE_MAX = 1024,
    CLIENT_NAME_MAX = 255,
    FILE_NAME_MAX = 4095,
    HOST_NAME_MAX_SIZE = 253,
    LABEL_MAX = 63
};
#define SECONDS_MAX        UINT64_C(86400)
#define MAX_REPLY_SIZE     (UINT64_C(64) << 20)
#define MAX_REPLY_SIZE_MIN UINT64_C(1024)
#define MAX_REPLY_SIZE_MAX (UINT64_C(2) << 30)
#define DB_MAX             UINT64_C(2147483647)

typedef enum option_kind { SECONDS, SIZE, DB, FILE_NAME, HOST_NAME, CLIENT_NAME } option_kind;

/* Where an option may stand. */
enum { ANYWHERE, TLS_ONLY, EMBEDDED_ONLY };

typedef struct option {
    const char *name;
    option_kind kind;
    int place;
    size_t offset; /* of its member in tks_target */
    uint64_t min, max;
} option;

#define MEMBER(name) offsetof(tks_target, name)

static const option OPTIONS[] = {
    {"connect_timeout", SECONDS, ANYWHERE, MEMBER(connect_timeout_ms), 1, 0},
    {"timeout", SECONDS, ANYWHERE, MEMBER(timeout_ms), 1, 0},
    {"max_connection_age", SECONDS, ANYWHERE, MEMBER(max_connection_age_ms), 0, 0},
    {"pool_size", SIZE, ANYWHERE, MEMBER(pool_size), 1, POOL_SIZE_MAX},
    {"max_reply_size", SIZE, ANYWHERE, MEMBER(max_reply_size), MAX_REPLY_SIZE_MIN,
     MAX_REPLY_SIZE_MAX},
    {"client_name", CLIENT_NAME, ANYWHERE, MEMBER(client_name), 1, CLIENT_NAME_MAX},
    {"db", DB, ANYWHERE, MEMBER(db), 0, DB_MAX},
    {"ca", FILE_NAME, TLS_ONLY, MEMBER(ca), 1, FILE_NAME_MAX},
    {"cert", FILE_NAME, TLS_ONLY, MEMBER(cert), 1, FILE_NAME_MAX},
    {"key", FILE_NAME, TLS_ONLY, MEMBER(key), 1, FILE_NAME_MAX},
    {"server_name", HOST_NAME, TLS_ONLY, MEMBER(server_name), 1, HOST_NAME_MAX_SIZE},
    {"server", FILE_NAME, EMBEDDED_ONLY, MEMBER(server), 1, FILE_NAME_MAX},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof OPTIONS[0] };

tks_target *tksp_target_new(tks_transport transport, bool tls) {
    tks_target *target = calloc(1, sizeof *target);
    if (target == NULL) {
        return NULL;
    }
    target->transport = transport;
    target->tls = tls;
    target->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    target->timeout_ms = TIMEOUT_MS;
    target->max_connection_age_ms = MAX_CONNECTION_AGE_MS;
    target->pool_size = POOL_SIZE;
    target->max_reply_size = (size_t)MAX_REPLY_SIZE;
    return target;
}

void tks_target_free(tks_target *target) {
    if (target == NULL) {
        return;
    }
    if (target->password != NULL) {
        tks_wipe(target->password, strlen(target->password));
    }
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

bool tksp_decimal(tks_bytes text, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    *out = 0;
    if (text.size == 0) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(c - '0');
        if (value > (max - digit) / 10 || digit > max) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* Seconds with an optional fraction, rounded to milliseconds. Not strtod: it minds the locale, and
 * takes "inf" and "0x1p3". */
static bool parse_seconds(tks_bytes text, uint64_t min_ms, int64_t *out_ms) {
    const char *dot = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    size_t whole_size = dot != NULL ? (size_t)(dot - text.data) : text.size;
    uint64_t seconds;
    if (!tksp_decimal(tks_bytes_of(text.data, whole_size), SECONDS_MAX, &seconds)) {
        return false;
    }
    uint64_t ms = seconds * 1000;
    bool positive = seconds > 0;
    if (dot != NULL) {
        tks_bytes fraction = tks_bytes_of(dot + 1, text.size - whole_size - 1);
        uint64_t scale = 100;
        if (fraction.size == 0) {
            return false;
        }
        for (size_t i = 0; i < fraction.size; i++) {
            char c = fraction.data[i];
            if (c < '0' || c > '9') {
                return false;
            }
            ms += (uint64_t)(c - '0') * scale + (i == 3 && c >= '5' ? 1 : 0);
            positive = positive || c != '0';
            scale /= 10;
        }
    }
    *out_ms = (int64_t)ms;
    return ms >= (positive ? 1 : min_ms) && ms <= SECONDS_MAX * 1000;
}

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

static tks_status set_text(char **member, tks_bytes value, tks_error *err) {
    char *copy = malloc(value.size + 1);
    if (copy == NULL) {
        return tks_fail_memory(err);
    }
    memcpy(copy, value.data, value.size);
    copy[value.size] = '\0';
    free(*member);
    *member = copy;
    return TKS_OK;
}

int tksp_option_find(tks_bytes name) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (tks_bytes_equal(name, tks_bytes_of(OPTIONS[i].name, strlen(OPTIONS[i].name)))) {
            return i;
        }
    }
    return -1;
}

static tks_status set_value(tks_target *target, const option *o, tks_bytes value, tks_error *err) {
    void *member = (char *)target + o->offset;
    uint64_t number;
    bool fits = value.size >= o->min && value.size <= o->max && value.size > 0 &&
                memchr(value.data, '\0', value.size) == NULL;
    switch (o->kind) {
    case SECONDS:
        if (!parse_seconds(value, o->min, member)) {
            return tks_fail(
                err, TKS_ERR_CONFIGURATION, "%s must be a number of seconds from %s", o->name,
                o->min == 0 ? "0 (no limit) to 86400, such as 300" : "0.001 to 86400, such as 0.5");
        }
        return TKS_OK;
    case SIZE:
        if (!tksp_decimal(value, o->max, &number) || number < o->min) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "%s must be a whole number from %llu to %llu", o->name,
                            (unsigned long long)o->min, (unsigned long long)o->max);
        }
        *(size_t *)member = (size_t)number;
        return TKS_OK;
    case DB:
        if (!tksp_decimal(value, o->max, &number)) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the database must be a whole number, such as /0 or ?db=0");
        }
        *(uint32_t *)member = (uint32_t)number;
        return TKS_OK;
    case FILE_NAME:
        if (!fits) {
            return tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be a file name", o->name);
        }
        return set_text(member, value, err);
    case HOST_NAME:
        if (!fits || !is_host_name(value)) {
            return tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be a host name or an IP address",
                            o->name);
        }
        return set_text(member, value, err);
    case CLIENT_NAME:
        if (!fits || !is_client_name(value)) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "%s must be 1 to %d printable ASCII characters without spaces", o->name,
                            CLIENT_NAME_MAX);
        }
        return set_text(member, value, err);
    }
    return TKS_ERR_CONFIGURATION;
}

tks_status tksp_option_set(tks_target *target, int index, tks_bytes value, tks_error *err) {
    const option *o = &OPTIONS[index];
    if (o->place == TLS_ONLY && !target->tls) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for TLS only: use a rediss:// URL, or omit it", o->name);
    }
    if (o->place == EMBEDDED_ONLY && target->transport != TKS_EMBEDDED) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the option %s is for embedded: URLs only: omit it", o->name);
    }
    return set_value(target, o, value, err);
}

tks_status tks_target_set(tks_target *target, const char *name, tks_bytes value, tks_error *err) {
    int index = tksp_option_find(tks_bytes_of(name, strlen(name)));
    if (index < 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "unknown option %.40s: known are " TKSP_OPTION_NAMES, name);
    }
    return tksp_option_set(target, index, value, err);
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
