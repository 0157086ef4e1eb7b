/* lua_convert_result.c - results of operations as Lua values. See lua_convert.h. */
#include "lua_convert.h"

#include "lua_view.h"

static void push_bytes(lua_State *L, tks_bytes bytes) {
    lua_pushlstring(L, bytes.data != NULL ? bytes.data : "", bytes.size);
}

static void set_bytes(lua_State *L, const char *name, tks_bytes bytes) {
    push_bytes(L, bytes);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int64_t value) {
    tksp_lua_push_integer(L, value);
    lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, lua_Number seconds) {
    lua_pushnumber(L, seconds);
    lua_setfield(L, -2, name);
}

/* What is known of a token before the reply, as a plain table; its metatable only prints it without secrets.
 * */
static void begin_token(lua_State *L, const tks_token *token, tksp_lua_form form) {
    bool session = form == TKSP_FORM_SESSION;
    lua_createtable(L, 0, 12);
    set_bytes(L, "app", token->app);
    if (!session) {
        set_bytes(L, "type", token->type);
    }
    if (token->token.data != NULL) {
        set_bytes(L, "token", token->token);
    }
    set_bytes(L, "id", token->id);
    lua_pushvalue(L, lua_upvalueindex(session ? TKSP_UP_SESSION : TKSP_UP_TOKEN));
    lua_setmetatable(L, -2);
}

static void push_request(lua_State *L, const tks_token *token) {
    lua_createtable(L, 0, 2);
    if (token->address.size > 0) {
        set_bytes(L, "address", token->address);
    }
    if (token->user_agent.size > 0) {
        set_bytes(L, "user_agent", token->user_agent);
    }
}

/* Adds the rest to the table on top. */
static void end_token(lua_State *L, const tks_token *token, tksp_lua_form form) {
    if (token->owner.size > 0) {
        set_bytes(L, form == TKSP_FORM_SESSION ? "owner_id" : "owner", token->owner);
    }
    set_bytes(L, "sid", token->sid);
    if (token->idle_ms != 0) {
        set_time(L, "idle", (lua_Number)token->idle_ms / 1e3);
    }
    if (token->seen_ms != 0) {
        set_time(L, "seen_at", (lua_Number)token->seen_ms / 1e3);
    }
    if (token->address.size > 0 || token->user_agent.size > 0) {
        push_request(L, token);
        lua_setfield(L, -2, "request");
    }
    if (token->superseded) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "superseded");
    }
    set_time(L, "created_at", (lua_Number)token->created_us / 1e6);
    if (token->expires_ms != 0) {
        set_time(L, "expires_at", (lua_Number)token->expires_ms / 1e3);
    }
    tksp_lua_push_json(L, token->data);
    lua_setfield(L, -2, "data");
}

static void push_token(lua_State *L, const tks_token *token, tksp_lua_form form) {
    begin_token(L, token, form);
    end_token(L, token, form);
}

tks_bytes tksp_lua_push_expected(lua_State *L, const tksp_lua_op *box) {
    const tks_token *expected = tks_op_get_expected(box->op);
    if (expected == NULL) {
        lua_pushnil(L);
        return tks_bytes_of(NULL, 0);
    }
    begin_token(L, expected, box->form);
    return expected->id;
}

/* The one token of a result; the table that tksp_lua_push_expected began is on top, or nil. */
static void finish_expected(lua_State *L, const tks_token *token, tks_bytes id,
                            tksp_lua_form form) {
    if (!token->found) {
        lua_pushnil(L);
        return;
    }
    if (lua_isnil(L, -1)) {
        push_token(L, token, form);
        return;
    }
    if (token->id.data != id.data || token->superseded) {
        set_bytes(L, "id", token->id);
    }
    end_token(L, token, form);
}

/* Missing tokens are false in a list, so that # and ipairs cover all of it. */
static void push_tokens(lua_State *L, const tks_result *result, tksp_lua_form form) {
    tksp_lua_new_table(L, result->size, 0);
    for (size_t i = 0; i < result->size; i++) {
        if (result->tokens[i].found) {
            push_token(L, &result->tokens[i], form);
        } else {
            lua_pushboolean(L, 0);
        }
        tksp_lua_set_item(L, -2, i + 1);
    }
}

/* For an error reply, pushes the message and the code and returns true. */
static bool push_failure(lua_State *L, const tks_reply *reply) {
    char message[1024];
    tks_reply_type type = tks_reply_get_type(reply);
    if (type != TKS_REPLY_ERROR && type != TKS_REPLY_OVERSIZED) {
        return false;
    }
    /* Without the arguments that Redis quotes for unknown commands: they may contain secrets. */
    tks_reply_describe_error(reply, message, sizeof message);
    lua_pushstring(L, message);
    lua_pushstring(L,
                   tks_status_code(type == TKS_REPLY_OVERSIZED ? TKS_ERR_LIMIT : TKS_ERR_SERVER));
    return true;
}

/* A reply within other replies: nil becomes false, and an error becomes a value that prints its message. */
static void push_inner_reply(lua_State *L, const tks_reply *reply) {
    luaL_checkstack(L, 6, "the reply nests too deeply");
    switch (tks_reply_get_type(reply)) {
    case TKS_REPLY_NIL: lua_pushboolean(L, 0); return;
    case TKS_REPLY_INTEGER:
        /* Beyond 2^53 only Lua 5.3 and later represent it exactly. */
        tksp_lua_push_integer(L, tks_reply_get_integer(reply));
        return;
    case TKS_REPLY_STATUS:
    case TKS_REPLY_STRING: push_bytes(L, tks_reply_get_bytes(reply)); return;
    case TKS_REPLY_ERROR:
    case TKS_REPLY_OVERSIZED:
        lua_createtable(L, 0, 2);
        (void)push_failure(L, reply);
        lua_setfield(L, -3, "code");
        lua_setfield(L, -2, "message");
        lua_pushvalue(L, lua_upvalueindex(TKSP_UP_REPLY_ERROR));
        lua_setmetatable(L, -2);
        return;
    case TKS_REPLY_ARRAY:
        tksp_lua_new_table(L, tks_reply_get_size(reply), 0);
        for (size_t i = 0; i < tks_reply_get_size(reply); i++) {
            push_inner_reply(L, tks_reply_get_item(reply, i));
            tksp_lua_set_item(L, -2, i + 1);
        }
        return;
    }
}

static int push_reply(lua_State *L, const tks_reply *reply) {
    lua_pushnil(L);
    if (tks_reply_get_type(reply) == TKS_REPLY_NIL) {
        return 1;
    } else if (push_failure(L, reply)) {
        return 3;
    }
    lua_pop(L, 1);
    push_inner_reply(L, reply);
    return 1;
}

static int push_replies(lua_State *L, const tks_result *result, tksp_lua_form form) {
    tksp_lua_new_table(L, result->size, 0);
    for (size_t i = 0; i < result->size; i++) {
        tks_reply_type type = tks_reply_get_type(result->replies[i]);
        if (form == TKSP_FORM_REPLIES && (type == TKS_REPLY_ERROR || type == TKS_REPLY_OVERSIZED)) {
            return push_reply(L, result->replies[i]);
        }
        push_inner_reply(L, result->replies[i]);
        tksp_lua_set_item(L, -2, i + 1);
    }
    return 1;
}

static void push_nodes(lua_State *L, const tks_result *result) {
    tksp_lua_new_table(L, 0, result->size);
    for (size_t i = 0; i < result->size; i++) {
        push_bytes(L, result->nodes[i].node);
        push_inner_reply(L, result->nodes[i].reply);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, const tks_json *value) {
    if (value != NULL) {
        tksp_lua_push_json(L, value);
    } else {
        lua_pushnil(L);
    }
}

static void push_texts(lua_State *L, const tks_result *result) {
    tksp_lua_new_table(L, result->size, 0);
    for (size_t i = 0; i < result->size; i++) {
        push_bytes(L, result->texts[i]);
        tksp_lua_set_item(L, -2, i + 1);
    }
}

/* As in push_tokens, missing values are false in a list. */
static void push_values(lua_State *L, const tks_result *result) {
    tksp_lua_new_table(L, result->size, 0);
    for (size_t i = 0; i < result->size; i++) {
        if (result->values[i] != NULL) {
            tksp_lua_push_json(L, result->values[i]);
        } else {
            lua_pushboolean(L, 0);
        }
        tksp_lua_set_item(L, -2, i + 1);
    }
}

/* The claims, with the session's data from Redis instead of the token's. */
static void push_session(lua_State *L, const tks_session *session) {
    if (session->claims != NULL) {
        tksp_lua_push_json(L, session->claims);
    } else {
        lua_createtable(L, 0, 5);
        set_bytes(L, "rjwt", session->rjwt);
        if (session->iat >= 0) {
            set_integer(L, "iat", session->iat);
        }
    }
    set_bytes(L, "id", session->id);
    set_integer(L, "ttl", session->ttl);
    push_value(L, session->data);
    lua_setfield(L, -2, "dataSession");
}

static void push_sessions(lua_State *L, const tks_result *result) {
    tksp_lua_new_table(L, result->size, 0);
    for (size_t i = 0; i < result->size; i++) {
        push_session(L, &result->sessions[i]);
        tksp_lua_set_item(L, -2, i + 1);
    }
}

int tksp_lua_end_result(lua_State *L, const tksp_lua_op *box, tks_bytes id) {
    const tks_result *result = tks_op_get_result(box->op);
    switch (result->type) {
    case TKS_RESULT_BOOL: lua_pushboolean(L, result->integer != 0); return 1;
    case TKS_RESULT_COUNT: tksp_lua_push_integer(L, result->integer); return 1;
    case TKS_RESULT_TOKEN:
        finish_expected(L, &result->tokens[0], id, box->form);
        tksp_lua_leave_view(L, box);
        return 1;
    case TKS_RESULT_TOKENS: push_tokens(L, result, box->form); return 1;
    case TKS_RESULT_TEXT:
        if (result->text.data != NULL) {
            push_bytes(L, result->text);
        } else {
            lua_pushnil(L);
        }
        return 1;
    case TKS_RESULT_TEXTS: push_texts(L, result); return 1;
    case TKS_RESULT_JSON: push_value(L, result->values[0]); return 1;
    case TKS_RESULT_JSONS: push_values(L, result); return 1;
    case TKS_RESULT_SESSION: push_session(L, &result->sessions[0]); return 1;
    case TKS_RESULT_SESSIONS: push_sessions(L, result); return 1;
    case TKS_RESULT_NODES: push_nodes(L, result); return 1;
    case TKS_RESULT_REPLIES:
        return box->form == TKSP_FORM_REPLY ? push_reply(L, result->replies[0])
                                            : push_replies(L, result, box->form);
    default: return luaL_error(L, "the operation has a result type that Lua does not support");
    }
}

int tksp_lua_push_result(lua_State *L, const tksp_lua_op *box) {
    lua_pushnil(L);
    return tksp_lua_end_result(L, box, tks_bytes_of(NULL, 0));
}

static void push_reused(lua_State *L, const tks_token *reused) {
    lua_createtable(L, 0, 2);
    if (reused->owner.size > 0) {
        push_bytes(L, reused->owner);
        lua_setfield(L, -2, "owner");
    }
    push_bytes(L, reused->sid);
    lua_setfield(L, -2, "sid");
}

int tksp_lua_push_detail(lua_State *L, const tksp_lua_op *box) {
    const tks_token *reused = tks_op_get_reused(box->op);
    if (reused != NULL) {
        push_reused(L, reused);
        return 1;
    }
    if (tks_op_get_error(box->op)->status != TKS_ERR_NOT_REPLICATED) {
        return 0;
    }
    lua_createtable(L, 0, 2);
    int table = lua_gettop(L);
    tksp_lua_push_integer(L, tks_op_get_replicas(box->op));
    lua_setfield(L, table, "replicas");
    (void)tksp_lua_push_result(L, box);
    lua_setfield(L, table, "result");
    lua_settop(L, table);
    return 1;
}
