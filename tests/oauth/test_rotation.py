"""A server changes its keys and is briefly down: tokens continue to work, in each language."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from conftest import DRIVERS, Make, Start, absent
from real_servers import SERVERS, RealServer


@pytest.mark.parametrize(
    "kind",
    [kind for kind in SERVERS if kind.algorithms],
    ids=lambda kind: kind.name,
)
def test_new_keys_are_found(start: Start, make: Make, kind: type[RealServer]) -> None:
    server = start(kind)
    before, after = (server.audience("jwt", name) for name in ("before", "after"))
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(make(name).open(server.options(server.methods[0])))
            for name in DRIVERS
            if absent(name) is None
        }
        kept = {name: get(before) for name, get in opened.items()}
        server.rotate()
        for name, get in opened.items():
            assert get(before) == kept[name], name
            assert get(after), name
