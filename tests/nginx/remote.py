"""A RedisTokens whose calls run in nginx, with the same interface as the blocking driver, so that its tests
can be reused."""

from __future__ import annotations

import base64
import json
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import tokenstore
from nginx_server import Nginx

LOCATION = f"""
  client_max_body_size 64m;
  location = /remote {{ content_by_lua_file {Path(__file__).parent}/remote.lua; }}
"""

ERRORS = {
    "configuration": tokenstore.ConfigurationError,
    "connection": tokenstore.ConnectionError,
    "timeout": tokenstore.TimeoutError,
    "outcome_unknown": tokenstore.OutcomeUnknownError,
    "server": tokenstore.ServerError,
    "data": tokenstore.DataError,
    "limit": tokenstore.LimitError,
}


def pack(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    return value


def unpack(value: Any) -> Any:
    """Replies as from the blocking driver: str for text."""
    if isinstance(value, dict):
        data = base64.b64decode(value["b64"])
        return data.decode() if data in (b"OK", b"PONG") else data
    if isinstance(value, list):
        return [unpack(item) for item in value]
    return None if value is False else value


def to_token(value: Any) -> Any:
    if isinstance(value, list):
        return [to_token(item) for item in value]
    if isinstance(value, dict):
        names = ("app", "type", "owner", "data", "token", "id", "created_at", "expires_at")
        return tokenstore.Token(*(value.get(name) for name in names))
    return value


class Remote:
    def __init__(self, nginx: Nginx, url: str, **options: Any) -> None:
        self.nginx = nginx
        self.url = url + ("&" if "?" in url else "?") + urlencode(options)
        self.connection = nginx.connect()

    def ask(self, call: str, args: Any, **more: Any) -> Any:
        body = json.dumps({"url": self.url, "call": call, "args": args, **more})
        try:
            self.connection.request("POST", "/remote", body)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, HTTPException):
            self.connection.close()
            raise
        assert response.status == 200, self.nginx.log[-20:]
        answer = json.loads(text)
        if "message" in answer:
            raise ERRORS[answer["code"]](answer["message"])
        return answer.get("value")

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class RemoteClient(Remote):
    def execute(self, *args: Any) -> Any:
        return unpack(self.ask("execute", pack(args)))

    def node_store(self, prefix: str) -> RemoteNodeStore:
        return RemoteNodeStore(self, prefix)

    def pipeline(self, commands: Any, timeout: float | None = None) -> Any:
        return unpack(
            self.ask("pipeline", pack(commands), options={"timeout": timeout} if timeout else {})
        )


class RemoteNodeStore:
    """A Tokenstore."""

    def __init__(self, client: RemoteClient, prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    NAMES = {
        "add": ("owner_id", "attrs"),
        "get": ("id",),
        "get_key": ("key",),
        "set": ("id", "attrs"),
        "delete": ("id",),
        "delete_key": ("key",),
        "list": ("owner_id",),
        "get_hash": ("hash",),
        "take_hash": ("hash",),
        "del_hash": ("hash",),
        "reset": (),
    }

    def call(self, name: str, *args: Any, **more: Any) -> Any:
        named = dict(zip(self.NAMES[name], args))
        named |= {key: value for key, value in more.items() if value is not None}
        result = self.client.ask(name, named, prefix=self.prefix)
        if isinstance(result, list):
            return [tokenstore.NodeToken(token) for token in result]
        return tokenstore.NodeToken(result) if isinstance(result, dict) else result

    def __getattr__(self, name: str) -> Any:
        return partial(self.call, name)


class RemoteTokens(Remote):
    def __init__(self, nginx: Nginx, url: str, **options: Any) -> None:
        super().__init__(nginx, url, **options)
        self.client = RemoteClient(nginx, url, **options)

    def close(self) -> None:
        super().close()
        self.client.close()

    def create_many(self, args: list[Any]) -> Any:
        return to_token(self.ask("create_many", args))

    def get_many(self, **args: Any) -> Any:
        return [to_token(t) if t else None for t in self.ask("get_many", args)]

    def __getattr__(self, name: str) -> Any:
        return lambda **args: to_token(self.ask(name, args))
