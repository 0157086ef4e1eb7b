"""The extension: storage of values, operations and the blocking driver. Private."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from typing_extensions import disjoint_base

from tokenstore._types import Duration, NewToken, Text

_R = TypeVar("_R", bound=Record)
_V = TypeVar("_V", bound=dict[str, Any])
_T_co = TypeVar("_T_co", covariant=True)
_T = TypeVar("_T")

@disjoint_base
class Record:
    def __new__(
        cls,
        app: str,
        type: str,
        owner: str,
        data: dict[str, Any],
        token: str | None,
        id: str,
        created_at: float,
        expires_at: float | None,
    ) -> Record: ...
    @property
    def app(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...
    # None in a listing only, where nobody asks for it: "str | Any" spares all others the check.
    @property
    def token(self) -> str | Any: ...
    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> float: ...
    @property
    def expires_at(self) -> float | None: ...

@final
class Op(Generic[_T_co]): ...

@final
class Client:
    def __new__(cls, url: str, options: dict[str, str], /) -> Client: ...
    @property
    def closed(self) -> bool: ...
    def run(self, op: Op[_T], timeout: Duration | None = None, /) -> _T: ...
    def close(self) -> None: ...
    def describe(self) -> str: ...

@final
class Tokens(Generic[_R]):
    def __new__(
        cls,
        value_type: type[_R],
        prefix: Text,
        token_size: int,
        token_encoding: str,
        pepper: Text | None,
        max_age: Duration | None,
        touch_interval: Duration | None,
        max_per_owner: int | None,
        max_data_size: int,
        /,
    ) -> Tokens[_R]: ...
    def create(
        self,
        app: Text,
        type: Text,
        owner: Text,
        data: dict[str, Any] | None,
        duration: Duration | None,
        custom_token: Text | None,
        /,
    ) -> Op[_R]: ...
    def create_many(self, tokens: list[NewToken], /) -> Op[list[_R]]: ...
    def get(
        self, app: Text, type: Text, token: Text, refresh: Duration | None, expiry: bool, /
    ) -> Op[_R | None]: ...
    def get_many(self, app: Text, type: Text, tokens: Any, /) -> Op[list[_R | None]]: ...
    def refresh(self, app: Text, type: Text, token: Text, duration: Duration, /) -> Op[bool]: ...
    def update(
        self, app: Text, type: Text, token: Text, data: dict[str, Any], /
    ) -> Op[_R | None]: ...
    def rotate(
        self, app: Text, type: Text, token: Text, duration: Duration | None, /
    ) -> Op[_R | None]: ...
    def delete(self, app: Text, type: Text, token: Text, /) -> Op[bool]: ...
    def delete_all(self, app: Text, type: Text, owner: Text, /) -> Op[int]: ...
    def delete_by_id(self, app: Text, type: Text, owner: Text, id: Text, /) -> Op[bool]: ...
    def list(self, app: Text, type: Text, owner: Text, /) -> Op[list[_R]]: ...

@final
class NodeTokens(Generic[_V]):
    def __new__(
        cls,
        value_type: type[_V],
        prefix: Text,
        size: int,
        hash_size: int,
        max_data_size: int,
        /,
    ) -> NodeTokens[_V]: ...
    def add(
        self,
        owner_id: Text,
        attrs: dict[str, Any] | None,
        key: Text | None,
        duration: Duration | None,
        /,
    ) -> Op[_V]: ...
    def get(self, id: Text, /) -> Op[_V | None]: ...
    def get_key(self, key: Text, /) -> Op[_V | None]: ...
    def set(self, id: Text, attrs: dict[str, Any], /) -> Op[bool]: ...
    def delete(self, id: Text, /) -> Op[bool]: ...
    def delete_key(self, key: Text, /) -> Op[bool]: ...
    def list(self, owner_id: Text, /) -> Op[list[_V]]: ...
    def make_hash(self, value: Text, ttl: Duration, /) -> Op[str]: ...
    def get_hash(self, hash: Text, /) -> Op[str | None]: ...
    def take_hash(self, hash: Text, /) -> Op[str | None]: ...
    def del_hash(self, hash: Text, /) -> Op[bool]: ...
    def reset(self) -> Op[int]: ...

def commands(commands: tuple[Any, ...], /) -> Op[list[Any]]: ...
def move(
    tokens: Tokens[_R], keys: list[tuple[bytes, bytes, bytes, bytes, bytes, bytes]], /
) -> tuple[Op[list[int]], list[str | None]]: ...
@disjoint_base
class Key:
    @property
    def kid(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def algorithms(self) -> tuple[str, ...]: ...
    @property
    def can_sign(self) -> bool: ...

@disjoint_base
class KeySet:
    @property
    def skipped(self) -> int: ...
    def __len__(self) -> int: ...

_Key = TypeVar("_Key", bound=Key)
_KeySet = TypeVar("_KeySet", bound=KeySet)

def key_load(
    cls: type[_Key], kind: str, value: Any, kid: str | None, algorithm: str | None, /
) -> _Key: ...
def keyset_load(cls: type[_KeySet], value: Any, /) -> _KeySet: ...
def keyset_keys(keyset: KeySet, cls: type[_Key], /) -> list[_Key]: ...
def jwt_decode(
    token: Text,
    key: Any,
    algorithms: Any,
    audience: Any,
    issuer: Any,
    leeway: Any,
    require: Any,
    now: float | None,
    typ: str | None,
    complete: bool,
    /,
) -> Any: ...
def jwt_encode(
    claims: dict[str, Any], key: Key, algorithm: str, headers: dict[str, Any] | None, /
) -> str: ...
@final
class Spike:
    def __new__(
        cls,
        *,
        redis: Client | None,
        log: Callable[[str, str], object],
        token_url: bytes,
        key_url: bytes,
        key_text: bytes,
        client_id: bytes,
        client_secret: bytes,
        grant_type: bytes,
        scope: bytes,
        parameters: tuple[tuple[bytes, bytes], ...],
        host_header: bytes,
        json_body: bool,
        opaque: bool,
        redis_key: bytes,
        offset_ms: int,
        retries: int,
        factor: float,
        pause_ms: int,
        pause_max_ms: int,
        budget_ms: int,
        ca: str | None,
        cert: str | None,
        key: str | None,
        proxy: str | None,
        insecure: bool,
        connect_timeout_ms: int,
        faults: bytes,
    ) -> Spike: ...
    def get(self, audience: Text, /) -> str: ...
    def invalidate(self, audience: Text, token: Text, /) -> None: ...
    def initialize(self) -> None: ...
    def is_initialized(self) -> bool: ...
    def close(self) -> None: ...

@final
class SessionEvents:
    def __new__(
        cls, client: Client, configure: bool, keepalive: Duration | None, /
    ) -> SessionEvents: ...
    def next(
        self, milliseconds: int, /
    ) -> tuple[str, str, str] | tuple[str, float, float] | tuple[str, str] | None: ...
    def close(self) -> None: ...

def session_channels(db: int, /) -> list[str]: ...
def session_event(channel: bytes, key: bytes, db: int, /) -> tuple[str, str, str] | None: ...
def session_notify() -> Op[bool]: ...
def creator_options(options: dict[str, Any], /) -> dict[str, Any]: ...
