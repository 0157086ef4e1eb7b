"""Random calls of all kinds against a model: a dict in this process. The server is on this machine, so both have one clock;
where a token ends while a call runs, either answer is right. TS_MODEL_CALLS=1000000 for a long run."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import UNSET, RedisTokens, Token

CALLS = int(os.environ.get("TS_MODEL_CALLS", "4000"))
APP = {"app": "web", "type": "login"}
MARGIN = 0.003
BEHIND = 1  # of created_at, by HSETEX: as long as an answer took, on a busy machine


@dataclass
class Known:
    """A token as it should be."""

    token: str
    owner: str | None
    data: dict[str, Any]
    created: float
    end: float | None
    id: str
    sid: str
    idle: float | None
    until: float | None  # no use lets it live longer
    request: dict[str, Any] | None
    custom: bool = False
    gone: bool = False
    revoked: bool = False  # by reuse: what leads to it says so, or leads nowhere

    def is_live(self, begin: float, end: float) -> bool | None:
        """None: it ended, or may have ended, while the call ran."""
        if self.end is None or self.end > end + MARGIN:
            return True
        return False if self.end < begin - MARGIN else None


@dataclass
class Old:
    """A token that was rotated."""

    token: str
    one: Known  # what it has become
    home: str | None  # the owner whose hash knows of it; None: it was anonymous
    grace: float  # when it finds nothing any more: its grace has ended, or that of what it leads to
    own_grace: float  # when its own has
    tombstone: tuple[float, float]  # when it is forgotten that it was rotated: from and to
    took: float  # so much later the graces may have ended: as long as a rotation took

    def allowed(self, begin: float, end: float) -> set[str]:
        """What its presentation may lead to: found, none, reused."""
        results: set[str] = set()
        if self.one.revoked:
            return {"none", "reused"}
        since = begin - MARGIN - self.took
        if since < self.grace:
            live = self.one.is_live(begin, end)
            results |= {"none"} if self.one.gone or live is False else {"found"} if live else {"found", "none"}
        if end + MARGIN > self.grace and since < self.own_grace:
            results.add("none")
        if end + MARGIN > self.own_grace:
            results |= {"reused"} if begin - MARGIN < self.tombstone[1] else set()
            results |= {"none"} if end + MARGIN > self.tombstone[0] else set()
        return results


class Model:
    def __init__(self, tokens: RedisTokens, seed: int, reuse: bool) -> None:
        self.tokens, self.rng, self.reuse = tokens, random.Random(seed), reuse
        self.known: dict[str, Known] = {}
        self.old: list[Old] = []
        self.dead: list[str] = []
        self.calls = 0

    # ---- time --------------------------------------------------------------------------------------

    def call(self, function: Any, *args: Any, **more: Any) -> Any:
        self.begin = time.time()
        try:
            return function(*args, **more)
        finally:
            self.end = time.time()
            self.calls += 1

    def live(self, one: Known) -> bool | None:
        return one.is_live(self.begin, self.end)

    def forget(self, one: Known) -> None:
        one.gone = True
        self.known.pop(one.token, None)
        self.dead.append(one.token)

    def was_right(self, one: Known, found: bool) -> bool:
        """Was it right that the token was found, or that it was not? True: it is there."""
        live = self.live(one)
        assert live is None or live == found, (one, found, self.begin, self.end)
        if not found:
            self.forget(one)
        return found

    def check(self, one: Known, token: Token, *, end: bool) -> None:
        assert (token.owner, token.data, token.id, token.sid) == (one.owner, one.data, one.id, one.sid)
        assert (token.idle, token.request, token.created_at) == (one.idle, one.request, one.created)
        if end:
            assert token.expires_at == one.end

    # ---- choices -----------------------------------------------------------------------------------

    def owner(self) -> str:
        return f"owner {self.rng.randrange(4)}"

    def any(self) -> Known | None:
        return self.known[self.rng.choice(list(self.known))] if self.known else None

    def duration(self) -> float | None:
        return self.rng.choice((1, 1.1, 1.5, 3, 100, 1000, None))

    def changes(self) -> dict[str, Any]:
        return {self.rng.choice("abcd"): self.rng.choice((1, "x", [], {}, None, UNSET)) for _ in range(2)}

    # ---- calls -------------------------------------------------------------------------------------

    def arguments(self) -> dict[str, Any]:
        rng = self.rng
        return {
            "owner": None if rng.random() < 0.1 else self.owner(),
            "data": {rng.choice("abcd"): rng.choice((1, "x", [], {}))},
            "duration": self.duration(),
            "idle": rng.choice((None, None, 1, 2, 200)),
            "request": rng.choice((None, {"address": "::1"}, {"user_agent": 'a"{é'})),
            "custom_token": f"custom {rng.randrange(10**9)}" if rng.random() < 0.1 else None,
        }

    def add(self, token: Token, given: dict[str, Any]) -> None:
        ends = [d for d in (given["duration"], given["idle"]) if d is not None]
        request = given["request"]
        if request is not None:
            request = {"address": None, "user_agent": None, **request}
        assert (token.owner, token.data, token.request) == (given["owner"], given["data"], request)
        created = token.created_at
        assert self.begin - BEHIND <= created <= self.end + MARGIN
        end = token.expires_at
        assert (end is None) == (not ends)
        assert end is None or abs(end - created - min(ends)) < 0.002
        until = created + given["duration"] if given["idle"] and given["duration"] else None
        secret, custom = str(token.token), given["custom_token"] is not None
        self.known[secret] = Known(
            secret, token.owner, token.data, created, end, token.id, token.sid, token.idle, until, request, custom
        )

    def create(self) -> None:
        given = self.arguments()
        self.add(self.call(self.tokens.create, **APP, **given), given)

    def create_many(self) -> None:
        given = [self.arguments() for _ in range(3)]
        for token, one in zip(self.call(self.tokens.create_many, [{**APP, **g} for g in given]), given):
            self.add(token, one)

    def get(self) -> None:
        if (one := self.any()) is None:
            return
        expiry = self.rng.random() < 0.5
        token = self.call(self.tokens.get, **APP, token=one.token, expiry=expiry)
        if self.was_right(one, token is not None):
            self.check(one, token, end=expiry)

    def get_dead(self) -> None:
        if self.dead:
            secret = self.rng.choice(self.dead[-50:])
            assert self.call(self.tokens.get, **APP, token=secret) is None
            assert self.call(self.tokens.refresh, **APP, token=secret, duration=5) is False
            assert self.call(self.tokens.update, **APP, token=secret, data={"a": 1}) is None
            assert self.call(self.tokens.rotate, **APP, token=secret, grace=5) is None

    def get_many(self) -> None:
        some = [one for one in (self.any() for _ in range(4)) if one is not None]
        found = self.call(self.tokens.get_many, **APP, tokens=[one.token for one in some])
        for one, token in zip(some, found):
            if one.token in self.known and self.was_right(one, token is not None):
                self.check(one, token, end=False)

    def slid(self, one: Known, token: Token, by: float | None) -> None:
        """What a use has made of the end."""
        before, after = one.end, token.expires_at
        if before is None or by is None:
            assert after == before
            return
        lowest, highest = self.begin + by, self.end + by
        if one.until is not None:
            lowest, highest = min(lowest, one.until), min(highest, one.until)
        assert after is not None
        assert max(before, lowest) - MARGIN <= after <= max(before, highest) + MARGIN, (one, token)
        one.end = after

    def use(self) -> None:
        if (one := self.any()) is None:
            return
        refresh = self.rng.choice((True, 1, 2, 50))
        token = self.call(self.tokens.get, **APP, token=one.token, refresh=refresh)
        if self.was_right(one, token is not None):
            self.check(one, token, end=False)
            self.slid(one, token, one.idle if refresh is True else refresh)

    def refresh(self) -> None:
        if (one := self.any()) is None:
            return
        duration = self.rng.choice((1, 2, 30))
        if self.was_right(one, self.call(self.tokens.refresh, **APP, token=one.token, duration=duration)):
            begin, end = self.begin, self.end
            token = self.call(self.tokens.get, **APP, token=one.token, expiry=True)
            assert token is not None
            assert token.expires_at is not None
            assert begin + duration - MARGIN <= token.expires_at <= end + duration + MARGIN
            one.end = token.expires_at

    def update(self) -> None:
        if (one := self.any()) is None:
            return
        rng, changes = self.rng, self.changes()
        more: dict[str, Any] = {}
        if rng.random() < 0.3:
            more["keep_null"] = True
        if rng.random() < 0.2:
            more["refresh"] = rng.choice((True, 1, 20))
        if rng.random() < 0.3:
            more["unset"] = [name for name in "abcd" if name not in changes and rng.random() < 0.5]
        expect = {n: one.data.get(n, UNSET) for n in "abcd"} if rng.random() < 0.3 else None
        wrong = expect is not None and rng.random() < 0.3
        if expect is not None:
            more["expect"] = {**expect, "a": "another value"} if wrong else expect
        by_id = one.owner is not None and rng.random() < 0.3
        which = {"owner": one.owner, "id": rng.choice((one.id, one.sid))} if by_id else {"token": one.token}
        method = self.tokens.update_by_id if by_id else self.tokens.update
        try:
            token = self.call(method, **APP, **which, data=changes, **more)
        except tokenstore.ConflictError:
            assert wrong
            assert self.live(one) is not False
            return
        if self.was_right(one, token is not None):
            assert not wrong
            for name, value in changes.items():
                if value is UNSET:
                    continue
                if value is None and not more.get("keep_null"):
                    one.data.pop(name, None)
                else:
                    one.data[name] = value
            for name in more.get("unset", ()):
                one.data.pop(name, None)
            self.check(one, token, end=False)
            if "refresh" in more:
                refresh = more["refresh"]
                self.slid(one, token, one.idle if refresh is True else refresh)

    def update_all(self) -> None:
        owner, changes = self.owner(), {"d": self.rng.randrange(100)}
        changed = self.call(self.tokens.update_all, **APP, owner=owner, data=changes)
        live = [one for one in self.known.values() if one.owner == owner]
        sure = [one for one in live if self.live(one)]
        assert len(sure) <= changed <= len([one for one in live if self.live(one) is not False])
        for one in live:
            one.data.update(changes)

    def rotate(self) -> None:
        if (one := self.any()) is None:
            return
        rng, more, home = self.rng, {}, one.owner
        duration, grace = rng.choice((None, None, 1, 60)), rng.choice((None, None, 1, 1.5, 40))
        if rng.random() < 0.3:
            more["data"] = {rng.choice("abcd"): rng.choice((1, "x", [], None))}
        if rng.random() < 0.3:
            more["owner"] = one.owner or self.owner()
        token = self.call(
            self.tokens.rotate, **APP, token=one.token, duration=duration, grace=grace, **more
        )
        if not self.was_right(one, token is not None):
            return
        del self.known[one.token]
        old = one.token
        one.token, one.id, one.custom, one.owner = str(token.token), token.id, False, token.owner
        assert token.owner == more.get("owner", one.owner)
        self.merge(one, more.get("data", {}))
        bound = home is None and one.owner is not None
        if bound:  # it begins anew, and nothing leads to it
            assert self.begin - MARGIN <= token.created_at <= self.end + MARGIN
            one.until = None if one.until is None else one.until + token.created_at - one.created
            one.created = token.created_at
            self.dead.append(old)
            for earlier in self.old:
                if earlier.one is one:
                    earlier.one = Known(**{**vars(one), "token": "", "gone": True})
        if duration is not None:
            assert token.expires_at is not None
            assert self.begin + duration - MARGIN <= token.expires_at <= self.end + duration + MARGIN
            one.end = token.expires_at
        self.check(one, token, end=True)
        self.known[one.token] = one
        if not bound:
            self.add_old(old, one, home, grace or 0)

    def merge(self, one: Known, data: dict[str, Any]) -> None:
        for name, value in data.items():
            if value is None:
                one.data.pop(name, None)
            else:
                one.data[name] = value

    def add_old(self, token: str, one: Known, home: str | None, grace: float) -> None:
        def capped(moment: float) -> float:
            return moment if one.end is None else min(moment, one.end)

        until = capped(self.begin + grace) if grace else self.begin
        for earlier in self.old:
            if earlier.one is one:  # what leads to this token has no longer grace than it
                earlier.grace, earlier.took = min(earlier.grace, until), max(earlier.took, self.end - self.begin)
        forgotten = (capped(self.begin + 86400), capped(self.end + 86400)) if self.reuse else (0.0, 0.0)
        self.old.append(Old(token, one, home, until, until, forgotten, self.end - self.begin))

    def present_old(self) -> None:
        """Any operation by a token that was rotated."""
        if not self.old:
            return
        rng, old = self.rng, self.rng.choice(self.old[-30:])
        one, changes = old.one, {"c": rng.randrange(9)}
        kind = rng.choice(("get", "get", "update", "refresh", "rotate", "rotate", "delete", "get_many"))
        arguments: dict[str, Any] = {"update": {"data": changes}, "refresh": {"duration": 20}}.get(kind, {})
        if kind == "rotate":
            arguments = {"grace": rng.choice((None, 5)), "data": rng.choice((None, changes))}
        try:
            if kind == "get_many":
                (got,) = self.call(self.tokens.get_many, **APP, tokens=[old.token])
            else:
                got = self.call(getattr(self.tokens, kind), **APP, token=old.token, **arguments)
            result = "found" if got else "none"
        except tokenstore.TokenReusedError as error:
            result, got = "reused", None
            assert error.sid == one.sid
        allowed = old.allowed(self.begin, self.end)
        if kind == "get_many" and result == "none" and "reused" in allowed:
            result = "reused"  # it is told by the log, and ends the family as well
        assert result in allowed, (kind, result, old, self.begin, self.end)
        sure = result == "reused" and "none" not in allowed
        if sure or (result == "reused" and self.call(self.tokens.get, **APP, token=one.token) is None):
            one.revoked = True
            self.forget(one)
        if kind == "delete" and old.token.startswith("custom") and result != "reused":
            old.tombstone = (0.0, 0.0)  # its alias is gone, and nothing leads there any more
        if result != "found":
            return
        if kind == "update" or (kind == "rotate" and arguments["data"]):
            one.data.update(changes)
        if kind == "refresh":
            begin, end = self.begin, self.end
            token = self.call(self.tokens.get, **APP, token=one.token, expiry=True)
            assert token is not None
            assert begin + 20 - MARGIN <= token.expires_at <= end + 20 + MARGIN
            one.end = token.expires_at
        elif kind == "delete":
            self.forget(one)
        else:
            self.check(one, got, end=kind == "rotate")
            assert got.superseded == (kind != "rotate")
            assert got.token == (one.token if kind == "rotate" else old.token)

    def take(self) -> None:
        if (one := self.any()) is not None:
            token = self.call(self.tokens.take, **APP, token=one.token)
            if self.was_right(one, token is not None):
                self.check(one, token, end=True)
                self.forget(one)

    def delete(self) -> None:
        if (one := self.any()) is None:
            return
        if one.owner is not None and self.rng.random() < 0.5:
            name = self.rng.choice((one.id, one.sid))
            found = self.call(self.tokens.delete_by_id, **APP, owner=one.owner, id=name)
        else:
            found = self.call(self.tokens.delete, **APP, token=one.token)
        if self.was_right(one, found):
            self.forget(one)

    def delete_all(self) -> None:
        owner = self.owner()
        theirs = [one for one in self.known.values() if one.owner == owner]
        keep = self.rng.choice(theirs) if theirs and self.rng.random() < 0.5 else None
        which = None if keep is None else self.rng.choice((keep.id, keep.token, keep.sid))
        ended = self.call(self.tokens.delete_all, **APP, owner=owner, keep=which)
        others = [one for one in theirs if one is not keep]
        sure = [one for one in others if self.live(one)]
        assert len(sure) <= ended <= len([one for one in theirs if self.live(one) is not False])
        for one in others:
            self.forget(one)
        kept = None if keep is None or self.live(keep) is False else keep
        if kept is not None and self.live(kept) is None:
            kept = kept if self.call(self.tokens.get, **APP, token=kept.token) else None
        gone = [old for old in self.old if old.home == owner and old.one is not kept]
        self.old = [old for old in self.old if old not in gone]
        self.dead += [old.token for old in gone]

    def list(self) -> None:
        owner = self.owner()
        found = {token.id: token for token in self.call(self.tokens.list, **APP, owner=owner)}
        begin, end = self.begin, self.end
        theirs = [one for one in self.known.values() if one.owner == owner]
        for one in theirs:
            if self.was_right(one, one.id in found):
                self.check(one, found.pop(one.id), end=True)
            self.begin, self.end = begin, end
        assert found == {}
        count = self.call(self.tokens.count, **APP, owner=owner)
        theirs = [one for one in theirs if one.token in self.known]
        assert len([o for o in theirs if self.live(o)]) <= count
        assert count <= len([o for o in theirs if self.live(o) is not False])

    def run(self, over: Callable[[], bool]) -> None:
        weighted = (
            *((self.create, 20), (self.create_many, 2), (self.get, 20), (self.get_dead, 3), (self.get_many, 5)),
            *((self.use, 12), (self.refresh, 5), (self.update, 15), (self.update_all, 1), (self.rotate, 10), (self.present_old, 10)),
            *((self.take, 3), (self.delete, 6), (self.delete_all, 1), (self.list, 3)),
        )
        functions = [function for function, _ in weighted]
        weights = [weight for _, weight in weighted]
        while not over():
            self.rng.choices(functions, weights)[0]()


@pytest.mark.parametrize("seed", range(2))
def test_model(client: tokenstore.Client, server: Server, seed: int) -> None:
    tokens = RedisTokens(client, touch_interval=0, reuse="revoke" if seed else "ignore")
    model = Model(tokens, seed, reuse=seed > 0)
    model.run(lambda: model.calls >= CALLS // 2)
    # In the end nothing is there that the model does not know, but for what has ended.
    owners = {one.owner for one in model.known.values()} - {None}
    for owner in owners:
        tokens.delete_all(**APP, owner=owner)
    for one in list(model.known.values()):
        tokens.delete(**APP, token=one.token)
    for key in stored.hashes(server):
        for record in server("HVALS", key):
            # What has ended, on a server that cannot end fields, or what a rotation left.
            assert record[13:14] in (b"e", b"r"), record
