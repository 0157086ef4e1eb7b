/* lua_convert_json.c - data: Lua values to JSON text and back. See lua_convert.h. */
#include <math.h>

#include "lua_convert.h"

enum { STACK_PER_LEVEL = 6 }; /* stack slots per level of nesting, with a margin */

/* ---- Lua to JSON ------------------------------------------------------------------------------ */

/* True if the metatable of the table at `index` is upvalue `up` (TKSP_UP_*). */
static bool has_metatable(lua_State *L, int index, int up) {
    bool has = false;
    if (lua_getmetatable(L, index)) {
        has = lua_rawequal(L, -1, lua_upvalueindex(up)) != 0;
        lua_pop(L, 1);
    }
    return has;
}

typedef enum shape { OBJECT, ARRAY, NEITHER } shape;

/* Classifies the table at `index`, with the size of an array; *problem: why it is neither. */
static shape table_shape(lua_State *L, int index, size_t *size, const char **problem) {
    size_t names = 0;
    size_t items = 0;
    lua_Number highest = 0;
    bool marked = has_metatable(L, index, TKSP_UP_ARRAY);

    *size = 0;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            names++;
        } else if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) >= 1 &&
                   floor(lua_tonumber(L, -1)) == lua_tonumber(L, -1)) {
            items++;
            highest = fmax(highest, lua_tonumber(L, -1));
        } else {
            lua_pop(L, 1);
            *problem =
                "has a key that is neither a string nor a list index: JSON has no other keys";
            return NEITHER;
        }
    }
    if (names > 0 && (items > 0 || marked)) {
        *problem = marked ? "is marked as an array but has string keys"
                          : "mixes string keys with list items: use one or the other";
        return NEITHER;
    }
    if (highest != (lua_Number)items) {
        *problem = "is a list with holes: fill them with tokenstore.null";
        return NEITHER;
    }
    *size = items;
    return items > 0 || marked ? ARRAY : OBJECT;
}

/* True for a whole number that a double represents exactly. Not -0: as an integer it would lose its sign. */
static bool is_whole(lua_Number number) {
    return fabs(number) <= (lua_Number)TKS_JSON_INTEGER_MAX && floor(number) == number &&
           !(number == 0 && signbit(number));
}

static tks_status write_number(lua_State *L, int index, tks_json_writer *w) {
    lua_Number number = lua_tonumber(L, index);
#if LUA_VERSION_NUM >= 503
    if (lua_isinteger(L, index)) {
        return tks_json_write_integer(w, lua_tointeger(L, index));
    }
#else
    if (is_whole(number)) {
        return tks_json_write_integer(w, (int64_t)number);
    }
#endif
    return tks_json_write_double(w, number);
}

static tks_status write_table(lua_State *L, int index, tks_json_writer *w);

/* Writes the value on top and keeps it there. */
static tks_status write_value(lua_State *L, tks_json_writer *w) {
    int index = lua_gettop(L);
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: return tks_json_write_bool(w, lua_toboolean(L, index) != 0);
    case LUA_TNUMBER: return write_number(L, index, w);
    case LUA_TSTRING: {
        size_t size = 0;
        const char *text = lua_tolstring(L, index, &size);
        return tks_json_write_string(w, tks_bytes_of(text, size));
    }
    case LUA_TTABLE: return write_table(L, index, w);
    case LUA_TUSERDATA:
        if (lua_rawequal(L, index, lua_upvalueindex(TKSP_UP_NULL))) {
            return tks_json_write_null(w);
        }
        return tks_json_refuse(
            w, "is a userdata other than tokenstore.null, which JSON cannot represent");
    case LUA_TFUNCTION: return tks_json_refuse(w, "is a function, which JSON cannot represent");
    case LUA_TTHREAD: return tks_json_refuse(w, "is a coroutine, which JSON cannot represent");
    default: return tks_json_refuse(w, "is a userdata or cdata, which JSON cannot represent");
    }
}

static tks_status write_array(lua_State *L, int index, size_t size, tks_json_writer *w) {
    tks_status status = tks_json_begin_array(w);
    for (size_t i = 1; i <= size && status == TKS_OK; i++) {
        tksp_lua_get_item(L, index, i);
        status = write_value(L, w);
        lua_pop(L, 1);
    }
    return status == TKS_OK ? tks_json_end_array(w) : status;
}

static bool is_unset(lua_State *L, int index) {
    return lua_rawequal(L, index, lua_upvalueindex(TKSP_UP_UNSET)) != 0;
}

/* `patch`: those that are tokenstore.unset are left out. */
static tks_status write_members(lua_State *L, int index, bool patch, tks_json_writer *w) {
    tks_status status = tks_json_begin_object(w);
    lua_pushnil(L);
    while (status == TKS_OK && lua_next(L, index) != 0) {
        size_t size = 0;
        if (patch && is_unset(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        const char *name = lua_tolstring(L, -2, &size);
        status = tks_json_write_name(w, tks_bytes_of(name, size));
        if (status == TKS_OK) {
            status = write_value(L, w);
        }
        lua_pop(L, 1);
    }
    return status == TKS_OK ? tks_json_end_object(w) : status;
}

/* A table that contains itself ends at the writer's depth limit. */
static tks_status write_table(lua_State *L, int index, tks_json_writer *w) {
    size_t size = 0;
    const char *problem = NULL;
    if (!lua_checkstack(L, STACK_PER_LEVEL)) {
        return tks_json_refuse(w, "nests too deeply for Lua's stack");
    }
    if (has_metatable(L, index, TKSP_UP_BIG)) {
        return tks_json_write_integer(w, INT64_MAX); /* fails with the right message */
    }
    switch (table_shape(L, index, &size, &problem)) {
    case ARRAY: return write_array(L, index, size, w);
    case OBJECT: return write_members(L, index, false, w);
    default: return tks_json_refuse(w, problem);
    }
}

/* In messages the items of a list are numbered from 1, as in Lua. */
static void init_writer(tks_json_writer *writer, tks_buf *out, size_t max_size, const char *root,
                        tks_error *err) {
    tks_json_writer_init(writer, out, max_size, root, err);
    writer->first = 1;
}

static tks_status write_object(lua_State *L, int index, bool patch, tks_buf *out, size_t max_size,
                               const char *root, tks_error *err) {
    tks_json_writer writer;
    size_t size = 0;
    const char *problem = NULL;
    init_writer(&writer, out, max_size, root, err);
    switch (table_shape(L, index, &size, &problem)) {
    case OBJECT: return write_members(L, index, patch, &writer);
    case ARRAY: return tks_json_refuse(&writer, "is a list: a table with string keys is required");
    default: return tks_json_refuse(&writer, problem);
    }
}

tks_status tksp_lua_write_object(lua_State *L, int index, tks_buf *out, size_t max_size,
                                 const char *root, tks_error *err) {
    return write_object(L, index, false, out, max_size, root, err);
}

/* The names of the members that are tokenstore.unset. */
static tks_status write_unset(lua_State *L, int index, tks_json_writer *w) {
    tks_status status = tks_json_begin_array(w);
    lua_pushnil(L);
    while (status == TKS_OK && lua_next(L, index) != 0) {
        size_t size = 0;
        const char *name = lua_tolstring(L, -2, &size); /* of an object: a string */
        if (is_unset(L, -1)) {
            status = tks_json_write_string(w, tks_bytes_of(name, size));
        }
        lua_pop(L, 1);
    }
    return status == TKS_OK ? tks_json_end_array(w) : status;
}

tks_status tksp_lua_write_patch(lua_State *L, int index, bool absent, tks_buf *out, size_t max_size,
                                const char *root, tks_error *err) {
    tks_json_writer writer;
    tks_status status = write_object(L, index, true, out, max_size, root, err);
    if (status != TKS_OK || !absent) {
        return status;
    }
    init_writer(&writer, out, max_size, root, err);
    return write_unset(L, index, &writer);
}

tks_status tksp_lua_write_names(lua_State *L, int index, size_t count, tks_buf *out,
                                size_t max_size, const char *root, tks_error *err) {
    tks_json_writer writer;
    init_writer(&writer, out, max_size, root, err);
    tks_status status = tks_json_begin_array(&writer);
    for (size_t i = 1; status == TKS_OK && i <= count; i++) {
        size_t size = 0;
        tksp_lua_get_item(L, index, i);
        const char *name = lua_tolstring(L, -1, &size);
        status = tks_json_write_string(&writer, tks_bytes_of(name, size));
        lua_pop(L, 1);
    }
    return status == TKS_OK ? tks_json_end_array(&writer) : status;
}

tks_status tksp_lua_write_value(lua_State *L, int index, tks_buf *out, size_t max_size,
                                const char *root, tks_error *err) {
    tks_json_writer writer;
    tks_status status = TKS_OK;
    init_writer(&writer, out, max_size, root, err);
    lua_pushvalue(L, index);
    status = write_value(L, &writer);
    lua_pop(L, 1);
    return status;
}

tks_status tksp_lua_write_number(lua_State *L, int index, tks_buf *out, tks_error *err) {
    tks_json_writer writer;
    lua_Number number = lua_tonumber(L, index);
#if LUA_VERSION_NUM >= 503
    if (lua_isinteger(L, index)) {
        return tks_buf_append_int(out, lua_tointeger(L, index));
    }
#endif
    if (is_whole(number)) {
        return tks_buf_append_int(out, (int64_t)number);
    }
    init_writer(&writer, out, SIZE_MAX, "the number", err);
    return tks_json_write_double(&writer, number);
}

/* ---- JSON to Lua ------------------------------------------------------------------------------ */

static void push_array(lua_State *L, const tks_json *node) {
    size_t i = 0;
    tksp_lua_new_table(L, tks_json_get_size(node), 0);
    lua_pushvalue(L, lua_upvalueindex(TKSP_UP_ARRAY));
    lua_setmetatable(L, -2);
    for (const tks_json *item = tks_json_get_child(node); item != NULL;
         item = tks_json_get_next(item)) {
        tksp_lua_push_json(L, item);
        tksp_lua_set_item(L, -2, ++i);
    }
}

static void push_object(lua_State *L, const tks_json *node) {
    tksp_lua_new_table(L, 0, tks_json_get_size(node));
    for (const tks_json *member = tks_json_get_child(node); member != NULL;
         member = tks_json_get_next(member)) {
        tks_bytes name = tks_json_get_name(member);
        lua_pushlstring(L, name.data, name.size);
        tksp_lua_push_json(L, member);
        lua_rawset(L, -3);
    }
}

static void push_big(lua_State *L, tks_bytes digits) {
    lua_createtable(L, 0, 1);
    lua_pushlstring(L, digits.data, digits.size);
    lua_setfield(L, -2, "digits");
    lua_pushvalue(L, lua_upvalueindex(TKSP_UP_BIG));
    lua_setmetatable(L, -2);
}

static void push_integer(lua_State *L, int64_t value) {
#if LUA_VERSION_NUM < 503
    if (value > TKS_JSON_INTEGER_MAX || value < -TKS_JSON_INTEGER_MAX) {
        char digits[TKS_INT_SIZE];
        push_big(L, tks_bytes_of(digits, tks_format_int(value, digits)));
        return;
    }
#endif
    tksp_lua_push_integer(L, value);
}

void tksp_lua_push_json(lua_State *L, const tks_json *node) {
    tks_bytes text = {0};
    luaL_checkstack(L, STACK_PER_LEVEL, "data nests too deeply");
    switch (tks_json_get_type(node)) {
    case TKS_JSON_NULL: lua_pushvalue(L, lua_upvalueindex(TKSP_UP_NULL)); return;
    case TKS_JSON_BOOL: lua_pushboolean(L, tks_json_get_bool(node)); return;
    case TKS_JSON_INTEGER: push_integer(L, tks_json_get_integer(node)); return;
    case TKS_JSON_BIG: push_big(L, tks_json_get_string(node)); return;
    case TKS_JSON_DOUBLE: lua_pushnumber(L, tks_json_get_double(node)); return;
    case TKS_JSON_STRING:
        text = tks_json_get_string(node);
        lua_pushlstring(L, text.data, text.size);
        return;
    case TKS_JSON_ARRAY: push_array(L, node); return;
    case TKS_JSON_OBJECT: push_object(L, node); return;
    }
}
