"""A pytest plugin (-p blocking_shim): the tests for the blocking classes run over tokenstore.asyncio, unchanged.

Replaces the classes in the module ``tokenstore`` by wrappers of those in tokenstore.asyncio, whose calls run
on an event loop in a thread. TOKENSTORE_TEST_LOOP=uvloop selects another loop.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import Any

import tokenstore
import tokenstore.asyncio

_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process: a forked child needs its own
_lock = threading.Lock()


def new_event_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("TOKENSTORE_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def the_loop() -> asyncio.AbstractEventLoop:
    loop = _loops.get(os.getpid())
    if loop is None:
        with _lock:
            loop = _loops.get(os.getpid())
            if loop is None:
                loop = _loops[os.getpid()] = new_event_loop()
                threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def run(call: Any) -> Any:
    """The result of call(), awaited if necessary, in the loop's thread."""

    async def task() -> Any:
        result = call()
        return await result if inspect.isawaitable(result) else result

    return asyncio.run_coroutine_threadsafe(task(), the_loop()).result()


def blocking(cls: type) -> type:
    """A class like `cls` with blocking methods."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if args and hasattr(args[0], "_inner"):
            self._given, args = args[0], (args[0]._inner, *args[1:])
        for name in ("redis", "connection_string"):
            if hasattr(kwargs.get(name), "_inner"):
                self._given, kwargs[name] = kwargs[name], kwargs[name]._inner
        self._inner = cls(*args, **kwargs)

    def get(self: Any, name: str) -> Any:
        if name in ("_inner", "_given"):
            raise AttributeError(name)
        if name == "client" and "_given" in self.__dict__:
            return self._given
        if name == "client":
            made = object.__new__(tokenstore.Client)
            made._inner = self._inner.client
            made._store = self
            return made
        value = getattr(self._inner, name)
        if not callable(value):
            return value
        return lambda *args, **kwargs: run(lambda: value(*args, **kwargs))

    def close(self: Any) -> None:
        run(self._inner.aclose)

    def drop(self: Any) -> None:
        """The blocking classes need no close: unreferenced objects close themselves."""
        inner, loop = self.__dict__.get("_inner"), _loops.get(os.getpid())
        owns = getattr(inner, "_owns_client", "_store" not in self.__dict__)
        if inner is not None and owns and loop is not None:
            asyncio.run_coroutine_threadsafe(inner.aclose(), loop)

    members: dict[str, Any] = {
        "__doc__": cls.__doc__,
        "__init__": init,
        "__del__": drop,
        "__getattr__": get,
        "__call__": lambda self: run(self._inner),
        "__enter__": lambda self: self,
        "__exit__": lambda self, *error: self.close(),
        "__repr__": lambda self: repr(self._inner).replace("tokenstore.asyncio.", "tokenstore."),
        "close": close,
    }
    made: dict[Any, Any] = {}  # keeps aliases identical
    for name, value in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_") and name != "close":
            members[name] = made.setdefault(value, method(name))
    return type(cls.__name__, (), members)


def method(name: str) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = run(lambda: getattr(self._inner, name)(*args, **kwargs))
        if name == "exec":
            return self.client
        if name == "call":
            made = object.__new__(_Calls)
            made._inner, made._store = result, self
            return made
        if name == "events":
            made = object.__new__(_Events)
            made._inner = result
            run(result.listen)
            return made
        return result

    return call


_Calls = blocking(tokenstore.asyncio._stores.Calls)


class _Events(blocking(tokenstore.asyncio.SessionEvents)):  # type: ignore[misc]
    def __iter__(self) -> _Events:
        return self

    def __next__(self) -> Any:
        try:
            return run(self._inner.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


the_loop()  # created now, because tests count descriptors

_made: dict[type, type] = {}
for _name in tokenstore.asyncio.__all__:
    _value = getattr(tokenstore.asyncio, _name)
    if isinstance(_value, type) and _name != "SessionEvents":
        setattr(tokenstore, _name, _made.setdefault(_value, blocking(_value)))


def _get_token_creator(*args: Any, **kwargs: Any) -> Any:
    made = object.__new__(tokenstore.TokenCreator)
    made._inner = tokenstore.asyncio.get_token_creator(*args, **kwargs)
    return made


tokenstore.get_token_creator = tokenstore.getTokenCreator = _get_token_creator
