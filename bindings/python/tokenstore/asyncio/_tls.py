"""TLS for connections in an event loop: verified, 1.2 or newer, with files that may be renewed while the
program runs."""

from __future__ import annotations

import logging
import os
import ssl
import threading

from tokenstore import _core
from tokenstore.errors import ConfigurationError

__all__ = ["Contexts", "make_context"]

_log = logging.getLogger("tokenstore")

_SECURITY_LEVEL = 2  # 112 bits, as in core/io/tls.c


class Contexts:
    """The context for the next connection: a new one if a file has changed. Used by any thread."""

    def __init__(self, target: _core._Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._seen = self._look()
        self._context = make_context(target)

    def get(self) -> ssl.SSLContext:
        """If new files cannot be used (they may be half written), the old context stays in use, with a
        warning."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                try:
                    self._context = make_context(self._target)
                except ConfigurationError as problem:
                    self._seen = ()  # the next connection checks again
                    _log.warning("the TLS files were not reloaded: %s", problem)
            return self._context

    def _look(self) -> tuple[object, ...]:
        target = self._target
        ca = target["ca"] or ssl.get_default_verify_paths().cafile
        return tuple(_state_of(path) for path in (ca, target["cert"], target["key"]))


def _state_of(path: str | None) -> object:
    """The attributes that change when a file is written or replaced."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def make_context(target: _core._Target) -> ssl.SSLContext:
    """What verifies as the C core does, of this target's files. ConfigurationError if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if getattr(context, "security_level", _SECURITY_LEVEL) < _SECURITY_LEVEL:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={_SECURITY_LEVEL}")
    ca, cert = target["ca"], target["cert"]
    try:
        if ca is None:
            context.set_default_verify_paths()
        elif os.path.isdir(ca):
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, target["key"], password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot use ca, cert or key: {error}") from None
    return context


def _no_password() -> str:
    """Without this OpenSSL would prompt at the terminal."""
    return ""
