"""Access tokens from a Spike server, or any OAuth 2.0 server, by client credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tokenstore import _log, _options
from tokenstore._closing import Closing
from tokenstore._log import Logger as Logger
from tokenstore._spike_options import (
    Given,
    client_of,
    key_of,
    pairs,
    read,
    retry_options,
    words,
)
from tokenstore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration, Path, Text
    from tokenstore.client import Client
    from tokenstore.jwt import Key

__all__ = ["Spike", "TokenCreator", "getTokenCreator", "get_token_creator"]


ClientAuth = Literal[
    "basic",
    "basic_raw",
    "post",
    "private_key_jwt",
    "client_secret_jwt",
    "client_assertion",
    "tls",
    "none",
    "auto",
]


class Spike(Closing):
    """Access tokens for any number of audiences, each fetched once and cached until it nears its expiry.

    ::

        spike = tokenstore.Spike("https://spike.example", "my-client", "my-secret",
                                 redis="redis://localhost:6379")
        token = spike.get_token("https://api.example")
        requests.get(url, headers={"Authorization": f"Bearer {token}"})

    A token in memory costs a look-up. Otherwise it is read from Redis, where all processes share it, or else
    requested at the token endpoint: one thread of one process asks, the others wait for it. Past half of its
    life it is renewed in the background, while the old one is still returned; if that fails, the old one stays
    in use until ``expiration_offset`` before its expiry. A Redis that is down costs only a warning in the log.

    ``url``
        the server: its token endpoint is ``<url>/oauth2/token`` (``token_url`` names another)
    ``discovery``
        ``url`` is an issuer, whose metadata (RFC 8414, OpenID Connect Discovery) supplies what is not given:
        ``token_url``, ``jwks_url``, ``issuer``, and the client authentication method. It is read before the
        first fetch, and once a day; :meth:`discover` reads it at once
    ``client_id``, ``client_secret``
        of this service; any characters
    ``client_auth``
        how the client authenticates: ``"auto"``, depending on what is given; ``"basic"``, percent-encoded as in
        RFC 6749; ``"basic_raw"``, for servers that do not decode; ``"post"``, the secret as a parameter;
        ``"private_key_jwt"`` and ``"client_secret_jwt"`` (RFC 7523), signed with ``client_key`` or the secret;
        ``"client_assertion"``, a given one; ``"tls"`` (RFC 8705), by ``cert`` and ``key`` only; ``"none"``,
        only the id
    ``client_secret_file``, ``client_assertion``, ``client_assertion_file``
        for a changing secret, or an assertion issued elsewhere (RFC 7523: a Kubernetes token, Entra's workload
        identity): a file read for each fetch, or a function called for it. ``client_secret`` may be a function
        too. It returns a str; several threads may call it at once; its exceptions reach the caller
    ``client_key``, ``client_algorithm``, ``client_certificate``
        for ``"private_key_jwt"``: a private :class:`tokenstore.jwt.Key`, PEM or a JWK, whose kid is sent too;
        its algorithm, by default its first; its certificate as PEM, which assertions name by x5t#S256, as Entra
        requires
    ``assertion_audience``
        ``aud`` of an assertion made here, by default the token endpoint: RFC 10070 and Auth0 require the issuer
    ``redis``
        a URL or a :class:`Client` to share; None keeps tokens only in this process
    ``token_key_prefix``
        tokens are in the HASH ``<prefix><client_id>``, a field for each audience, in the format of the Node
        package spike-token-manager
    ``redis_key``, ``redis_string``
        another name for that HASH; the STRING in which the Node package spike-get-token keeps its token
    ``issuer``
        the required ``iss`` of the tokens
    ``public_key_path``, ``public_key_url``, ``jwks_url``
        the key that verifies tokens: a file, or a URL (PEM or JWKS). None:
        ``<url>/.well-known/publickey.pem``. It is fetched once more if a token does not verify.
    ``expiration_offset``
        seconds: a token is not used this close to its expiry
    ``retry``
        how often and how long to retry if the server does not answer (5xx, 429 with a Retry-After, no
        connection): a mapping of any of ``retries`` (3), ``factor`` (2), ``min`` (0.1 s), ``max`` (1 s),
        ``total`` (10 s). The pauses are random between 0 and that. 400, 401 and 403 end it.
    ``logger``
        has ``info`` and ``warning``; None: ``logging.getLogger("tokenstore.spike")``. Called from the thread
        that next calls this object; no line contains a token or a secret.
    ``ca``, ``cert``, ``key``, ``proxy``, ``verify``, ``connect_timeout``
        of the connection to the server: CA certificates (else ``SSL_CERT_FILE``, else the system's), a
        client certificate and its key, an HTTP proxy (``"env"``: from HTTPS_PROXY etc., which are ignored
        otherwise), ``verify=False`` to accept any certificate (with a warning), seconds
    ``headers``, ``scope``, ``grant_type``, ``parameters``, ``body_format``, ``host_header``
        of the request: further headers as a mapping (part of what identifies a token; sent only to the token
        endpoint); the scope, in which ``{audience}`` becomes the audience (``"{audience}/.default"``), further
        parameters as a mapping, ``"form"`` or ``"json"``, another Host header
    ``audience_parameter``
        the name under which the audience is sent: ``"audience"``, ``"resource"`` (RFC 8707), or None if it is
        not sent, but is part of the scope
    ``expect_audience``
        the required ``aud`` of the tokens, by default ``"{audience}"``: the requested audience, else a
        resource. None: it is not checked, and ``issuer`` is required
    ``token_format``
        ``"jwt"``, verified; or ``"opaque"``: then the answer's ``expires_in`` is the lifetime
    ``default_lifetime``
        seconds: the lifetime of an opaque token whose answer has no ``expires_in``; None: that is an error

    Invalid options raise one :class:`ConfigurationError` that lists them all. Safe to share between threads; a
    forked child starts with an empty memory.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str | Callable[[], str] | None = None,
        redis: str | Client | None = None,
        token_key_prefix: str = "spike-tokens-for-clientId-",
        public_key_path: Path | None = None,
        public_key_url: str | None = None,
        jwks_url: str | None = None,
        expiration_offset: Duration = 10.0,
        retry: Mapping[str, float] | None = None,
        logger: Logger | None = None,
        ca: Path | None = None,
        *,
        cert: Path | None = None,
        key: Path | None = None,
        proxy: str | None = None,
        verify: bool = True,
        connect_timeout: Duration = 5.0,
        client_auth: ClientAuth = "auto",
        client_key: Key | Text | dict[str, Any] | None = None,
        client_algorithm: str | None = None,
        client_certificate: str | None = None,
        assertion_audience: str | None = None,
        client_secret_file: Path | None = None,
        client_assertion: Callable[[], str] | None = None,
        client_assertion_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        token_url: str | None = None,
        scope: str | Sequence[str] | None = None,
        audience_parameter: Literal["audience", "resource"] | None = "audience",
        expect_audience: str | None = "{audience}",
        grant_type: str = "client_credentials",
        parameters: Mapping[str, str] | None = None,
        body_format: Literal["form", "json"] = "form",
        host_header: str | None = None,
        token_format: Literal["jwt", "opaque"] = "jwt",
        default_lifetime: Duration | None = None,
        redis_key: str | None = None,
        redis_string: str | None = None,
        issuer: str | None = None,
        discovery: bool = False,
    ) -> None:
        from tokenstore import _oauth  # here, because it loads libcurl

        for name, value in (("url", url), ("client_id", client_id), ("token_key_prefix", token_key_prefix)):
            if _options.text(name, value) is None:
                raise TypeError(f"{name} must be str, not NoneType")
        faults: list[str] = []
        if "?" in url or "#" in url:
            faults.append(
                "url has a query or a fragment: give only the server, and its endpoint as token_url"
            )
        if sum(s is not None for s in (public_key_path, public_key_url, jwks_url)) > 1:
            faults.append(
                "give one of public_key_path, public_key_url and jwks_url: they exclude each other"
            )
        key_text = read(public_key_path, faults)
        key_url = _options.text("public_key_url", public_key_url)
        if key_url is None:
            key_url = _options.text("jwks_url", jwks_url)
        discovery = _options.flag("discovery", discovery)
        if key_url is None and not key_text and token_format != "opaque" and not discovery:
            key_url = url.rstrip("/") + "/.well-known/publickey.pem"
        if token_url is None and not discovery:
            token_url = url.rstrip("/") + "/oauth2/token"
        if redis_key is None:
            redis_key = token_key_prefix + client_id
        given = Given(
            client_secret, client_secret_file, client_assertion, client_assertion_file, client_auth, faults
        )
        verify = _options.flag("verify", verify)
        key_of_client = key_of(client_key, faults)
        options = {
            "discover": url if discovery else None,
            "token_url": token_url,
            "key_url": key_url,
            "key_text": key_text,
            "client_id": client_id,
            "client_secret": given.secret,
            "client_auth": given.auth,
            "client_given": given.changes,
            "client_secret_file": client_secret_file,
            "client_assertion_file": client_assertion_file,
            "client_certificate": client_certificate,
            "client_algorithm": client_algorithm,
            "assertion_audience": assertion_audience,
            "grant_type": grant_type,
            "scope": words(scope),
            "audience_parameter": "none" if audience_parameter is None else audience_parameter,
            "expect_audience": expect_audience,
            "any_audience": expect_audience is None,
            "parameters": pairs("parameters", parameters),
            "headers": pairs("headers", headers),
            "host_header": host_header,
            "body_format": body_format,
            "token_format": token_format,
            "redis_key": redis_key if redis is not None or not redis_key else None,
            "redis_string": redis_string,
            "issuer": issuer,
            "expiration_offset": expiration_offset,
            "default_lifetime": default_lifetime,
            **retry_options(retry, faults),
        }
        http = {
            "ca": ca,
            "cert": cert,
            "key": key,
            "proxy": proxy,
            "insecure": not verify,
            "connect_timeout": connect_timeout,
        }
        self._logger = _log.logger_of(logger, "tokenstore.spike")
        self._client = client_of(redis, faults)
        self._owns_client = isinstance(redis, str)
        self._url = url
        try:
            self._core = _oauth.Spike(
                self._client._core if self._client is not None else None,
                self._log,
                self._asking(given.ask),
                key_of_client,
                options,
                http,
                "; ".join(faults).encode("utf-8", "replace"),
            )
        except BaseException:
            if self._owns_client and self._client is not None:
                self._client.close()
            raise
        # The instance's own get_token is the C one, which saves a frame per call.
        self.__dict__["get_token"] = self.__dict__["getToken"] = self._core.get
        if not verify:
            self._log("w", "TLS certificates are not verified: an attacker on the network can read everything")

    @classmethod
    def discover(cls, issuer: str, *args: Any, **options: Any) -> Self:
        """A Spike for ``issuer``, with ``discovery``, whose metadata and public key have been read.

        The arguments are those of :class:`Spike`. Raises :class:`SpikeError` if they cannot be read.
        """
        spike = cls(issuer, *args, discovery=True, **options)
        try:
            spike.initialize()
        except BaseException:
            spike.close()
            raise
        return spike

    def _asking(self, function: Any) -> Any:
        """Called by the extension for the client's secret or assertion."""
        return function

    def get_token(
        self,
        audience: Text | None = None,
        *,
        scope: Text | Sequence[str] | None = None,
        resource: Text | Sequence[str] | None = None,
        timeout: Duration | None = None,
    ) -> str:
        """An access token for ``audience``, valid for at least ``expiration_offset`` seconds.

        ``scope``, instead of the Spike's, and ``resource`` (RFC 8707) may be a string or several; each
        combination has its own token. ``timeout``: seconds for the whole call, by default ``retry``'s total
        plus 10 s for Redis.

        Raises :class:`SpikeAuthError` if the server rejected the client or the request, :class:`SpikeError` if
        no valid token could be obtained: it says what was tried.
        """
        return self._core.get(audience, scope=scope, resource=resource, timeout=timeout)

    getToken = get_token

    def invalidate(
        self,
        audience: Text | None,
        token: Text,
        *,
        scope: Text | Sequence[str] | None = None,
        resource: Text | Sequence[str] | None = None,
    ) -> None:
        """Forget ``token``, which ``audience`` rejected with 401; the next call fetches another.

        ``audience``, ``scope`` and ``resource`` are those passed to :meth:`get_token`.

        In Redis it is removed only if it is still the one stored there. Raises :class:`ConnectionError` and
        similar if Redis could not be updated.
        """
        self._core.invalidate(token, audience, scope, resource)

    def initialize(self) -> None:
        """Fetch the public key, and the metadata of ``discovery``, now, to learn early whether the server can
        be reached. May be called twice."""
        self._core.initialize()

    def is_initialized(self) -> bool:
        """True if the public key is loaded (or not needed), and this object is open."""
        return self._core.is_initialized()

    isInitialized = is_initialized

    def close(self) -> None:
        """Cancel fetches in progress, stop renewing, and close the client unless it was passed in. May be
        called twice."""
        self._core.close()
        if self._owns_client and self._client is not None:
            self._client.close()

    def _log(self, level: str, text: str) -> None:
        _log.write(self._logger, level, text)

    def __repr__(self) -> str:
        return f"<tokenstore.Spike at {self._url.split('@')[-1]}>"


class TokenCreator(Closing):
    """The result of :func:`get_token_creator`: call it for a token."""

    def __init__(self, spike: Spike, audience: str) -> None:
        self._spike = spike
        self._audience = audience

    def __call__(self) -> str:
        """The access token."""
        return self._spike.get_token(self._audience)

    def close(self) -> None:
        """Close the underlying objects. May be called twice."""
        self._spike.close()


def get_token_creator(
    options: Mapping[str, Any] | None = None, /, *, logger: Logger | None = None, **more: Any
) -> TokenCreator:
    """A callable that returns an access token, from the options of the Node package spike-get-token.

    The options keep their names: ``ClientId`` (or ``clientId``), ``ClientSecret`` (``clientSecret``),
    ``spikeURL`` (``spikeUrl``; with a path it is the token endpoint itself), ``tokenAudience``,
    ``tokenGrantType``, ``tokenRedisKeyName``, ``spikePublicKeyFullPath``, ``useRedis``, ``redisHost`` (a
    host, or a URL), ``httpsValidation`` (true; false is allowed and warns), ``hostHeader``, ``retries``,
    ``sleepBetweenRetries`` (milliseconds) - as one mapping, as keywords, or both. None means not given. One
    :class:`ConfigurationError` lists all errors.
    """
    given, audience = spike_options(options, more)
    return TokenCreator(Spike(**given, logger=logger), audience)


getTokenCreator = get_token_creator


def spike_options(
    options: Mapping[str, Any] | None, more: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Converts the arguments of :func:`get_token_creator` to those of :class:`Spike` and the audience."""
    from tokenstore import _oauth

    given = dict(options or {})
    for name, value in more.items():
        if name in given:
            raise ConfigurationError(f"{name} is given twice, in the mapping and as a keyword")
        given[name] = value
    o = _oauth.creator_options(given)
    host = o["redis_host"]
    arguments = {
        "url": o["token_url"].split("?")[0],
        "client_id": o["client_id"],
        "client_secret": o["client_secret"],
        "client_auth": "basic_raw",  # as the Node packages do
        "redis": (host if "://" in host else f"redis://{host}") if host else None,
        "redis_key": o["redis_key"] or None,
        "redis_string": o["redis_string"] or None,
        "public_key_path": o["key_path"] or None,
        "public_key_url": o["key_url"] or None,
        "retry": {
            "retries": o["retries"],
            "factor": 1,
            "min": o["sleep_ms"] / 1000,
            "max": o["sleep_ms"] / 1000,
            "total": o["budget_ms"] / 1000,
        },
        "verify": o["validate"],
        "token_url": o["token_url"],
        "grant_type": o["grant_type"] or "client_credentials",
        "host_header": o["host_header"] or None,
    }
    return arguments, o["audience"]
