"""A login flow: log in, stay logged in, see one's devices, log one out, log all out.

Runs on $TOKENSTORE_URL, or else on a private server.
"""

import hashlib
import hmac
import os

import tokenstore

HOUR = 3600
DAY = 24 * HOUR

sessions = tokenstore.Sessions(
    os.environ.get("TOKENSTORE_URL", "embedded:"),
    max_age=30 * DAY,  # after a month users log in again, however active
    max_per_owner=5,  # a sixth device ends the oldest session
)


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


SALT = os.urandom(16)
USERS = {"bob": hashed("correct horse", SALT)}  # yours are in a database


def log_in(user, password, device):
    """The token to set as a cookie (HttpOnly, Secure, SameSite), or None."""
    if not hmac.compare_digest(hashed(password, SALT), USERS.get(user, b"")):
        return None
    return sessions.create(
        app="shop", owner_id=user, data={"device": device, "cart": []}, duration=DAY
    )


def who_is(cookie):
    """On each request: one round trip, and the session's expiry slides (at most one write a minute)."""
    return sessions.get(app="shop", token=cookie, refresh=DAY)


def put_in_cart(cookie, cart):
    return sessions.update(app="shop", token=cookie, data={"cart": cart})


def become_admin(cookie):
    """With more rights, a new token: one that leaked before becomes invalid."""
    new = sessions.rotate(app="shop", token=cookie)
    if new is not None:
        sessions.update(app="shop", token=new, data={"admin": True})
    return new


def devices(user):
    return [
        (session.id, session.data["device"]) for session in sessions.list(app="shop", owner_id=user)
    ]


def log_out(cookie):
    return sessions.kill(app="shop", token=cookie)


def log_out_everywhere(user):
    return sessions.kill_all(app="shop", owner_id=user)


def main():
    assert log_in("bob", "wrong", "laptop") is None
    laptop = log_in("bob", "correct horse", "laptop")
    phone = log_in("bob", "correct horse", "phone")
    print("logged in:     ", who_is(laptop).owner_id)

    put_in_cart(laptop, ["book"])
    print("cart:          ", who_is(laptop).data["cart"])

    admin = become_admin(laptop)
    assert who_is(laptop) is None
    print("admin:         ", who_is(admin).data["admin"])

    print("devices:       ", [device for _, device in devices("bob")])
    log_out(phone)
    print("phone out:     ", [device for _, device in devices("bob")])
    log_out_everywhere("bob")
    print("everywhere out:", devices("bob"))
    assert who_is(admin) is None


if __name__ == "__main__":
    with sessions:
        main()
