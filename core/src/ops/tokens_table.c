/* tokens_table.c - the options and operations of RedisTokens and of Sessions, as tables. See tokenstore/operation.h.
 *
 * Sessions are tokens of one type in other words, so that both tables have the same makers: what a caller of Sessions
 * does not give has its place all the same. */
#include <stdlib.h>

#include "tokens_private.h"

/* ---- options ---------------------------------------------------------------------------------- */

static bool is_prefix(tks_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("{}", text.data[i]) != NULL) return false; /* finds the NUL of "{}" too */
    }
    return true;
}

static const char *const encodings[] =
    {[TKS_BASE64URL] = "base64url", [TKS_BASE64] = "base64", [TKS_HEX] = "hex", NULL};

const char *const tksp_when_full[] =
    {[TKS_FULL_OLDEST] = "oldest", [TKS_FULL_IDLE] = "idle", [TKS_FULL_REFUSE] = "refuse", NULL};

static const char *const reuses[] =
    {[TKS_REUSE_IGNORE] = "ignore", [TKS_REUSE_REVOKE] = "revoke", NULL};

#define TKSP_OPTIONS_OF tks_tokens_options

static const tks_option option_rows[] = {
    {TKSP_OPTION("prefix", TKS_OPTION_TEXT, prefix), .min = 1, .max = TKS_PREFIX_MAX,
     .fallback = "ts", .wanted = "1 to 128 bytes, without '{', '}' and NUL", .fits = is_prefix},
    {TKSP_OPTION("token_size", TKS_OPTION_COUNT, token_size), .min = TKS_TOKEN_SIZE_MIN,
     .max = TKS_TOKEN_SIZE_MAX, .fallback = "32"},
    {TKSP_OPTION("token_encoding", TKS_OPTION_CHOICE, encoding), .choices = encodings,
     .fallback = "base64url"},
    {TKSP_OPTION("pepper", TKS_OPTION_TEXTS, peppers), .min = 16, .max = TKS_PEPPER_MAX,
     .wanted = "16 to 64 bytes, or a list of 1 to 8 such"},
    {TKSP_OPTION("max_age", TKS_OPTION_DURATION, max_age_ms), .min = 1000,
     .max = TKS_DURATION_MAX_MS},
    {TKSP_OPTION("touch_interval", TKS_OPTION_DURATION, touch_interval_ms), .min = 0,
     .max = TKS_DURATION_MAX_MS},
    {TKSP_OPTION("max_per_owner", TKS_OPTION_COUNT, max_per_owner), .min = 1, .max = 1000000},
    {TKSP_OPTION("when_full", TKS_OPTION_CHOICE, when_full), .choices = tksp_when_full,
     .fallback = "oldest"},
    {TKSP_OPTION("reuse", TKS_OPTION_CHOICE, reuse), .choices = reuses, .fallback = "ignore"},
    {TKSP_OPTION("reuse_window", TKS_OPTION_DURATION, reuse_window_ms), .min = 1000,
     .max = TKS_DURATION_MAX_MS},
    {TKSP_OPTION("max_data_size", TKS_OPTION_COUNT, max_data_size), .min = 1,
     .max = TKSP_DATA_SIZE_MAX, .fallback = "65536"},
    TKSP_DURABILITY_ROWS,
};

static const tks_tokens_options nothing = TKS_TOKENS_OPTIONS_INIT;
static const tks_tokens_options no_session = {.touch_interval_ms = -1, .session = true};
const tks_options tksp_tokens_options = TKSP_OPTIONS(option_rows, nothing);
static const tks_options sessions_options = TKSP_OPTIONS(option_rows, no_session);

/* ---- makers ---------------------------------------------------------------------------------- */

/* The places of create's arguments, and of app, type and one more in all others. */
enum { APP, TYPE, OWNER, DATA, DURATION, CUSTOM_TOKEN, IDLE, REQUEST, CREATE_COUNT, TOKEN = OWNER };

static tks_new_token new_token(const tks_arg *args) {
    return (tks_new_token){.app = args[APP].text,
                           .type = args[TYPE].text,
                           .owner = args[OWNER].text,
                           .data = args[DATA].text,
                           .duration_ms = args[DURATION].number,
                           .custom_token = args[CUSTOM_TOKEN].text,
                           .idle_ms = args[IDLE].number,
                           .request = args[REQUEST].text};
}

static tks_status make_create(const void *store, const tks_arg *args, tks_op **out,
                              tks_error *err) {
    tks_new_token token = new_token(args);
    return tks_tokens_create(store, &token, out, err);
}

static tks_status make_create_many(const void *store, const tks_arg *args, tks_op **out,
                                   tks_error *err) {
    size_t count = args[0].count;
    tks_new_token *tokens = calloc(count + 1, sizeof *tokens);
    *out = NULL;
    if (tokens == NULL) return tks_fail_memory(err);
    for (size_t i = 0; i < count; i++) tokens[i] = new_token(args[0].rows + i * CREATE_COUNT);
    tks_status status = tks_tokens_create_many(store, count, tokens, out, err);
    free(tokens);
    return status;
}

#define OF args[APP].text, args[TYPE].text
TKSP_MAKER(make_get, tks_tokens_get, OF, args[TOKEN].text, args[3].number, args[4].number != 0)
TKSP_MAKER(make_get_by_id, tks_tokens_get_by_id, OF, args[OWNER].text, args[3].text)
TKSP_MAKER(make_update_all, tks_tokens_update_all, OF, args[OWNER].text, args[3].text)
TKSP_MAKER(make_get_many, tks_tokens_get_many, OF, args[2].count, args[2].texts)
TKSP_MAKER(make_refresh, tks_tokens_refresh, OF, args[TOKEN].text, args[3].number)
TKSP_MAKER(make_take, tks_tokens_take, OF, args[TOKEN].text)
TKSP_MAKER(make_delete, tks_tokens_delete, OF, args[TOKEN].text)
TKSP_MAKER(make_delete_all, tks_tokens_delete_all, OF, args[OWNER].text, args[3].text)
TKSP_MAKER(make_delete_by_id, tks_tokens_delete_by_id, OF, args[OWNER].text, args[3].text)
TKSP_MAKER(make_count, tks_tokens_count, OF, args[OWNER].text)

/* A get that is also to refresh, or to tell the end, or to ask the server, is an operation. */
static bool ask(const void *store, const tks_operation *row, const tks_arg *args,
                tks_near_question *out) {
    if (row->make != make_get) return false;
    bool plain = args[3].number == 0 && args[4].number == 0 && args[5].number == 0;
    return plain && tks_tokens_ask(store, OF, args[TOKEN].text, out);
}

static tks_status make_rotate(const void *store, const tks_arg *args, tks_op **out,
                              tks_error *err) {
    tks_rotation rotation = {.duration_ms = args[3].number,
                             .grace_ms = args[4].number,
                             .owner = args[5].text,
                             .data = args[6].text};
    return tks_tokens_rotate(store, OF, args[TOKEN].text, &rotation, out, err);
}

/* Its arguments from `args` on. */
static tks_update update_of(const tks_arg *args) {
    return (tks_update){.data = args[0].text,
                        .unset = args[1].text,
                        .keep_null = args[2].number != 0,
                        .replace = args[3].number != 0,
                        .expect = args[4].text,
                        .refresh_ms = args[5].number};
}

static tks_status make_update(const void *store, const tks_arg *args, tks_op **out,
                              tks_error *err) {
    tks_update update = update_of(args + 3);
    return tks_tokens_update(store, OF, args[TOKEN].text, &update, out, err);
}

static tks_status make_update_by_id(const void *store, const tks_arg *args, tks_op **out,
                                    tks_error *err) {
    tks_update update = update_of(args + 4);
    return tks_tokens_update_by_id(store, OF, args[OWNER].text, args[3].text, &update, out, err);
}

static tks_status make_list(const void *store, const tks_arg *args, tks_op **out, tks_error *err) {
    tks_page page = {.limit = args[3].number, .after = args[4].text};
    return tks_tokens_list(store, OF, args[OWNER].text, &page, out, err);
}

/* ---- parameters ------------------------------------------------------------------------------- */

#define NAME(name)  TKSP_REQUIRED(name, TKS_PARAM_NAME)
#define TOKEN_PARAM TKSP_OPTIONAL("token", TKS_PARAM_PRESENTED)
#define KEEP_PARAM  TKSP_OPTIONAL("keep", TKS_PARAM_PRESENTED)
#define DATA_PARAM  TKSP_DEFAULT("data", TKS_PARAM_OBJECT, "{}")
#define UPDATE_PARAMS                                                                              \
    TKSP_DEFAULT("data", TKS_PARAM_PATCH, "{}"), TKSP_OPTIONAL("unset", TKS_PARAM_FIELDS),         \
        TKSP_OPTIONAL("keep_null", TKS_PARAM_FLAG), TKSP_OPTIONAL("replace", TKS_PARAM_FLAG),      \
        TKSP_OPTIONAL("expect", TKS_PARAM_EXPECTED), TKSP_OPTIONAL("refresh", TKS_PARAM_REFRESH)
#define GRACE_PARAM    TKSP_OPTIONAL("grace", TKS_PARAM_GRACE)
#define PATCH_PARAM    TKSP_OPTIONAL("data", TKS_PARAM_PATCH)
#define DURATION_PARAM TKSP_OPTIONAL("duration", TKS_PARAM_DURATION)
#define LIMIT_AND_AFTER                                                                            \
    TKSP_OPTIONAL("limit", TKS_PARAM_LIMIT), TKSP_OPTIONAL("after", TKS_PARAM_ID)
#define REFRESH_AND_EXPIRY                                                                         \
    TKSP_OPTIONAL("refresh", TKS_PARAM_REFRESH), TKSP_OPTIONAL("expiry", TKS_PARAM_FLAG)
#define FRESH_PARAM TKSP_OPTIONAL("fresh", TKS_PARAM_FRESH)
#define IDLE_AND_REQUEST                                                                           \
    TKSP_OPTIONAL("idle", TKS_PARAM_DURATION), TKSP_OPTIONAL("request", TKS_PARAM_OBJECT)
#define SESSION_TYPE                                                                               \
    { .type = TKS_PARAM_FIXED, .fallback = TKS_SESSION_TYPE }

/* ---- RedisTokens ------------------------------------------------------------------------------ */

/* What all but create_many begin with. */
#define OF_TYPE NAME("app"), NAME("type")

static const tks_operation redis_tokens[] = {
    {"create", "Makes a token.", TKS_RESULT_TOKEN, false,
     TKSP_PARAMS(OF_TYPE, TKSP_OPTIONAL("owner", TKS_PARAM_NAME), DATA_PARAM, DURATION_PARAM,
                 TKSP_OPTIONAL("custom_token", TKS_PARAM_TEXT), IDLE_AND_REQUEST),
     make_create},
    {"create_many", "Makes many tokens at once, all or none.", TKS_RESULT_TOKENS, false,
     TKSP_PARAMS({"tokens", TKS_PARAM_ROWS, true, NULL, &redis_tokens[0]}), make_create_many},
    {"get", "Finds a token.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM, REFRESH_AND_EXPIRY, FRESH_PARAM), make_get},
    {"get_many", "Finds many tokens at once, in the order asked.", TKS_RESULT_TOKENS, true,
     TKSP_PARAMS(OF_TYPE, TKSP_REQUIRED("tokens", TKS_PARAM_TOKENS), FRESH_PARAM), make_get_many},
    {"get_by_id", "Finds a token by its public id.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), TKSP_OPTIONAL("id", TKS_PARAM_ID)), make_get_by_id},
    {"refresh", "Sets the time a token has left.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM, TKSP_REQUIRED("duration", TKS_PARAM_DURATION)),
     make_refresh},
    {"update", "Sets and deletes fields of a token's data.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM, UPDATE_PARAMS), make_update},
    {"update_by_id", "Sets and deletes fields of a token's data by its public id.",
     TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), TKSP_OPTIONAL("id", TKS_PARAM_ID), UPDATE_PARAMS),
     make_update_by_id},
    {"update_all", "Sets and deletes fields of the data of all tokens of an owner.",
     TKS_RESULT_COUNT, false,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), TKSP_REQUIRED("data", TKS_PARAM_PATCH)), make_update_all},
    {"rotate", "Replaces a token's secret.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM, DURATION_PARAM, GRACE_PARAM,
                 TKSP_OPTIONAL("owner", TKS_PARAM_NAME), PATCH_PARAM),
     make_rotate},
    {"take", "Finds a token and ends it, for one caller alone.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM), make_take},
    {"delete", "Ends a token.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(OF_TYPE, TOKEN_PARAM, TKSP_WAIT_REPLICAS), make_delete},
    {"delete_all", "Ends all tokens of an owner, or all but one.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), KEEP_PARAM, TKSP_WAIT_REPLICAS), make_delete_all},
    {"delete_by_id", "Ends a token by its public id.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), TKSP_OPTIONAL("id", TKS_PARAM_ID), TKSP_WAIT_REPLICAS),
     make_delete_by_id},
    {"count", "Counts the live tokens of an owner.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(OF_TYPE, NAME("owner")), make_count},
    {"list", "Lists the live tokens of an owner, newest first.", TKS_RESULT_TOKENS, false,
     TKSP_PARAMS(OF_TYPE, NAME("owner"), LIMIT_AND_AFTER), make_list},
};

TKSP_STORE_FUNCTIONS(tks_tokens *, tks_tokens_new, tks_tokens_get_max_data_size, tks_tokens_free)

const tks_store_type tks_redis_tokens_type = {
    "RedisTokens", &tksp_tokens_options, make_store, TKSP_COUNT(redis_tokens),
    redis_tokens,  max_data_size,        free_store, ask};

/* ---- Sessions --------------------------------------------------------------------------------- */

#define SESSION_OF NAME("app"), SESSION_TYPE

static const tks_operation sessions[] = {
    {"create", "Begins a session.", TKS_RESULT_TOKEN, false,
     TKSP_PARAMS(SESSION_OF, TKSP_OPTIONAL("owner_id", TKS_PARAM_NAME), DATA_PARAM, DURATION_PARAM,
                 {.type = TKS_PARAM_FIXED}, IDLE_AND_REQUEST),
     make_create},
    {"get", "Finds a session.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM, REFRESH_AND_EXPIRY, FRESH_PARAM), make_get},
    {"get_many", "Finds many sessions at once, in the order asked.", TKS_RESULT_TOKENS, true,
     TKSP_PARAMS(SESSION_OF, TKSP_REQUIRED("tokens", TKS_PARAM_TOKENS), FRESH_PARAM),
     make_get_many},
    {"get_by_id", "Finds a session by its public id.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), TKSP_OPTIONAL("id", TKS_PARAM_ID)), make_get_by_id},
    {"refresh", "Sets the time a session has left.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM, TKSP_REQUIRED("duration", TKS_PARAM_DURATION)),
     make_refresh},
    {"update", "Sets and deletes fields of a session's data.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM, UPDATE_PARAMS), make_update},
    {"update_by_id", "Sets and deletes fields of a session's data by its public id.",
     TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), TKSP_OPTIONAL("id", TKS_PARAM_ID), UPDATE_PARAMS),
     make_update_by_id},
    {"update_all", "Sets and deletes fields of the data of all sessions of a user.",
     TKS_RESULT_COUNT, false,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), TKSP_REQUIRED("data", TKS_PARAM_PATCH)),
     make_update_all},
    {"rotate", "Gives a session a new token.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM, DURATION_PARAM, GRACE_PARAM,
                 TKSP_OPTIONAL("owner_id", TKS_PARAM_NAME), PATCH_PARAM),
     make_rotate},
    {"take", "Finds a session and ends it, for one caller alone.", TKS_RESULT_TOKEN, true,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM), make_take},
    {"kill", "Ends a session.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(SESSION_OF, TOKEN_PARAM, TKSP_WAIT_REPLICAS), make_delete},
    {"kill_all", "Ends all sessions of a user, or all but one.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), KEEP_PARAM, TKSP_WAIT_REPLICAS), make_delete_all},
    {"kill_by_id", "Ends a session by its public id.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), TKSP_OPTIONAL("id", TKS_PARAM_ID),
                 TKSP_WAIT_REPLICAS),
     make_delete_by_id},
    {"count", "Counts the live sessions of a user.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id")), make_count},
    {"list", "Lists the live sessions of a user, newest first.", TKS_RESULT_TOKENS, false,
     TKSP_PARAMS(SESSION_OF, NAME("owner_id"), LIMIT_AND_AFTER), make_list},
};

const tks_store_type tks_sessions_type = {
    "Sessions", &sessions_options, make_store, TKSP_COUNT(sessions),
    sessions,   max_data_size,     free_store, ask};
