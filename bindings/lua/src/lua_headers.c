/* lua_headers.c - see lua_headers.h. */
#include "lua_headers.h"

#include <string.h>

/* As lua-nginx-module gives them to the FFI: ngx_http_lua_ffi_str_t and ngx_http_lua_ffi_table_elt_t. */
typedef struct text {
    int size;
    const char *data;
} text;

typedef struct header {
    text name, value;
} header;

/* As CGI and its successors read a name, and as nginx names its variables: X-Owner-Id is x_owner_id. */
static char fold(char c) {
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '-' ? '_' : c;
}

static bool is_named(const header *one, const char *folded, size_t size) {
    if ((size_t)one->name.size != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (fold(one->name.data[i]) != folded[i]) {
            return false;
        }
    }
    return true;
}

/* The place of the first header from `from` on whose name is this, folded; -1: there is none. For LuaJIT's FFI. */
static int find(const header *headers, int count, int from, const char *folded, size_t size) {
    for (int i = from; i < count; i++) {
        if (is_named(&headers[i], folded, size)) {
            return i;
        }
    }
    return -1;
}

void tksp_lua_open_headers(lua_State *L) {
    int (*function)(const header *, int, int, const char *, size_t) = find;
    void *address = NULL;
    memcpy(&address, &function, sizeof address);
    lua_pushlightuserdata(L, address);
    lua_setfield(L, -2, "find_header_address");
}
