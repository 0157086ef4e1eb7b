"""A page of 20 requests, sent by a browser side by side, of which one rotates the session's token.

TOKENSTORE_ROUNDS is the number of pages, 1000 in `make soak`. With -s it shows how many requests were logged out.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import tokenstore
from racing import SOAK
from servers import Server
from tokenstore import RedisTokens

A = {"app": "web", "type": "login"}
PAGES = int(os.environ.get("TOKENSTORE_ROUNDS", 1000 if SOAK else 100))
REQUESTS = 20
WAY_S = 0.004  # of a request or an answer, at most


class Browser:
    """Sends the cookie that it has when a request begins, and keeps that of the last answer that sets one."""

    def __init__(self, tokens: RedisTokens, grace: int) -> None:
        self.tokens, self.grace = tokens, grace
        made = tokens.create(**A, owner="bob", data={"n": 0}, duration=3600)
        assert made.token is not None
        self.cookie = made.token

    def request(self, rotates: bool) -> bool:
        """True: the server knew the session."""
        cookie = self.cookie
        time.sleep(random.uniform(0, WAY_S))
        found = self.tokens.get(**A, token=cookie)
        if found is None:
            return False
        assert found.owner == "bob"
        if rotates:
            rotated = self.tokens.rotate(**A, token=cookie, grace=self.grace)
            if rotated is None:
                return False
            assert rotated.token is not None
            time.sleep(random.uniform(0, WAY_S))
            self.cookie = rotated.token
        return True


def visit(server: Server, grace: int, at_once: int, rotating: int) -> int:
    """How many requests were logged out. Then a browser logs in again."""
    logged_out = 0
    start = threading.Barrier(at_once)

    def work(browser: Browser, plan: list[bool]) -> int:
        start.wait(60)
        return sum(not browser.request(rotates) for rotates in plan)

    with tokenstore.Client(server.url, pool_size=at_once) as client, ThreadPoolExecutor(at_once) as threads:
        tokens = RedisTokens(client)
        browser = Browser(tokens, grace)
        for _ in range(PAGES):
            plan = [n < rotating for n in range(REQUESTS)]
            random.shuffle(plan)
            parts = [plan[n::at_once] for n in range(at_once)]
            out = sum(threads.map(lambda part, browser=browser: work(browser, part), parts))
            logged_out += out
            assert tokens.get(**A, token=browser.cookie) is not None
    return logged_out


@pytest.mark.parametrize("at_once", [6, 20])  # connections of HTTP/1.1, streams of HTTP/2
def test_a_page_that_rotates_logs_requests_out(server: Server, at_once: int) -> None:
    out = visit(server, 0, at_once, 1)
    print(f"\nwithout grace, {at_once} at a time: {out} of {PAGES * REQUESTS} requests were logged out")
    assert 0 < out < PAGES * REQUESTS


@pytest.mark.parametrize("rotating", [1, REQUESTS])  # so many of the requests
@pytest.mark.parametrize("at_once", [6, 20])
def test_with_a_grace_nobody_is_logged_out(server: Server, at_once: int, rotating: int) -> None:
    assert visit(server, 10, at_once, rotating) == 0
    assert server("DBSIZE") == 2  # one owner's, and that of the kinds
