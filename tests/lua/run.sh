#!/bin/sh
# Runs the Lua tests in one interpreter against a redis-server of their own, which listens on a private
# unix socket and ends with this script: once as they are, and once with the collector at work in every
# allocation.
#
# TEST_ONCE, if set, leaves out the second: for another server, which the collector does not touch.
# TEST_URL, if set, is that of another server, or of several (tests/python/topologies.py).
#
# usage: tests/lua/run.sh LUA [FILE...]      FILE: a test file's name without test_ and .lua
# Wants LUA_PATH and LUA_CPATH (make env) to find the modules. MEMORY_HOST, if set, is the program that
# lets every allocation of this Lua's fail in turn (memory_host.c), which is done last. TEST_VALGRIND, if
# set, is valgrind with its options: the first run is in it, and the others, which would take hours, are not.
set -u
lua=$1; shift
here=$(dirname "$0")
dir=$(mktemp -d) || exit 1
server=

stop() {
  [ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_server() {
  mkfifo "$dir/log" || exit 1
  with_us= # its end even where this script is killed
  if command -v setpriv > /dev/null; then with_us="setpriv --pdeathsig KILL"; fi
  # shellcheck disable=SC2086  # a list of words
  $with_us "${TOKENSTORE_TEST_SERVER:-redis-server}" --port 0 --unixsocket "$dir/redis.sock" --unixsocketperm 700 --save '' --appendonly no \
    --dir "$dir" --logfile '' > "$dir/log" 2>&1 &
  server=$!
  exec 3< "$dir/log"
  ready=
  while read -r line <&3; do
    case $line in *"eady to accept connections"*) ready=1; break ;; esac
  done
  [ -n "$ready" ] || { echo "redis-server did not start" >&2; exit 1; }
  cat <&3 > /dev/null &
  TEST_URL=unix://$dir/redis.sock
}
[ -n "${TEST_URL-}" ] || start_server

TEST_DIR=$dir TEST_LUA=$lua
export TEST_DIR TEST_LUA TEST_URL
unset TOKENSTORE_URL
status=0
if [ -n "${TEST_VALGRIND-}" ]; then
  $TEST_VALGRIND "$lua" "$here/run.lua" "$@"
  exit
fi
"$lua" "$here/run.lua" "$@" || status=1
[ -n "${TEST_ONCE-}" ] || "$lua" "$here/run.lua" --stress "$@" || status=1
if [ -n "${MEMORY_HOST-}" ]; then
  # Unlike an interpreter it frees all it has, so that what is left is a leak.
  LD_PRELOAD='' ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=1 "$MEMORY_HOST" "$here/memory.lua" load open \
    connect create get update rotate list many sessions tokenstore raw run jwt events credentials failures || status=1
fi
exit $status
