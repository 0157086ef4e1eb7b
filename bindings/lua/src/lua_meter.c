/* lua_meter.c - see lua_meter.h. */
#define _POSIX_C_SOURCE 200809L

#include "lua_meter.h"

#include "lua_clock.h"
#include "lua_target.h"

static int64_t clock_us(void) {
    return (int64_t)(tksp_lua_clock(CLOCK_MONOTONIC) * 1e6);
}

static void set_count(lua_State *L, const char *name, uint64_t value) {
    tksp_lua_push_integer(L, (int64_t)value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_item(lua_State *L, const tks_meter_sums *sums) {
    lua_newtable(L);
    set_text(L, "store", sums->store);
    set_text(L, "operation", sums->name);
    lua_newtable(L);
    for (size_t i = 0; i < TKS_METER_OUTCOMES; i++) {
        if (sums->outcomes[i] > 0) {
            set_count(L, tks_meter_outcome(i), sums->outcomes[i]);
        }
    }
    lua_setfield(L, -2, "outcomes");
    lua_createtable(L, TKS_METER_BUCKETS + 1, 0);
    for (int i = 0; i <= TKS_METER_BUCKETS; i++) {
        tksp_lua_push_integer(L, (int64_t)sums->durations[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "durations");
    lua_pushnumber(L, (lua_Number)sums->took_us / 1e6);
    lua_setfield(L, -2, "took");
    set_count(L, "tries", sums->tries);
    set_count(L, "trips", sums->trips);
    set_count(L, "sent", sums->sent);
    set_count(L, "received", sums->received);
}

void tksp_lua_push_sums(lua_State *L, const tks_meter *meter) {
    tks_meter_sums sums;
    int count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < tks_meter_size(); i++) {
        if (tks_meter_read(meter, i, &sums)) {
            push_item(L, &sums);
            lua_rawseti(L, -2, ++count);
        }
    }
}

/* meter_sums(target): the list; from the first call on, operations are measured. */
static int meter_sums(lua_State *L) {
    const tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    luaL_argcheck(L, self->target != NULL, 1, "a whole target expected");
    if (tks_meter_start(self->target->meter, clock_us) != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    tksp_lua_push_sums(L, self->target->meter);
    return 1;
}

void tksp_lua_open_meter(lua_State *L) {
    static const luaL_Reg functions[] = {{"meter_sums", meter_sums}, {NULL, NULL}};
    tksp_lua_set_functions(L, functions);
    lua_createtable(L, TKS_METER_BUCKETS, 0);
    for (int i = 0; i < TKS_METER_BUCKETS; i++) {
        lua_pushnumber(L, (lua_Number)tks_meter_bound((size_t)i) / 1e6);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "meter_bounds");
}
