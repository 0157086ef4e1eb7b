/* spike_creator.c - the options of the Node package spike-get-token, under their original names.
 *
 * They are here and not in the bindings, so that both languages accept the same names and report
 * the same errors. */
#include "tokenstore/spike_creator.h"

#include <stdlib.h>

#include "arena.h"

enum {
    FAULTS_SIZE = TKS_ERROR_SIZE - 1,
    URL_MAX = 8192,
    DEFAULT_RETRIES = 3,
    DEFAULT_SLEEP_MS = 100,
    RETRIES_MAX = 100,
    SLEEP_MAX_MS = 600000,
    BUDGET_MS = 10000,
    BUDGET_MAX_MS = 3600000
};

typedef enum option_id {
    CLIENT_ID,
    CLIENT_SECRET,
    SPIKE_URL,
    GRANT_TYPE,
    AUDIENCE,
    REDIS_KEY,
    KEY_PATH,
    USE_REDIS,
    REDIS_HOST,
    VALIDATION,
    HOST_HEADER,
    RETRIES,
    SLEEP,
    OPTIONS
} option_id;

typedef struct spelling {
    const char *name;
    option_id option;
    tks_creator_type type;
} spelling;

static const spelling spellings[] = {
    {"ClientId", CLIENT_ID, TKS_CREATOR_TEXT},
    {"clientId", CLIENT_ID, TKS_CREATOR_TEXT},
    {"ClientSecret", CLIENT_SECRET, TKS_CREATOR_TEXT},
    {"clientSecret", CLIENT_SECRET, TKS_CREATOR_TEXT},
    {"spikeURL", SPIKE_URL, TKS_CREATOR_TEXT},
    {"spikeUrl", SPIKE_URL, TKS_CREATOR_TEXT},
    {"tokenGrantType", GRANT_TYPE, TKS_CREATOR_TEXT},
    {"tokenAudience", AUDIENCE, TKS_CREATOR_TEXT},
    {"tokenRedisKeyName", REDIS_KEY, TKS_CREATOR_TEXT},
    {"spikePublicKeyFullPath", KEY_PATH, TKS_CREATOR_TEXT},
    {"useRedis", USE_REDIS, TKS_CREATOR_BOOL},
    {"redisHost", REDIS_HOST, TKS_CREATOR_TEXT},
    {"httpsValidation", VALIDATION, TKS_CREATOR_BOOL},
    {"hostHeader", HOST_HEADER, TKS_CREATOR_TEXT},
    {"retries", RETRIES, TKS_CREATOR_NUMBER},
    {"sleepBetweenRetries", SLEEP, TKS_CREATOR_NUMBER},
};

struct tks_creator {
    tksp_arena arena;
    tks_buf faults;
    bool given[OPTIONS];
    tks_bytes text[OPTIONS];
    double number[OPTIONS];
};

tks_creator *tks_creator_new(void) {
    tks_creator *creator = calloc(1, sizeof *creator);
    if (creator != NULL) tks_buf_init(&creator->faults, FAULTS_SIZE);
    return creator;
}

void tks_creator_free(tks_creator *creator) {
    if (creator == NULL) return;
    tks_buf_clear(&creator->faults);
    tksp_arena_clear(&creator->arena);
    free(creator);
}

/* ---- faults ---- */

static void fault(tks_creator *creator, tks_bytes name, const char *problem) {
    tks_buf *faults = &creator->faults;
    if (faults->size > 0) tks_buf_append(faults, "; ", 2);
    tks_buf_append(faults, name.data, name.size < 40 ? name.size : 40);
    tks_buf_append_char(faults, ' ');
    tks_buf_append(faults, problem, strlen(problem));
}

static void fault_of(tks_creator *creator, const char *name, const char *problem) {
    fault(creator, tks_bytes_of(name, strlen(name)), problem);
}

/* ---- setting ---- */

static const spelling *find(tks_bytes name) {
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        if (tks_bytes_equal(name, tks_bytes_of(spellings[i].name, strlen(spellings[i].name)))) {
            return &spellings[i];
        }
    }
    return NULL;
}

void tks_creator_set(tks_creator *creator, tks_bytes name, const tks_creator_value *value) {
    static const char *const wanted[] = {"must be a string", "must be true or false",
                                         "must be a number"};
    const spelling *s = find(name);
    if (s == NULL) {
        fault(creator, name, "is not an option");
        return;
    }
    if (creator->given[s->option]) {
        fault(creator, name, "is given twice, in two spellings");
        return;
    }
    creator->given[s->option] = true;
    if (s->option == HOST_HEADER && value->type == TKS_CREATOR_BOOL) {
        return; /* the URL's host, the default */
    }
    if (value->type != s->type) {
        fault(creator, name, wanted[s->type]);
    } else if (s->type != TKS_CREATOR_TEXT) {
        creator->number[s->option] = value->number;
    } else if (value->text.size == 0 && s->option != REDIS_HOST) {
        fault(creator, name, "is empty");
    } else {
        creator->text[s->option] = tksp_arena_dup(&creator->arena, value->text);
    }
}

/* ---- finishing ---- */

static void require(tks_creator *creator, option_id option, const char *name) {
    if (!creator->given[option]) fault_of(creator, name, "is missing");
}

static uint32_t whole(tks_creator *creator, option_id option, const char *name, uint32_t otherwise,
                      uint32_t most) {
    double value = creator->number[option];
    if (!creator->given[option]) return otherwise;
    if (value >= 0 && value <= most && value == (double)(uint32_t)value) return (uint32_t)value;
    fault_of(creator, name, "is not a whole number or is out of range");
    return otherwise;
}

/* The offset of the path of `url`, or its end; 0: not an http or https URL with a host. */
static size_t path_of(tks_bytes url) {
    size_t at = url.size > 7 && memcmp(url.data, "http://", 7) == 0    ? 7
                : url.size > 8 && memcmp(url.data, "https://", 8) == 0 ? 8
                                                                       : 0;
    if (at == 0 || url.data[at] == '/') return 0;
    while (at < url.size && url.data[at] != '/') at++;
    return at;
}

tks_status tks_spike_join_url(tks_bytes url, const char *path, tks_buf *out) {
    while (url.size > 0 && url.data[url.size - 1] == '/') url.size--;
    tks_buf_append_bytes(out, url);
    return tks_buf_append(out, path, strlen(path));
}

static tks_bytes joined(tks_creator *creator, tks_bytes url, const char *path) {
    tks_buf text;
    tks_buf_init(&text, URL_MAX);
    if (tks_spike_join_url(url, path, &text) != TKS_OK) {
        fault_of(creator, "spikeURL", "is too long");
    }
    tks_bytes result = tksp_arena_dup(&creator->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return result;
}

static void find_endpoints(tks_creator *creator, tks_creator_options *out) {
    tks_bytes url = creator->text[SPIKE_URL];
    size_t path = path_of(url);
    if (url.size == 0) return; /* reported already */
    if (path == 0) {
        fault_of(creator, "spikeURL", "must begin with https:// or http:// and name a host");
        return;
    }
    bool is_endpoint = path + 1 < url.size;
    if (memchr(url.data, '#', url.size) != NULL || memchr(url.data, '?', path) != NULL) {
        fault_of(creator, "spikeURL", "has a query or a fragment instead of a path");
    }
    out->token_url = is_endpoint ? url : joined(creator, url, "/oauth2/token");
    if (out->key_path.size == 0) {
        out->key_url = joined(creator, tks_bytes_of(url.data, path), "/.well-known/publickey.pem");
    }
}

/* As in spike-token-manager: the name is a prefix. */
static tks_bytes name_hash(tks_creator *creator) {
    tks_bytes prefix = creator->text[REDIS_KEY], id = creator->text[CLIENT_ID];
    char *text = tksp_arena_alloc(&creator->arena, prefix.size + id.size);
    if (text == NULL) return tks_bytes_of(NULL, 0);
    memcpy(text, prefix.data, prefix.size);
    if (id.size > 0) memcpy(text + prefix.size, id.data, id.size);
    return tks_bytes_of(text, prefix.size + id.size);
}

tks_status tks_creator_finish(tks_creator *creator, tks_creator_options *out, tks_error *err) {
    *out = (tks_creator_options){.validate = true};
    require(creator, CLIENT_ID, "ClientId");
    require(creator, CLIENT_SECRET, "ClientSecret");
    require(creator, SPIKE_URL, "spikeURL");
    require(creator, AUDIENCE, "tokenAudience");
    bool use_redis =
        creator->given[USE_REDIS] ? creator->number[USE_REDIS] != 0 : creator->given[REDIS_HOST];
    if (use_redis && !creator->given[REDIS_HOST]) {
        fault_of(creator, "redisHost", "is missing, and useRedis is true");
    } else if (use_redis && creator->text[REDIS_HOST].size == 0) {
        fault_of(creator, "redisHost", "is empty");
    }
    out->client_id = creator->text[CLIENT_ID];
    out->client_secret = creator->text[CLIENT_SECRET];
    out->grant_type = creator->text[GRANT_TYPE];
    out->audience = creator->text[AUDIENCE];
    out->redis_string = creator->text[REDIS_KEY];
    if (out->redis_string.size > 0) out->redis_key = name_hash(creator);
    out->key_path = creator->text[KEY_PATH];
    out->host_header = creator->text[HOST_HEADER];
    if (use_redis) out->redis_host = creator->text[REDIS_HOST];
    if (creator->given[VALIDATION]) out->validate = creator->number[VALIDATION] != 0;
    out->retries = whole(creator, RETRIES, "retries", DEFAULT_RETRIES, RETRIES_MAX);
    out->sleep_ms = whole(creator, SLEEP, "sleepBetweenRetries", DEFAULT_SLEEP_MS, SLEEP_MAX_MS);
    uint32_t sleeps_ms = out->retries * out->sleep_ms; /* sixty million at most */
    out->budget_ms = sleeps_ms < BUDGET_MAX_MS - BUDGET_MS ? BUDGET_MS + sleeps_ms : BUDGET_MAX_MS;
    find_endpoints(creator, out);
    if (creator->arena.status != TKS_OK || creator->faults.status == TKS_ERR_MEMORY) {
        return tks_fail_memory(err);
    }
    if (creator->faults.size > 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "%.*s", (int)creator->faults.size,
                        creator->faults.data);
    }
    return TKS_OK;
}
