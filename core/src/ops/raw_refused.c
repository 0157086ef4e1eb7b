/* raw_refused.c - see raw_refused.h. Source: redis.io, "Commands": those that change the state of a
 * connection in Redis (the client struct in server.h): the database, the user, the protocol, the
 * mode, the name. */
#include "raw_refused.h"

#include "raw_key.h"

#define OTHER_CLIENT "use a separate Redis client for it"

typedef struct refused {
    const char *name, *subcommand; /* NULL: all of them */
    const char *advice;
} refused;

static const refused REFUSED[] = {
    {"SELECT", NULL, "set the database in the URL (redis://…/3) or by db=, on a separate client"},
    {"AUTH", NULL, "put user and password into the URL, redis://user:password@host"},
    {"HELLO", NULL, "put user and password into the URL; the library chooses the protocol"},
    {"RESET", NULL, "close() the client to close its connections"},
    {"QUIT", NULL, "close() the client instead"},
    {"CLIENT", "SETNAME", "give client_name="},
    {"CLIENT", "SETINFO", OTHER_CLIENT},
    {"CLIENT", "REPLY", OTHER_CLIENT},
    {"CLIENT", "TRACKING", OTHER_CLIENT},
    {"CLIENT", "CACHING", OTHER_CLIENT},
    {"CLIENT", "NO-EVICT", OTHER_CLIENT},
    {"CLIENT", "NO-TOUCH", OTHER_CLIENT},
    {"CLIENT", "CAPA", OTHER_CLIENT},
    {"CLIENT", "IMPORT-SOURCE", OTHER_CLIENT},
    {"SUBSCRIBE", NULL, OTHER_CLIENT " (for ended sessions use RedisJWT's events)"},
    {"PSUBSCRIBE", NULL, OTHER_CLIENT " (for ended sessions use RedisJWT's events)"},
    {"SSUBSCRIBE", NULL, OTHER_CLIENT},
    {"UNSUBSCRIBE", NULL, OTHER_CLIENT},
    {"PUNSUBSCRIBE", NULL, OTHER_CLIENT},
    {"SUNSUBSCRIBE", NULL, OTHER_CLIENT},
    {"MONITOR", NULL, OTHER_CLIENT},
    {"WATCH", NULL, "use a script (EVAL): it is atomic too, and needs no dedicated connection"},
    {"READONLY", NULL, OTHER_CLIENT},
    {"READWRITE", NULL, OTHER_CLIENT},
    {"ASKING", NULL, OTHER_CLIENT},
    {"SCRIPT", "DEBUG", OTHER_CLIENT},
    {"SYNC", NULL, OTHER_CLIENT},
    {"PSYNC", NULL, OTHER_CLIENT},
    {"REPLCONF", NULL, OTHER_CLIENT},
};

static const refused *find(size_t argc, const tks_bytes *argv) {
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        const refused *r = &REFUSED[i];
        if (tksp_raw_is(argv[0], r->name) &&
            (r->subcommand == NULL || (argc > 1 && tksp_raw_is(argv[1], r->subcommand)))) {
            return r;
        }
    }
    return NULL;
}

tks_status tksp_raw_check(size_t count, const size_t *argc, const tks_bytes *argv, tks_error *err) {
    bool open = false; /* a MULTI still without its EXEC */
    if (count == 0) return tks_fail(err, TKS_ERR_DATA, "no command was given");
    for (size_t i = 0; i < count; i++) {
        if (argc[i] == 0) {
            return tks_fail(err, TKS_ERR_DATA, "command %zu is empty: give at least its name",
                            i + 1);
        }
        const refused *r = find(argc[i], argv);
        if (r != NULL) {
            bool two = r->subcommand != NULL;
            return tks_fail(err, TKS_ERR_DATA,
                            "%s%s%s is not sent: it would change a shared connection - %s", r->name,
                            two ? " " : "", two ? r->subcommand : "", r->advice);
        }
        open = tksp_raw_is(argv[0], "MULTI") || (open && !tksp_raw_ends_multi(argc[i], argv));
        argv += argc[i];
    }
    if (open) {
        return tks_fail(err, TKS_ERR_DATA,
                        "MULTI is not sent without its EXEC: it would change a shared connection - "
                        "put both into one pipeline");
    }
    return TKS_OK;
}
