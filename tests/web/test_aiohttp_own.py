"""aiohttp-session's own tests of what a storage has to do, with our plug-in in its place."""

from __future__ import annotations

import os

from sdists import outcomes, sdist
from servers import Server

FILES = ("test_redis_storage.py", "test_http_exception.py", "test_response_types.py")
"""Its other tests are about its classes (a Session, a storage that is none), and about other storages."""

# Cases that do not apply, and why. Each is seen to fail, so that none stays here for nothing.
NOT_OURS = {
    "test_change_session": "sends the cookie again with each change; here its token stays, and the browser has it",
    "test_clear_cookie_on_session_invalidation": "keeps an empty record; here the session is gone (test_contract.py)",
    "test_set_ttl_manually_set": "lifetimes are the application's, not the handlers'",
    "test_create_storage_with_custom_key_factory": "tokens are random",
    "test_not_redis_provided_to_storage": "a check of its arguments",
    "test_no_aioredis_installed": "about the package redis, which is not needed",
    "test_old_aioredis_version": "the same",
    "test_stream_response": "does not store what a stream changed; here it is stored if that was before its prepare",
    "test_bad_response_type": "calls a middleware by hand; aiohttp refuses such a response itself",
    "test_prepared_response_type": "calls a middleware by hand; a prepared response was stored when it was prepared",
}

# test_load_session_dont_load_expired_session waits five seconds for an end that test_contract.py sees, too.
FLAGS = () if os.environ.get("TOKENSTORE_SOAK") == "1" else ("-k", "not dont_load_expired")


def test_theirs(server: Server) -> None:
    found = outcomes(
        sdist("aiohttp-session"),
        [f"tests/{name}" for name in FILES],
        "as_aiohttp",
        "--noconftest",
        *FLAGS,
        TOKENSTORE_URL=server.url,
    )
    names = {name: name.partition("[")[0] for name in found}
    assert len(found) >= 19
    assert {n for n in names if found[n] != "PASSED"} == {n for n in names if names[n] in NOT_OURS}
    assert set(NOT_OURS) <= set(names.values())
