"""What the core makes true for every store: checks, parts, order, patience, turns, errors."""

from __future__ import annotations

import errno
import logging
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tenacity

from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    StoreAccessDeniedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedByStoreError,
)
from jina_integrations.stores import (
    AnyOf,
    Capabilities,
    CollectionInfo,
    Conditions,
    Exists,
    NoneOf,
    Range,
)
from jina_integrations.stores import access as access_module
from jina_integrations.stores.access import StoreAccess, lists_of
from jina_integrations.testing import DIMENSIONS, INFO, MemoryStore, dense_vectors, records
from jina_integrations.types import Record, SparseVector, Vectors

QUERY = dense_vectors(1)[0]
_numbers = count()


class WatchedStore(MemoryStore):
    """Every call first goes to `before`, which may raise; `calls` has their names."""

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(f"watched {next(_numbers)}")
        self.capabilities = replace(MemoryStore.capabilities, **capabilities)
        self.before: Callable[[str], None] = lambda call: None
        self.calls: list[str] = []
        self.requests: list[list[Record]] = []

    def step(self, call: str) -> None:
        self.calls.append(call)
        self.before(call)

    def describe(self) -> CollectionInfo | None:
        self.step("describe")
        return super().describe()

    def create(self, info: CollectionInfo) -> None:
        self.step("create")
        super().create(info)

    def remember(self, info: CollectionInfo) -> None:
        self.step("remember")
        super().remember(info)

    def drop(self) -> None:
        self.step("drop")
        super().drop()

    def write(self, records: Sequence[Record]) -> None:
        self.step("write")
        self.requests.append(list(records))
        super().write(records)

    def delete(self, where: Conditions) -> None:
        self.step("delete")
        super().delete(where)

    def count(self, where: Conditions) -> int:
        self.step("count")
        return super().count(where)

    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        self.step("scan")
        return super().scan(where, content=content, vectors=vectors)

    def search(self, vector: Any, **options: Any) -> Any:
        self.step("search")
        return super().search(vector, **options)

    def settle(self) -> None:
        self.step("settle")

    def release(self) -> None:
        self.step("release")

    def close(self) -> None:
        self.step("close")


@pytest.fixture
def store() -> WatchedStore:
    store = WatchedStore()
    store.create(INFO)
    store.calls.clear()
    return store


@pytest.fixture
def access(store: WatchedStore) -> StoreAccess:
    """It has answered once."""
    access = StoreAccess(store)
    assert access.info == INFO
    store.calls.clear()
    return access


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Pauses take no time; `now` is what they add up to, `pauses` lists them."""
    clock = SimpleNamespace(now=1000.0, pauses=[])

    def sleep(seconds: float) -> None:
        clock.now += seconds
        clock.pauses.append(seconds)

    monkeypatch.setattr(access_module, "sleep_using_event", lambda event: sleep)
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return clock


def call_all(access: StoreAccess) -> dict[str, Callable[[], object]]:
    return {
        "describe": access.describe,
        "create": lambda: access.create(INFO),
        "remember": lambda: access.remember(INFO),
        "drop": access.drop,
        "write": lambda: access.write(records("a", "v1", 2)),
        "delete": lambda: access.delete(()),
        "count": access.count,
        "scan": lambda: list(access.scan()),
        "search": lambda: access.search(QUERY, k=1),
        "settle": access.settle,
        "release": access.release,
        "close": access.close,
    }


# Parts and their order


def test_lists_of() -> None:
    assert list(lists_of(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(lists_of([], 3)) == []


def test_requests_have_as_many_records_as_the_store_takes() -> None:
    store = WatchedStore(max_records=3)
    access = StoreAccess(store)
    access.create(INFO)
    access.write(records("a", "v1", 5) + records("b", "v1", 3))
    places = [
        [(item.chunk.document_id, item.chunk.index) for item in request]
        for request in store.requests
    ]
    assert places == [
        [("a", 1), ("a", 2), ("a", 3)],
        [("a", 4), ("b", 1), ("b", 2)],
        [("a", 0), ("b", 0)],
    ]
    access.write([])
    assert len(store.requests) == 3


@pytest.mark.parametrize("letter", ["a", "日", '"'])
def test_requests_have_as_many_bytes_as_the_store_takes(letter: str) -> None:
    store = WatchedStore(max_bytes=20_000)
    access = StoreAccess(store)
    access.create(INFO)
    written = [
        replace(record, chunk=replace(record.chunk, text=letter * length, metadata={"k": letter}))
        for record, length in zip(
            records("a", "v1", 40), np.random.default_rng(0).integers(1, 3000, 40), strict=True
        )
    ]
    written[7] = replace(written[7], chunk=replace(written[7].chunk, text=letter * 30_000))
    access.write(written)
    assert sum(map(len, store.requests)) == 40
    for request in store.requests:
        size = sum(len(item.chunk.text.encode()) + 20 * DIMENSIONS for item in request)
        assert len(request) == 1 or size <= 20_000
    assert len(store.requests) < 25


def test_a_first_chunk_is_there_only_where_its_document_is() -> None:
    """A write that ends anywhere, with one record a request."""
    for written in range(11):
        store = WatchedStore(max_records=1)
        access = StoreAccess(store)
        access.create(INFO)

        def die(call: str, left: list[int] = [written]) -> None:  # noqa: B006
            if call == "write" and not left[0]:
                raise RuntimeError("killed")
            left[0] -= call == "write"

        store.before = die
        try:
            access.write(records("a", "v1", 4) + records("b", "v1", 6))
        except StoreError:
            assert written < 10
        stored = {
            (item.chunk.document_id, item.chunk.index): item.chunk_count for item in access.scan()
        }
        assert len(stored) == min(written, 10)
        for (name, index), chunks in stored.items():
            if index == 0:
                assert {(name, number) for number in range(chunks)} <= stored.keys()


def test_a_chunk_is_sent_once_and_the_last_stays(access: StoreAccess, store: WatchedStore) -> None:
    access.write(records("a", "v1", 3, seed=1) + records("a", "v1", 3, seed=2))
    ((first, second, third),) = store.requests
    assert {item.chunk.index for item in (first, second, third)} == {0, 1, 2}
    expected = dict(enumerate(dense_vectors(3, seed=2)))
    for item in (first, second, third):
        np.testing.assert_array_equal(item.vectors.dense, expected[item.chunk.index])


def test_a_deletion_is_counted_before(access: StoreAccess, store: WatchedStore) -> None:
    """So it is right also where the answer to the deletion is lost; none is made for nothing."""
    access.write(records("a", "v1", 5))
    store.calls.clear()
    assert access.delete((AnyOf("document_id", ("b",)),)) == 0
    assert store.calls == ["count"]
    assert access.delete(()) == 5
    assert store.calls == ["count", "count", "delete"]


# Work that writes


def test_work_that_ends_well_settles_what_it_wrote(
    access: StoreAccess, store: WatchedStore
) -> None:
    with access.writing():
        access.search(QUERY, k=1)
    assert store.calls == ["search", "release"]
    store.calls.clear()
    with access.writing():
        access.write(records("a", "v1", 1))
    with access.writing():
        assert access.delete((AnyOf("document_id", ("b",)),)) == 0
    assert store.calls == ["write", "settle", "release", "count", "release"]


def test_work_that_fails_lets_others_write(access: StoreAccess, store: WatchedStore) -> None:
    """What it wrote is settled by the next."""

    def work() -> None:
        with access.writing():
            access.write(records("a", "v1", 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert store.calls == ["write", "release"]
    with access.writing():
        pass
    assert store.calls == ["write", "release", "settle", "release"]


def test_a_store_that_cannot_settle_lets_others_write(
    access: StoreAccess, store: WatchedStore
) -> None:
    def fail(call: str) -> None:
        if call == "settle":
            raise OSError(errno.ENOSPC, "No space left on device")

    store.before = fail
    with pytest.raises(StoreFullError), access.writing():
        access.write(records("a", "v1", 1))
    assert store.calls == ["write", "settle", "release"]
    store.before = lambda call: None
    access.drop()
    store.calls.clear()
    with access.writing():
        pass
    assert store.calls == ["release"]  # and nothing is settled in a collection that is gone


def test_a_long_run_is_settled_on_its_way() -> None:
    """Whenever so many bytes of vectors have been written."""
    store = WatchedStore(settle_bytes=40 * DIMENSIONS * 4)
    access = StoreAccess(store)
    access.create(INFO)
    for number in range(9):
        access.write(records(f"d{number}", "v1", 10))
    assert [row for row, call in enumerate(store.calls) if call == "settle"] == [6, 11]


# What is refused before the store sees it


def test_one_bad_record_and_nothing_is_written(access: StoreAccess, store: WatchedStore) -> None:
    """Even in parts; see `test_store_checks` for what is bad."""
    written = records("a", "v1", 5)
    written[3] = replace(written[3], vectors=Vectors(dense=np.full(DIMENSIONS, 1e300)))
    with pytest.raises(
        InvalidInputError, match=r"^records\[3\] \(chunk 3 of document 'a'\)"
    ) as caught:
        access.write(written)
    assert caught.value.index == 3
    assert store.calls == []


@pytest.mark.parametrize("query", [np.full(DIMENSIONS, 1e300), np.ones(3), "text", None])
def test_a_query_that_means_nothing(
    access: StoreAccess, store: WatchedStore, query: np.ndarray
) -> None:
    with pytest.raises(InvalidInputError, match=r"^query: "):
        access.search(query, k=1)
    assert store.calls == []


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "5", None, np.float64(2)])
def test_k_is_a_number_of_hits(access: StoreAccess, store: WatchedStore, k: int) -> None:
    with pytest.raises(InvalidInputError, match="k must be an int of at least 1"):
        access.search(QUERY, k=k)
    assert store.calls == []


def test_k_beyond_what_the_store_gives() -> None:
    access = StoreAccess(WatchedStore(max_k=100))
    access.create(INFO)
    assert access.search(QUERY, k=100) == []
    with pytest.raises(InvalidInputError, match=r"k=99999999999: collection .* gives at most 100"):
        access.search(QUERY, k=99_999_999_999)


def test_what_the_store_cannot_do_is_named() -> None:
    store = WatchedStore(
        kinds=frozenset({"dense"}), operators=frozenset({"any", "none"}), max_values=3
    )
    access = StoreAccess(store)
    with pytest.raises(UnsupportedByStoreError, match="keeps no sparse vectors; it keeps dense"):
        access.create(CollectionInfo({}, {"dense": 3, "sparse": 0}))
    access.create(INFO)
    with pytest.raises(UnsupportedByStoreError, match="keeps no multi"):
        access.search(np.ones((1, DIMENSIONS), np.float32), kind="multi", k=1)
    for condition, name in (
        (Range("year", gte=1), "'year' by range"),
        (Exists("year", exists=True), "'year' by exists"),
    ):
        for call in (
            lambda where: access.search(QUERY, k=1, where=where),
            access.count,
            access.delete,
            lambda where: list(access.scan(where)),
        ):
            with pytest.raises(UnsupportedByStoreError, match=name):
                call((condition,))
    assert access.count((AnyOf("a", (1, 2)), NoneOf("b", (1,)))) == 0
    with pytest.raises(InvalidInputError, match=r"have 4 values, and .* takes 3 in one call"):
        access.count((AnyOf("a", (1, 2)), NoneOf("b", (1, 2))))


def test_vectors_that_the_collection_lacks(access: StoreAccess) -> None:
    """The store could keep them, and this collection was made without."""
    with pytest.raises(UnsupportedByStoreError, match="has no sparse vectors"):
        access.search(SparseVector(np.array([1], np.uint32), QUERY[:1]), kind="sparse", k=1)


# The collection


def test_what_it_remembers_is_asked_once(access: StoreAccess, store: WatchedStore) -> None:
    for _ in range(3):
        access.search(QUERY, k=1)
        access.write(records("a", "v1", 1))
    assert "describe" not in store.calls
    other = CollectionInfo({"model": "other"}, INFO.dimensions)
    access.remember(other)
    assert access.info == other
    access.drop()
    with pytest.raises(CollectionNotFoundError, match=r"does not exist; ingest into it first"):
        _ = access.info
    assert access.create(INFO) == INFO


def test_made_by_another_process_meanwhile(store: WatchedStore) -> None:
    """What it remembers is the other's."""
    access = StoreAccess(store)
    assert access.create(CollectionInfo({"model": "mine"}, INFO.dimensions)) == INFO
    assert access.info == INFO


def test_a_store_may_refuse_to_make_what_is_there(store: WatchedStore) -> None:
    """Another process has been faster, or the answer to our own first request was lost."""

    def refuse(call: str) -> None:
        if call == "create":
            raise RuntimeError("exists already")

    store.before = refuse
    access = StoreAccess(store)
    assert access.create(CollectionInfo({"model": "mine"}, INFO.dimensions)) == INFO
    MemoryStore.drop(store)
    with pytest.raises(StoreError, match="exists already"):
        access.create(INFO)


def test_made_anew_by_another_process(
    access: StoreAccess, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it remembers is asked again now and then."""
    access.search(QUERY, k=1)
    MemoryStore.drop(store)
    MemoryStore.create(store, CollectionInfo({"model": "other"}, {"dense": 3}))
    assert access.info == INFO
    monkeypatch.setattr(access_module, "_INFO_AGE_S", -1.0)
    assert access.info.recipe == {"model": "other"}
    with pytest.raises(InvalidInputError, match=r"the collection's have \(3,\)"):
        access.search(QUERY, k=1)
    MemoryStore.drop(store)
    with pytest.raises(CollectionNotFoundError):
        access.search(QUERY, k=1)


def test_dropped_while_it_is_made(store: WatchedStore) -> None:
    access = StoreAccess(store)
    store.before = lambda call: MemoryStore.drop(store) if call == "describe" else None
    with pytest.raises(StoreError, match="dropped while it was being made"):
        access.create(INFO)


# Patience


def gone(call: str) -> None:
    raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def test_a_store_that_fails_now_and_then_costs_nothing_but_time(
    access: StoreAccess, store: WatchedStore, clock: SimpleNamespace
) -> None:
    """5 % of all calls fail."""
    dice = random.Random(3)

    def fail(call: str) -> None:
        if dice.random() < 0.05:
            raise ConnectionResetError("peer")

    store.before = fail
    for number in range(200):
        access.write(records(f"d{number}", "v1", 3))
        assert len(list(access.scan((AnyOf("document_id", (f"d{number}",)),)))) == 3
        if number % 2:
            assert access.delete((AnyOf("document_id", (f"d{number - 1}",)),)) == 3
    assert access.count() == 300
    assert len(access.search(QUERY, k=500)) == 300
    assert len(clock.pauses) > 10


def test_a_server_that_is_restarted_ends_nothing(
    access: StoreAccess,
    store: WatchedStore,
    clock: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Gone for 60 s of 300; each pause is logged, none is longer than 10 s."""
    until = clock.now + 60
    store.before = lambda call: gone(call) if clock.now < until else None
    with caplog.at_level(logging.WARNING):
        access.write(records("a", "v1", 2))
    assert access.count() == 2
    assert until <= clock.now <= until + 10
    assert max(clock.pauses) <= 10
    assert len(caplog.records) == len(clock.pauses)
    assert "does not answer" in caplog.text
    assert "trying again in" in caplog.text


@pytest.mark.parametrize("total_timeout_s", [5.0, 300.0])
def test_a_server_that_stays_away_is_given_up(
    store: WatchedStore, clock: SimpleNamespace, total_timeout_s: float
) -> None:
    access = StoreAccess(store, total_timeout_s=total_timeout_s)
    assert access.info
    store.before = gone
    started = clock.now
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        access.count()
    assert total_timeout_s <= clock.now - started <= total_timeout_s + 10
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_an_address_that_never_answered_is_given_up_soon(
    store: WatchedStore, clock: SimpleNamespace
) -> None:
    store.before = gone
    started = clock.now
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        StoreAccess(store).describe()
    assert store.calls == ["describe"] * 3
    assert clock.now - started < 3


def test_stop_ends_the_pauses_of_other_threads(
    access: StoreAccess, store: WatchedStore, caplog: pytest.LogCaptureFixture
) -> None:
    paused = threading.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            paused.set()

    store.before = gone
    handler = Listening()
    logging.getLogger("jina_integrations").addHandler(handler)
    try:
        with ThreadPoolExecutor(1) as pool:
            counted = pool.submit(access.count)
            assert paused.wait(30)
            access.stop()
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                counted.result(timeout=30)
    finally:
        logging.getLogger("jina_integrations").removeHandler(handler)


def test_a_scan_begins_again_only_before_its_second_page(
    access: StoreAccess, store: WatchedStore, clock: SimpleNamespace
) -> None:
    """What was given out already could come twice."""
    for number in range(10):
        access.write(records(f"d{number}", "v1", 100))
    failures = iter([True, True, False])
    store.before = lambda call: gone(call) if call == "scan" and next(failures, False) else None
    scanned = access.scan(content=False)
    first = next(scanned)
    assert store.calls[-3:] == ["scan"] * 3
    assert access.count() == 1000  # in between
    assert len({first.chunk, *(item.chunk for item in scanned)}) == 1000

    class Breaking(WatchedStore):
        def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
            self.step("scan")
            for number, item in enumerate(
                MemoryStore.scan(self, where, content=content, vectors=vectors)
            ):
                if number == 700:
                    raise ConnectionResetError("peer")
                yield item

    breaking = Breaking()
    access = StoreAccess(breaking)
    access.create(INFO)
    access.write(records("a", "v1", 1000))
    with pytest.raises(StoreUnavailableError):
        list(access.scan())
    assert breaking.calls.count("scan") == 1


# Errors


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("its words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("call", list(call_all(StoreAccess(MemoryStore("any")))))
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("odd"), StoreError),
        (KeyError("missing"), StoreError),
        (MemoryError(), StoreError),
        (OSError(errno.ENOSPC, "No space left on device"), StoreFullError),
        (PermissionError(errno.EACCES, "Permission denied"), StoreAccessDeniedError),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), StoreCorruptError),
        (sqlite_error(sqlite3.SQLITE_FULL), StoreFullError),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), StoreAccessDeniedError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_whatever_the_library_raises_becomes_ours(
    access: StoreAccess, store: WatchedStore, call: str, error: Exception, expected: type
) -> None:
    """At once, with the store's name, and the library's error as the cause."""

    def fail(name: str) -> None:
        if name == call:
            raise error

    access.write(records("b", "v1", 1))
    if call == "create":
        access.drop()
    store.calls.clear()
    store.before = fail
    with pytest.raises(StoreError, match=r"^collection 'watched .*' in memory: ") as caught:
        call_all(access)[call]()
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    assert store.calls.count(call) == 1


def test_the_store_explains_first(store: WatchedStore) -> None:
    class Explaining(WatchedStore):
        def explain(self, error: Exception) -> StoreError | None:
            return StoreFullError("quota") if isinstance(error, KeyError) else None

    explaining = Explaining()
    access = StoreAccess(explaining)
    access.create(INFO)
    for error, expected in ((KeyError("x"), StoreFullError), (IndexError("x"), StoreError)):

        def fail(call: str, error: Exception = error) -> None:
            raise error

        explaining.before = fail
        with pytest.raises(StoreError) as caught:
            access.count()
        assert type(caught.value) is expected


def test_our_errors_and_interrupts_pass_as_they_are(
    access: StoreAccess, store: WatchedStore
) -> None:
    for error in (StoreCorruptError("as it is"), KeyboardInterrupt()):

        def fail(call: str, error: BaseException = error) -> None:
            raise error

        store.before = fail
        with pytest.raises(type(error)) as caught:
            access.count()
        assert caught.value is error


# Turns


def test_a_store_sees_one_call_at_a_time(access: StoreAccess, store: WatchedStore) -> None:
    inside = threading.Lock()
    entered = Counter[str]()

    def enter(call: str) -> None:
        assert inside.acquire(blocking=False), "two calls at once"
        entered[call] += 1
        threading.Event().wait(0.001)
        inside.release()

    store.before = enter

    def work(number: int) -> int:
        where = (AnyOf("document_id", (f"d{number}",)),)
        access.write(records(f"d{number}", "v1", 3))
        access.search(QUERY, k=1)
        assert access.delete((*where, AnyOf("chunk_index", (1,)))) == 1
        return len(list(access.scan(where)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [2] * 40
    assert entered == dict.fromkeys(["write", "search", "count", "delete", "scan"], 40)
    assert access.count() == 80


def test_capabilities_may_be_those_of_one_store() -> None:
    """E.g. of a folder, where a server of the same class can do more."""
    store = WatchedStore(max_records=7)
    assert StoreAccess(store).capabilities.max_records == 7
    assert Capabilities().kinds == {"dense"}


def test_a_busy_database_is_asked_again() -> None:
    """It is transient by SQLite's own words, as a server that is away is."""
    from jina_integrations.stores.failures import explain_error

    for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        meaning = explain_error(sqlite_error(code), MemoryStore("busy"))
        assert type(meaning) is StoreUnavailableError
