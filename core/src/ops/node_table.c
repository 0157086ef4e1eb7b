/* node_table.c - the options and operations of Tokenstore, as a table. See tokenstore/operation.h. */
#include "node_tokens_private.h"

static bool is_prefix(tks_bytes text) {
    return memchr(text.data, '\0', text.size) == NULL;
}

#define TKSP_OPTIONS_OF tks_node_tokens_options

static const tks_option option_rows[] = {
    {TKSP_OPTION("prefix", TKS_OPTION_TEXT, prefix), .min = 1, .max = TKS_PREFIX_MAX,
     .fallback = "token", .wanted = "1 to 128 bytes, without NUL", .fits = is_prefix},
    {TKSP_OPTION("size", TKS_OPTION_COUNT, size), .min = TKS_NODE_KEY_SIZE_MIN,
     .max = TKS_NODE_KEY_SIZE_MAX, .fallback = "24"},
    {TKSP_OPTION("hash_size", TKS_OPTION_COUNT, hash_size), .min = TKS_NODE_HASH_SIZE_MIN,
     .max = TKS_NODE_HASH_SIZE_MAX, .fallback = "16"},
    {TKSP_OPTION("max_data_size", TKS_OPTION_COUNT, max_data_size), .min = 1,
     .max = TKSP_DATA_SIZE_MAX, .fallback = "65536"},
    TKSP_DURABILITY_ROWS,
};

static const tks_node_tokens_options nothing;
const tks_options tksp_node_options = TKSP_OPTIONS(option_rows, nothing);

TKSP_MAKER(make_add, tks_node_tokens_add, args[0].text, args[1].text, args[2].text, args[3].number)
TKSP_MAKER(make_get, tks_node_tokens_get, args[0].text)
TKSP_MAKER(make_get_key, tks_node_tokens_get_key, args[0].text)
TKSP_MAKER(make_set, tks_node_tokens_set, args[0].text, args[1].text)
TKSP_MAKER(make_delete, tks_node_tokens_delete, args[0].text)
TKSP_MAKER(make_delete_key, tks_node_tokens_delete_key, args[0].text)
TKSP_MAKER(make_list, tks_node_tokens_list, args[0].text)
TKSP_MAKER_OF_NONE(make_reset, tks_node_tokens_reset)
TKSP_MAKER(make_make_hash, tks_node_tokens_make_hash, args[0].text, args[1].number)
TKSP_MAKER(make_get_hash, tks_node_tokens_get_hash, args[0].text)
TKSP_MAKER(make_take_hash, tks_node_tokens_take_hash, args[0].text)
TKSP_MAKER(make_del_hash, tks_node_tokens_del_hash, args[0].text)

#define ID    TKSP_OPTIONAL("id", TKS_PARAM_ID)
#define KEY   TKSP_OPTIONAL("key", TKS_PARAM_PRESENTED)
#define HASH  TKSP_OPTIONAL("hash", TKS_PARAM_PRESENTED)
#define OWNER TKSP_REQUIRED("owner_id", TKS_PARAM_NAME)

static const tks_operation operations[] = {
    {"add", "Creates a token.", TKS_RESULT_JSON, false,
     TKSP_PARAMS(OWNER, TKSP_DEFAULT("attrs", TKS_PARAM_OBJECT, "{}"),
                 TKSP_OPTIONAL("key", TKS_PARAM_TEXT),
                 TKSP_OPTIONAL("duration", TKS_PARAM_DURATION)),
     make_add},
    {"get", "Finds a token by its id.", TKS_RESULT_JSON, true, TKSP_PARAMS(ID), make_get},
    {"get_key", "Finds a token by its key.", TKS_RESULT_JSON, true, TKSP_PARAMS(KEY), make_get_key},
    {"set", "Replaces the attrs of a token.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(ID, TKSP_REQUIRED("attrs", TKS_PARAM_OBJECT)), make_set},
    {"delete", "Ends a token by its id.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(ID, TKSP_WAIT_REPLICAS), make_delete},
    {"delete_key", "Ends a token by its key.", TKS_RESULT_BOOL, false,
     TKSP_PARAMS(KEY, TKSP_WAIT_REPLICAS), make_delete_key},
    {"list", "Lists the live tokens of an owner.", TKS_RESULT_JSONS, false, TKSP_PARAMS(OWNER),
     make_list},
    {"reset", "Removes every token and hash of this prefix.", TKS_RESULT_COUNT, false,
     TKSP_PARAMS(TKSP_OPTIONAL("timeout", TKS_PARAM_TIMEOUT)), make_reset},
    {"make_hash", "Stores a value under a random hash.", TKS_RESULT_TEXT, false,
     TKSP_PARAMS(TKSP_REQUIRED("value", TKS_PARAM_TEXT),
                 {"ttl", TKS_PARAM_DURATION, true, "3600", NULL}),
     make_make_hash},
    {"get_hash", "Reads the value of a hash.", TKS_RESULT_TEXT, true, TKSP_PARAMS(HASH),
     make_get_hash},
    {"take_hash", "Reads the value of a hash and deletes it.", TKS_RESULT_TEXT, true,
     TKSP_PARAMS(HASH), make_take_hash},
    {"del_hash", "Ends a hash.", TKS_RESULT_BOOL, false, TKSP_PARAMS(HASH), make_del_hash},
};

TKSP_STORE_FUNCTIONS(tks_node_tokens *, tks_node_tokens_new, tks_node_tokens_get_max_data_size,
                     tks_node_tokens_free)

const tks_store_type tks_tokenstore_type = {
    "Tokenstore", &tksp_node_options, make_store, TKSP_COUNT(operations),
    operations,   max_data_size,      free_store, NULL};
