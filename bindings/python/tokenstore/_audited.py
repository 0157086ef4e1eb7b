"""Runs the operations of a store whose client has an auditor, and passes on what they tell."""

from __future__ import annotations

from typing import Any

from tokenstore import _core
from tokenstore.audit import Auditor, stream_failed
from tokenstore.errors import Error

__all__ = ["AuditedDriver"]


class AuditedDriver:
    """In the place of the extension's client. A record that was found near is no operation: nothing was done."""

    def __init__(self, driver: Any, auditor: Auditor) -> None:
        self._driver = driver
        self._auditor = auditor

    def run(self, op: Any, timeout: Any = None, /) -> Any:
        if not isinstance(op, _core.Op):
            return self._driver.run(op, timeout)
        actor = self._auditor.begin(op)
        try:
            return self._driver.run(op, timeout)
        finally:
            self._write(op)
            self._auditor.tell(op, actor)

    def _write(self, op: _core.Op[Any]) -> None:
        writer = _core.write_events(op)
        if writer is not None:
            try:
                for reply in self._driver.run(writer):
                    if isinstance(reply, Error):
                        raise reply
            except Error as error:
                stream_failed(error)
