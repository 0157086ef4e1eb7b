/* lua_credentials.c - see lua_credentials.h. */
#include "lua_credentials.h"

#include <string.h>

/* Numbers are rejected: converting one to text may change a password of digits. */
static bool read_text(lua_State *L, int index, tks_bytes *out) {
    if (lua_type(L, index) != LUA_TSTRING) {
        return false;
    }
    out->data = lua_tolstring(L, index, &out->size);
    return true;
}

static bool has_zero(tks_bytes text) {
    return memchr(text.data, '\0', text.size) != NULL;
}

tks_status tksp_lua_read_credentials(lua_State *L, int index, tks_credentials *out,
                                     tks_error *err) {
    tks_bytes user, password;
    *out = (tks_credentials){NULL, NULL, false};
    if (!read_text(L, index, &user) || !read_text(L, index + 1, &password)) {
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "credentials must return user and password, two strings, not %s and %s (the "
            "default user is called \"default\")",
            luaL_typename(L, index), luaL_typename(L, index + 1));
    }
    if (has_zero(user) || has_zero(password)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "credentials returned a user or a password that contains a NUL byte");
    }
    return tks_credentials_init(out, user, password) == TKS_OK ? TKS_OK : tks_fail_memory(err);
}
