/* lua_jwt.c - decode and encode: convert positional arguments to one call of the core. See lua_jwt.h.
 *
 * Lists are copied into a userdata without allocating in Lua in between, so no finalizer can change a list or
 * free what was borrowed from it. */
#include "lua_jwt.h"

#include <math.h>
#include <time.h>

#include "lua_convert.h"

/* ---- lists of arguments --------------------------------------------------------------------------- */

/* A text, or the texts of a list. */
typedef struct texts {
    tks_bytes *items;
    size_t count;
} texts;

/* Allocates room for the texts at `arg`: none for nil, one for a string (unless `list_only`), all of a list.
 * */
static void make_room(lua_State *L, int arg, const char *name, bool list_only, texts *out) {
    char quoted[32];
    out->items = NULL;
    out->count = 0;
    if (lua_isnoneornil(L, arg)) {
        return;
    }
    if (lua_istable(L, arg)) {
        snprintf(quoted, sizeof quoted, " '%s'", name);
        out->count = tksp_lua_list_size(L, arg, quoted);
    } else if (lua_type(L, arg) == LUA_TSTRING && !list_only) {
        out->count = 1;
    } else {
        tksp_lua_raise(L, "bad argument '%s' (%slist of strings expected, got %s)", name,
                       list_only ? "" : "string or ", luaL_typename(L, arg));
    }
    out->items = lua_newuserdata(L, (out->count + 1) * sizeof *out->items);
}

/* Fills it. Raises for an item that is not a string. */
static void fill_texts(lua_State *L, int arg, const char *name, texts *out) {
    bool is_list = lua_istable(L, arg) != 0;
    for (size_t i = 0; i < out->count; i++) {
        size_t size = 0;
        const char *text = NULL;
        if (is_list) {
            tksp_lua_get_item(L, arg, i + 1);
        } else {
            lua_pushvalue(L, arg);
        }
        if (lua_type(L, -1) != LUA_TSTRING) {
            tksp_lua_raise(L, "bad argument '%s' (strings expected, got %s)", name,
                           luaL_typename(L, -1));
        }
        text = lua_tolstring(L, -1, &size);
        out->items[i] = tks_bytes_of(text, size);
        lua_pop(L, 1);
    }
}

/* The key of a userdata; raises for anything else. */
static tks_key *key_at(lua_State *L, int index) {
    const tksp_lua_key *box = tksp_lua_test_jwt(L, index, TKSP_UP_KEY);
    if (box == NULL || box->key == NULL) {
        tksp_lua_raise(L,
                       "bad argument 'key' (a Key expected, got %s: create one with "
                       "jwt.Key.from_secret, from_pem or from_jwk)",
                       luaL_typename(L, index));
        return NULL;
    }
    return box->key;
}

size_t tksp_lua_get_keys(lua_State *L, int arg, tks_key *const **out) {
    const tksp_lua_keyset *set = tksp_lua_test_jwt(L, arg, TKSP_UP_KEYSET);
    bool is_list = lua_istable(L, arg) != 0;
    size_t count = is_list ? tksp_lua_list_size(L, arg, " 'key'") : 1;
    tks_key **keys = NULL;

    if (set != NULL && set->set != NULL) {
        return tks_keyset_get_keys(set->set, out);
    }
    keys = lua_newuserdata(L, (count + 1) * sizeof(tks_key *));
    for (size_t i = 0; i < count; i++) {
        if (is_list) {
            tksp_lua_get_item(L, arg, i + 1);
        } else {
            lua_pushvalue(L, arg);
        }
        keys[i] = key_at(L, -1);
        lua_pop(L, 1);
    }
    *out = keys;
    return count;
}

/* ---- decode ----------------------------------------------------------------------------------------- */

enum {
    TOKEN = 1,
    KEY,
    ALGORITHMS,
    AUDIENCE,
    ISSUER,
    LEEWAY,
    REQUIRE,
    NOW,
    TYP,
    MAX_SIZE,
    ANY_AUDIENCE,
    VERIFY_EXP,
    ARGUMENTS = VERIFY_EXP
};

/* The number at `arg`, or `otherwise` for nil. A numeric string is rejected. */
static double get_number(lua_State *L, int arg, const char *name, double otherwise) {
    if (lua_isnil(L, arg)) {
        return otherwise;
    }
    if (lua_type(L, arg) != LUA_TNUMBER) {
        tksp_lua_raise(L, "bad argument '%s' (number expected, got %s)", name,
                       luaL_typename(L, arg));
    }
    return lua_tonumber(L, arg);
}

double tksp_lua_clock_now(void) {
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static tks_status add_algorithms(const texts *names, uint32_t *out, tks_error *err) {
    tks_status status = TKS_OK;
    for (size_t i = 0; i < names->count && status == TKS_OK; i++) {
        status = tks_jwt_alg_add(names->items[i], out, err);
    }
    return status;
}

/* An empty list of audiences or issuers is an error: it would check less than intended. */
static tks_status check_lists(lua_State *L, const texts *audiences, const texts *issuers,
                              tks_error *err) {
    if ((audiences->count == 0 && !lua_isnil(L, AUDIENCE)) ||
        (issuers->count == 0 && !lua_isnil(L, ISSUER))) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "audience or issuer is an empty list");
    }
    return TKS_OK;
}

/* Scratches own both trees, because creating tables may longjmp. */
static int push_jwt(lua_State *L, tksp_lua_scratch *claims, tksp_lua_scratch *header) {
    tksp_lua_push_json(L, claims->tree);
    tksp_lua_push_json(L, header->tree);
    tksp_lua_scratch_clear(claims);
    tksp_lua_scratch_clear(header);
    return 2;
}

/* A number of bytes; nil: the default. An invalid value becomes a size that the core rejects. */
static size_t get_size(lua_State *L, int arg) {
    double size = get_number(L, arg, "max_size", 0);
    if (lua_isnil(L, arg)) {
        return 0;
    }
    return size >= 1 && size <= TKS_JWT_SIZE_MAX && floor(size) == size ? (size_t)size : SIZE_MAX;
}

/* The boolean at `arg`, or `otherwise` for nil. Other types are rejected: they must not turn a check off by
 * accident. */
static bool get_flag(lua_State *L, int arg, const char *name, bool otherwise) {
    if (lua_isnil(L, arg)) {
        return otherwise;
    }
    if (!lua_isboolean(L, arg)) {
        tksp_lua_raise(L, "bad argument '%s' (boolean expected, got %s)", name,
                       luaL_typename(L, arg));
    }
    return lua_toboolean(L, arg) != 0;
}

/* jwt_decode(token, key, algorithms, audience, issuer, leeway, require, now, typ, max_size, any_audience,
 * verify_exp) -> claims, header; or a failure and, as fourth result, whether newer keys may help */
int tksp_lua_jwt_decode(lua_State *L) {
    texts algorithms, audiences, issuers, required;
    tks_jwt_policy policy = {0};
    tks_key *const *keys = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_bytes token = {0};
    size_t count = 0;
    tks_jwt jwt = {.header = NULL};
    tksp_lua_scratch *claims = NULL;
    tksp_lua_scratch *header = NULL;
    tks_status status = TKS_OK;

    lua_settop(L, ARGUMENTS);
    make_room(L, ALGORITHMS, "algorithms", true, &algorithms);
    make_room(L, AUDIENCE, "audience", false, &audiences);
    make_room(L, ISSUER, "issuer", false, &issuers);
    make_room(L, REQUIRE, "require", true, &required);
    claims = tksp_lua_scratch_new(L);
    header = tksp_lua_scratch_new(L);
    count = tksp_lua_get_keys(L, KEY, &keys);
    /* From here on Lua allocates nothing until the token is read. */
    if (lua_type(L, TOKEN) == LUA_TSTRING) { /* anything else is an invalid token */
        token = tksp_lua_optional_text(L, TOKEN, "token");
    }
    fill_texts(L, ALGORITHMS, "algorithms", &algorithms);
    fill_texts(L, AUDIENCE, "audience", &audiences);
    fill_texts(L, ISSUER, "issuer", &issuers);
    fill_texts(L, REQUIRE, "require", &required);
    policy.audiences = audiences.items;
    policy.audience_count = audiences.count;
    policy.issuers = issuers.items;
    policy.issuer_count = issuers.count;
    policy.required = required.items;
    policy.required_count = required.count;
    if (!lua_isnil(L, TYP)) {
        policy.typ = tksp_lua_optional_text(L, TYP, "typ");
    }
    policy.max_size = get_size(L, MAX_SIZE);
    policy.any_audience = lua_toboolean(L, ANY_AUDIENCE) != 0;
    policy.any_expiry = !get_flag(L, VERIFY_EXP, "verify_exp", true);
    policy.leeway = get_number(L, LEEWAY, "leeway", 0);
    policy.now = get_number(L, NOW, "now", 0);
    if (lua_isnil(L, NOW)) {
        policy.now = tksp_lua_clock_now();
    }
    status = check_lists(L, &audiences, &issuers, &err);
    if (status == TKS_OK) {
        status = add_algorithms(&algorithms, &policy.algorithms, &err);
    }
    if (status == TKS_OK) {
        status = tks_jwt_decode(token, keys, count, &policy, &jwt, &err);
    }
    claims->tree = jwt.claims;
    header->tree = jwt.header;
    if (status == TKS_OK) {
        return push_jwt(L, claims, header);
    }
    (void)tksp_lua_fail(L, status, &err);
    lua_pushboolean(L, jwt.key_unknown);
    return 4;
}

/* jwt_header(token, max_size) -> header */
int tksp_lua_jwt_header(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_bytes token = {0};
    size_t max_size = 0;
    tksp_lua_scratch *header = NULL;

    lua_settop(L, 2);
    max_size = get_size(L, 2);
    header = tksp_lua_scratch_new(L);
    if (lua_type(L, 1) == LUA_TSTRING) {
        token = tksp_lua_optional_text(L, 1, "token");
    }
    tks_status status = tks_jwt_read_header(token, max_size, &header->tree, &err);
    if (status == TKS_OK) {
        tksp_lua_push_json(L, header->tree);
    }
    tksp_lua_scratch_clear(header);
    return tksp_lua_jwt_finish(L, status, &err);
}

/* ---- encode ------------------------------------------------------------------------------------------ */

/* jwt_encode(claims, key, algorithm, headers, max_size) -> token */
int tksp_lua_jwt_encode(lua_State *L) {
    tksp_lua_scratch *claims = NULL;
    tksp_lua_scratch *headers = NULL;
    tksp_lua_scratch *token = NULL;
    tks_jwt_alg alg = TKS_JWT_ALG_COUNT;
    size_t max_size = 0;
    const tks_key *key = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;

    lua_settop(L, 5);
    max_size = get_size(L, 5);
    if (!lua_istable(L, 1) || !(lua_istable(L, 4) || lua_isnil(L, 4))) {
        tksp_lua_raise(L, "bad argument '%s' (table expected, got %s)",
                       lua_istable(L, 1) ? "headers" : "claims",
                       luaL_typename(L, lua_istable(L, 1) ? 4 : 1));
    }
    claims = tksp_lua_scratch_new(L);
    headers = tksp_lua_scratch_new(L);
    token = tksp_lua_scratch_new(L);
    key = key_at(L, 2);
    status = tks_jwt_alg_find(tksp_lua_optional_text(L, 3, "algorithm"), &alg, &err);
    if (status == TKS_OK) {
        status = tksp_lua_write_object(L, 1, &claims->text, TKS_JWT_SIZE_MAX, "claims", &err);
    }
    if (status == TKS_OK && !lua_isnil(L, 4)) {
        status = tksp_lua_write_object(L, 4, &headers->text, TKS_JWT_SIZE_MAX, "headers", &err);
    }
    if (status == TKS_OK) {
        status = tks_jwt_encode(tks_buf_bytes(&claims->text), key, alg,
                                tks_buf_bytes(&headers->text), max_size, &token->text, &err);
    }
    if (status == TKS_OK) {
        lua_pushlstring(L, token->text.data, token->text.size);
    }
    tksp_lua_scratch_clear(claims);
    tksp_lua_scratch_clear(headers);
    tksp_lua_scratch_clear(token);
    return tksp_lua_jwt_finish(L, status, &err);
}
