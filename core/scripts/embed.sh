#!/bin/sh
# Turns the server-side scripts beside this file into C: usage: embed.sh OUTPUT.c
# A line "-- include: a, b" becomes lib/a.lua and lib/b.lua. Comments, indentation and empty lines are
# left out: the text travels to the server, and its SHA-1 is what EVALSHA names.
set -eu
here=$(dirname "$0")
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expand() {
  while IFS= read -r line; do
    case $line in
    *"-- include: "*)
      for name in $(printf '%s' "${line#*-- include: }" | tr -d ','); do cat "$here/lib/$name.lua"; done ;;
    *) printf '%s\n' "$line" ;;
    esac
  done <"$1" | sed -e 's/^ *//' -e '/^--/d' -e 's/ -- .*$//' -e '/^$/d'
}

sha1() {
  if command -v sha1sum >/dev/null 2>&1; then sha1sum "$1"; else shasum -a 1 "$1"; fi | cut -d' ' -f1
}

{
  echo '/* Made by core/scripts/embed.sh from the .lua files beside it: change those. */'
  echo '#include "ops/script.h"'
  # C11 need not take strings of more than 4095 bytes; gcc and clang take any.
  echo '#pragma GCC diagnostic ignored "-Woverlength-strings"'
  for script in "$here"/*.lua; do
    name=$(basename "$script" .lua)
    expand "$script" >"$work/text"
    echo
    printf 'static const char %s_text[] =\n' "$name"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^.*$/    "&\\n"/' "$work/text"
    printf '    ;\nconst tksp_script tksp_script_%s = {"%s", "%s", %s_text, sizeof %s_text - 1};\n' \
      "$name" "$name" "$(sha1 "$work/text")" "$name" "$name"
  done
} >"$out.new"
mv "$out.new" "$out"
