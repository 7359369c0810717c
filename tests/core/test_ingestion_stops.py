"""Runs that are stopped at any change of the store, and what the next run makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jina_integrations import Document, Embedder
from jina_integrations.errors import (
    EmbeddingError,
    MissingKeyError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from jina_integrations.ingestion import batching, ledger
from jina_integrations.ingestion.stages import Job
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.stores.records import record_id
from jina_integrations.testing.faults import FaultyStore
from tests.samples import PARAGRAPHS, chunks_of, collection, contents, corpus, document, fill


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


class Killed(BaseException):
    pass


def after(steps: int, error: BaseException) -> Callable[[], None]:
    """A hook that lets so many changes pass, then raises."""
    left = iter(range(steps))

    def change() -> None:
        if next(left, None) is None:
            raise error

    return change


def whole(store, *editions: list[Document]) -> set[str]:
    """Documents of which at least one of the editions is stored complete."""
    recipe = Job(Embedder("words"), PARAGRAPHS).recipe
    access = StoreAccess(store)
    if access.describe() is None:
        return set()
    return {
        item.id
        for edition in editions
        for item in edition
        for stored in ledger.look_up(access, [item.id]).values()
        if recipe.version(item) in stored.complete
    }


@pytest.mark.parametrize("error", [Killed(), KeyboardInterrupt(), StoreFullError("disk full")])
@pytest.mark.parametrize("batch_documents", [2, 64])
def test_stopped_at_any_change_loses_nothing(
    memory_store, monkeypatch, error, batch_documents: int
) -> None:
    monkeypatch.setattr(batching, "BATCH_DOCUMENTS", batch_documents)
    first, second = corpus(6), [*corpus(6, edition="second")[:4], *corpus(6)[4:]]
    clean = type(memory_store)()
    fill(clean, second)
    stopped = 0
    for steps in range(1000):
        store = type(memory_store)()
        fill(store, first)
        store.before_change = after(steps, error)
        try:
            fill(store, second)
        except type(error):
            stopped += 1
        else:
            break
        store.before_change = lambda: None

        assert whole(store, first, second) == {item.id for item in second}
        fill(store, second)
        assert contents(store.records) == contents(clean.records)
    assert stopped == chunks_of(4) * 2  # each write, each deletion


texts = st.lists(
    st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, max_size=3).map(
        " ".join
    ),
    min_size=1,
    max_size=3,
)
sources = st.dictionaries(st.sampled_from("abcdef"), texts, min_size=1)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    editions=st.lists(sources, min_size=1, max_size=4),
    stops=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    batch=st.integers(1, 4),
    prune=st.booleans(),
)
def test_any_sequence_of_stopped_runs_ends_as_a_clean_one(
    memory_store, editions, stops, batch, prune
) -> None:
    """Each run has other documents and is stopped; the last one is not. With prune, the store
    is that of the last edition alone; without, nothing complete is lost."""
    store, clean = type(memory_store)(), type(memory_store)()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "BATCH_DOCUMENTS", batch)
        runs = [[document(name, *parts) for name, parts in e.items()] for e in editions]
        for run, steps in zip(runs, stops, strict=False):
            before = whole(store, *runs)
            store.before_change = after(steps, Killed())
            with suppress(Killed):
                fill(store, run, prune=prune)
            store.before_change = lambda: None
            if not prune:
                assert whole(store, *runs) >= before
        fill(store, runs[-1], prune=prune)
        fill(clean, runs[-1])

    names = {item.id for item in runs[-1]}
    present = {k: r for k, r in store.records.items() if r.chunk.document_id in names}
    assert contents(present) == contents(clean.records)
    if prune:
        assert contents(store.records) == contents(clean.records)


def test_first_chunk_is_deleted_before_the_others(memory_store) -> None:
    """A document whose first chunk is there is whole: also one that was being removed."""
    documents = corpus(8)
    removed = [item.id for item in documents if item.text.count("\n\n") == 3]
    for steps in range(1, 9):
        store = type(memory_store)()
        fill(store, documents)
        store.before_change = after(steps, Killed())
        with suppress(Killed):
            collection(store).delete(removed)
        store.before_change = lambda: None

        firsts = {r.chunk.document_id for r in store.records.values() if r.chunk.index == 0}
        assert whole(store, documents) == firsts
        assert collection(store).delete(removed) == 8 - steps


def test_source_that_raises_midway(memory_store, monkeypatch) -> None:
    monkeypatch.setattr(batching, "BATCH_DOCUMENTS", 2)

    def stream() -> Iterator[Document]:
        yield from corpus(25)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        fill(memory_store, stream())

    assert 12 <= len(whole(memory_store, corpus(25))) <= 24  # a few batches are on their way
    assert collection(memory_store).verify().ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_forked_process_does_not_use_its_parents_store(memory_store) -> None:
    handbook = collection(memory_store)
    handbook.ingest(corpus(4))
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            handbook.info()
        except StoreError as exc:
            os.write(write, str(exc).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as said:
        assert "forked from it: make a new Collection after the fork" in said.read()
    assert handbook.info().documents == 4


def test_store_is_settled_after_a_run_that_wrote_and_released_after_every_one(
    memory_store,
) -> None:
    calls: list[str] = []
    memory_store.settle = lambda: calls.append("settle")
    memory_store.release = lambda: calls.append("release")
    handbook = collection(memory_store)

    handbook.ingest([Document("bad", "word " * 200_000)])
    assert calls == ["settle", "release"]  # the collection was made, though nothing is in it
    handbook.delete(["not there"])
    handbook.verify(repair=True)
    handbook.ingest([])
    assert calls[2:] == ["release"] * 3
    handbook.verify()
    handbook.ingest(corpus(1), dry_run=True)
    assert calls[5:] == []
    handbook.ingest(corpus(1))
    handbook.delete(["d0"])
    assert calls[5:] == ["settle", "release"] * 2


@pytest.mark.parametrize("ending", [StoreFullError("no space is left"), KeyboardInterrupt()])
def test_store_is_released_however_a_run_ends(memory_store, ending) -> None:
    calls: list[str] = []
    memory_store.settle = lambda: calls.append("settle")
    memory_store.release = lambda: calls.append("release")
    memory_store.before_change = after(5, ending)

    with pytest.raises(type(ending)):
        fill(memory_store, corpus(20))

    assert calls == ["release"]


def test_store_error_is_raised_as_it_is(memory_store) -> None:
    memory_store.before_change = after(5, StoreFullError("no space is left"))

    with pytest.raises(StoreError, match="no space is left"):
        fill(memory_store, corpus(20))


def test_error_that_no_document_is_to_blame_for(memory_store, words, monkeypatch) -> None:
    """The run ends; the batches before it are stored."""
    monkeypatch.setattr(batching, "BATCH_DOCUMENTS", 4)
    passes = iter(range(3))

    def call() -> None:
        if next(passes, None) is None:
            raise MissingKeyError("the key was revoked")

    words.before_call = call

    with pytest.raises(MissingKeyError, match="revoked"):
        fill(memory_store, corpus(40))

    assert whole(memory_store, corpus(40)) == {f"d{n}" for n in range(12)}


def test_wrong_number_of_vectors(memory_store, words) -> None:
    """Never a vector beside another's chunk."""

    class OneShort(Embedder):
        def embed(self, texts, **options):
            collected = super().embed(texts, **options)
            object.__setattr__(collected, "vectors", collected.vectors[:-1])
            return collected

    with pytest.raises(EmbeddingError, match="19 vectors for 20 chunks"):
        fill(memory_store, corpus(8), OneShort("words"))
    assert not memory_store.records


def test_store_that_is_away_for_a_while(memory_store) -> None:
    """The calls of the run are made again; and so are those after a run that failed."""
    away = iter([False, False, True, True, False, True, *[False] * 1000])

    def change() -> None:
        if next(away):
            raise ConnectionRefusedError("nobody there")

    memory_store.before_change = change
    handbook = collection(memory_store)
    assert handbook.ingest(corpus(6)).documents_embedded == 6

    memory_store.before_change = after(2, Killed())
    with pytest.raises(Killed):
        handbook.ingest(corpus(6, edition="second"))

    away = iter([True, True, *[False] * 1000])
    memory_store.before_change = change
    assert handbook.ingest(corpus(6, edition="second")).documents_embedded == 6
    assert handbook.verify().ok


def test_store_that_does_not_come_back(memory_store) -> None:
    fill(memory_store, corpus(1))

    def change() -> None:
        raise ConnectionRefusedError("nobody there")

    memory_store.before_change = change
    with pytest.raises(StoreUnavailableError):
        fill(memory_store, corpus(6), total_timeout_s=0.5)


@pytest.mark.parametrize("kind", ["memory", "qdrant-edge"])
def test_store_calls_that_fail_at_random(memory_store, kind: str, tmp_path) -> None:
    """One in ten, half of them after they have done their work; the pauses are cut short."""
    store = memory_store
    if kind == "qdrant-edge":
        pytest.importorskip("qdrant_edge")
        store = open_store(f"qdrant-edge:{tmp_path}#faults")
    clean = type(memory_store)()
    first, second = corpus(300), [*corpus(280, edition="second")[:140], *corpus(280)[140:]]
    fill(clean, second)
    faulty = FaultyStore(store, share=0.1, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenacity.wait.wait_random_exponential.__call__", lambda *_: 0.0)
        patch.setattr(batching, "BATCH_DOCUMENTS", 20)
        fill(faulty, first)
        report = fill(faulty, second, prune=True)
        verified = collection(faulty).verify()

    assert faulty.faults > 10
    assert (report.documents_embedded, report.documents_unchanged) == (140, 140)
    assert len(report.documents_removed) == 20
    assert verified.ok
    access = StoreAccess(store)
    stored = {record_id(record): record for record in access.scan(vectors=True)}
    assert stored.keys() == clean.records.keys()
    for name, record in clean.records.items():
        assert stored[name].chunk == record.chunk
        assert stored[name].vectors.dense == pytest.approx(record.vectors.dense, abs=1e-6)
    access.close()


def test_scan_that_breaks_off_is_begun_anew(memory_store, monkeypatch) -> None:
    """A server that is gone after the first page: `prune` and `verify` read all over again."""
    fill(memory_store, corpus(600))
    breaks = iter([True, False, True])
    scan = memory_store.scan

    def breaking(where, *, content: bool, vectors: bool):
        for number, record in enumerate(scan(where, content=content, vectors=vectors)):
            if number == 550 and next(breaks, False):
                raise ConnectionResetError("the server was restarted")
            yield record

    monkeypatch.setattr(memory_store, "scan", breaking)
    monkeypatch.setattr("tenacity.wait.wait_random_exponential.__call__", lambda *_: 0.0)

    report = fill(memory_store, corpus(599), prune=True)
    assert report.documents_removed == ("d599",)
    verified = collection(memory_store).verify()
    assert verified.ok
    assert verified.documents == 599
    assert next(breaks, None) is None
