"""A Flask app: log in, see one's devices, log one out, log out the others.

    pip install flask
    python examples/flask/app.py        # then http://localhost:5000, in two browsers

Runs on $TOKENSTORE_URL, or else on a private server.
"""

import hmac
import os

from flask import Flask, abort, flash, redirect, render_template_string, request

from tokenstore.ext.flask import FlaskSessions, session

PASSWORDS = {"ann": "ann's", "bob": "bob's"}  # yours are hashed, in a database

app = Flask(__name__)
sessions = FlaskSessions(
    app,
    os.environ.get("TOKENSTORE_URL", "embedded:"),
    app_name="devices",
    idle=1800,
    absolute=86400,
    secure=False,  # http, for localhost; leave it out elsewhere
)

LOGIN = """<!doctype html><title>Log in</title><h1>Log in</h1>
{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
<form method="post" action="/login"><input name="user" placeholder="ann or bob">
<input name="password" type="password" placeholder="ann's or bob's"><button>Log in</button></form>"""

DEVICES = """<!doctype html><title>My devices</title><h1>Devices of {{ session.principal }}</h1><ul>
{% for device in devices %}
<li>{{ device.request.user_agent }}, {{ device.request.address }}
{% if device.sid == session.sid %}(this one){% endif %}
<form method="post" action="/end/{{ device.sid }}" style="display: inline"><button>Log out</button></form></li>
{% endfor %}</ul>
<form method="post" action="/logout-others"><button>Log out the others</button></form>
<form method="post" action="/logout"><button>Log out</button></form>"""


@app.get("/")
def devices():
    if session.principal is None:
        return render_template_string(LOGIN)
    return render_template_string(DEVICES, devices=sessions.web.list(session))


@app.post("/login")
def login():
    user, password = request.form.get("user", ""), request.form.get("password", "")
    if hmac.compare_digest(PASSWORDS.get(user, "").encode(), password.encode()) and password:
        session.login(user)
    else:
        flash("That was wrong.")
    return redirect("/", 303)


@app.post("/end/<sid>")
def end(sid):
    if session.principal is None:
        abort(401)
    sessions.web.end(session, sid)
    return redirect("/", 303)


@app.post("/logout-others")
def logout_others():
    if session.principal is None:
        abort(401)
    session.logout_others()
    return redirect("/", 303)


@app.post("/logout")
def logout():
    session.logout()
    return redirect("/", 303)


if __name__ == "__main__":
    app.run(port=5000)
