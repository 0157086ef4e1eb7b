"""Starlette's own tests of its SessionMiddleware, with ours in its place."""

from __future__ import annotations

from sdists import outcomes, sdist
from servers import Server

# Cases that do not apply, and why. Each is seen to fail, so that none stays here for nothing.
NOT_OURS = {
    "test_session_expires": "a session that has ended before it begins: idle is at least a second here",
    "test_session_zero_max_age": "the same; what ends a session is in test_web.py",
    "test_session_tracks_modification": "takes a field that is missed for no access, but then the response depends on the "
    "cookie; all else it asks is in test_web_session.py",
}

# trio: tokenstore.asyncio needs asyncio, and says so.
FLAGS = ("-k", "not trio")


def test_theirs(server: Server) -> None:
    found = outcomes(
        sdist("starlette"),
        ["tests/middleware/test_session.py"],
        "as_starlette",
        *FLAGS,
        TOKENSTORE_URL=server.url,
    )
    names = {name: name.partition("[")[0] for name in found}
    assert len(found) >= 15
    assert {n for n in names if found[n] != "PASSED"} == {n for n in names if names[n] in NOT_OURS}
    assert set(NOT_OURS) <= set(names.values())
