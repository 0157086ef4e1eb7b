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

/* Both for LuaJIT's FFI. */

/* The place of the first header from `from` on whose name is this, folded; -1: there is none. */
static int find(const header *headers, int count, int from, const char *folded, size_t size) {
    for (int i = from; i < count; i++) {
        if (is_named(&headers[i], folded, size)) {
            return i;
        }
    }
    return -1;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Sets `out` to the token of "Authorization: Bearer <token>", as clients send it. False says nothing: it may be written in other ways. */
static bool find_bearer(const header *headers, int count, text *out) {
    static const char name[] = "authorization", scheme[] = "Bearer ";
    int at = find(headers, count, 0, name, sizeof name - 1), skipped = sizeof scheme - 1;
    if (at < 0 || headers[at].value.size <= skipped ||
        memcmp(headers[at].value.data, scheme, sizeof scheme - 1) != 0) {
        return false;
    }
    *out = (text){headers[at].value.size - skipped, headers[at].value.data + skipped};
    return !is_blank(out->data[0]) && !is_blank(out->data[out->size - 1]) &&
           memchr(out->data, ',', (size_t)out->size) == NULL;
}

void tksp_lua_open_headers(lua_State *L) {
    int (*finder)(const header *, int, int, const char *, size_t) = find;
    bool (*bearer)(const header *, int, text *) = find_bearer;
    tksp_lua_set_address(L, "find_header_address", &finder, sizeof finder);
    tksp_lua_set_address(L, "find_bearer_address", &bearer, sizeof bearer);
}
