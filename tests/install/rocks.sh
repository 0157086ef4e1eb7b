#!/bin/sh
# The rocks that packaging/rocks/make left in ROCKS, for each Lua that is installed: built from the source rock, packed
# as a binary rock, and that one installed in a tree of its own. What was installed runs README's example, from its
# tree alone; so do the Lua files of OPM's package with its compiled modules.
# usage: tests/install/rocks.sh ROCKS DIRECTORY, which is made and overwritten
set -u
rocks=$(cd "$1" && pwd) || exit 1
rm -rf "${2:?}"
work=$(mkdir -p "$2" && cd "$2" && pwd) || exit 1
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
command -v luarocks > /dev/null || { echo "luarocks is missing: scripts/setup installs it" >&2; exit 1; }
# shellcheck disable=SC2016  # no expression
sed -n '/^```lua/,/^```/{/^```/d;p}' README.md > "$work/example.lua"
version=$(sed -n 's/^#define TKS_VERSION *"\(.*\)"/\1/p' core/include/tokenstore/version.h)

passed=0
failed=0
check() { # check WHAT COMMAND...
  what="$lua: $1"
  shift
  if (cd "$work/$lua" && "$@") > "$work/$lua.log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED $what"
    tail -n 20 "$work/$lua.log"
  fi
}

rock() { # rock TREE COMMAND...: luarocks with this Lua, for this tree
  tree=$1
  shift
  LUAROCKS_CONFIG=$work/$lua/config.lua luarocks --lua-version "$abi" --tree "$tree" "$@"
}

run() { # run LUA_FILES MODULES: the example
  LUA_PATH="$1/?.lua;$1/?/init.lua" LUA_CPATH="$2/?.so" \
    env -u LUA_PATH_5_3 -u LUA_CPATH_5_3 -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u TOKENSTORE_URL \
    "$lua" "$work/example.lua" 2>&1
}

runs_from() { # runs_from TREE
  run "$1/share/lua/$abi" "$1/lib/lua/$abi" | grep -qx "bob	admin"
}

runs_with_opm() {
  opm=$work/$lua/opm
  "$root/packaging/opm/make" "$opm" "$version" https://tokenstore.invalid/tokenstore || return 1
  run "$opm/lib" "$packed/lib/lua/5.1" | grep -qx "bob	admin" || return 1
  # Compiled modules that are missing, and those of another version.
  run "$opm/lib" /none | grep -q "OPM installs no compiled modules; install those of version $version" || return 1
  sed -i 's/^local version = .*/local version = "0.0.9"/' "$opm/lib/tokenstore.lua"
  run "$opm/lib" "$packed/lib/lua/5.1" | grep -q "version 0.0.9 and the compiled modules of version $version;"
}

installs_its_plugin() { # installs_its_plugin GATEWAY FILE...
  gateway=$1
  shift
  rock "$work/$lua/built" install "$rocks/$gateway-plugin-tokenstore-auth-$version-1.src.rock" || return 1
  for file; do
    cmp "$work/$lua/built/share/lua/5.1/$gateway/plugins/$file" "$root/bindings/lua/$gateway/plugins/$file" || return 1
  done
}

for lua in lua5.4 lua5.3 lua5.1 luajit; do
  command -v $lua > /dev/null || { echo "SKIP $lua is not installed"; continue; }
  abi=${lua#lua}
  headers=$lua
  if [ $lua = luajit ]; then
    abi=5.1
    headers=luajit-2.1
  fi
  mkdir "$work/$lua"
  echo "lua_interpreter = '$lua'; variables = { LUA_INCDIR = '/usr/include/$headers' }" > "$work/$lua/config.lua"
  built=$work/$lua/built
  packed=$work/$lua/packed
  check "installs its source rock" rock "$built" install "$rocks/tokenstore-$version-1.src.rock"
  check "runs from it" runs_from "$built"
  check "packs a binary rock" rock "$built" pack tokenstore "$version-1"
  check "installs that" rock "$packed" install "tokenstore-$version-1.linux-$(uname -m).rock"
  check "runs from that" runs_from "$packed"
  [ "$abi" = 5.1 ] || continue
  check "has the plugin for Kong" installs_its_plugin kong tokenstore-auth/handler.lua tokenstore-auth/schema.lua
  check "has the plugin for APISIX" installs_its_plugin apisix tokenstore-auth.lua
  check "runs the Lua files of OPM" runs_with_opm
done
echo "rocks: $passed passed, $failed failed"
[ "$failed" = 0 ]
