"""The part of the C core that needs libcurl, for tokenstore.spike and tokenstore.jwt. Private.

Written by hand: bindings/python/src/py_oauth_module.c is what it describes.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from tokenstore._core import Client, Key
from tokenstore._types import Duration, Text

_Key = TypeVar("_Key", bound=Key)

@final
class RemoteKeys:
    def __new__(
        cls,
        *,
        log: Callable[[str, str], object],
        url: bytes,
        ca: bytes | None,
        cert: bytes | None,
        key: bytes | None,
        proxy: bytes | None,
        insecure: bool,
        nonblocking: bool,
        max_age_ms: int,
        max_stale_ms: int,
        interval_ms: int,
        timeout_ms: int,
    ) -> RemoteKeys: ...
    def decode(
        self,
        seen: int | None,
        token: Any,
        algorithms: Any,
        audience: Any,
        issuer: Any,
        leeway: Any,
        require: Any,
        now: float | None,
        typ: str | None,
        max_size: int | None,
        complete: bool,
        any_audience: bool,
        verify_exp: bool,
        /,
    ) -> Any: ...
    def list(self, cls: type[_Key], wait: bool, /) -> list[_Key] | None: ...
    def close(self) -> None: ...

_Texts = Text | Sequence[str] | None

@final
class Spike:
    def __new__(
        cls,
        redis: Client | None,
        log: Callable[[str, str], object],
        ask: Callable[[], Text] | None,
        client_key: Key | None,
        options: dict[str, Any],
        http: dict[str, Any],
        faults: bytes,
        /,
    ) -> Spike: ...
    def get(
        self,
        audience: Text | None = None,
        /,
        *,
        scope: _Texts = None,
        resource: _Texts = None,
        timeout: Duration | None = None,
    ) -> str: ...
    def peek(self, audience: Text | None, scope: _Texts, resource: _Texts, /) -> str | None: ...
    def wants(self, audience: Text | None, scope: _Texts, resource: _Texts, /) -> bool: ...
    def renew(
        self, given: Text, audience: Text | None, scope: _Texts, resource: _Texts, /
    ) -> None: ...
    def abandon(self, audience: Text | None, scope: _Texts, resource: _Texts, /) -> None: ...
    def invalidate(
        self, token: Text, audience: Text | None, scope: _Texts, resource: _Texts, /
    ) -> None: ...
    def initialize(self) -> None: ...
    def is_initialized(self) -> bool: ...
    def close(self) -> None: ...

def creator_options(options: dict[str, Any], /) -> dict[str, Any]: ...
