"""Written by scripts/async-stub from the blocking classes: change those, and run it again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Self

from tokenstore._closing import AsyncClosing
from tokenstore._log import Logger
from tokenstore._types import Duration, Path, Text
from tokenstore.asyncio._client import Client
from tokenstore.jwt import Key
from tokenstore.spike import ClientAuth

Redis = str | Client | None

class Spike(AsyncClosing):
    def __init__(self, url: str, client_id: str, client_secret: str | Callable[[], str] | None=None, redis: str | Client | None=None, token_key_prefix: str='spike-tokens-for-clientId-', public_key_path: Path | None=None, public_key_url: str | None=None, jwks_url: str | None=None, expiration_offset: Duration=10.0, retry: Mapping[str, float] | None=None, logger: Logger | None=None, ca: Path | None=None, *, cert: Path | None=None, key: Path | None=None, proxy: str | None=None, verify: bool=True, connect_timeout: Duration=5.0, client_auth: ClientAuth='auto', client_key: Key | Text | dict[str, Any] | None=None, client_algorithm: str | None=None, client_certificate: str | None=None, assertion_audience: str | None=None, client_secret_file: Path | None=None, client_assertion: Callable[[], str] | None=None, client_assertion_file: Path | None=None, headers: Mapping[str, str] | None=None, token_url: str | None=None, scope: str | Sequence[str] | None=None, audience_parameter: Literal['audience', 'resource'] | None='audience', expect_audience: str | None='{audience}', grant_type: str='client_credentials', parameters: Mapping[str, str] | None=None, body_format: Literal['form', 'json']='form', host_header: str | None=None, token_format: Literal['jwt', 'opaque']='jwt', default_lifetime: Duration | None=None, redis_key: str | None=None, redis_string: str | None=None, issuer: str | None=None, discovery: bool=False) -> None: ...
    @classmethod
    async def discover(cls, issuer: str, *args: Any, **options: Any) -> Self: ...
    async def get_token(self, audience: Text | None=None, *, scope: Text | Sequence[str] | None=None, resource: Text | Sequence[str] | None=None, timeout: Duration | None=None) -> str: ...
    getToken = get_token
    async def invalidate(self, audience: Text | None, token: Text, *, scope: Text | Sequence[str] | None=None, resource: Text | Sequence[str] | None=None) -> None: ...
    async def initialize(self) -> None: ...
    async def is_initialized(self) -> bool: ...
    isInitialized = is_initialized


class TokenCreator(AsyncClosing):
    def __init__(self, spike: Spike, audience: str) -> None: ...
    async def __call__(self) -> str: ...


def get_token_creator(options: Mapping[str, Any] | None=None, /, *, logger: Logger | None=None, **more: Any) -> TokenCreator: ...
getTokenCreator = get_token_creator
