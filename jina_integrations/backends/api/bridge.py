"""The one event loop of a process on which everything for HTTP APIs runs.

Sync and async callers, from any thread and any loop of their own, hand their work to it. So there
is one implementation, and connections and rate limits are shared without locks.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import hashlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx2
from pydantic import SecretStr

from .limits import Limiter

__all__ = ["Bridge", "shared_bridge"]

_Result = TypeVar("_Result")

_POLL_S = 0.5
"""A wait without a limit cannot be interrupted by Ctrl-C on every platform."""


class Bridge:
    """An event loop in a daemon thread, with the sessions and limiters that live on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._sessions: dict[str, httpx2.AsyncClient] = {}
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self._limiters_lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="jina-api", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result], on_wait: Callable[[], None]) -> _Result:
        """What the coroutine returns; blocks this thread. Ctrl-C cancels the coroutine.

        Args:
            work: The coroutine.
            on_wait: Called twice a second in this thread; what it raises cancels the coroutine.
        """
        future = self._submit(work)
        try:
            while not future.done():
                if not concurrent.futures.wait((future,), timeout=_POLL_S).done:
                    on_wait()
        except BaseException:
            future.cancel()
            raise
        return future.result()

    async def arun(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What the coroutine returns; a cancelled caller cancels it."""
        return await asyncio.wrap_future(self._submit(work))

    def session(self, base_url: str) -> httpx2.AsyncClient:
        """The pooled connections to a server. Only on the loop.

        Redirects are not followed, so a key cannot be carried to another host.
        """
        if base_url not in self._sessions:
            self._sessions[base_url] = httpx2.AsyncClient(
                follow_redirects=False,
                # How many requests are under way is the limiter's business.
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return self._sessions[base_url]

    def limiter(self, base_url: str, key: SecretStr | None) -> Limiter:
        """The limiter of a key at a server. From any thread."""
        secret = "" if key is None else key.get_secret_value()
        account = base_url, hashlib.sha256(secret.encode()).hexdigest()
        with self._limiters_lock:
            if account not in self._limiters:
                self._limiters[account] = Limiter()
            return self._limiters[account]

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=2.0)

    def _submit(self, work: Coroutine[Any, Any, _Result]) -> concurrent.futures.Future[_Result]:
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("called from within the API's own event loop")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._shut_down())
        finally:
            self._loop.close()

    async def _shut_down(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for session in self._sessions.values():
            await session.aclose()


_bridge: Bridge | None = None
_bridge_lock = threading.Lock()


def shared_bridge() -> Bridge:
    """The process's bridge; a forked child gets its own."""
    global _bridge  # noqa: PLW0603  # one for each process is the point
    with _bridge_lock:
        if _bridge is None:
            _bridge = Bridge()
        return _bridge


def _forget() -> None:
    # A forked child has the parent's sockets and none of its threads: leave all of it alone.
    global _bridge, _bridge_lock  # noqa: PLW0603
    _bridge = None
    _bridge_lock = threading.Lock()


def _close() -> None:
    if _bridge is not None:
        _bridge.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_close)
