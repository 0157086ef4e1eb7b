"""tokenstore.resty_session, a storage for lua-resty-session 4.

The first eight tests are what its own storages are tested for, written anew. The others go through the library:
the real one if it is installed, and a stand-in that calls the storage in the same way.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tokenstore
from nginx_server import ROOT
from resty_site import STAND_INS, Site, resty_site
from servers import Server, free_port
from servers import running as running_redis
from test_docs import PATHS, running_block


def is_installed() -> bool:
    """Is lua-resty-session where nginx looks?"""
    if shutil.which("luajit") is None:
        return False
    ask = "os.exit(package.searchpath('resty.session', package.path) ~= nil)"
    return subprocess.run(["luajit", "-e", ask]).returncode == 0


STAND_IN = [True, False] if is_installed() else [True]

CASES = """
  local tokenstore = require "tokenstore"
  name, value = "name", "value"
  metadata = { audiences = { "foo" }, subjects = { "john" } }
  function set(key, ttl, old_key, stale_ttl, data)
    local good, message = storage:set(name, key, value, ttl, ngx.time(), old_key, stale_ttl, data)
    return good == nil and message or good
  end
  function get(key)
    ngx.ctx.tokenstore_resty_session = nil
    local found, message = storage:get(name, key, ngx.time())
    return found == nil and (message or "nothing") or found
  end
  function count() return #storage:list "john" end
"""


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module", params=STAND_IN, ids=["stand-in", "installed"][: len(STAND_IN)])
def site(request: pytest.FixtureRequest, own_redis: Server) -> Iterator[Site]:
    with resty_site(request.param, {"redis": own_redis.url, "timeout": 0.5}) as made:
        made(CASES)
        yield made


@pytest.fixture(autouse=True)
def nobody_is_in(request: pytest.FixtureRequest, own_redis: Server) -> None:
    own_redis("FLUSHALL")


def wait_until(true: Callable[[], bool], seconds: float = 5) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, "it did not become true"
        time.sleep(0.02)
    return time.monotonic() - began


# ---- the eight cases ----------------------------------------------------------------------------------


def test_what_is_set_is_found(site: Site) -> None:
    assert site.all("return set('key', 60), get 'key'") == [True, "value"]


def test_with_metadata_too(site: Site) -> None:
    assert site.all("return set('key', 60, nil, nil, metadata), get 'key'") == [True, "value"]


def test_the_sessions_of_a_subject_are_listed(site: Site) -> None:
    site("for i = 1, 3 do assert(set('key' .. i, 60, nil, nil, metadata) == true) end")
    assert site("return count()") == 3


def test_what_has_expired_is_not_listed(site: Site) -> None:
    site("set('short', 1, nil, nil, metadata) set('long', 60, nil, nil, metadata)")
    assert 0.5 < wait_until(lambda: site("return count()") == 1) < 2
    assert site.all("return get 'short', get 'long'") == ["nothing", "value"]


def test_the_old_key_lives_for_the_stale_ttl(site: Site) -> None:
    assert site.all("return set('old', 60), set('key', 60, 'old', 1)") == [True, True]
    assert site.all("return get 'old', get 'key'") == ["value", "value"]
    assert 0.5 < wait_until(lambda: site("return get 'old'") == "nothing") < 2
    assert site("return get 'key'") == "value"


def test_a_session_ends_with_its_ttl(site: Site) -> None:
    site("set('key', 1)")
    assert 0.5 < wait_until(lambda: site("return get 'key'") == "nothing") < 2


def test_what_is_deleted_is_gone(site: Site) -> None:
    assert site.all("return set('key', 60), storage:delete(name, 'key', ngx.time()), get 'key'") == [
        True, True, "nothing",
    ]  # fmt: skip
    assert site("return (storage:delete(name, 'key', ngx.time()))") is True


def test_and_not_listed(site: Site) -> None:
    site("set('key', 60, nil, nil, metadata)")
    assert site.all("return count(), storage:delete(name, 'key', ngx.time(), metadata), count()") == [
        1,
        True,
        0,
    ]


# ---- the interface, further -----------------------------------------------------------------------------


def test_the_old_key_does_not_live_longer(site: Site) -> None:
    site("set('old', 1) set('key', 60, 'old', 10)")
    assert wait_until(lambda: site("return get 'old'") == "nothing") < 2
    site("set('old2', 60) set('key2', 60, 'old2', 0)")
    assert site("return get 'old2'") == "nothing"


def test_saves_within_the_stale_ttl_are_all_kept(site: Site) -> None:
    """Requests of one page; each has a session, and one logout ends them all."""
    site("set('old', 60, nil, nil, metadata)")
    assert site.all("return set('a', 60, 'old', 10, metadata), set('b', 60, 'old', 10, metadata), count()") == [
        True, True, 1,
    ]  # fmt: skip
    site("set('other', 60, nil, nil, metadata)")
    site("storage:delete(name, 'b', ngx.time(), metadata)")
    assert site.all("return get 'old', get 'a', get 'b', get 'other'") == ["nothing"] * 3 + ["value"]


def test_a_save_does_not_bring_back_what_has_ended(site: Site) -> None:
    fault = "the session has ended, or was replaced, meanwhile"
    assert site.all("return set('key', 60, 'never', 10), get 'key'") == [fault, "nothing"]


def test_a_key_is_used_once(site: Site) -> None:
    site("set('key', 60)")
    assert "already in use" in site("return set('key', 60)")
    assert site.all("set('mine', 60) value = 'new' return set('mine', 60), get 'mine'") == [True, "new"]
    site("value = 'value'")


def test_audiences_with_different_subjects(site: Site) -> None:
    both = "{ audiences = { 'foo', 'bar' }, subjects = { 'john', 'jane' } }"
    assert "different subjects" in site(f"return set('key', 60, nil, nil, {both})")
    same = "{ audiences = { 'foo', 'bar' }, subjects = { 'john', 'john' } }"
    assert site.all(f"return set('key', 60, nil, nil, {same}), count()") == [True, 1]


def test_a_record_that_cannot_be_read(site: Site, own_redis: Server) -> None:
    """It opens nothing, and can be ended."""
    site.nginx.explained.append("tokenstore.guard: ")
    site("set('key', 60, nil, nil, metadata)")
    [key] = [key for key in own_redis("KEYS", "*") if own_redis("TYPE", key) == "hash" and key != b"ts:kinds"]
    [field] = own_redis("HKEYS", key)
    own_redis("HSET", key, field, b"no record")
    assert site("""
      storage.fail_open = true
      local text = get "key"
      storage.fail_open = nil
      return text
    """) not in ("value", "nothing")
    assert site.all("return storage:delete(name, 'key', ngx.time())")[0] is True
    assert site("return get 'key'") == "nothing"


# ---- through the library --------------------------------------------------------------------------------


def test_a_session(site: Site) -> None:
    bob = site.browser()
    assert bob.get("/set", color="blue") is True
    before = bob.cookie
    assert bob.get("/login", name="bob") is True
    assert bob.cookie != before
    found = bob.get("/who")
    assert (found["subject"], found["color"]) == ("bob", "blue")
    assert bob.get("/info", seen="1") is True
    assert bob.who() == "bob"
    assert bob.get("/logout") is True
    assert bob.who() is None


def test_nothing_in_redis_is_a_key(site: Site, own_redis: Server) -> None:
    bob = site.browser()
    bob.get("/login", name="bob")
    key = bob.get("/who")["id"]
    assert key in str(bob.cookie) or len(key) == 43
    stored = b""
    for name in own_redis("KEYS", "*"):
        value = own_redis("HGETALL" if own_redis("TYPE", name) == "hash" else "GET", name)
        stored += name + (b"".join(value) if isinstance(value, list) else value)
    assert stored.count(b"ts:") > 1
    assert key.encode() not in stored
    assert str(bob.cookie).removeprefix("session=").encode()[:100] not in stored


def test_an_unknown_cookie_is_not_adopted(site: Site) -> None:
    planted = "session=" + "A" * 43
    bob = site.browser(planted)
    assert bob.who() is None
    assert bob.get("/login", name="bob") is True
    assert bob.cookie != planted
    assert site.browser(planted).who() is None


def test_a_planted_session_does_not_become_the_login(site: Site) -> None:
    thief = site.browser()
    thief.get("/set", color="planted")
    bob = site.browser(thief.cookie)
    bob.get("/login", name="bob")
    assert (bob.who(), thief.who()) == ("bob", None)


def test_logout_beats_a_late_save(site: Site) -> None:
    for path in ("/late/save", "/late/info"):
        bob = site.browser()
        bob.get("/login", name="bob")
        assert not bob.get(path)
        assert "has ended" in str(bob.problem)
        assert bob.who() is None


def test_and_one_with_the_cookie_before(site: Site) -> None:
    bob = site.browser()
    bob.get("/login", name="bob")
    before = site.browser(bob.cookie)
    bob.get("/set", color="blue")
    assert before.who() == "bob"  # for the stale ttl
    assert not before.get("/late/save", ended_by=str(bob.cookie))
    assert (bob.who(), before.who()) == (None, None)


def test_logout_everywhere(site: Site) -> None:
    bobs = [site.browser() for _ in range(3)]
    for bob in bobs:
        bob.get("/login", name="bob")
    alice = site.browser()
    alice.get("/login", name="alice")
    key = bobs[1].get("/who")["id"]
    site("set('remembered', 60, nil, nil, { audiences = { 'a' }, subjects = { 'bob' } })")  # another cookie
    assert site(f"return storage:end_all('bob', {{ name = 'session', key = '{key}' }})") == 3
    assert site("return get 'remembered'") == "nothing"
    assert [bob.who() for bob in bobs] == [None, "bob", None]
    assert site("return storage:end_all 'bob'") == 1
    assert (bobs[1].who(), alice.who()) == (None, "alice")


def test_other_programs_see_the_same_sessions(site: Site, own_redis: Server) -> None:
    """As docs/how-to/lua-resty-session.md says."""
    bob = site.browser()
    bob.get("/login", name="bob")
    owner = base64.urlsafe_b64encode(b"bob").rstrip(b"=").decode()
    with tokenstore.Sessions(own_redis.url) as sessions:
        assert sessions.count("resty-session", owner) == 1
        assert sessions.kill_all("resty-session", owner)
    assert bob.who() is None


def test_my_devices(site: Site) -> None:
    here, there = site.browser(), site.browser()
    for browser in (here, there):
        browser.get("/login", name="bob")
        browser.get("/set", color="blue")
    assert site.all("""
      local list = storage:list "bob"
      local one = list[1]
      return #list, one.data == nil and one.token == nil, one.expires_at > one.created_at, one.request.address,
        one.name, storage:end_one("bob", one.id), storage:end_one("bob", one.id),
        storage:end_one("alice", list[2].id), #storage:list "bob"
    """) == [2, True, True, "unix:", "session", True, False, False, 1]
    assert (here.who(), there.who()) == ("bob", None)


def test_redis_away(site: Site, own_redis: Server) -> None:
    """503, not logged out; with fail_open the library is told."""
    site.nginx.explained += ["tokenstore.guard: ", r"connect\(\) to unix:.* failed", "cannot connect"]
    bob = site.browser()
    bob.get("/login", name="bob")
    cookie = bob.cookie
    own_redis.kill()
    try:
        assert (bob.who(), bob.status) == (None, 503)
        assert (bob.get("/logout"), bob.status, bob.cookie) == (None, 503, cookie)
        visitor = site.browser()
        assert visitor.get("/set", color="blue") is None
        assert "cannot connect" in str(visitor.problem)
        site("storage.fail_open = true")
        assert (bob.who(), bob.status) == (None, 200)
        assert "cannot connect" in str(bob.problem)
        assert bob.cookie == cookie
    finally:
        site("storage.fail_open = nil")
        own_redis.socket_path.unlink(missing_ok=True)  # type: ignore[union-attr]
        own_redis.start()


def test_wrong_options_are_named(site: Site) -> None:
    for option, part in (
        ("app = 5", "'app'"),
        ("fail_open = 'x'", "'fail_open'"),
        ("prefx = 'x'", "'prefx'"),
        ("max_per_owner = 5", "'max_per_owner'"),
        ("maxPerOwner = 5", "'max_per_owner'"),
        ("redis = 'http://user:a-secret@localhost'", "in the URL"),
    ):
        good, message = site.all(f"return pcall(require('tokenstore.resty_session').new, {{ {option} }})")
        assert good is False
        assert part in message
        assert "a-secret" not in message


def test_every_method_has_types(site: Site) -> None:
    types = (ROOT / "bindings/lua/tokenstore/resty_session.d.lua").read_text()
    declared = re.findall(r"^function Storage:(\w+)\(", types, re.MULTILINE)
    found = site("""
      local names = {}
      for name in pairs(getmetatable(storage)) do
        names[#names + 1] = not name:find "^_" and name or nil
      end
      return table.concat(names, " ")
    """)
    assert sorted(declared) == sorted(found.split())


def test_the_configuration_in_the_docs(own_redis: Server, tmp_path: Path) -> None:
    """docs/how-to/lua-resty-session.md, with the stand-in."""
    page = (ROOT / "docs/how-to/lua-resty-session.md").read_text()
    [text] = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    text = text.replace("redis://127.0.0.1:6379", own_redis.url)
    assert own_redis.url in text
    path = f"{STAND_INS}/?.lua;{PATHS['LUA_PATH']}"
    with running_block(text, tmp_path, free_port(), LUA_PATH=path) as get:
        cookies = []
        for _ in range(2):
            answer = get("/login?name=bob")
            assert answer.text == "welcome\n"
            cookies.append({"Cookie": answer.headers["set-cookie"].partition(";")[0]})
        assert get("/account").status == 401
        assert [get("/account", cookie).text for cookie in cookies] == ["this is bob's account\n"] * 2
        assert get("/logout/everywhere", cookies[0]).text == "ended: 2\n"
        assert [get("/account", cookie).status for cookie in cookies] == [401, 401]
        again = {"Cookie": get("/login?name=bob").headers["set-cookie"].partition(";")[0]}
        assert get("/account", again).status == 200
        assert get("/logout", again).text == "bye\n"
        assert get("/account", again).status == 401
