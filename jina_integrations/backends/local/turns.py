"""Whose forward pass a model runs next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["Turns"]

_SHORT_IN_A_ROW: Final = 3
"""Short passes that go before a long one that waits."""

_Result = TypeVar("_Result")


class Turns:
    """The threads that run a model, and the order of the forward passes that callers ask for.

    A caller asks for its next pass when it has the last, so callers of one kind take turns. Short
    work, queries above all, goes before long work: it waits for the pass under way, or runs beside
    it where the engine can do that. Long work waits too, but not for ever: while both kinds wait,
    every fourth pass is a long one.

    The main thread loads the model and runs it. Torch keeps a pool of threads for each thread that
    has used it. With two pools a model is slower (17 % where it was measured), so the side thread
    runs passes only while the main one is busy. A pool that a process had before it was forked
    hangs in the child, so no thread of a caller runs any.
    """

    def __init__(self) -> None:
        self._main = ThreadPoolExecutor(1, thread_name_prefix="jina-model")
        self._side = ThreadPoolExecutor(1, thread_name_prefix="jina-model-side")
        self._lock = threading.Lock()
        self._short: deque[Callable[[], None]] = deque()
        self._long: deque[Callable[[], None]] = deque()
        self._short_in_a_row = 0
        self._on_main = 0

    def run(self, work: Callable[[], _Result], *, short: bool, concurrent: bool) -> _Result:
        """What `work` returns, once it has had its turn; blocks until then.

        Args:
            work: One forward pass. What it raises is raised here.
            short: Whether it goes before long work.
            concurrent: Whether the engine can run it while it runs another.
        """
        done: Future[_Result] = Future()

        def settle() -> None:
            try:
                result = work()
            except BaseException as exc:  # noqa: BLE001  # it belongs to the caller, who waits
                self._finish(beside=beside)
                done.set_exception(exc)
            else:
                self._finish(beside=beside)
                done.set_result(result)

        with self._lock:
            beside = short and concurrent and self._on_main > 0
            if beside:
                self._side.submit(settle)
            else:
                self._on_main += 1
                (self._short if short else self._long).append(settle)
                self._main.submit(self._run_next)
        try:
            return done.result()
        finally:
            # The frames of an error know `done`, which knows the error: if it still did, what they
            # hold, a GPU's memory above all, would stay until the garbage collector runs.
            done = Future()

    def _run_next(self) -> None:
        with self._lock:
            settle = self._next()
        settle()

    def _next(self) -> Callable[[], None]:
        if self._short and (not self._long or self._short_in_a_row < _SHORT_IN_A_ROW):
            self._short_in_a_row += bool(self._long)
            return self._short.popleft()
        self._short_in_a_row = 0
        return self._long.popleft()

    def _finish(self, *, beside: bool) -> None:
        with self._lock:
            self._on_main -= not beside
