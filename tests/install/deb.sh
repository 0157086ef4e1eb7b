#!/bin/sh
# The Debian packages: built and linted in a bare Debian, installed in another, and used there by each of
# packaging/debian/tests. As root. usage: tests/install/deb.sh DIRECTORY VERSION SUITE...
# DIRECTORY keeps the bare systems and the packages (SUITE.exchange).
set -u
directory=$(mkdir -p "$1" && cd "$1" && pwd) || exit 1
version=$2
shift 2
cd "$(dirname "$0")/../.." || exit 1

passed=0
failed=0
check() { # check WHAT COMMAND...
  what="$suite: $1"
  shift
  if "$@" > "$directory/$suite.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok $what"
  else
    failed=$((failed + 1))
    echo "FAILED $what"
    tail -n 40 "$directory/$suite.log" | cut -c 1-300
    return 1
  fi
}

in_bare() { # in_bare NAME SCRIPT: in the Debian of this name
  packaging/chroot "$suite" "$directory/$suite.$1" sh -euc "$2"
}

exchange() { # exchange NAME FILE...: into the folder /exchange of this Debian
  folder=$directory/$suite.$1.exchange
  shift
  rm -rf "$folder" && mkdir -p "$folder" && cp -r "$@" "$folder"
}

quick="apt-get install -y -q --no-install-recommends"
# Installing a package may start its service, but not in here.
no_services="printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"

for suite; do
  source=$(packaging/deb "$directory/$suite.source" "$version") || exit 1
  exchange builder "$directory/$suite.source"/*
  check "the tools" in_bare builder "
    [ -e /usr/bin/lintian ] || { apt-get update -q; $quick build-essential fakeroot lintian; }" || continue
  check "the packages are built" in_bare builder "
    cd /exchange/tokenstore-$version; apt-get build-dep -y -q --no-install-recommends ./
    dpkg-buildpackage -us -uc" || continue
  check "lintian warns of nothing" in_bare builder "
    cd /exchange; lintian --allow-root --fail-on error,warning tokenstore_*.changes"

  rm -rf "$directory/$suite.user"
  exchange user "$directory/$suite.builder.exchange"/*.deb "$source"
  check "a bare system has what they need" in_bare user "
    $no_services; apt-get update -q
    $quick /exchange/python3-tokenstore_*.deb /exchange/lua-tokenstore_*.deb /exchange/libtokenstore*.deb" || continue
  sed -n 's/^Tests: //p' packaging/debian/tests/control > "$directory/tests"
  while read -r name <&3; do
    depends=$(sed -n "/^Tests: $name\$/,/^\$/s/^Depends: //p" packaging/debian/tests/control | sed 's/ |[^,]*//g; s/,//g')
    check "$name" in_bare user "
      $quick $depends
      export AUTOPKGTEST_TMP; AUTOPKGTEST_TMP=\$(mktemp -d); cd /exchange/tokenstore-$version; debian/tests/$name"
  done 3< "$directory/tests"
  check "they can be removed" in_bare user "
    apt-get purge -y -q python3-tokenstore lua-tokenstore libtokenstore-dev libtokenstore0
    [ -z \"\$(find / -xdev -path /exchange -prune -o -path /proc -prune -o -iname '*tokenstore*' -print | grep -v /tmp/)\" ]"
done
echo "packages: $passed passed, $failed failed"
[ "$failed" = 0 ]
