"""Names that would be markup: each is shown as it is, and makes no element."""

from __future__ import annotations

from collections import Counter

import pytest
from selectolax.lexbor import LexborHTMLParser

import tokenstore
from asking import Asker
from odd_names import names, visible
from servers import Server
from tokenstore.console._markup import attribute_url, name, text

NAMES = 10_000


def elements(tree: LexborHTMLParser, selector: str = "*") -> Counter[str]:
    """Elements and their attributes."""
    return Counter(f"{node.tag} {' '.join(node.attributes)}" for node in tree.css(selector))


def test_names_make_no_element() -> None:
    """In content, in an attribute, and as the query of an address: ten thousand, in a page each hundred."""
    plain = elements(page_of(["bob"] * 100))
    given = [*names(NAMES)]
    for first in range(0, NAMES, 100):
        part = given[first : first + 100]
        tree = page_of(part)
        assert elements(tree) == plain
        for each, row in zip(part, tree.css("p")):
            shown = row.css_first("bdi").text()
            assert shown == visible(each)
            assert row.attributes["title"] == shown
            assert all(c == " " or c.isprintable() for c in shown)
            assert "\u202e" not in shown


def page_of(given: list[str]) -> LexborHTMLParser:
    rows = (
        f'<p title="{text(each)}"><a href="{attribute_url("", "/owner", {"owner": each})}">{name(each)}</a></p>'
        for each in given
    )
    return LexborHTMLParser(f"<!doctype html><title>t</title><main>{''.join(rows)}</main>")


def test_names_in_the_pages(ask: Asker, server: Server) -> None:
    """As owner, app, type, address and user agent, and back again through the links."""
    given = [each.replace("\0", "") or "x" for each in names(60)]
    plain = sizes(ask, server, "bob", "shop", "session", "agent")
    for each in given:
        assert sizes(ask, server, each, each, each + "2", each) == plain, ascii(each)


def sizes(ask: Asker, server: Server, owner: str, app: str, type: str, agent: str) -> list[Counter[str]]:
    """The elements of all pages about one token; it is ended."""
    names = [each.encode(errors="surrogateescape") for each in (app, type, owner)]
    asked = {"address": agent.encode(errors="surrogateescape"), "user_agent": agent.encode(errors="surrogateescape")}
    with tokenstore.RedisTokens(server.url) as tokens:  # a client registers some dozens of kinds
        for _ in range(2):
            made = tokens.create(*names, request=asked)
    found = ask.get("/owner", owner=names[2])
    assert found.shown("h1") == " ".join(visible(owner).split())
    one = found.tree.css_first("tbody a").attributes["href"] or ""
    all_, *_ = (node.attributes["href"] or "" for node in found.tree.css("a.danger"))
    pages = [found, ask.get(one), ask.get(one.replace("/session", "/end")), ask.get(all_)]
    assert [page.status for page in pages] == [200] * 4
    assert made.id in pages[1].text
    counted = [elements(page.tree) for page in pages]
    for page in pages:
        assert not page.tree.css("script, style, main img, main svg, main b, main plaintext, [onclick], [onfocus], [onload]")
    action = pages[3].tree.css_first("main form").attributes["action"] or ""
    assert ask.post(action).status == 303
    assert "has no live token" in ask.get("/owner", owner=names[2]).shown()
    return counted


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("bob", "bob"),
        ("a b", "a b"),
        ("<b>", "&lt;b&gt;"),
        ("\"'&", "&quot;&#x27;&amp;"),
        ("bob\u202eecila", "bob⟨U+202E⟩ecila"),
        ("nul\0", "nul⟨U+0000⟩"),
        ("byte\udcff", "byte⟨FF⟩"),
        ("of JSON\ud800", "of JSON⟨U+D800⟩"),
        ("nbsp\xa0", "nbsp⟨U+00A0⟩"),
        ("日本 é שלום", "日本 é שלום"),
    ],
)
def test_what_cannot_be_seen_is_written_out(given: str, shown: str) -> None:
    assert text(given) == shown
