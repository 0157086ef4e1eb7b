-- luacheck: our Lua runs on 5.1, LuaJIT, 5.3 and 5.4 alike, so only what all of them have is known.
std = "min"
max_line_length = 110
unused_args = false
codes = true
exclude_files = { "build", ".venv", "**/*.d.lua" }

-- The server-side scripts: Lua 5.1 inside Redis. embed.sh puts core/scripts/lib before those that use it,
-- so each file sees the functions of the others.
files["core/scripts"] = {
  std = "lua51",
  read_globals = { "redis", "KEYS", "ARGV" },
}
