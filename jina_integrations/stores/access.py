"""Every call of the core to a store goes through here: checked, in parts, patiently, in turn.

What a store may rely on (see `base`) is made true in this file, once for all stores.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from ..errors import (
    CollectionNotFoundError,
    InvalidInputError,
    JinaIntegrationsError,
    StoreError,
    StoreUnavailableError,
    UnsupportedByStoreError,
)
from ..types import FloatArray, Hit, Record, SparseVector, VectorKind, Vectors
from .base import CollectionInfo, Conditions, Store
from .checks import checked_records, checked_vectors
from .failures import explain_error, is_panic
from .filters import AnyOf, NoneOf, operator_of
from .records import in_requests, vector_bytes

__all__ = ["StoreAccess", "lists_of"]

_log = logging.getLogger("jina_integrations")

_PAGE: Final = 512
"""Records of a scan that are taken from the store in one turn."""

_FIRST_ATTEMPTS: Final = 3
"""A store that has not answered yet is asked this often: an address may simply be wrong."""

_INFO_AGE_S: Final = 30.0
"""After so long a collection is asked again what it remembers."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def lists_of(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of at most `size`, in order."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


class StoreAccess:
    """A store as the core uses it. Thread-safe: one call is made at a time.

    A call that finds the server gone is made again, with growing pauses, until `total_timeout_s`
    have passed; every pause is logged. A store that has never answered is given up after a few
    seconds. Failures of the store's library come out as `StoreError`.

    A process that was forked after the first call is refused.

    Args:
        store: The store, which stays the caller's to close unless `close` is called.
        total_timeout_s: Seconds for one call with all its repetitions.
    """

    def __init__(self, store: Store, *, total_timeout_s: float = 300.0) -> None:
        self.store = store
        self.name = store.name
        self.capabilities = store.capabilities
        self._total_timeout_s = total_timeout_s
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._has_answered = False
        self._process: int | None = None
        self._info: CollectionInfo | None = None
        self._info_at_s = 0.0
        self._is_settled = True
        self._unsettled_bytes = 0

    def describe(self) -> CollectionInfo | None:
        """See `Store.describe`."""
        self._info = self._call(self.store.describe)
        self._info_at_s = time.monotonic()
        return self._info

    @property
    def info(self) -> CollectionInfo:
        """What the collection remembers, not long ago: another process may have made it anew.

        Raises:
            CollectionNotFoundError: there is no such collection.
        """
        is_old = time.monotonic() - self._info_at_s > _INFO_AGE_S
        info = self.describe() if self._info is None or is_old else self._info
        if info is None:
            raise CollectionNotFoundError(f"{self.name} does not exist; ingest into it first")
        return info

    def create(self, info: CollectionInfo) -> CollectionInfo:
        """Make the collection; what it remembers now, which another process may have made.

        Raises:
            UnsupportedByStoreError: it does not keep vectors of these kinds.
        """
        self._require_kinds(info.dimensions.keys())
        self._is_settled = False
        failure: StoreError | None = None
        try:
            self._call(lambda: self.store.create(info))
        except StoreUnavailableError:
            raise
        except StoreError as exc:
            failure = exc  # or another process was faster
        made = self.describe()
        if made is None:
            raise failure or StoreError(
                f"{self.name} was dropped while it was being made; run it again"
            )
        return made

    def remember(self, info: CollectionInfo) -> None:
        """See `Store.remember`."""
        _ = self.info
        self._is_settled = False
        self._call(lambda: self.store.remember(info))
        self._info = info

    def drop(self) -> None:
        """See `Store.drop`."""
        try:
            self._call(self.store.drop)
        finally:
            self.release()
        self._info, self._is_settled = None, True

    def write(self, records: Sequence[Record]) -> None:
        """Write all chunks of some documents; durable when this returns.

        The first chunk of each document is written after all others. So where it is stored, all
        of its version have been.

        Raises:
            InvalidInputError: a record cannot be stored; carries its index. Nothing is written
                then.
        """
        checked = checked_records(records, self.info.dimensions)
        for index, record in enumerate(checked):
            for key in record.chunk.metadata:
                self._check_key(key, f"document {record.chunk.document_id!r:.80}: key", index=index)
        checked.sort(key=lambda record: record.chunk.index == 0)
        for request in in_requests(checked, self.capabilities):
            self._is_settled = False
            self._call(partial(self.store.write, request))
            self._unsettled_bytes += vector_bytes(request)
            limit = self.capabilities.settle_bytes
            if limit is not None and self._unsettled_bytes >= limit:
                self.settle()

    def delete(self, where: Conditions) -> int:
        """See `Store.delete`; how many were selected just before."""
        count = self.count(where)
        if count:
            self._is_settled = False
            self._call(lambda: self.store.delete(where))
        return count

    def count(self, where: Conditions = ()) -> int:
        """See `Store.count`."""
        self._check_selection(where)
        return self._call(lambda: self.store.count(where))

    def scan(
        self, where: Conditions = (), *, content: bool = True, vectors: bool = False
    ) -> Iterator[Record]:
        """See `Store.scan`. Other calls may come in between, except writes and deletions.

        A server that goes away after the first page ends the scan, see `patiently`.
        """
        self._check_selection(where)

        def first_page() -> tuple[Iterator[Record], list[Record]]:
            records = self.store.scan(where, content=content, vectors=vectors)
            return records, list(islice(records, _PAGE))

        records, page = self._call(first_page)
        while page:
            yield from page
            page = self._call(lambda: list(islice(records, _PAGE)), again=False)

    def search(
        self,
        vector: FloatArray | SparseVector,
        *,
        kind: VectorKind = "dense",
        k: int,
        where: Conditions = (),
    ) -> list[Hit]:
        """See `Store.search`.

        Raises:
            InvalidInputError: `k` or the vector is not usable.
            UnsupportedByStoreError: the store has no such filter, or vectors of that kind.
        """
        self._check_k(k)
        self._require_kinds([kind])
        self._check_selection(where)
        dimensions = self.info.dimensions
        if kind not in dimensions:
            raise UnsupportedByStoreError(f"{self.name} has no {kind} vectors")
        asked: dict[str, Any] = {kind: vector}
        query = getattr(checked_vectors(Vectors(**asked), dimensions, "query"), kind)
        return self._call(lambda: self.store.search(query, kind=kind, k=k, where=where))

    def patiently(self, work: Callable[[], _Result]) -> _Result:
        """What `work` gives, which is begun anew where the server goes away in the middle.

        Args:
            work: Makes several calls, such as a whole scan, and does no harm when it is done again.
        """
        return self._retrying()(work)

    def advise(self) -> None:
        """Warn where the collection has more chunks than this kind of store is made for."""
        limit = self.capabilities.advised_chunks
        if limit is not None and (chunks := self.count()) > limit:
            _log.warning(
                "%s has %d chunks, and this kind of store is made for up to %d: %s",
                self.name,
                chunks,
                limit,
                self.capabilities.advice,
            )

    @contextmanager
    def writing(self) -> Generator[None]:
        """Work that may write: the store is settled where it did and ends well, released anyway."""
        try:
            yield
            if not self._is_settled:
                self.settle()
        finally:
            self.release()

    def settle(self) -> None:
        """See `Store.settle`."""
        self._call(self.store.settle)
        self._is_settled, self._unsettled_bytes = True, 0

    def release(self) -> None:
        """See `Store.release`."""
        self._once(self.store.release)

    def stop(self) -> None:
        """End the pauses of calls in other threads: they fail with what they waited for."""
        self._stopped.set()

    def resume(self) -> None:
        """Undo `stop`, once those threads have ended."""
        self._stopped.clear()

    def close(self) -> None:
        """See `Store.close`."""
        self._once(self.store.close)
        self._info = None

    def _check_k(self, k: object) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise InvalidInputError(f"k must be an int of at least 1, not {k!r:.80}")
        limit = self.capabilities.max_k
        if limit is not None and k > limit:
            raise InvalidInputError(f"k={k}: {self.name} gives at most {limit} hits")

    def _require_kinds(self, kinds: Iterable[VectorKind]) -> None:
        missing = sorted(set(kinds) - self.capabilities.kinds)
        if missing:
            raise UnsupportedByStoreError(
                f"{self.name} keeps no {' or '.join(missing)} vectors; it keeps "
                f"{', '.join(sorted(self.capabilities.kinds))}"
            )

    def _check_selection(self, where: Conditions) -> None:
        _ = self.info  # raises where there is no collection to select from
        for condition in where:
            self._check_key(condition.key, "filter")
            if operator_of(condition) not in self.capabilities.operators:
                raise UnsupportedByStoreError(
                    f"{self.name} cannot filter {condition.key!r} by "
                    f"{operator_of(condition).replace('_', ' ')}: leave that condition out, or use "
                    "another store"
                )
        values = sum(len(item.values) for item in where if isinstance(item, AnyOf | NoneOf))
        if values > self.capabilities.max_values:
            raise InvalidInputError(
                f"the filters have {values} values, and {self.name} takes "
                f"{self.capabilities.max_values} in one call: ask in parts"
            )

    def _check_key(self, key: str, what: str, *, index: int | None = None) -> None:
        prefixes = self.capabilities.reserved_prefixes
        if key.startswith(prefixes):
            raise InvalidInputError(
                f"{what} {key!r:.80}: {self.name} takes no key that begins with "
                f"{' or '.join(map(repr, prefixes))}; rename it",
                index=index,
            )

    def _call(self, call: Callable[[], _Result], *, again: bool = True) -> _Result:
        attempt = partial(self._once, call)
        result = self._retrying()(attempt) if again else attempt()
        self._has_answered = True
        return result

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            stop=(
                stop_after_delay(self._total_timeout_s)
                if self._has_answered
                else stop_after_attempt(_FIRST_ATTEMPTS)
            ),
            wait=wait_random_exponential(multiplier=0.25, max=10.0),
            sleep=sleep_using_event(self._stopped),
            before_sleep=self._log_pause,
            reraise=True,
        )

    def _once(self, call: Callable[[], _Result]) -> _Result:
        self._refuse_forked()
        try:
            with self._lock:
                limit_s = self.capabilities.time_limit_s
                return call() if limit_s is None else _within(limit_s, call)
        except JinaIntegrationsError:
            raise
        except Exception as exc:
            raise (self.store.explain(exc) or explain_error(exc, self.store)) from exc
        except BaseException as exc:
            if not is_panic(exc):
                raise
            raise StoreError(
                f"{self.name}: its engine has failed ({exc!s:.200}); start anew and run verify"
            ) from exc

    def _refuse_forked(self) -> None:
        """A fork has the connections and files of its parent, but none of the engine's threads."""
        process = os.getpid()
        if self._process not in (None, process):
            raise StoreError(
                f"{self.name} was opened by process {self._process}, and this one was forked from "
                "it: make a new Collection after the fork"
            )
        self._process = process

    def _log_pause(self, state: RetryCallState) -> None:
        if self._stopped.is_set() and state.outcome is not None:
            raise state.outcome.exception() or StoreUnavailableError(self.name)
        pause = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        _log.warning("%s; trying again in %.1f s", error, pause)


def _within(limit_s: float, call: Callable[[], _Result]) -> _Result:
    """The call's result, from a thread that is left behind when the time is up.

    Raises:
        TimeoutError: the time is up.
    """
    future: Future[_Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - raised again by whoever waits
            future.set_exception(exc)

    threading.Thread(target=work, name="store call", daemon=True).start()
    try:
        return future.result(timeout=limit_s)
    except TimeoutError as exc:
        if future.done():
            raise
        raise TimeoutError(f"no answer within {limit_s:g} s") from exc
