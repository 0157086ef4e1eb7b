/* lua_raw.c - execute, pipeline and ping: raw commands as operations; and the timeout of a call.
 *
 * Strings are sent unchanged, numbers as decimal text. The arguments of a pipeline are borrowed from the
 * caller's tables, so they are read after the last allocation in Lua. */
#include <math.h>
#include <stdio.h>

#include "lua_args.h"
#include "lua_convert.h"
#include "lua_store.h"

/* Arguments being collected: first with `argv` NULL, to check and count them, then to store them. */
typedef struct collector {
    tks_bytes *argv; /* data NULL, size > 0: a number, with its text in `texts` */
    size_t count;
    size_t room;
    tks_buf *texts;
} collector;

/* Raises unless the value on top is a valid argument. `command`: 0 for execute. */
static void check_argument(lua_State *L, size_t command, size_t position) {
    char where[64] = "to 'execute'";
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING || (type == LUA_TNUMBER && isfinite(lua_tonumber(L, -1)))) {
        return;
    }
    if (command > 0) {
        snprintf(where, sizeof where, "of command %zu of 'pipeline'", command);
    }
    tksp_lua_raise(L, "bad argument #%d %s (string or finite number expected, got %s)",
                   (int)position, where, luaL_typename(L, -1));
}

/* Adds the value on top as the next argument and pops it. */
static void collect(lua_State *L, collector *to, size_t command, size_t position) {
    check_argument(L, command, position);
    if (to->argv != NULL && to->count < to->room) {
        tks_bytes *argument = &to->argv[to->count];
        if (lua_type(L, -1) == LUA_TSTRING) {
            argument->data = lua_tolstring(L, -1, &argument->size);
        } else {
            size_t before = to->texts->size;
            tksp_lua_write_number(L, -1, to->texts, NULL); /* failures are sticky in `texts` */
            argument->data = NULL;
            argument->size = to->texts->size - before;
        }
    }
    to->count++;
    lua_pop(L, 1);
}

/* The texts no longer move: sets the pointers of the numbers. */
static void place_numbers(collector *from) {
    size_t at = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (from->argv[i].data == NULL) {
            from->argv[i].data = from->texts->data + at;
            at += from->argv[i].size;
        }
    }
}

/* The options that say where a call goes, and its timeout, as `tksp_lua_read_args` leaves them. */
enum { OF_KEY, OF_NODE, OF_TIMEOUT, PLACE_SIZE };

/* `place`: the first of these. */
static int finish(lua_State *L, tksp_lua_op *box, collector *from, size_t count, const size_t *argc,
                  int place) {
    tks_error err = TKS_ERROR_INIT;
    tks_bytes key = {NULL, 0}, node = {NULL, 0};
    tks_status status = tksp_lua_read_timeout(L, place + OF_TIMEOUT, &box->timeout_ms, &err);
    if (status == TKS_OK) {
        status = from->texts->status;
    }
    if (status == TKS_OK) {
        place_numbers(from);
        key.data = lua_tolstring(L, place + OF_KEY, &key.size);
        node.data = lua_tolstring(L, place + OF_NODE, &node.size);
        status = tks_raw_new(count, argc, from->argv, key.data == NULL ? NULL : &key,
                             node.data == NULL ? NULL : &node, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* Reads the arguments 1 … `count` of one command into `to`, whose memory it makes, and a box. */
static tksp_lua_op *collect_all(lua_State *L, collector *to, int count, tksp_lua_form form) {
    tksp_lua_op *box = NULL;
    *to = (collector){NULL, 0, (size_t)count, NULL};
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i);
        collect(L, to, 0, (size_t)i);
    }
    to->count = 0;
    to->argv = lua_newuserdata(L, (size_t)count * sizeof *to->argv + 1);
    box = tksp_lua_op_new(L, form);
    to->texts = &box->scratch;
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i);
        collect(L, to, 0, (size_t)i);
    }
    return box;
}

/* How many arguments there are before a table of options, which may stand last. The options are read into the slots
 * behind all. */
static int read_options(lua_State *L, const tksp_lua_param *params, int size) {
    int top = lua_gettop(L);
    int count = top > 0 && lua_istable(L, top) ? top - 1 : top; /* not an index: 0 */
    lua_settop(L, top + size);
    if (count < top) {
        tksp_lua_read_args(L, top, "", params, size, top + 1);
    }
    return count;
}

/* execute(argument, …), execute(argument, …, { key = …, node = …, timeout = … }) */
static int execute(lua_State *L) {
    static const tksp_lua_param params[] = {
        {"key", LUA_TSTRING, false},
        {"node", LUA_TSTRING, false},
        {"timeout", LUA_TNUMBER, false},
    };
    int place = lua_gettop(L) + 1;
    int count = read_options(L, params, PLACE_SIZE);
    size_t argc = (size_t)count;
    collector to;
    tksp_lua_op *box = collect_all(L, &to, count, TKSP_FORM_REPLY);
    return finish(L, box, &to, 1, &argc, place);
}

/* for_each_primary(argument, …), for_each_primary(argument, …, { timeout = … }) */
static int for_each_primary(lua_State *L) {
    static const tksp_lua_param params[] = {{"timeout", LUA_TNUMBER, false}};
    int timeout = lua_gettop(L) + 1;
    int count = read_options(L, params, 1);
    tks_error err = TKS_ERROR_INIT;
    collector to;
    tksp_lua_op *box = collect_all(L, &to, count, TKSP_FORM_REPLY);
    tks_status status = tksp_lua_read_timeout(L, timeout, &box->timeout_ms, &err);
    if (status == TKS_OK) {
        status = to.texts->status;
    }
    if (status == TKS_OK) {
        place_numbers(&to);
        status = tks_raw_each_new(to.count, to.argv, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* Reads the list of commands at index 1. `argc` NULL: only counts. Returns the number of arguments. */
static size_t walk(lua_State *L, collector *to, size_t *argc, size_t commands) {
    for (size_t c = 1; c <= commands; c++) {
        size_t before = to->count;
        size_t arguments = 0;
        tksp_lua_get_item(L, 1, c);
        if (!lua_istable(L, -1)) {
            tksp_lua_raise(L, "bad command %d of 'pipeline' (list of arguments expected, got %s)",
                           (int)c, luaL_typename(L, -1));
        }
        arguments = lua_rawlen(L, -1);
        for (size_t i = 1; i <= arguments; i++) {
            tksp_lua_get_item(L, -1, i);
            collect(L, to, c, i);
        }
        if (argc != NULL) {
            argc[c - 1] = to->count - before;
        }
        lua_pop(L, 1);
    }
    return to->count;
}

/* pipeline(commands, { raise_errors = …, key = …, node = …, timeout = … }) */
static int pipeline(lua_State *L) {
    static const tksp_lua_param params[] = {
        {"raise_errors", LUA_TBOOLEAN, false},
        {"key", LUA_TSTRING, false},
        {"node", LUA_TSTRING, false},
        {"timeout", LUA_TNUMBER, false},
    };
    enum { OPTIONS = 2, RAISE_ERRORS, PLACE };
    collector to = {NULL, 0, 0, NULL};
    tksp_lua_op *box = NULL;
    size_t commands = 0;
    size_t *argc = NULL;

    if (!lua_istable(L, 1)) {
        tksp_lua_raise(L, "bad argument #1 to 'pipeline' (list of commands expected, got %s)",
                       luaL_typename(L, 1));
    }
    lua_settop(L, OPTIONS);
    lua_settop(L, RAISE_ERRORS + PLACE_SIZE);
    if (!lua_isnil(L, OPTIONS)) {
        tksp_lua_read_args(L, OPTIONS, "", params, 1 + PLACE_SIZE, RAISE_ERRORS);
    }
    commands = lua_rawlen(L, 1);
    to.room = walk(L, &to, NULL, commands);
    argc = lua_newuserdata(L, commands * sizeof *argc + 1);
    to.argv = lua_newuserdata(L, to.room * sizeof *to.argv + 1);
    box = tksp_lua_op_new(L, lua_isnil(L, RAISE_ERRORS) || lua_toboolean(L, RAISE_ERRORS)
                                 ? TKSP_FORM_REPLIES
                                 : TKSP_FORM_REPLIES_AND_ERRORS);
    to.count = 0;
    to.texts = &box->scratch;
    if (walk(L, &to, argc, commands) != to.room) {
        tksp_lua_raise(L, "the commands of 'pipeline' changed while they were read");
    }
    return finish(L, box, &to, commands, argc, PLACE);
}

/* ping({ timeout = … }) */
static int ping(lua_State *L) {
    static const tksp_lua_param params[] = {{"timeout", LUA_TNUMBER, false}};
    enum { OPTIONS = 1, TIMEOUT };
    tks_error err = TKS_ERROR_INIT;
    tksp_lua_op *box = NULL;
    tks_status status = TKS_OK;
    lua_settop(L, OPTIONS);
    lua_settop(L, TIMEOUT);
    tksp_lua_read_args(L, OPTIONS, "", params, 1, TIMEOUT);
    box = tksp_lua_op_new(L, TKSP_FORM_REPLIES);
    status = tksp_lua_read_timeout(L, TIMEOUT, &box->timeout_ms, &err);
    if (status == TKS_OK) {
        status = tks_ping_new(&box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* timeout(seconds or nil): the same, rounded up to a millisecond; nil, message, "data" if no call can have it. */
static int timeout_seconds(lua_State *L) {
    int64_t ms = 0;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) {
        luaL_checktype(L, 1, LUA_TNUMBER);
    }
    status = tksp_lua_read_timeout(L, 1, &ms, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    if (!lua_isnil(L, 1)) {
        lua_pushnumber(L, (lua_Number)ms / 1e3);
    }
    return 1;
}

void tksp_lua_open_raw(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"execute", execute}, {"pipeline", pipeline},       {"for_each_primary", for_each_primary},
        {"ping", ping},       {"timeout", timeout_seconds}, {NULL, NULL}};
    tksp_lua_set_functions(L, functions);
}
