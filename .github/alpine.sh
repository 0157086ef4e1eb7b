#!/bin/sh
# In a container of Alpine, with the checkout in /src: builds the package and the Lua modules, and runs the Python tests.
set -eu
apk add --no-cache gcc musl-dev make git sed python3-dev py3-pip hiredis-dev cjson-dev libsodium-dev openssl openssl-dev \
  curl-dev redis lua5.4-dev linux-headers
cp -a /src /work
cd /work
python3 -m venv .venv
.venv/bin/python -m pip install -q -r scripts/requirements-demo.txt pytest pyjwt authlib
make -s LUA54_INCLUDE=/usr/include/lua5.4
echo "$PWD/bindings/python" > "$(echo .venv/lib/python3*/site-packages)/tokenstore-checkout.pth"
.venv/bin/python -m pytest -q -rs tests/python
