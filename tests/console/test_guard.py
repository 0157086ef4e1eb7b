"""What is refused, and what every response says."""

from __future__ import annotations

from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from asking import HOST, ORIGIN, OWN, Asker, Consoles, by_wsgi
from servers import Server
from tokenstore.console import Actor, Console
from tokenstore.console._routes import ROUTES

FORMS = [("/end?what=all&owner=bob", {}), ("/find", {"token": "1.2.3"})]


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in OWN.items() if key != name}


FOREIGN = {
    "no header at all": {},
    "no Sec-Fetch-Site": without("sec-fetch-site"),
    "no Origin": without("origin"),
    "another site": OWN | {"sec-fetch-site": "cross-site"},
    "a sibling": OWN | {"sec-fetch-site": "same-site"},
    "typed into the address bar": OWN | {"sec-fetch-site": "none"},
    "twice": OWN | {"sec-fetch-site": "same-origin, cross-site"},
    "another origin": OWN | {"origin": "https://evil.example"},
    "another scheme": OWN | {"origin": f"http://{HOST}"},
    "another port": OWN | {"origin": ORIGIN + ":8443"},
    "a longer name": OWN | {"origin": ORIGIN + ".evil.example"},
    "no origin to tell": OWN | {"origin": "null"},
}


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.parametrize(("path", "form"), FORMS)
def test_only_pages_of_the_console_change_something(
    ask: Asker, tokens: tokenstore.RedisTokens, path: str, form: dict[str, str], case: str
) -> None:
    tokens.create("shop", "session", "bob")
    answer = ask("POST", path, form=form, headers=FOREIGN[case])
    assert answer.status == 403
    assert ("no header Sec-Fetch-Site" in answer.shown()) == ("sec-fetch-site" not in FOREIGN[case])
    assert tokens.count("shop", "session", "bob") == 1


@pytest.mark.parametrize("path", [path for path, methods in ROUTES.items() if "POST" in methods])
def test_the_forms_above_are_all(path: str) -> None:
    assert path in [form.partition("?")[0] for form, _ in FORMS]


def test_behind_a_proxy(make: Consoles, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("shop", "session", "bob")
    headers = OWN | {"origin": "https://seen.example"}
    assert ask_to_end(make(), headers) == 403
    assert ask_to_end(make(origin="https://seen.example"), OWN) == 403
    assert ask_to_end(make(origin="https://seen.example"), headers) == 303


def ask_to_end(ask: Asker, headers: dict[str, str]) -> int:
    return ask("POST", "/end?what=all&owner=bob", headers=headers).status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "get"])
@pytest.mark.parametrize("path", ROUTES)
def test_other_methods(ask: Asker, path: str, method: str) -> None:
    assert ask(method, path, headers=OWN).status == 405


def test_get_ends_nothing(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("shop", "session", "bob")
    for method in ("GET", "HEAD"):
        answer = ask(method, "/end?what=all&owner=bob")
        assert answer.status == 200
        assert (answer.body == b"") == (method == "HEAD")
    assert tokens.count("shop", "session", "bob") == 1


def test_nobody_without_authorize(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("shop", "session", "bob")
    ask = make(actor=None)
    for path in [*ROUTES, "/nope"]:
        for method in ("GET", "POST"):
            answer = ask(method, path, headers=OWN, owner="bob", what="all")
            assert (answer.status, b"bob" in answer.body) == (403, False)
    assert tokens.count("shop", "session", "bob") == 1
    sent = make(actor=None, login_url="/in")
    assert (sent.get("/").status, sent.get("/").headers["location"]) == (303, "/in")
    assert sent.post("/end", what="all", owner="bob").status == 403
    with pytest.raises(TypeError, match="authorize"):
        make(authorize=None)
    with pytest.raises(TypeError, match="must return an Actor"):
        make(authorize=lambda request: True).get("/")
    with pytest.raises(ZeroDivisionError):  # it fails closed
        make(authorize=lambda request: 1 // 0).get("/")


def test_authorize_sees_the_request(make: Consoles) -> None:
    seen: list[Any] = []
    make(authorize=lambda request: seen.append(request) or "eve").get("/")
    assert ("REQUEST_METHOD" in seen[0]) or (seen[0]["type"] == "http")


def test_authorize_may_be_async(make: Consoles) -> None:
    async def who(request: Any) -> Actor:
        return Actor("eve")

    ask = make(authorize=who)
    if ask._run is None:
        with pytest.raises(TypeError, match="must not be async"):
            ask.get("/")
    else:
        assert "eve" in ask.get("/").shown("header")


def test_the_wrong_kind_of_store(server: Server) -> None:
    with tokenstore.RedisTokens(server.url) as store, tokenstore.Sessions(server.url) as sessions:
        console = Console(store, authorize=lambda request: None)
        with pytest.raises(TypeError, match="asgi needs a store of tokenstore.asyncio"):
            _ = console.asgi
        with pytest.raises(TypeError, match="must be a RedisTokens"):
            Console(sessions, authorize=lambda request: None)
        with pytest.raises(TypeError, match="jwt must be"):
            Console(store, authorize=lambda request: None, jwt=sessions)
    with pytest.raises(TypeError, match="wsgi needs a store of tokenstore"):
        _ = Console(tokenstore.asyncio.RedisTokens(server.url), authorize=lambda request: None).wsgi


def test_headers(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("shop", "session", "bob")
    answers = [ask.get("/"), ask.get("/owner", owner="bob"), ask.get("/owner"), ask.get("/nope"), ask.post("/find")]
    answers += [ask.get("/", format="json"), ask.post("/end", what="all", owner="bob")]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
    [style] = answers[0].tree.css("link[rel=stylesheet]")
    answers.append(ask.get(style.attributes["href"] or ""))
    assert answers[-1].status == 200
    for answer in answers:
        policy = answer.headers["content-security-policy"].split("; ")
        assert policy[0] == "default-src 'none'"
        assert {"style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= {*policy}
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert int(answer.headers["content-length"]) == len(answer.body)
    for answer in answers[:5]:
        assert not answer.tree.css("script, style, [style], [onclick], iframe, object")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/owner", 400),
        ("/owner?owner=", 400),
        ("/owner?owner=%00", 400),
        pytest.param("/owner?owner=" + "x" * 1025, 400, id="long"),
        ("/owner?owner=bob&after=x", 400),
        ("/session?owner=bob", 400),
        ("/session?owner=bob&app=a&type=t", 400),
        ("/session?owner=bob&app=a&type=t&id=nope", 404),
        ("/session?owner=bob&app=a&type=t&id=%ff%fe", 404),
        ("/session?owner=bob&app=a&type=t&id=%00", 400),
        ("/end?owner=bob&app=a&type=t&id=x&what=everything", 400),
        pytest.param("/owner?" + "&".join(f"f{n}=" for n in range(30)), 400, id="many"),
        ("/owner?owner=%E9&app=%FF&type=%FE", 200),
        ("/owner?owner=bob&ended=%3Cb%3E", 200),
        ("/../etc/passwd", 404),
        ("//evil.example/", 404),
        ("/console.css", 404),
    ],
)
def test_odd_requests(ask: Asker, path: str, status: int) -> None:
    answer = ask.get(path)
    assert answer.status == status
    assert not answer.tree.css("main b")


def test_too_much(ask: Asker) -> None:
    assert ask.post("/find", {"token": "x" * 20_000}).status == 413


def test_a_length_that_is_no_number(server: Server) -> None:
    with tokenstore.RedisTokens(server.url) as store:
        console = Console(store, authorize=lambda request: "alice")
        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "-1", "wsgi.url_scheme": "http"}
        assert by_wsgi(console.wsgi, environ).status == 400


def test_as_json(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    made = tokens.create("shop", "session", "bob\udcff".encode(errors="surrogateescape"))
    by_header = ask("GET", "/owner?owner=bob%FF", headers={"accept": "application/json"})
    assert by_header.headers["content-type"].startswith("application/json")
    [row] = by_header.json["rows"]
    assert (row["owner"], row["id"], row["sid"]) == ("bob\udcff", made.id, made.sid)
    assert "data" not in row
    assert "token" not in row
    assert ask.get("/nope", format="json").json == {"status": 404, "reason": "The console has no such page."}
    assert ask.get("/end", format="json", what="all", owner="bob").json["counts"] == []
    browser = {"accept": "text/html,application/xhtml+xml,application/json;q=0.9"}
    assert ask("GET", "/", headers=browser).headers["content-type"].startswith("text/html")
