#!/bin/sh
# `luarocks make` for Lua 5.1, and in `make soak` for 5.4 too, into a tree of its own, and what was installed is
# loaded from there alone. usage: tests/lua/rock.sh DIRECTORY, which is made and overwritten
set -u
tree=$(mkdir -p "$1" && cd "$1" && pwd) || exit 1
command -v luarocks > /dev/null || { echo "SKIP luarocks is not installed"; exit 0; }
# LuaJIT loads what was made for 5.1.
load() {
  for lua in lua$version $([ $version != 5.1 ] || echo luajit); do
    command -v "$lua" > /dev/null || continue
    LUA_PATH="$tree/$version/share/lua/$version/?.lua;$tree/$version/share/lua/$version/?/init.lua" \
    LUA_CPATH="$tree/$version/lib/lua/$version/?.so" \
      env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 \
      "$lua" -e 'assert(require("tokenstore").RedisTokens("redis://localhost:6379"))' || return 1
  done
}

passed=0
failed=0
for version in 5.4 5.1; do
  [ $version = 5.1 ] || [ -n "${TOKENSTORE_SOAK-}" ] || continue
  command -v lua$version > /dev/null || { echo "SKIP lua$version is not installed"; continue; }
  rm -rf "${tree:?}/$version"
  if luarocks --lua-version $version make --tree "$tree/$version" tokenstore-scm-1.rockspec \
      > "$tree/$version.log" 2>&1 && load
  then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED luarocks make for Lua $version:"
    tail -n 20 "$tree/$version.log"
  fi
done
echo "luarocks make: $passed passed, $failed failed"
[ "$failed" = 0 ]
