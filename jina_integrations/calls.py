"""One call of an embedder: what it has cost, and which of its inputs failed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from .errors import InvalidSettingError, JinaIntegrationsError
from .usage import Usage

__all__ = ["Call", "Collected", "OnError", "finish"]

OnError: TypeAlias = Literal["raise", "collect"]
"""What a bad input does: raise its error, or be left out of the result with its error beside it."""

_Vectors = TypeVar("_Vectors")
_Result = TypeVar("_Result")


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


class Call:
    """What a backend reports to while it works on one list of inputs.

    Attributes:
        usage: The cost so far; also of a call that fails in the end.
        failures: Position in the caller's list, and error.
    """

    def __init__(self, on_error: OnError = "raise") -> None:
        if on_error not in ("raise", "collect"):
            raise InvalidSettingError(f"on_error must be 'raise' or 'collect', not {on_error!r}")
        self.usage = Usage()
        self.failures: dict[int, JinaIntegrationsError] = {}
        self.collects = on_error == "collect"
        self._positions: Sequence[int] | None = None

    def restrict(self, positions: Sequence[int]) -> None:
        """The backend works on these of the caller's inputs only."""
        self._positions = positions

    def position(self, index: int) -> int:
        """Where the backend's input `index` is in the caller's list."""
        return index if self._positions is None else self._positions[index]

    def spend(self, usage: Usage) -> None:
        """Add to the cost."""
        self.usage += usage

    def fail(self, position: int, error: JinaIntegrationsError) -> None:
        """The caller's input at `position` has no vector.

        Raises:
            JinaIntegrationsError: `error`, unless the call collects.
        """
        if not self.collects:
            raise error
        self.failures.setdefault(position, error)

    def failed(self, index: int) -> bool:
        """Whether the backend's input `index` has failed."""
        return self.position(index) in self.failures

    def result(self, vectors: _Vectors, count: int) -> _Vectors | Collected[_Vectors]:
        """What the caller gets for `count` inputs: the vectors, or all that was collected."""
        if not self.collects:
            return vectors
        succeeded = [position for position in range(count) if position not in self.failures]
        return Collected(vectors, succeeded, dict(sorted(self.failures.items())))

    def nested(self, fail: Callable[[int, JinaIntegrationsError], None]) -> Call:
        """A call for other inputs that costs this one, and fails by `fail`."""
        return _NestedCall(self, fail)


class _NestedCall(Call):
    def __init__(self, outer: Call, fail: Callable[[int, JinaIntegrationsError], None]) -> None:
        super().__init__("collect" if outer.collects else "raise")
        self._outer = outer
        self._fail = fail

    def spend(self, usage: Usage) -> None:
        self._outer.spend(usage)

    def fail(self, position: int, error: JinaIntegrationsError) -> None:
        self._fail(position, error)
        self.failures.setdefault(position, error)


def finish(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What a coroutine returns that never waits, run in this thread without an event loop.

    Raises:
        RuntimeError: it waited.
    """
    try:
        work.send(None)
    except StopIteration as exc:
        result: _Result = exc.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} waited, and nothing here can wait for it")
