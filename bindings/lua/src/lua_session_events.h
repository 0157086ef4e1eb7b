/* lua_session_events.h - the functions of tokenstore.blocking for session events. */
#ifndef TKSP_LUA_SESSION_EVENTS_H
#define TKSP_LUA_SESSION_EVENTS_H

#include "lua_shared.h"

/* Adds session_events, session_events_next and session_events_close to the table on top. */
void tksp_lua_open_session_events(lua_State *L);

#endif
