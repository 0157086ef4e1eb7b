/* raw_key.c - see raw_key.h. Source: redis.io, "Command key specifications"; tests/operations/test_raw_key.py compares
 * this with what servers say (COMMAND GETKEYS). */
#include "raw_key.h"

/* Commands without a key, whatever their arguments. */
static const char *const KEYLESS[] = {
    "ACL",      "ASKING",    "AUTH",       "BGREWRITEAOF", "BGSAVE",   "CLIENT",
    "CLUSTER",  "COMMAND",   "COMMANDLOG", "CONFIG",       "DBSIZE",   "DISCARD",
    "ECHO",     "EXEC",      "FAILOVER",   "FLUSHALL",     "FLUSHDB",  "FUNCTION",
    "HELLO",    "INFO",      "KEYS",       "LASTSAVE",     "LATENCY",  "LOLWUT",
    "MODULE",   "MONITOR",   "MULTI",      "PFSELFTEST",   "PING",     "PSUBSCRIBE",
    "PSYNC",    "PUBLISH",   "PUBSUB",     "PUNSUBSCRIBE", "QUIT",     "RANDOMKEY",
    "READONLY", "READWRITE", "REPLCONF",   "REPLICAOF",    "RESET",    "ROLE",
    "SAVE",     "SCAN",      "SCRIPT",     "SELECT",       "SHUTDOWN", "SLAVEOF",
    "SLOWLOG",  "SUBSCRIBE", "SWAPDB",     "SYNC",         "TIME",     "UNSUBSCRIBE",
    "UNWATCH",  "WAIT",      "WAITAOF",
};

/* Commands whose first key has another place than argv[1]. */
typedef struct place {
    const char *name, *subcommand; /* NULL: all of them; the others have no key */
    enum { AT, COUNTED, AFTER_STREAMS, OF_MIGRATE } rule;
    size_t at; /* AT: the key; COUNTED: the number of keys, which follow */
} place;

static const place PLACES[] = {
    {"BITOP", NULL, AT, 2},
    {"BLMPOP", NULL, COUNTED, 2},
    {"BZMPOP", NULL, COUNTED, 2},
    {"DEBUG", "OBJECT", AT, 2}, /* no server calls it a key, but only the key's has it */
    {"EVAL", NULL, COUNTED, 2},
    {"EVALSHA", NULL, COUNTED, 2},
    {"EVALSHA_RO", NULL, COUNTED, 2},
    {"EVAL_RO", NULL, COUNTED, 2},
    {"FCALL", NULL, COUNTED, 2},
    {"FCALL_RO", NULL, COUNTED, 2},
    {"LMPOP", NULL, COUNTED, 1},
    {"MEMORY", "USAGE", AT, 2},
    {"MIGRATE", NULL, OF_MIGRATE, 0},
    {"MSETEX", NULL, COUNTED, 1}, /* Redis 8.4 */
    {"OBJECT", NULL, AT, 2},
    {"PFDEBUG", NULL, AT, 2},
    {"SINTERCARD", NULL, COUNTED, 1},
    {"XGROUP", NULL, AT, 2},
    {"XINFO", NULL, AT, 2},
    {"XREAD", NULL, AFTER_STREAMS, 0},
    {"XREADGROUP", NULL, AFTER_STREAMS, 0},
    {"ZDIFF", NULL, COUNTED, 1},
    {"ZINTER", NULL, COUNTED, 1},
    {"ZINTERCARD", NULL, COUNTED, 1},
    {"ZMPOP", NULL, COUNTED, 1},
    {"ZUNION", NULL, COUNTED, 1},
};

static const tks_bytes NONE = {NULL, 0};

static tks_bytes word_at(size_t argc, const tks_bytes *argv, size_t at) {
    return at < argc ? argv[at] : NONE;
}

bool tksp_raw_is(tks_bytes word, const char *name) {
    size_t i = 0;
    for (; i < word.size && name[i] != '\0'; i++) {
        char c = word.data[i];
        if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != name[i]) return false;
    }
    return i == word.size && name[i] == '\0';
}

bool tksp_raw_ends_multi(size_t argc, const tks_bytes *argv) {
    return argc == 1 && (tksp_raw_is(argv[0], "EXEC") || tksp_raw_is(argv[0], "DISCARD"));
}

/* The word after a number of keys that is not 0. A script without keys has arguments there. */
static tks_bytes counted(size_t argc, const tks_bytes *argv, size_t at) {
    tks_bytes number = word_at(argc, argv, at);
    for (size_t i = 0; i < number.size; i++) {
        if (number.data[i] >= '1' && number.data[i] <= '9') return word_at(argc, argv, at + 1);
    }
    return NONE;
}

/* [GROUP group consumer] [NOACK] [OPTION value …] STREAMS key … A group may have the name of an option. */
static tks_bytes after_streams(size_t argc, const tks_bytes *argv) {
    for (size_t i = 1; i < argc; i++) {
        if (tksp_raw_is(argv[i], "STREAMS")) return word_at(argc, argv, i + 1);
        if (tksp_raw_is(argv[i], "GROUP")) {
            i += 2;
        } else if (!tksp_raw_is(argv[i], "NOACK")) {
            i++;
        }
    }
    return NONE;
}

/* host port key db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key …], where KEYS needs an
 * empty first key. A password may be "KEYS". */
static tks_bytes of_migrate(size_t argc, const tks_bytes *argv) {
    enum { KEY = 3, OPTIONS = 6 };
    tks_bytes key = word_at(argc, argv, KEY);
    for (size_t i = OPTIONS; key.size == 0 && i < argc; i++) {
        if (tksp_raw_is(argv[i], "KEYS")) return word_at(argc, argv, i + 1);
        if (tksp_raw_is(argv[i], "AUTH")) i++;
        if (tksp_raw_is(argv[i], "AUTH2")) i += 2;
    }
    return key;
}

tks_bytes tksp_raw_key(size_t argc, const tks_bytes *argv) {
    for (size_t i = 0; i < sizeof KEYLESS / sizeof KEYLESS[0]; i++) {
        if (tksp_raw_is(argv[0], KEYLESS[i])) return NONE;
    }
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        const place *p = &PLACES[i];
        if (!tksp_raw_is(argv[0], p->name)) continue;
        if (p->subcommand != NULL && !tksp_raw_is(word_at(argc, argv, 1), p->subcommand)) {
            return NONE;
        }
        switch (p->rule) {
        case AT: return word_at(argc, argv, p->at);
        case COUNTED: return counted(argc, argv, p->at);
        case AFTER_STREAMS: return after_streams(argc, argv);
        case OF_MIGRATE: return of_migrate(argc, argv);
        }
    }
    return word_at(argc, argv, 1);
}

void tksp_raw_routes(size_t count, const size_t *argc, const tks_bytes *argv, tks_bytes *routes) {
    tks_bytes key = NONE, before = NONE;
    size_t first = 0; /* of those that go together: one command, or those from MULTI to EXEC */
    bool open = false;
    for (size_t i = 0; i < count; argv += argc[i++]) {
        if (!open) {
            first = i;
            key = NONE;
        }
        if (key.size == 0) key = tksp_raw_key(argc[i], argv);
        open = tksp_raw_is(argv[0], "MULTI") || (open && !tksp_raw_ends_multi(argc[i], argv));
        if (open && i + 1 < count) continue;
        if (key.size == 0) key = before;
        before = key;
        for (size_t j = first; j <= i; j++) routes[j] = key;
    }
    for (size_t i = count - 1; i-- > 0;) {
        if (routes[i].size == 0) routes[i] = routes[i + 1];
    }
}
