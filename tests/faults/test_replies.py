"""Broken requests and replies, at every byte: never a wrong result, and the next call works."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest

import fault_server as faults
import node_operations  # noqa: F401  (adds to OPERATIONS)
import tokenstore
from conftest import SOAK, Setup
from fault_server import Fault
from operations import OPERATIONS, A, Operation
from timing import TRIES, connect, has_time_enough

MAX_REPLY_SIZE = 64 << 20
DENIED = (tokenstore.ConnectionError, tokenstore.TimeoutError)


@pytest.fixture(scope="module")
def store(setup: Setup) -> Iterator[tokenstore.RedisTokens]:
    with setup.client(timeout=5) as client:
        yield tokenstore.RedisTokens(client)


@pytest.fixture(scope="module")
def hasty(setup: Setup) -> Iterator[tokenstore.RedisTokens]:
    with setup.client(timeout=0.1) as client:
        yield tokenstore.RedisTokens(client)


@pytest.fixture
def known(direct: tokenstore.RedisTokens) -> tokenstore.Token:
    return direct.create(**A, owner="known", data={"known": True})


@pytest.fixture(params=OPERATIONS, ids=lambda o: o.name)
def operation(request: pytest.FixtureRequest) -> Operation:
    return request.param


class Trial:
    """Runs one operation with several faults in turn."""

    def __init__(
        self,
        setup: Setup,
        store: tokenstore.RedisTokens,
        direct: tokenstore.RedisTokens,
        known: tokenstore.Token,
        operation: Operation,
    ) -> None:
        self.setup, self.store, self.direct, self.known = setup, store, direct, known
        self.operation = operation
        self.outcomes: dict[str, int] = {}
        self.hurried = False  # the timeout is short for a busy machine

    def sizes(self) -> tuple[int, int]:
        """Of the operation's request and reply."""
        assert self.run(faults.record) == "done"
        return len(self.setup.server.last_request), len(self.setup.server.last_reply)

    def offsets(self, size: int) -> list[int]:
        """Every byte in `make soak`, otherwise a random sample, at most."""
        if not SOAK and size > self.setup.offsets:
            return sorted(random.sample(range(size), self.setup.offsets))
        return list(range(size))

    def run(self, *armed: Fault, errors: tuple[type[Exception], ...] = ()) -> str:
        """Calls with the faults armed, checks the effects and that the next call works. Returns how it ended:
        "done", "unknown", "denied" or "limit"; "unmet": the deadline passed before the fault. `errors`:
        further exceptions for an unknown outcome."""
        operation = self.operation
        case = operation.begin(self.direct)
        self.setup.server.arm(*armed)
        try:
            result = operation.call(self.store, case)
        except tokenstore.OutcomeUnknownError:
            assert not operation.reads
            operation.either(case)
            outcome = "unknown"
        except DENIED:
            operation.undone(case)
            outcome = "denied"
        except tokenstore.LimitError:
            operation.either(case)
            outcome = "limit"
        except errors:
            operation.either(case)
            outcome = "denied"
        else:
            operation.done(case, result)
            outcome = "done"
        if self.setup.server.pending > 0:
            assert self.hurried, "the fault was not met"
            self.setup.server.arm()
            outcome = "unmet"
        self.works()
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        return outcome

    def works(self) -> None:
        """A call works."""

        def call() -> None:
            if self.hurried:
                connect(self.store.client)
            found = self.store.get(**A, token=self.known.token)
            assert found is not None
            assert found.data == {"known": True}

        has_time_enough(call, *((tokenstore.TimeoutError,) if self.hurried else ()))


@pytest.fixture
def trial(
    setup: Setup,
    store: tokenstore.RedisTokens,
    direct: tokenstore.RedisTokens,
    known: tokenstore.Token,
    operation: Operation,
) -> Trial:
    made = Trial(setup, store, direct, known, operation)
    made.works()  # a first call loads the scripts, so that the request size is constant
    made.run(faults.record)
    return made


def lost(trial: Trial) -> str:
    """The required end of an operation whose reply was lost once."""
    return "unknown" if trial.operation.once else "done"


def test_split_at_every_byte(trial: Trial) -> None:
    for at in trial.offsets(trial.sizes()[1] - 1):
        assert trial.run(faults.split(at + 1)) == "done"


def test_drip(trial: Trial) -> None:
    assert trial.run(faults.drip) == "done"


def test_reset_at_every_byte_of_the_request(trial: Trial) -> None:
    for at in trial.offsets(trial.sizes()[0]):
        assert trial.run(faults.reset_request(at)) == lost(trial)


def test_reset_at_every_byte_of_the_reply(trial: Trial) -> None:
    for at in trial.offsets(trial.sizes()[1]):
        assert trial.run(faults.reset_reply(at)) == lost(trial)


def test_end_at_every_byte_of_the_reply(trial: Trial) -> None:
    for at in trial.offsets(trial.sizes()[1]):
        assert trial.run(faults.close_reply(at)) == lost(trial)


def test_reset_after_the_reply(trial: Trial) -> None:
    """The next call finds the idle connection dead, without consequences."""
    for fault in (faults.reset_reply, faults.close_reply):
        # RST may overtake the reply, which is lost then. The second round trip of several may meet the dead connection.
        ends = {"done", lost(trial), "unknown" if trial.operation.reads_first else "done"}
        assert trial.run(fault(trial.sizes()[1])) in ends


def test_reset_again_and_again(trial: Trial) -> None:
    """Repeated losses: a read fails with ConnectionError soon; a change has an unknown outcome."""
    outcome = trial.run(*[faults.reset_reply(0)] * (1 if trial.operation.once else 4))
    assert outcome == ("denied" if trial.operation.reads or trial.operation.reads_first else "unknown")


def test_answered_twice(trial: Trial) -> None:
    assert trial.run(faults.twice) == lost(trial)
    assert trial.run(faults.twice) == lost(trial)


def test_answered_twice_apart(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second copy arrives while the connection is idle, or as the reply to the next request. Then that
    request fails, instead of accepting a wrong reply, and the next works."""
    works = trial.works

    def works_at_the_second_try() -> None:
        with suppress(tokenstore.ConnectionError, tokenstore.DataError):
            works()
        works()

    monkeypatch.setattr(trial, "works", works_at_the_second_try)
    several = ("denied", "unknown") if trial.operation.trips > 1 else ()
    for _ in range(30 if SOAK else 10):
        assert trial.run(faults.twice_apart) in ("done", lost(trial), *several)


def test_answered_late(trial: Trial) -> None:
    """The previous reply arrives again, before the right one."""
    for before in OPERATIONS if SOAK else random.sample(OPERATIONS, 6):
        Trial(trial.setup, trial.store, trial.direct, trial.known, before).run(faults.record)
        trial.setup.server.arm(faults.record)
        before.call(trial.store, before.begin(trial.direct))
        assert trial.run(faults.previous_first) == lost(trial)


GARBAGE = [
    b"\x00" * 10,
    b"\r\n",
    b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"$abc\r\n",
    b"$-2\r\n",
    b"$5\r\nabcdefgh\r\n",
    b"*-5\r\n",
    b"*abc\r\n",
    b":\r\n",
    b":1a\r\n",
    b":99999999999999999999\r\n",
    b"$18446744073709551616\r\n",
    b"\xff\xfe\xfd",
]


def test_garbage(trial: Trial) -> None:
    """Invalid RESP is treated as a lost connection."""
    for data in GARBAGE:
        assert trial.run(faults.instead(data)) == lost(trial), data


def ends_in_time(
    trial: Trial, hasty: tokenstore.RedisTokens, endless: list[bytes], *outcomes: str
) -> None:
    """Waits for each no longer than the deadline, with at most twice max_reply_size of memory."""
    trial.store, trial.hurried = hasty, True
    before = peak_memory()
    for data in endless if SOAK else random.sample(endless, 2):
        for _ in range(TRIES):  # the short deadline may pass before anything is sent
            connect(hasty.client)
            outcome = trial.run(faults.instead(data))
            if outcome != "unmet":
                break
        assert outcome in outcomes, data
        assert not (trial.operation.reads and outcome == "unknown"), data
    assert peak_memory() - before < 2 * MAX_REPLY_SIZE


def test_enormous_values(trial: Trial, hasty: tokenstore.RedisTokens) -> None:
    """Values that announce more than the limit, or are nested too deeply."""
    ends_in_time(trial, hasty, ENORMOUS, "limit", "denied", lost(trial), "unknown")


ENORMOUS = [
    b"$1073741824\r\nabc",
    b"$9223372036854775807\r\n",
    b"*1\r\n$1073741824\r\n",
    b"*1073741824\r\n",
    b"*1073741824\r\n" * 7,
    b"*4294967297\r\n",
    b"*9223372036854775807\r\n",
    b"*1\r\n" * 200,
]


def test_endless_values(trial: Trial, hasty: tokenstore.RedisTokens) -> None:
    """Values that announce more than is ever sent."""
    ends_in_time(trial, hasty, ENDLESS, "denied", lost(trial), "unknown")


ENDLESS = [
    b"$1048576\r\nabc",
    b"*1\r\n$67108000\r\n",
    b"*2\r\n*1048576\r\n" * 3,
]


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Valid RESP of the wrong type. (A nil instead of a token is the same as a missing token; raw commands accept
# any reply.)
ODD = [
    b"+OK\r\n",
    b":5\r\n",
    b"*0\r\n",
    b"*1\r\n*0\r\n",
    b"$3\r\nabc\r\n",
    b"$0\r\n\r\n",
    b"$2\r\n[]\r\n",
]
ODD += [b"*3\r\n$-1\r\n:1\r\n$1\r\nx\r\n", b"-ERR no\r\n", b"-\r\n", b"-WRONGTYPE x\r\n"]


def test_replies_of_another_kind(trial: Trial) -> None:
    if trial.operation.name in ("execute", "pipeline"):
        return  # raw commands accept any reply
    for reply in ODD:
        if trial.operation.name == "node_get_key" and reply.startswith(b"-WRONGTYPE"):
            continue  # a key of another type is not a token
        outcome = trial.run(
            faults.instead_of_each(reply),
            errors=(tokenstore.DataError, tokenstore.ServerError),
        )
        assert outcome != "done", reply


def test_random_bytes(trial: Trial) -> None:
    generator = random.Random(trial.operation.name)
    for _ in range(20):
        data = generator.randbytes(generator.randrange(1, 200))
        # Never valid: no RESP type begins with this byte.
        assert trial.run(faults.instead(b"\x80" + data)) == lost(trial)


def test_dropped_while_idle(trial: Trial) -> None:
    for _ in range(5):
        trial.setup.server.drop()
        assert trial.run() == "done"


def test_stray_bytes_while_idle(trial: Trial) -> None:
    for stray in (b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*0\r\n", b"x"):
        trial.setup.server.inject(stray)
        assert trial.run() == "done"
