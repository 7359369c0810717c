"""One call of an embedder: what it has cost, how far it is, and which of its inputs failed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeAlias, TypeVar

from ..errors import (
    ApiError,
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
)

__all__ = ["Call", "Collected", "OnError", "OnProgress", "Usage", "UsageMeter", "is_query"]

OnError: TypeAlias = Literal["raise", "collect"]
"""What a bad input does: raise its error, or be left out of the result with its error beside it."""

OnProgress: TypeAlias = Callable[[int], None] | None
"""Gets the number of tokens that were just done: of one forward pass, or one answered request;
0 now and then while an answer is waited for."""

_Vectors = TypeVar("_Vectors")


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of one call, or of all calls so far.

    Attributes:
        tokens: Tokens encoded: special tokens, prefixes and the overlap of windows included. A text
            that one call has twice is encoded, and counts, once where the model runs here.
        requests: Calls to the backend.
        seconds: Wall time spent in them.
        retries: Requests that were sent again.
    """

    tokens: int = 0
    requests: int = 0
    seconds: float = 0.0
    retries: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens + other.tokens,
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.retries + other.retries,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Collected(Generic[_Vectors]):
    """What a call with ``on_error="collect"`` gives.

    Attributes:
        vectors: Of the inputs that succeeded, in their order.
        indices: Position of each of them in the caller's list, ascending.
        failures: Position of each of the others, and its error.
    """

    vectors: _Vectors
    indices: list[int]
    failures: dict[int, JinaIntegrationsError]


def is_query(task: object) -> bool:
    """Whether somebody waits for the answer. The task was not checked yet: it may be anything."""
    return isinstance(task, str) and task == "query"


class Call:
    """What a backend reports to while it works on one list of inputs.

    A part of a call (see `part`) has a list of its own: who reports to it counts in that list, and
    the call translates. So nobody else needs to know of the caller's list.

    Attributes:
        usage: The cost so far; also of a call that fails in the end.
        failures: Index of each input that failed, and its error.
        collects: Whether an input that fails leaves the others alone.
        query: Whether it embeds queries, for whose answer somebody waits: it goes before the rest.

    Raises:
        InvalidSettingError: an argument is none of the allowed values.
    """

    def __init__(
        self,
        on_error: OnError = "raise",
        on_progress: OnProgress = None,
        *,
        query: bool = False,
    ) -> None:
        if not isinstance(on_error, str) or on_error not in ("raise", "collect"):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSettingError(
                f"on_error must be 'raise' or 'collect', not {on_error!r:.80}"
            )
        if on_progress is not None and not callable(on_progress):
            raise InvalidSettingError(
                f"on_progress must be a function of one int, not {type(on_progress).__name__}"
            )
        self.usage = Usage()
        self.failures: dict[int, JinaIntegrationsError] = {}
        self.collects = on_error == "collect"
        self.query = query
        self._on_progress = on_progress
        self._cancelled = False

    def spend(self, *, requests: int = 0, retries: int = 0) -> None:
        """Count requests, when they begin."""
        self.usage += Usage(requests=requests, retries=retries)

    def advance(self, tokens: int) -> None:
        """Count tokens that are done, and tell whoever watches.

        Raises:
            asyncio.CancelledError: the caller waits no longer.
        """
        self.usage += Usage(tokens=tokens)
        if self._on_progress is not None:
            self._on_progress(tokens)
        if self._cancelled:
            import asyncio

            raise asyncio.CancelledError

    def wait(self) -> None:
        """Tell whoever watches of 0 tokens: nothing is done yet. What they raise ends the call."""
        if self._on_progress is not None:
            self._on_progress(0)

    def cancel(self) -> None:
        """Let the next `advance` end the work. From any thread."""
        self._cancelled = True

    def fail(self, index: int, error: JinaIntegrationsError) -> None:
        """The input at `index` has no vector. Its error gets that index.

        Raises:
            JinaIntegrationsError: `error`, unless the call collects.
        """
        if isinstance(error, InvalidInputError | EmbeddingError) or (
            isinstance(error, ApiError) and error.argument is not None
        ):
            error.index = index
        self._fail(index, error)

    def failed(self, index: int) -> bool:
        """Whether the input at `index` has failed."""
        return index in self.failures

    def part(
        self,
        positions: Sequence[int],
        rename: Callable[[int, JinaIntegrationsError], JinaIntegrationsError] | None = None,
    ) -> Call:
        """A call for other inputs, whose costs and failures are this one's.

        Args:
            positions: For each input of the part the one of this call that fails with it.
            rename: Makes the error of this call from an index in the part, and its error.
        """
        return _Part(self, positions, rename)

    def result(self, vectors: _Vectors, count: int) -> _Vectors | Collected[_Vectors]:
        """What the caller gets for `count` inputs: the vectors, or all that was collected."""
        if not self.collects:
            return vectors
        succeeded = [index for index in range(count) if index not in self.failures]
        return Collected(vectors, succeeded, dict(sorted(self.failures.items())))

    def _fail(self, index: int, error: JinaIntegrationsError) -> None:
        if not self.collects:
            raise error
        self.failures.setdefault(index, error)


class _Part(Call):
    def __init__(
        self,
        whole: Call,
        positions: Sequence[int],
        rename: Callable[[int, JinaIntegrationsError], JinaIntegrationsError] | None,
    ) -> None:
        super().__init__("collect" if whole.collects else "raise", query=whole.query)
        self._whole = whole
        self._positions = positions
        self._rename = rename

    def spend(self, *, requests: int = 0, retries: int = 0) -> None:
        self._whole.spend(requests=requests, retries=retries)

    def advance(self, tokens: int) -> None:
        self._whole.advance(tokens)

    def fail(self, index: int, error: JinaIntegrationsError) -> None:
        self.failures.setdefault(index, error)
        renamed = error if self._rename is None else self._rename(index, error)
        self._whole.fail(self._positions[index], renamed)


_meters_lock = threading.Lock()


def _renew_lock() -> None:
    global _meters_lock  # noqa: PLW0603  # a lock held by another thread never opens in the child
    _meters_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class UsageMeter:
    """A running total that threads may add to.

    Args:
        on_usage: Gets the cost of each call.

    Raises:
        InvalidSettingError: it is no function.
    """

    def __init__(self, on_usage: Callable[[Usage], None] | None = None) -> None:
        if on_usage is not None and not callable(on_usage):
            raise InvalidSettingError(
                f"on_usage must be a function of one Usage, not {type(on_usage).__name__}"
            )
        self.on_usage = on_usage
        self._total = Usage()

    @property
    def total(self) -> Usage:
        """Everything added so far."""
        return self._total

    @contextmanager
    def measure(self, call: Call) -> Generator[None]:
        """Add the cost of the call that runs inside, also where it fails or is cancelled."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if call.usage.requests:
                usage = replace(call.usage, seconds=time.perf_counter() - start)
                with _meters_lock:
                    self._total += usage
                if self.on_usage is not None:
                    self.on_usage(usage)
