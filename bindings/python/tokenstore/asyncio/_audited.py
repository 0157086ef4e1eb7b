"""As tokenstore/_audited.py, for tokenstore.asyncio."""

from __future__ import annotations

import inspect
from typing import Any

from tokenstore import _core
from tokenstore.audit import Auditor, callback_failed, stream_failed
from tokenstore.errors import Error

__all__ = ["AuditedDriver"]


class AuditedDriver:
    """In the place of the driver. ``on_event`` may be an async function: it is awaited before the call returns."""

    def __init__(self, driver: Any, auditor: Auditor) -> None:
        self._driver = driver
        self._auditor = auditor

    async def run(self, op: Any, timeout: Any = None, /) -> Any:
        if not isinstance(op, _core.Op):
            return await self._driver.run(op, timeout)
        actor = self._auditor.begin(op)
        try:
            result = await self._driver.run(op, timeout)
        except Error:
            await self._end(op, actor)
            raise
        await self._end(op, actor)
        return result

    async def _end(self, op: _core.Op[Any], actor: str | None) -> None:
        writer = _core.write_events(op)
        if writer is not None:
            try:
                for reply in await self._driver.run(writer, None):
                    if isinstance(reply, Error):
                        raise reply
            except Error as error:
                stream_failed(error)
        for returned in self._auditor.tell(op, actor):
            if inspect.isawaitable(returned):
                try:
                    await returned
                except Exception:
                    callback_failed()
