/* url.c - the grammar of URLs: strict, and mute about what may be a secret.
 *
 * Purpose:   scheme, user and password, host and port, path, query; each part percent-decoded. What
 *            does not fit is an error that says which part and what to write instead.
 * Secrets:   a password with a raw '@', '/', '?' or '#' makes the rest of it look like a host, a port,
 *            a path or an option. So messages name the parts of a URL but never quote them; the two
 *            exceptions, scheme and option names, are quoted only where no password can reach.
 * Threads:   no state. */
#include <stdlib.h>
#include <string.h>

#include "number_text.h"
#include "tokenstore/secret.h"
#include "url_private.h"

enum { URL_MAX = 16 * 1024, HOST_MAX = 253, SCHEME_QUOTED_MAX = 20 };
enum { PORT_DEFAULT = 6379, PORT_SENTINEL = 26379 };

typedef struct scheme {
    const char *name;
    tks_transport transport;
    bool tls;
} scheme;

static const scheme SCHEMES[] = {
    {"redis", TKS_TCP, false},
    {"valkey", TKS_TCP, false},
    {"rediss", TKS_TCP, true},
    {"valkeys", TKS_TCP, true},
    {"redis+unix", TKS_UNIX, false},
    {"valkey+unix", TKS_UNIX, false},
    {"unix", TKS_UNIX, false},
    {"embedded", TKS_EMBEDDED, false},
    {"redis+sentinel", TKS_SENTINEL, false},
    {"valkey+sentinel", TKS_SENTINEL, false},
    {"rediss+sentinel", TKS_SENTINEL, true},
    {"valkeys+sentinel", TKS_SENTINEL, true},
    {"redis+cluster", TKS_CLUSTER, false},
    {"valkey+cluster", TKS_CLUSTER, false},
    {"rediss+cluster", TKS_CLUSTER, true},
    {"valkeys+cluster", TKS_CLUSTER, true},
};

#define SCHEME_NAMES                                                                               \
    "redis[s]://, valkey[s]://, redis[s]+cluster://, redis[s]+sentinel://, redis+unix:// or "      \
    "embedded:"

/* A URL on its way: the parts, borrowed from the text. */
typedef struct parts {
    const scheme *scheme;
    bool has_authority, has_userinfo, has_query;
    tks_bytes userinfo, host, path, query;
} parts;

static tks_bytes slice(tks_bytes text, size_t from, size_t to) {
    return tks_bytes_of(text.data + from, to - from);
}

/* The first position of `c` in `text`, or text.size. */
static size_t find(tks_bytes text, char c) {
    const char *at = text.size > 0 ? memchr(text.data, c, text.size) : NULL;
    return at != NULL ? (size_t)(at - text.data) : text.size;
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The decoded text, NUL-terminated, to be freed by the caller. `part` names it in messages. */
static tks_status decode(tks_bytes text, const char *part, char **out, tks_error *err) {
    *out = NULL;
    char *copy = malloc(text.size + 1);
    if (copy == NULL) {
        return tks_fail_memory(err);
    }
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = -1;
            int low = -1;
            if (text.size - i > 2) {
                high = hex_value(text.data[i + 1]);
                low = hex_value(text.data[i + 2]);
            }
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                tks_wipe(copy, size);
                free(copy);
                return tks_fail(err, TKS_ERR_CONFIGURATION,
                                "the %s in the URL contains a '%%' that is not followed by two "
                                "hexadecimal digits, or a %%00: write a literal '%%' as %%25",
                                part);
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        copy[size++] = c;
    }
    copy[size] = '\0';
    *out = copy;
    return TKS_OK;
}

static const scheme *find_scheme(tks_bytes name) {
    for (size_t i = 0; i < sizeof SCHEMES / sizeof SCHEMES[0]; i++) {
        const char *known = SCHEMES[i].name;
        size_t at = 0;
        while (at < name.size && known[at] != '\0' &&
               (name.data[at] | 0x20) == (known[at] | 0x20)) {
            at++;
        }
        if (at == name.size && known[at] == '\0') {
            return &SCHEMES[i];
        }
    }
    return NULL;
}

/* The scheme; *rest is what follows its ':'. An unknown one is quoted only before "://": in
 * "secret:x@host" the scheme was forgotten, it is not called "secret". */
static tks_status split_scheme(tks_bytes url, parts *p, tks_bytes *rest, tks_error *err) {
    size_t colon = find(url, ':');
    size_t end = 0;
    while (end < colon && (is_alnum(url.data[end]) || strchr("+-.", url.data[end]) != NULL)) {
        end++;
    }
    if (colon < url.size && end == colon) {
        p->scheme = find_scheme(slice(url, 0, colon));
    }
    if (p->scheme != NULL) {
        *rest = slice(url, colon + 1, url.size);
        return TKS_OK;
    }
    bool quotable = end == colon && colon > 0 && colon <= SCHEME_QUOTED_MAX &&
                    url.size - colon >= 3 && memcmp(url.data + colon, "://", 3) == 0;
    if (quotable) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "unknown scheme %.*s:// in the URL: use " SCHEME_NAMES, (int)colon,
                        url.data);
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION, "the URL must begin with " SCHEME_NAMES);
}

static bool is_blank(char c) {
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static const char *name_blank(char c) {
    switch (c) {
    case '\n': return "a newline";
    case '\r': return "a carriage return";
    case '\t': return "a tab";
    case ' ': return "a space";
    default: return "a control character";
    }
}

/* Blanks around a URL come along when it is read from a file or copied; within it one belongs to a part. */
static tks_status refuse_blanks(tks_bytes url, tks_error *err) {
    size_t first = 0;
    while (first < url.size && !is_blank(url.data[first])) {
        first++;
    }
    if (first == url.size) {
        return TKS_OK;
    }
    const char *name = name_blank(url.data[first]);
    size_t end = first;
    while (end < url.size && is_blank(url.data[end])) {
        end++;
    }
    if (end == url.size && first > 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the URL ends with %s: strip it (was it read from a file?)", name);
    }
    return tks_fail(
        err, TKS_ERR_CONFIGURATION,
        first == 0
            ? "the URL begins with %s: strip it"
            : "the URL contains %s: percent-encode it, or strip it if it came from a password file",
        name);
}

static tks_status split(tks_bytes url, parts *p, tks_error *err) {
    tks_bytes rest = {NULL, 0};
    if (url.size > URL_MAX) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the URL is longer than %d bytes", URL_MAX);
    }
    tks_status status = refuse_blanks(url, err);
    if (status == TKS_OK) {
        status = split_scheme(url, p, &rest, err);
    }
    if (status != TKS_OK) {
        return status;
    }
    if (find(rest, '#') < rest.size) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the URL contains a '#': write it as %%23 in a password or a path");
    }
    size_t mark = find(rest, '?');
    p->has_query = mark < rest.size;
    if (p->has_query) {
        p->query = slice(rest, mark + 1, rest.size);
        rest = slice(rest, 0, mark);
    }
    p->path = rest;
    p->has_authority = rest.size >= 2 && memcmp(rest.data, "//", 2) == 0;
    if (!p->has_authority) {
        return TKS_OK;
    }
    rest = slice(rest, 2, rest.size);
    size_t slash = find(rest, '/');
    tks_bytes authority = slice(rest, 0, slash);
    p->path = slice(rest, slash, rest.size);
    p->host = authority;
    size_t at = find(authority, '@');
    if (at < authority.size) {
        p->has_userinfo = true;
        p->userinfo = slice(authority, 0, at);
        p->host = slice(authority, at + 1, authority.size);
        if (find(p->host, '@') < p->host.size) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the URL contains more than one '@' before the path: write '@' in user "
                            "and password as %%40");
        }
    }
    return TKS_OK;
}

/* An empty password counts as none, as in "redis://:${PASSWORD}@host" with nothing in PASSWORD. */
static tks_status set_userinfo(const parts *p, tks_target *target, tks_error *err) {
    size_t colon = find(p->userinfo, ':');
    tks_bytes user = slice(p->userinfo, 0, colon);
    tks_status status = TKS_OK;
    if (user.size > 0) {
        status = decode(user, "user", &target->user, err);
    }
    if (status == TKS_OK && p->userinfo.size - colon > 1) {
        tks_bytes password = slice(p->userinfo, colon + 1, p->userinfo.size);
        status = decode(password, "password", &target->password, err);
    }
    return status;
}

/* An IPv6 address between its brackets, perhaps with a zone ("%25eth0"). The system checks its digits at its use. */
static bool is_ipv6(tks_bytes text) {
    size_t colons = 0;
    size_t zone = find(text, '%');
    for (size_t i = 0; i < zone; i++) {
        char c = text.data[i];
        colons += c == ':';
        if (hex_value(c) < 0 && c != ':' && c != '.') {
            return false;
        }
    }
    for (size_t i = zone + 1; i < text.size; i++) {
        if (!is_alnum(text.data[i]) && strchr("-._", text.data[i]) == NULL) {
            return false;
        }
    }
    return colons >= 2 && zone + 1 != text.size;
}

static bool is_name(tks_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        /* NOLINTNEXTLINE: decode has filled all of the text, which clang-tidy does not see */
        if (!is_alnum(text.data[i]) && strchr("-._", text.data[i]) == NULL) {
            return false;
        }
    }
    return tksp_labels_fit(text);
}

/* Sets *out and *out_port; *out is the caller's to free, also on failure. */
static tks_status read_host(tks_bytes host, uint64_t usual_port, char **out, uint16_t *out_port,
                            tks_error *err) {
    tks_bytes port = {NULL, 0};
    bool brackets = host.size > 0 && host.data[0] == '[';
    size_t end = find(host, brackets ? ']' : ':');
    size_t after = end;
    if (brackets) {
        if (end == host.size) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the host in the URL begins with '[' but has no ']'");
        }
        after = end + 1;
    }
    bool has_port = after < host.size;
    if (has_port) {
        port = slice(host, after + 1, host.size);
    }
    tks_bytes name = slice(host, brackets ? 1 : 0, end);
    if (name.size == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the URL has no host: write redis://localhost, for example (write an IPv6 "
                        "address in brackets)");
    }
    tks_status status = decode(name, "host", out, err);
    if (status != TKS_OK) {
        return status;
    }
    name = tks_bytes_of(*out, strlen(*out));
    if (name.size > HOST_MAX || !(brackets ? is_ipv6(name) : is_name(name)) ||
        (has_port && host.data[after] != ':')) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the host in the URL is not a host name or an IP address (write IPv6 in "
                        "brackets; percent-encode '@', '/', '?' and '#' in a password)");
    }
    uint64_t number = usual_port;
    if (has_port && (!tksp_decimal(port, UINT16_MAX, &number) || number == 0)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the port in the URL must be a number from 1 to 65535 (percent-encode '@', "
                        "'/', '?' and '#' in a password)");
    }
    *out_port = (uint16_t)number;
    return TKS_OK;
}

/* "a:7000,b:7000", of a cluster, or of Sentinels. */
static tks_status set_hosts(tks_bytes list, tks_target *target, tks_error *err) {
    size_t count = 1;
    for (size_t i = 0; i < list.size; i++) {
        count += list.data[i] == ',';
    }
    target->hosts = calloc(count, sizeof *target->hosts);
    if (target->hosts == NULL) {
        return tks_fail_memory(err);
    }
    uint64_t usual_port = target->transport == TKS_SENTINEL ? PORT_SENTINEL : PORT_DEFAULT;
    tks_status status = TKS_OK;
    while (status == TKS_OK && target->host_count < count) {
        tks_address *at = &target->hosts[target->host_count++];
        size_t end = find(list, ',');
        status = read_host(slice(list, 0, end), usual_port, &at->host, &at->port, err);
        list = slice(list, end < list.size ? end + 1 : end, list.size);
    }
    return status;
}

/* Of an option, among those that were given. */
static uint32_t bit_of(const tks_option *option) {
    return UINT32_C(1) << (option - tks_target_options.rows);
}

/* Takes "/mymaster" from the path. */
static tks_status set_service(tks_bytes *path, tks_target *target, tks_error *err) {
    tks_bytes name = path->size > 0 ? slice(*path, 1, path->size) : *path;
    size_t end = find(name, '/');
    if (end == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the URL lacks the name of the primary that the Sentinels watch: write "
                        "redis+sentinel://host:26379/mymaster");
    }
    *path = slice(name, end, name.size);
    return decode(slice(name, 0, end), "name of the primary", &target->service, err);
}

static tks_status set_tcp(const parts *p, tks_target *target, uint32_t *seen, tks_error *err) {
    if (!p->has_authority) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the URL lacks the \"//\" before the host");
    }
    tks_bytes path = p->path;
    tks_status status = target->transport == TKS_TCP
                            ? read_host(p->host, PORT_DEFAULT, &target->host, &target->port, err)
                            : set_hosts(p->host, target, err);
    if (status == TKS_OK && target->transport == TKS_SENTINEL) {
        status = set_service(&path, target, err);
    }
    if (status == TKS_OK && path.size > 1) {
        const tks_option *db = tks_option_find(&tks_target_options, TKS_LITERAL("db"));
        status = tksp_target_set_text(target, db, slice(path, 1, path.size), err);
        *seen |= bit_of(db);
    }
    return status;
}

static tks_status set_unix(const parts *p, tks_target *target, tks_error *err) {
    if (!p->has_authority || p->host.size > 0 || p->path.size < 2) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "a unix socket needs an absolute path: redis+unix:///path/to.sock");
    }
    tks_status status = decode(p->path, "path", &target->path, err);
    if (status == TKS_OK && strlen(target->path) > TKSP_UNIX_PATH_MAX) {
        status = tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "the path of the unix socket is longer than the system's %d bytes: use a shorter one",
            TKSP_UNIX_PATH_MAX);
    }
    return status;
}

static tks_status set_embedded(const parts *p, tks_target *target, tks_error *err) {
    target->embeds_cluster = !p->has_authority && tks_bytes_equal(p->path, TKS_LITERAL("cluster"));
    if (target->embeds_cluster || (p->path.size == 0 && !p->has_authority)) return TKS_OK;
    if (p->has_authority || p->path.data[0] != '/') {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "embedded: must be followed by nothing, by \"cluster\", or by the absolute "
                        "path of a directory, such as embedded:/var/lib/app");
    }
    return decode(p->path, "path", &target->path, err);
}

/* Option names are quoted unless an '@' in the query says that a password may have run into it. */
static tks_status unknown_option(const parts *p, tks_bytes name, tks_error *err) {
    bool quotable = name.size > 0 && name.size <= 32 && find(p->query, '@') == p->query.size;
    for (size_t i = 0; i < name.size && quotable; i++) {
        quotable = is_alnum(name.data[i]) || name.data[i] == '_' || name.data[i] == '-';
    }
    char known[TKSP_OPTION_NAMES_SIZE];
    tksp_target_list_options(known, sizeof known);
    return tks_fail(err, TKS_ERR_CONFIGURATION, "unknown option%s%.*s in the URL: known are %s",
                    quotable ? " " : "", quotable ? (int)name.size : 0, name.data, known);
}

static tks_status set_query(const parts *p, tks_target *target, uint32_t seen, tks_error *err) {
    tks_bytes rest = p->query;
    bool more = rest.size > 0;
    while (more) {
        size_t end = find(rest, '&');
        tks_bytes pair = slice(rest, 0, end);
        more = end < rest.size;
        rest = slice(rest, end + (more ? 1 : 0), rest.size);
        size_t equals = find(pair, '=');
        tks_bytes name = slice(pair, 0, equals);
        const tks_option *option = tks_option_find(&tks_target_options, name);
        if (option == NULL) {
            return unknown_option(p, name, err);
        }
        if (seen & bit_of(option)) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the option %.*s is given twice in the URL: omit one", (int)name.size,
                            name.data);
        }
        seen |= bit_of(option);
        if (equals == pair.size) {
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the option %.*s in the URL has no value: write %.*s=…", (int)name.size,
                            name.data, (int)name.size, name.data);
        }
        char *value;
        tks_status status = decode(slice(pair, equals + 1, pair.size), "query", &value, err);
        if (status == TKS_OK) {
            status = tksp_target_set_text(target, option, tks_bytes_of(value, strlen(value)), err);
        }
        free(value);
        if (status != TKS_OK) {
            return status;
        }
    }
    return TKS_OK;
}

tks_status tks_target_parse(tks_bytes url, tks_target **out, tks_error *err) {
    *out = NULL;
    parts p = {0};
    uint32_t seen = 0; /* options given so far, a bit each */
    tks_status status = split(url, &p, err);
    if (status != TKS_OK) {
        return status;
    }
    tks_target *target = tksp_target_new(p.scheme->transport, p.scheme->tls);
    if (target == NULL) {
        return tks_fail_memory(err);
    }
    switch (target->transport) {
    case TKS_UNIX: status = set_unix(&p, target, err); break;
    case TKS_EMBEDDED: status = set_embedded(&p, target, err); break;
    default: status = set_tcp(&p, target, &seen, err); break;
    }
    if (status == TKS_OK && p.has_userinfo) {
        status = set_userinfo(&p, target, err);
    }
    if (status == TKS_OK) {
        status = set_query(&p, target, seen, err);
    }
    if (status == TKS_OK && target->host_count == 0) {
        status = tksp_target_name_server(target, err);
    }
    if (status != TKS_OK) {
        tks_target_free(target);
        return status;
    }
    *out = target;
    return TKS_OK;
}
