"""The extension: storage of values, operations and the blocking driver. Private."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from typing import Any, Generic, TypedDict, TypeVar, final

from typing_extensions import disjoint_base

from tokenstore._types import Duration, NewToken, Text

_R = TypeVar("_R", bound=Record)
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
    def target(self) -> Target: ...

class Target(TypedDict):
    host: str | None
    port: int
    path: str | None
    tls: bool
    ca: str | None
    cert: str | None
    key: str | None
    server_name: str | None
    timeout: float
    connect_timeout: float

@final
class Call(Generic[_T]):
    def __new__(
        cls,
        op: Op[_T],
        loop: AbstractEventLoop,
        client: Client,
        now: float,
        timeout: Duration | None,
        /,
    ) -> Call[_T]: ...
    line: Any
    @property
    def began(self) -> float: ...
    @property
    def deadline(self) -> float: ...
    @property
    def sent(self) -> bool: ...
    @property
    def over(self) -> bool: ...
    @property
    def pause(self) -> float: ...
    @property
    def reconnect(self) -> bool: ...
    def start(self) -> int: ...
    def awake(self) -> int: ...
    def lost(self, error: BaseException, final: bool, /) -> int: ...
    def expire(self, why: str, /) -> int: ...
    def fail(self, error: BaseException, /) -> None: ...
    def abandon(self) -> None: ...
    def __await__(self) -> Generator[Any, None, _T]: ...

@final
class Channel:
    def __new__(cls, client: Client, serve: Callable[[Call[Any], int], None], /) -> Channel: ...
    @property
    def buffer(self) -> memoryview: ...
    @property
    def oldest(self) -> Call[Any] | None: ...
    def hello(self, fd: int, /) -> bytes: ...
    def greet(self, size: int, /) -> bool: ...
    def send(self, call: Call[Any], /) -> int: ...
    def take(self) -> bytes: ...
    def feed(self, size: int, /) -> bool: ...
    def drain(self) -> list[Call[Any]]: ...
    def live(self) -> int: ...
    def __len__(self) -> int: ...

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

def commands(commands: tuple[Any, ...], /) -> Op[list[Any]]: ...
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
    ) -> Spike: ...
    def get(self, audience: Text, /) -> str: ...
    def invalidate(self, audience: Text, token: Text, /) -> None: ...
    def initialize(self) -> None: ...
    def is_initialized(self) -> bool: ...
    def close(self) -> None: ...

def creator_options(options: dict[str, Any], /) -> dict[str, Any]: ...
