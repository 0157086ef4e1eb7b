#!/bin/sh
# The image of packaging/docker, as root, without Docker and without a registry: buildah builds it on a Debian of
# debootstrap, and its nginx runs with the nginx.conf that it has, in a network of its own with a server and an app.
# usage: tests/install/image.sh DIRECTORY, which keeps the Debian
set -eu
directory=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
for tool in buildah hadolint redis-server; do
  PATH=$PATH:$PWD/.venv/bin command -v $tool > /dev/null || { echo "image-check needs $tool" >&2; exit 1; }
done
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
build() { buildah --root "$directory/images" --runroot "$directory/run" "$@"; }

PATH=$PATH:$PWD/.venv/bin hadolint packaging/docker/Dockerfile
echo "1 passed: hadolint"
if ! build inspect --type image debian:trixie-slim > /dev/null 2>&1; then
  packaging/chroot trixie "$directory/trixie.root" true
  debian=$(build from scratch)
  build add -q "$debian" "$directory/trixie.bare" /
  build commit -q "$debian" docker.io/library/debian:trixie-slim > /dev/null
  build rm "$debian" > /dev/null
fi
build bud --pull-never --network host -f packaging/docker/Dockerfile -t tokenstore-nginx . > "$directory/build.log" 2>&1 ||
  { tail -n 40 "$directory/build.log"; exit 1; }
echo "1 passed: the image is built"

image=$(build from --pull-never --add-host app:127.0.0.1 tokenstore-nginx)
trap 'build rm "$image" > /dev/null' EXIT
# shellcheck disable=SC2016  # expanded in the new namespace
unshare --net --pid --fork --kill-child --mount-proc sh -eu -c '
  ip link set lo up
  redis-server --save "" --logfile "$1/redis.log" &
  buildah --root "$1/images" --runroot "$1/run" run --network host --env TOKENSTORE_URL=redis://127.0.0.1 "$2" -- \
    sh -c "id -u; nginx -e stderr 2>&1 | cat" > "$1/nginx.log" & # nginx opens /dev/stdout: a pipe of its own user
  .venv/bin/python tests/install/image_try.py || { tail -n 20 "$1/nginx.log"; exit 1; }
  grep -qx 33 "$1/nginx.log"
' image "$directory" "$image"
echo "1 passed: its guard, without root"
