/* jwt_table.c - the options and operations of RedisJWT, as a table. See tokenstore/operation.h. */
#include "jwt_sessions_private.h"

static const char *const algorithms[] = {
#define NAME(name, text) text,
    TKS_JWT_ALG_MAP(NAME)
#undef NAME
        NULL};

#define TKSP_OPTIONS_OF tks_jwt_sessions_options

static const tks_option option_rows[] = {
    {TKSP_OPTION("secret", TKS_OPTION_KEYS, keys)},
    {TKSP_OPTION("algorithm", TKS_OPTION_CHOICE, algorithm), .choices = algorithms,
     .fallback = "HS256"},
    {TKSP_OPTION("max_sessions", TKS_OPTION_COUNT, max_sessions), .min = 1, .max = 1000000},
    {TKSP_OPTION("node_writers", TKS_OPTION_FLAG, node_writers), .fallback = "false"},
    {TKSP_OPTION("max_data_size", TKS_OPTION_COUNT, max_data_size), .min = 1,
     .max = TKSP_DATA_SIZE_MAX, .fallback = "65536"},
    {TKSP_OPTION("max_size", TKS_OPTION_COUNT, max_size), .min = 1, .max = TKS_JWT_SIZE_MAX,
     .fallback = "8192"},
    TKSP_DURABILITY_ROWS,
};

static const tks_jwt_sessions_options nothing;
const tks_options tksp_rjwt_options = TKSP_OPTIONS(option_rows, nothing);

static double seconds(int64_t microseconds) {
    return (double)microseconds / 1e6;
}

static tks_status make_sign(const void *store, const tks_arg *args, tks_op **out, tks_error *err) {
    tks_jwt_session_new session = {.id = args[0].text,
                                   .ttl_ms = args[1].number,
                                   .data_token = args[2].text,
                                   .data_session = args[3].text,
                                   .now = seconds(args[4].number)};
    return tks_jwt_sessions_sign(store, &session, out, err);
}

TKSP_MAKER(make_verify, tks_jwt_sessions_verify, args[0].text, args[1].number != 0,
           seconds(args[2].number))
TKSP_MAKER(make_list, tks_jwt_sessions_list, args[0].text)
TKSP_MAKER(make_destroy, tks_jwt_sessions_destroy, args[0].text)
TKSP_MAKER(make_destroy_multiple, tks_jwt_sessions_destroy_all, args[0].text)
TKSP_MAKER_OF_NONE(make_reindex, tks_jwt_sessions_reindex)
TKSP_MAKER(make_put, tks_jwt_sessions_put, args[0].text, args[1].text, args[2].number)
TKSP_MAKER(make_exists, tks_jwt_sessions_exists, args[0].text)
TKSP_MAKER(make_ttl, tks_jwt_sessions_ttl, args[0].text)
TKSP_MAKER(make_get_value, tks_jwt_sessions_get_value, args[0].text)
TKSP_MAKER(make_get_values, tks_jwt_sessions_get_values, args[0].text)
TKSP_MAKER(make_count, tks_jwt_sessions_count, args[0].text)
TKSP_MAKER(make_get_info, tks_jwt_sessions_get_info, args[0].text)
TKSP_MAKER_OF_NONE(make_ping, tks_jwt_sessions_ping)

#define ID  TKSP_REQUIRED("id", TKS_PARAM_NAME)
#define KEY TKSP_OPTIONAL("key", TKS_PARAM_PRESENTED)
#define TTL TKSP_OPTIONAL("ttl", TKS_PARAM_TTL)
#define NOW                                                                                        \
    { .type = TKS_PARAM_NOW }

static const tks_operation operations[] = {
    {"sign", "Starts a session and signs its token.", TKS_RESULT_TEXT, false,
     TKSP_PARAMS(ID, TTL, TKSP_OPTIONAL("data_token", TKS_PARAM_OBJECT),
                 TKSP_OPTIONAL("data_session", TKS_PARAM_OBJECT), NOW),
     make_sign},
    {"verify", "Checks a token and its session.", TKS_RESULT_SESSION, false,
     TKSP_PARAMS(TKSP_OPTIONAL("token", TKS_PARAM_JWT),
                 TKSP_OPTIONAL("value_session", TKS_PARAM_FLAG), NOW),
     make_verify},
    {"list", "Lists the live sessions of a user, newest first.", TKS_RESULT_SESSIONS, false,
     TKSP_PARAMS(ID), make_list},
    {"destroy", "Ends a session.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(TKSP_OPTIONAL("rjwt", TKS_PARAM_PRESENTED), TKSP_WAIT_REPLICAS), make_destroy},
    {"destroy_multiple", "Ends all sessions of a user.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(ID, TKSP_WAIT_REPLICAS), make_destroy_multiple},
    {"reindex", "Adds sessions of the Node package to the index.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(TKSP_OPTIONAL("timeout", TKS_PARAM_TIMEOUT)), make_reindex},
    /* the Node package's helpers */
    {"put", "Stores a session under its key.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(TKSP_REQUIRED("key", TKS_PARAM_TEXT), TKSP_REQUIRED("value", TKS_PARAM_TEXT), TTL),
     make_put},
    {"exists", "Checks whether a session exists.", TKS_RESULT_BOOL, false, TKSP_PARAMS(KEY),
     make_exists},
    {"ttl", "Reads the remaining lifetime of a session, in seconds.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(KEY), make_ttl},
    {"get_value", "Reads the stored value of a session.", TKS_RESULT_TEXT, true, TKSP_PARAMS(KEY),
     make_get_value},
    {"get_values", "Reads the stored value of each session of a user.", TKS_RESULT_TEXTS, false,
     TKSP_PARAMS(ID), make_get_values},
    {"count", "Counts the live sessions of a user.", TKS_RESULT_COUNT, false, TKSP_PARAMS(ID),
     make_count},
    {"get_info", "Reads the server's INFO.", TKS_RESULT_TEXT, false,
     TKSP_PARAMS(TKSP_OPTIONAL("section", TKS_PARAM_TEXT)), make_get_info},
    {"ping", "Checks that the server answers.", TKS_RESULT_TEXT, false, 0, NULL, make_ping},
};

TKSP_STORE_FUNCTIONS(tks_jwt_sessions *, tks_jwt_sessions_new, tks_jwt_sessions_get_max_data_size,
                     tks_jwt_sessions_free)

const tks_store_type tks_redis_jwt_type = {
    "RedisJWT", &tksp_rjwt_options, make_store, TKSP_COUNT(operations),
    operations, max_data_size,      free_store, NULL};
