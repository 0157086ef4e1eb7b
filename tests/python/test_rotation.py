"""rotate with a grace, an owner and data; tokens that were rotated; reuse; sid in the place of an id."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import stored
import tokenstore
from rotating import BOB, KIND, find, make, turn
from servers import Server
from tokenstore import RedisTokens, Sessions, TokenReusedError


@pytest.fixture
def revoking(client: tokenstore.Client) -> RedisTokens:
    return RedisTokens(client, reuse="revoke")


# ---- grace -----------------------------------------------------------------------------------------


def test_within_the_grace_the_old_token_finds_the_session(
    tokens: RedisTokens, server: Server
) -> None:
    old = make(tokens)
    new = turn(tokens, old, grace=30)
    assert new.token != old.token
    assert new.id != old.id
    assert (new.sid, new.superseded, new.data, new.created_at) == (
        old.sid,
        False,
        old.data,
        old.created_at,
    )
    found = find(tokens, old)
    assert found is not None
    assert found.superseded
    assert (found.token, found.id, found.sid, found.owner) == (old.token, new.id, new.sid, "bob")
    current = find(tokens, new)
    assert current is not None
    assert not current.superseded
    stored.end_grace(server, old)
    assert find(tokens, old) is None
    assert find(tokens, new) == current


def test_the_grace_ends_by_itself(tokens: RedisTokens, server: Server) -> None:
    old = make(tokens)
    turn(tokens, old, grace=1)
    assert 0 < stored.left(server, old) <= 1000
    stored.wait_for_end(server, old)
    assert find(tokens, old) is None
    assert tokens.rotate(**KIND, token=old.token) is None


def test_the_grace_never_outlives_the_token(tokens: RedisTokens, server: Server) -> None:
    old = make(tokens, duration=50)
    turn(tokens, old, grace=300)
    assert stored.left(server, old) <= 50_000
    new = turn(tokens, old, duration=20, grace=300)
    assert find(tokens, new) is not None


def test_no_grace_leaves_nothing(tokens: RedisTokens, server: Server) -> None:
    for grace in (None, 0, 0.0):
        old = make(tokens)
        turn(tokens, old, grace=grace)
        assert stored.left_of(server, old) == []
        assert find(tokens, old) is None


def test_rotated_again_it_gives_the_very_same_token(tokens: RedisTokens) -> None:
    old = make(tokens)
    new = turn(tokens, old, grace=30)
    for grace in (30, 0, 5):
        again = turn(tokens, old, grace=grace)
        assert (again.token, again.id, again.superseded) == (new.token, new.id, False)
    assert tokens.count(**BOB) == 1


@pytest.mark.parametrize("encoding", ["base64url", "base64", "hex"])
@pytest.mark.parametrize("size", [16, 32, 64, 65, 256])
def test_the_new_token_has_the_form_of_its_store(
    client: tokenstore.Client, encoding: Any, size: int
) -> None:
    store = RedisTokens(client, token_encoding=encoding, token_size=size)
    old = make(store)
    new = turn(store, old, grace=30)
    assert len(new.token) == len(old.token)
    # Whoever has the old token arrives at the same, whatever its own store would make.
    other = RedisTokens(client)
    assert turn(other, old).token == new.token
    assert find(other, new) is not None


def test_all_operations_act_on_the_session(tokens: RedisTokens, server: Server) -> None:
    old = make(tokens)
    new = turn(tokens, old, grace=30)
    updated = tokens.update(**KIND, token=old.token, data={"a": 1})
    assert updated is not None
    assert updated.superseded
    assert updated.data == {"role": "admin", "a": 1}
    assert tokens.refresh(**KIND, token=old.token, duration=500)
    assert stored.left(server, new) > 400_000
    assert find(tokens, old, refresh=900) is not None
    assert stored.left(server, new) > 800_000
    many = tokens.get_many(**KIND, tokens=[old.token, new.token, "x"])
    assert [None if t is None else t.superseded for t in many] == [True, False, None]
    taken = tokens.take(**KIND, token=old.token)
    assert taken is not None
    assert taken.id == new.id
    assert find(tokens, new) is None
    assert find(tokens, old) is None


def test_delete_by_the_old_token_ends_the_session(tokens: RedisTokens) -> None:
    old = make(tokens)
    new = turn(tokens, old, grace=30)
    assert tokens.delete(**KIND, token=old.token)
    assert find(tokens, new) is None
    assert find(tokens, old) is None
    assert not tokens.delete(**KIND, token=old.token)
    assert tokens.rotate(**KIND, token=old.token, grace=30) is None


def test_a_chain_of_graces_ends_at_the_live_token(tokens: RedisTokens) -> None:
    chain = [make(tokens)]
    for _ in range(5):
        chain.append(turn(tokens, chain[-1], grace=60))
    for token in chain:
        found = find(tokens, token)
        assert found is not None
        assert found.id == chain[-1].id
        assert turn(tokens, token, grace=60).token == chain[-1].token or token is chain[-1]
        assert found.sid == chain[0].id


def test_listings_show_the_session_once(
    tokens: RedisTokens, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    old = make(tokens)
    new = turn(tokens, old, grace=30)
    assert [t.id for t in tokens.list(**BOB)] == [new.id]
    assert tokens.count(**BOB) == 1
    assert tokens.update_all(**BOB, data={"all": True}) == 1
    assert tokens.delete_all(**BOB) == 1
    assert stored.keys(server) == []
    assert find(tokens, old) is None
    assert caplog.records == []  # nothing is unreadable


@pytest.mark.parametrize("grace", [0, 30])
def test_a_server_without_memory_rotates(tokens: RedisTokens, server: Server, grace: int) -> None:
    old = make(tokens)
    turn(tokens, make(tokens), grace=grace)  # the server knows the script
    server("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server("CONFIG", "SET", "maxmemory", "1")
    try:
        new = turn(tokens, old, grace=grace)
        with pytest.raises(tokenstore.ServerError, match="OOM"):
            make(tokens)
    finally:
        server("CONFIG", "SET", "maxmemory", "0")
    assert find(tokens, new) is not None
    assert (find(tokens, old) is not None) == (grace > 0)


def test_rotation_counts_for_no_cap(client: tokenstore.Client) -> None:
    capped = RedisTokens(client, max_per_owner=2, when_full="refuse", reuse="revoke")
    first = make(capped)
    for _ in range(4):
        first = turn(capped, first, grace=30)
    second = make(capped)
    with pytest.raises(tokenstore.LimitError):
        make(capped)
    assert find(capped, first) is not None
    assert find(capped, second) is not None


def test_a_custom_token_has_a_grace(tokens: RedisTokens, server: Server) -> None:
    old = make(tokens, custom_token="a token that was chosen")
    new = turn(tokens, old, grace=30)
    found = find(tokens, old)
    assert found is not None
    assert found.superseded
    assert found.id == new.id
    assert turn(tokens, old).token == new.token
    stored.end_grace(server, old)
    assert find(tokens, old) is None


def test_a_custom_token_that_could_not_be_rotated_stays(client: tokenstore.Client) -> None:
    small = RedisTokens(client, max_data_size=100)
    old = make(small, custom_token="a token that was chosen")
    with pytest.raises(tokenstore.DataError, match="max_data_size"):
        small.rotate(**KIND, token=old.token, data={"long": "x" * 80})
    assert find(small, old) is not None


def test_a_list_of_peppers(client: tokenstore.Client) -> None:
    before = RedisTokens(client, pepper="the old pepper 0")
    both = RedisTokens(client, pepper=["the new pepper 1", "the old pepper 0"], reuse="revoke")
    old = make(before)
    new = turn(both, old, grace=30)
    found = find(both, old)
    assert found is not None
    assert found.superseded
    assert turn(both, old).token == new.token
    assert both.update(**KIND, token=old.token, data={"a": 1}) is not None


def test_max_age_ends_both(client: tokenstore.Client, server: Server) -> None:
    short = RedisTokens(client, max_age=1)
    old = make(short)
    turn(short, old, grace=30)
    assert stored.left(server, old) <= 1000
    stored.wait_for_end(server, old)
    assert find(short, old) is None


def test_a_forward_of_another_token_is_no_answer(tokens: RedisTokens, server: Server) -> None:
    old, victim = make(tokens), make(tokens)
    turn(tokens, victim, grace=30)
    stored.replace(server, old, stored.record_of(server, victim))
    with pytest.raises(tokenstore.ConnectionError, match="another request"):
        find(tokens, old)


def test_a_forward_that_leads_to_itself_leads_nowhere(tokens: RedisTokens, server: Server) -> None:
    old = make(tokens)
    turn(tokens, old, grace=30)
    forward = stored.record_of(server, old)
    stored.replace(server, old, forward[:-22] + old.id.encode())
    assert find(tokens, old) is None
    assert tokens.get_many(**KIND, tokens=[old.token, old.token]) == [None, None]
    assert not tokens.delete(**KIND, token=old.token)
    assert tokens.rotate(**KIND, token=old.token, grace=30) is None


@pytest.mark.parametrize("bad", [0.5, -1, float("nan"), float("inf"), 1e12])
def test_grace_refuses_what_is_no_time(tokens: RedisTokens, bad: float) -> None:
    old = make(tokens)
    with pytest.raises(tokenstore.DataError, match="grace must be"):
        tokens.rotate(**KIND, token=old.token, grace=bad)
    for wrong in ("10", True, [10]):
        with pytest.raises(TypeError, match="grace"):
            tokens.rotate(**KIND, token=old.token, grace=wrong)  # type: ignore[arg-type]
    assert find(tokens, old) is not None


def test_superseded_is_copied_and_pickled(tokens: RedisTokens) -> None:
    old = make(tokens)
    turn(tokens, old, grace=30)
    found = find(tokens, old)
    assert found is not None
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found)).superseded
    assert found.to_dict()["superseded"] is True


# ---- data, owner -----------------------------------------------------------------------------------


def test_data_is_merged(tokens: RedisTokens) -> None:
    old = make(tokens, data={"a": 1, "b": [], "c": None})
    new = turn(tokens, old, data={"a": None, "d": 2.5}, grace=30)
    assert new.data == {"b": [], "c": None, "d": 2.5}
    again = turn(tokens, old, data={"e": {}})
    assert (again.token, again.data) == (new.token, {"b": [], "c": None, "d": 2.5, "e": {}})


def test_data_that_would_be_too_large_changes_nothing(client: tokenstore.Client) -> None:
    small = RedisTokens(client, max_data_size=100)
    old = make(small)
    with pytest.raises(tokenstore.DataError, match="max_data_size"):
        small.rotate(**KIND, token=old.token, data={"long": "x" * 80})
    assert find(small, old) is not None


@pytest.mark.parametrize("grace", [0, 30])
@pytest.mark.parametrize("request_", [None, {"address": "192.0.2.7", "user_agent": 'a "browser"'}])
def test_an_anonymous_token_is_bound_at_login(
    tokens: RedisTokens, server: Server, grace: int, request_: Any
) -> None:
    guest = make(tokens, owner=None, request=request_)
    mine = turn(tokens, guest, owner="bob", data={"role": None, "user": 1}, grace=grace)
    assert (mine.owner, mine.data, mine.sid, mine.request) == ("bob", {"user": 1}, guest.id, request_)
    assert mine.created_at > guest.created_at  # what max_age counts from
    assert [t.id for t in tokens.list(**BOB)] == [mine.id]
    # Whoever planted it has nothing, whatever the grace.
    assert find(tokens, guest) is None
    assert tokens.rotate(**KIND, token=guest.token, owner="bob", grace=30) is None
    assert len(stored.keys(server)) == 1  # the hash of nobody is gone
    assert turn(tokens, mine, owner="bob", grace=30).token != mine.token
    assert find(tokens, mine) is not None  # a token that is bob's already has a grace


def test_a_guest_that_was_rotated_is_bound(tokens: RedisTokens) -> None:
    guest = make(tokens, owner=None)
    second = turn(tokens, guest, grace=30)
    assert second.owner is None
    mine = turn(tokens, guest, owner="bob", grace=30)
    assert mine.owner == "bob"
    assert mine.token not in (guest.token, second.token)
    for token in (guest, second):
        assert find(tokens, token) is None


def test_a_reused_guest_does_not_log_its_user_out(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, reuse="revoke")
    guest = make(tokens, owner=None)
    second = turn(tokens, guest, grace=30)
    mine = turn(tokens, second, owner="bob")
    stored.end_grace(server, guest)
    with pytest.raises(tokenstore.TokenReusedError):
        find(tokens, guest)
    assert find(tokens, second) is None
    assert find(tokens, mine) is not None


def test_max_age_counts_from_the_login(client: tokenstore.Client, server: Server) -> None:
    day = RedisTokens(client, max_age=50)
    guest = make(day, owner=None, duration=None)
    record = stored.record_of(server, guest)
    before = stored.B64.index(chr(record[5])) - 2  # 2 * 2^18 us, half a second earlier
    stored.replace(server, guest, record[:5] + stored.B64[before % 64].encode() + record[6:])
    mine = turn(day, guest, owner="bob")
    assert mine.expires_at is not None
    assert 49.9 < mine.expires_at - mine.created_at <= 50.1


def test_a_token_of_another_owner_is_not_bound(tokens: RedisTokens) -> None:
    theirs = make(tokens, owner="eve")
    with pytest.raises(
        tokenstore.DataError, match="the token has another owner: nothing was changed"
    ):
        tokens.rotate(**KIND, token=theirs.token, owner="bob", grace=30)
    assert find(tokens, theirs) is not None
    assert tokens.count(**BOB) == 0
    assert turn(tokens, theirs, owner="eve").owner == "eve"


def test_binding_keeps_to_the_cap(client: tokenstore.Client) -> None:
    refusing = RedisTokens(client, max_per_owner=1, when_full="refuse")
    evicting = RedisTokens(client, max_per_owner=1)
    first = make(refusing)
    guest = make(refusing, owner=None)
    with pytest.raises(tokenstore.LimitError, match="max_per_owner"):
        refusing.rotate(**KIND, token=guest.token, owner="bob", grace=30)
    assert find(refusing, guest) is not None
    assert find(refusing, first) is not None
    mine = turn(evicting, guest, owner="bob")
    assert find(evicting, first) is None
    assert [t.id for t in evicting.list(**BOB)] == [mine.id]


def test_hard_owners(tokens: RedisTokens) -> None:
    for owner in ('"', "\\", "ü\n\x01", "{}", "x" * 1024):
        guest = make(tokens, owner=None)
        mine = turn(tokens, guest, owner=owner, grace=30)
        assert mine.owner == owner
        assert find(tokens, mine) is not None
        assert tokens.count(**KIND, owner=owner) == 1


# ---- sid and id ------------------------------------------------------------------------------------


def test_a_sid_does_where_an_id_does(tokens: RedisTokens) -> None:
    first = make(tokens)
    mine = turn(tokens, turn(tokens, first))
    other = make(tokens)
    sid = mine.sid
    found = tokens.get_by_id(**BOB, id=sid)
    assert found is not None
    assert found.id == mine.id
    assert found.token is None
    changed = tokens.update_by_id(**BOB, id=sid, data={"a": 1})
    assert changed is not None
    assert changed.id == mine.id
    assert changed.data["a"] == 1
    assert [t.id for t in tokens.list(**BOB, after=other.id)] == [mine.id]
    assert tokens.list(**BOB, after=sid) == []
    assert tokens.delete_all(**BOB, keep=sid) == 1
    assert find(tokens, mine) is not None
    assert tokens.delete_by_id(**BOB, id=sid)
    assert tokens.get_by_id(**BOB, id=sid) is None
    assert find(tokens, mine) is None
    assert not tokens.delete_by_id(**BOB, id=sid)


def test_a_token_that_was_rotated_away_deletes_nothing(tokens: RedisTokens) -> None:
    """Its field is the sid of the session: a token is no id."""
    first = make(tokens)
    mine = turn(tokens, first)
    assert not tokens.delete(**KIND, token=first.token)
    assert tokens.update(**KIND, token=first.token, data={}) is None
    assert find(tokens, mine) is not None


@pytest.mark.parametrize("grace", [0, 30])
def test_the_others_are_logged_out(revoking: RedisTokens, server: Server, grace: int) -> None:
    first = make(revoking)
    mine = turn(revoking, first, grace=grace)
    for _ in range(3):
        turn(revoking, make(revoking), grace=30)
    keep = first.token if grace else mine.token
    assert revoking.delete_all(**BOB, keep=keep) == 3
    assert find(revoking, mine) is not None
    if grace:
        found = find(revoking, first)
        assert found is not None
        assert found.superseded
        stored.end_grace(server, first)
    with pytest.raises(TokenReusedError):
        find(revoking, first)


# ---- sessions --------------------------------------------------------------------------------------


def test_sessions(client: tokenstore.Client, server: Server) -> None:
    sessions = Sessions(client, reuse="revoke", reuse_window=60)
    guest = sessions.create("web", data={"cart": ["book"]})
    mine = sessions.rotate("web", guest, owner_id="bob", data={"user": 1})
    assert mine is not None
    assert sessions.get("web", guest) is None
    second = sessions.rotate("web", mine, grace=30)
    found = sessions.get("web", mine)
    assert found is not None
    assert (found.superseded, found.owner_id, found.data) == (True, "bob", {"cart": ["book"], "user": 1})
    assert sessions.rotate("web", mine, grace=30) == second
    assert sessions.kill_all("web", "bob", keep=found.sid) is False
    sessions.rotate("web", second)
    with pytest.raises(tokenstore.TokenReusedError) as caught:
        sessions.get("web", second)
    assert (caught.value.owner, caught.value.sid) == ("bob", found.sid)
    assert sessions.list("web", "bob") == []
