"""A FastAPI app: log in, see one's devices, log one out, log out the others.

    pip install fastapi uvicorn
    python examples/fastapi/app.py      # then http://localhost:8000, in two browsers

Runs on $TOKENSTORE_URL, or else on a private server.
"""

import hmac
import os
from html import escape
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from tokenstore.ext.asgi import SessionMiddleware
from tokenstore.ext.fastapi import SessionDep, require_session, sessions_router
from tokenstore.web import AsyncWebSessions, WebSession

PASSWORDS = {"ann": "ann's", "bob": "bob's"}  # yours are hashed, in a database

app = FastAPI()
app.add_middleware(
    SessionMiddleware,
    store=os.environ.get("TOKENSTORE_URL", "embedded:"),
    app_name="devices",
    idle=1800,
    absolute=86400,
    secure=False,  # http, for localhost; leave it out elsewhere
)
app.include_router(sessions_router(prefix="/api/sessions"))  # the same for JavaScript

Required = Annotated[WebSession, Depends(require_session())]

LOGIN = """<!doctype html><title>Log in</title><h1>Log in</h1><p>{message}</p>
<form method="post" action="/login"><input name="user" placeholder="ann or bob">
<input name="password" type="password" placeholder="ann's or bob's"><button>Log in</button></form>"""

DEVICES = """<!doctype html><title>My devices</title><h1>Devices of {user}</h1><ul>{rows}</ul>
<form method="post" action="/logout-others"><button>Log out the others</button></form>
<form method="post" action="/logout"><button>Log out</button></form>"""

ROW = """<li>{agent}, {address}{mark}
<form method="post" action="/end/{id}" style="display: inline"><button>Log out</button></form></li>"""


def to_devices() -> RedirectResponse:
    return RedirectResponse("/", status_code=303)


@app.get("/")
async def devices(request: Request, session: SessionDep) -> HTMLResponse:
    if session.principal is None:
        return HTMLResponse(LOGIN.format(message=escape(session.pop("message", ""))))
    web: AsyncWebSessions = request.scope["tokenstore.web"]
    rows = [
        ROW.format(
            id=device.sid,
            agent=escape(device.request["user_agent"] or "unknown"),
            address=escape(device.request["address"] or ""),
            mark=" (this one)" if device.sid == session.sid else "",
        )
        for device in await web.list(session)
    ]
    return HTMLResponse(DEVICES.format(user=escape(session.principal), rows="".join(rows)))


@app.post("/login")
async def login(request: Request, session: SessionDep) -> RedirectResponse:
    form = dict(parse_qsl((await request.body()).decode()))
    user, password = form.get("user", ""), form.get("password", "")
    if hmac.compare_digest(PASSWORDS.get(user, "").encode(), password.encode()) and password:
        session.login(user)
    else:
        session["message"] = "That was wrong."
    return to_devices()


@app.post("/end/{id}")
async def end(id: str, request: Request, session: Required) -> RedirectResponse:
    web: AsyncWebSessions = request.scope["tokenstore.web"]
    await web.end(session, id)
    return to_devices()


@app.post("/logout-others")
async def logout_others(session: Required) -> RedirectResponse:
    session.logout_others()
    return to_devices()


@app.post("/logout")
async def logout(session: SessionDep) -> RedirectResponse:
    session.logout()
    return to_devices()


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=8000)
