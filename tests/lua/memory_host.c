/* memory_host.c - runs a Lua script whose allocations fail in turn.
 *
 * Purpose:   Lua's memory errors longjmp out of C from anywhere. In run n, allocation n between begin() and
 *            done() fails (only that one, and in a second series all from then on), until a run succeeds.
 *            Afterwards the same state must run the script's after(). When it is closed nothing may be left:
 *            Lua's memory is counted here, the core's by LeakSanitizer in `make asan`.
 * Lifecycle: one Lua state per run, until a run succeeds.
 * Threads:   one. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory {
    bool counting;
    bool once;          /* only one allocation fails */
    long until_failure; /* allocations that still succeed */
    bool failed;
    size_t used;
} memory;

static void *allocate(void *context, void *block, size_t old_size, size_t size) {
    memory *m = context;
    size_t before = block != NULL ? old_size : 0;
    void *result = NULL;
    if (size == 0) {
        free(block);
        m->used -= before;
        return NULL;
    }
    /* Lua relies on shrinking to succeed. */
    if (m->counting && size > before && !(m->once && m->failed) && m->until_failure-- <= 0) {
        m->failed = true;
        return NULL;
    }
    result = realloc(block, size);
    if (result != NULL) {
        m->used = m->used - before + size;
    }
    return result;
}

static int begin(lua_State *L) {
    memory *m = lua_touserdata(L, lua_upvalueindex(1));
    m->counting = true;
    return 0;
}

static int done(lua_State *L) {
    memory *m = lua_touserdata(L, lua_upvalueindex(1));
    m->counting = false;
    return 0;
}

static int open_libraries(lua_State *L) {
    luaL_openlibs(L);
    return 0;
}

static void set_function(lua_State *L, const char *name, lua_CFunction function, memory *m) {
    lua_pushlightuserdata(L, m);
    lua_pushcclosure(L, function, 1);
    lua_setglobal(L, name);
}

/* True if the message on top is that of a failed allocation. */
static bool is_memory_error(lua_State *L, int status) {
    const char *message = lua_tostring(L, -1);
    return status == LUA_ERRMEM ||
           (message != NULL && strstr(message, "not enough memory") != NULL);
}

/* Runs the script's case, then after(). True if only the intended failure occurred. */
static bool run_script(lua_State *L, const char *script, const char *which, memory *m) {
    bool good = false;
    int status = luaL_loadfile(L, script);
    if (status == 0) {
        lua_pushstring(L, which);
        status = lua_pcall(L, 1, 0, 0);
    }
    m->counting = false;
    good = status == 0 || (m->failed && is_memory_error(L, status));
    if (good) {
        lua_settop(L, 0);
        lua_getglobal(L, "after");
        good = lua_pcall(L, 0, 0, 0) == 0;
    }
    if (!good) {
        fprintf(stderr, "%s\n",
                lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error without text");
    }
    return good;
}

static bool run(const char *script, const char *which, memory *m) {
    bool good = false;
    lua_State *L = lua_newstate(allocate, m);
    if (L == NULL) {
        fprintf(stderr, "no state\n");
        return false;
    }
    lua_pushcfunction(L, open_libraries);
    good = lua_pcall(L, 0, 0, 0) == 0;
    if (good) {
        set_function(L, "begin", begin, m);
        set_function(L, "done", done, m);
        good = run_script(L, script, which, m);
    }
    lua_close(L);
#ifndef LUA_JITLIBNAME /* LuaJIT leaks a few bytes when `require` fails midway */
    if (m->used != 0) {
        fprintf(stderr, "%zu bytes of Lua's were left\n", m->used);
        good = false;
    }
#endif
    return good;
}

/* Loading takes long, mostly in Lua's compiler: one of three allocations fails, in each Lua another.
 * In `make soak` each fails. */
static long step_of(const char *which) {
    return strcmp(which, "load") == 0 && getenv("TOKENSTORE_SOAK") == NULL ? 3 : 1;
}

static long first_of(long step) {
#ifdef LUA_JITLIBNAME
    return 2 % step;
#else
    return (LUA_VERSION_NUM == 501 ? 1 : 0) % step;
#endif
}

static bool run_series(const char *script, const char *which, bool once) {
    long step = step_of(which);
    long first = first_of(step);
    long n = first;
    memory m = {.once = once, .failed = true};
    for (; m.failed; n += step) {
        m = (memory){.once = once, .until_failure = n};
        if (!run(script, which, &m)) {
            fprintf(stderr, "FAILED %s: allocation %ld failed %s\n", which, n,
                    once ? "once" : "for good");
            return false;
        }
    }
    return n > first + step;
}

int main(int argc, char **argv) {
    int failed = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: memory_host SCRIPT CASE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        bool good = run_series(argv[1], argv[i], true) && run_series(argv[1], argv[i], false);
        failed += good ? 0 : 1;
    }
    printf("failing allocations: %d passed, %d failed\n", argc - 2 - failed, failed);
    return failed == 0 ? 0 : 1;
}
