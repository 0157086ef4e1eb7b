#!/bin/sh
# Turns the server-side scripts beside this file into C: usage: embed.sh OUTPUT.c
# A line "-- include: a, b" becomes lib/a.lua and lib/b.lua, without the functions that the script does not use:
# each would be made at each call. Comments, indentation and empty lines are left out: the text travels to the
# server, and its SHA-1 is what EVALSHA names.
# A script with lines that end with "-- audit" has a second form, between lib/audit.lua and lib/audited.lua;
# without them, it is as if there were no audit.
set -eu
here=$(dirname "$0")
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

strip() {
  sed -e '/^ *--/d' -e 's/ -- .*$//' -e 's/^ *//' -e '/^$/d' "$@"
}

expand() { # a script, and what sed drops of it
  while IFS= read -r line; do
    case $line in
    *"-- include: "*)
      for name in $(printf '%s' "${line#*-- include: }" | tr -d ','); do cat "$here/lib/$name.lua"; done ;;
    *) printf '%s\n' "$line" ;;
    esac
  done <"$1" | sed -e "$2" -e '/^ *--/d' -e 's/ -- .*$//' | awk -f "$here/used.awk"
}

print_text() { # its name and its file
  printf '\nstatic const char %s_text[] =\n' "$1"
  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^.*$/    "&\\n"/' "$2"
  echo '    ;'
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
    form=NULL
    expand "$script" '/ -- audit$/d' >"$work/text"
    expand "$script" '' >"$work/whole"
    if ! cmp -s "$work/text" "$work/whole"; then
      { strip "$here/lib/audit.lua" && cat "$work/whole" && strip "$here/lib/audited.lua"; } >"$work/audited"
      form="&tksp_script_${name}_audited"
      print_text "${name}_audited" "$work/audited"
      printf 'static const tksp_script tksp_script_%s_audited = {"%s", "%s", %s_audited_text, sizeof %s_audited_text - 1, NULL, true};\n' \
        "$name" "$name" "$(sha1 "$work/audited")" "$name" "$name"
    fi
    print_text "$name" "$work/text"
    printf 'const tksp_script tksp_script_%s = {"%s", "%s", %s_text, sizeof %s_text - 1, %s, false};\n' \
      "$name" "$name" "$(sha1 "$work/text")" "$name" "$name" "$form"
  done
} >"$out.new"
mv "$out.new" "$out"
