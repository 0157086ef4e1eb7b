"""A small login app on tokenstore.asyncio and Starlette. Behind nginx, which authenticates requests
(nginx.conf.template), /account only reads a header; /me looks the session up itself, for an app without
nginx in front of it. Both see the same sessions.

usage: python app.py PORT      with TOKENSTORE_URL set
"""

from __future__ import annotations

import contextlib
import hmac
import sys
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tokenstore.asyncio import Sessions

PASSWORDS = {"bob": "correct horse"}  # yours are hashed, in a database

sessions = Sessions()


async def log_in(request):
    form = parse_qs((await request.body()).decode())
    user, password = form.get("user", [""])[0], form.get("password", [""])[0]
    known = hmac.compare_digest(password.encode(), PASSWORDS.get(user, "").encode())
    if not known or user not in PASSWORDS:
        return PlainTextResponse("wrong name or password\n", 403)
    agent = request.headers.get("user-agent", "")
    token = await sessions.create("edge", user, {"agent": agent}, duration=3600)
    response = PlainTextResponse(f"welcome, {user}\n")
    response.set_cookie("sid", token, httponly=True, samesite="lax")  # and secure, where there is TLS
    return response


async def log_out(request):
    await sessions.kill("edge", request.cookies.get("sid", ""))
    response = PlainTextResponse("good bye\n")
    response.delete_cookie("sid")
    return response


async def me(request):
    session = await sessions.get("edge", request.cookies.get("sid", ""), refresh=3600)
    if session is None:
        return PlainTextResponse("log in first\n", 401)
    return PlainTextResponse(f"you are {session.owner_id}, with {session.data['agent']}\n")


async def account(request):
    return PlainTextResponse(f"this is {request.headers['x-owner-id']}'s account\n")


@contextlib.asynccontextmanager
async def lifespan(app):
    async with sessions:
        yield


app = Starlette(
    routes=[
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/me", me),
        Route("/account", account),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
