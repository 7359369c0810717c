"""A store whose server is slow, loses calls, or is dead for a while."""
# ruff: noqa: D102 - the methods are described in `Store`

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Self, TypeVar

from ..errors import StoreError
from ..stores import CollectionInfo, Conditions, Store
from ..types import FloatArray, Hit, Record, SparseVector, VectorKind

__all__ = ["FaultyStore"]

_Result = TypeVar("_Result")

_RECORDS_PER_CALL = 100
"""Of a scan: a server that pages its answers can fail at each page."""


class FaultyStore(Store):
    """Another store, seen through a bad network.

    Args:
        store: The real one.
        share: Of the calls that fail, 0 to 1. Half of them fail before they do anything, half
            after they have done it, when only the answer is lost.
        delay_s: That each call takes longer.
        dead_s: From and until when, in seconds after the first call, every call fails.
        seed: Of what is random.
    """

    def __init__(
        self,
        store: Store,
        *,
        share: float = 0.0,
        delay_s: float = 0.0,
        dead_s: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
    ) -> None:
        self.store = store
        self.name = store.name
        self.key_variable = store.key_variable
        self.calls = self.faults = 0
        self._share = share
        self._delay_s = delay_s
        self._dead_s = dead_s
        self._random = Random(seed)  # noqa: S311  # for tests
        self._start: float | None = None
        object.__setattr__(self, "capabilities", store.capabilities)  # a constant of each class

    @classmethod
    def from_address(cls, address: str) -> Self:
        raise NotImplementedError(f"wrap the store of {address} yourself")

    def describe(self) -> CollectionInfo | None:
        return self._call(self.store.describe)

    def create(self, info: CollectionInfo) -> None:
        self._call(lambda: self.store.create(info))

    def remember(self, info: CollectionInfo) -> None:
        self._call(lambda: self.store.remember(info))

    def drop(self) -> None:
        self._call(self.store.drop)

    def write(self, records: Sequence[Record]) -> None:
        self._call(lambda: self.store.write(records))

    def delete(self, where: Conditions) -> None:
        self._call(lambda: self.store.delete(where))

    def count(self, where: Conditions) -> int:
        return self._call(lambda: self.store.count(where))

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        self._call(lambda: None)
        records = self.store.scan(where, content=content, vectors=vectors)
        for number, record in enumerate(records, start=1):
            yield record
            if number % _RECORDS_PER_CALL == 0:
                self._call(lambda: None)

    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        return self._call(lambda: self.store.search(vector, kind=kind, k=k, where=where))

    def settle(self) -> None:
        self._call(self.store.settle)

    def release(self) -> None:
        self.store.release()

    def close(self) -> None:
        self.store.close()

    def explain(self, error: Exception) -> StoreError | None:
        return self.store.explain(error)

    def _call(self, call: Callable[[], _Result]) -> _Result:
        self.calls += 1
        now = time.monotonic()
        self._start = self._start or now
        time.sleep(self._delay_s)
        dead = self._dead_s[0] <= now - self._start < self._dead_s[1]
        if dead or self._random.random() < self._share:
            self.faults += 1
            if not dead and self._random.random() < 0.5:
                call()
            raise ConnectionResetError("a fault that was asked for")
        return call()
