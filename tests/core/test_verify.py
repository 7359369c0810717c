"""`verify` names each kind of problem, and its repair leaves a collection that is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jina_integrations import Hit
from jina_integrations.errors import StoreCorruptError, StoreError, StoreUnavailableError
from jina_integrations.ingestion.verify import Problem
from jina_integrations.types import Record, Vectors
from tests.samples import chunks_of, collection, contents, corpus, document, fill


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


def of(store, name: str) -> list[Record]:
    records = [r for r in store.records.values() if r.chunk.document_id == name]
    return sorted(records, key=lambda record: record.chunk.index)


def remove(store, records: Iterable[Record]) -> None:
    for name in [name for name, item in store.records.items() if item in list(records)]:
        del store.records[name]


def test_nothing_is_wrong(memory_store) -> None:
    fill(memory_store, corpus(30))

    report = collection(memory_store).verify()

    assert report.ok
    assert (report.documents, report.chunks) == (30, chunks_of(30))
    assert report.problems == report.to_ingest == ()


def test_empty_collection(memory_store) -> None:
    handbook = collection(memory_store)
    handbook.ingest(corpus(1))
    handbook.delete(["d0"])

    assert handbook.verify(repair=True).ok
    assert handbook.ingest(corpus(1)).documents_embedded == 1  # there is nothing to probe


@pytest.mark.parametrize("index", [0, 1, 3])
def test_incomplete(memory_store, index: int) -> None:
    fill(memory_store, corpus(8))
    clean = contents(memory_store.records)
    remove(memory_store, [of(memory_store, "d3")[index]])
    handbook = collection(memory_store)

    assert handbook.verify().problems == (Problem("d3", "incomplete", 3),)
    assert len(of(memory_store, "d3")) == 3

    report = handbook.verify(repair=True)
    assert (report.chunks_removed, report.to_ingest) == (3, ("d3",))
    assert of(memory_store, "d3") == []
    assert handbook.verify().ok
    assert handbook.ingest(corpus(8)).documents_embedded == 1
    assert contents(memory_store.records) == clean


def test_leftover(memory_store) -> None:
    """A killed run has left chunks of an older version beside the whole new one."""
    fill(memory_store, corpus(8))
    old = of(memory_store, "d3")[2:]
    fill(memory_store, corpus(8, edition="second"))
    clean = contents(memory_store.records)
    memory_store.write(old)
    handbook = collection(memory_store)

    assert handbook.verify().problems == (Problem("d3", "leftover", 2),)
    report = handbook.verify(repair=True)

    assert (report.chunks_removed, report.to_ingest) == (2, ())
    assert contents(memory_store.records) == clean


def test_two_versions(memory_store) -> None:
    """The next run over the document knows which is the present one."""
    fill(memory_store, corpus(8))
    old = of(memory_store, "d3")
    fill(memory_store, corpus(8, edition="second"))
    clean = contents(memory_store.records)
    memory_store.write(old)
    handbook = collection(memory_store)

    report = handbook.verify(repair=True)
    assert report.problems == (Problem("d3", "two versions", 8),)
    assert (report.chunks_removed, report.to_ingest) == (0, ())

    handbook.ingest(corpus(8, edition="second"))
    assert contents(memory_store.records) == clean
    assert handbook.verify().ok


@pytest.mark.parametrize(
    "vector",
    [
        np.full(32, np.nan, np.float32),
        np.zeros(32, np.float32),
        np.array([np.inf, *[0.0] * 31], np.float32),
        None,
    ],
    ids=["NaN", "zeros", "infinite", "none"],
)
def test_bad_vector(memory_store, vector) -> None:
    fill(memory_store, corpus(8))
    memory_store.write([replace(of(memory_store, "d3")[1], vectors=Vectors(dense=vector))])
    handbook = collection(memory_store)

    report = handbook.verify(repair=True)

    assert Problem("d3", "bad vector", 1) in report.problems
    assert (report.chunks_removed, report.to_ingest) == (4, ("d3",))
    assert handbook.verify().ok


class LossyIndex:
    """Finds no chunk of some documents, like an HNSW folder that was lost."""

    def __init__(self, store, lost: set[str]) -> None:
        self._search = store.search
        self.lost = lost
        store.search = self

    def __call__(self, vector, *, kind, k, where) -> list[Hit]:
        hits = self._search(vector, kind=kind, k=10**6, where=where)
        return [hit for hit in hits if hit.chunk.document_id not in self.lost][:k]


def test_not_found(memory_store) -> None:
    fill(memory_store, corpus(8))
    index = LossyIndex(memory_store, {"d3", "d5"})
    handbook = collection(memory_store)

    report = handbook.verify(repair=True)

    assert report.problems == (
        Problem("d3", "not found", 4),
        Problem("d5", "not found", 2),
    )
    assert (report.chunks_removed, report.to_ingest) == (6, ("d3", "d5"))
    index.lost = set()
    assert handbook.ingest(corpus(8)).documents_embedded == 2
    assert handbook.verify().ok


def test_run_notices_a_lost_index(memory_store) -> None:
    """Before it takes anything for unchanged."""
    fill(memory_store, corpus(300))
    LossyIndex(memory_store, {f"d{n}" for n in range(300)})
    handbook = collection(memory_store)

    with pytest.raises(StoreCorruptError, match=r"not found by their own vector.*verify"):
        handbook.ingest(corpus(300))

    report = handbook.verify()
    assert {problem.kind for problem in report.problems} == {"not found"}
    assert sum(problem.chunks for problem in report.problems) == 200  # a sample


def test_index_that_cannot_be_searched(memory_store) -> None:
    fill(memory_store, corpus(8))

    def search(*arguments: object, **options: object) -> list[Hit]:
        raise StoreError("no such file: index.bin")

    memory_store.search = search
    with pytest.raises(StoreCorruptError, match=r"cannot be searched: no such file: index\.bin"):
        collection(memory_store).verify()
    with pytest.raises(StoreCorruptError, match="cannot be searched"):
        fill(memory_store, corpus(8))


def test_server_that_goes_away_is_no_lost_index(memory_store) -> None:
    fill(memory_store, corpus(8))

    def search(*arguments: object, **options: object) -> list[Hit]:
        raise StoreUnavailableError("the server does not answer")

    memory_store.search = search
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        collection(memory_store, total_timeout_s=0.1).verify()


def test_chunks_that_another_run_deletes_meanwhile_are_not_lost(memory_store) -> None:
    fill(memory_store, corpus(8))
    search = memory_store.search

    def delete_and_search(*arguments: Any, **options: Any) -> list[Hit]:
        memory_store.records.clear()
        return search(*arguments, **options)

    memory_store.search = delete_and_search
    assert fill(memory_store, corpus(8)).documents_embedded == 8


def test_equal_texts_are_found(memory_store) -> None:
    """Their vectors are equal, too, so any of them may come first."""
    fill(memory_store, [document(f"d{n}", "The same text.") for n in range(50)])

    assert collection(memory_store).verify().ok
    assert fill(memory_store, [document("d0", "The same text.")]).documents_unchanged == 1


def test_vectors_that_are_not_normalised(memory_store) -> None:
    from jina_integrations import Embedder

    fill(memory_store, corpus(8), Embedder("words", normalize=False))

    assert collection(memory_store).verify().ok


def test_report_as_json(memory_store) -> None:
    fill(memory_store, corpus(8))
    remove(memory_store, [of(memory_store, "d3")[0]])

    report = collection(memory_store).verify(repair=True)

    assert json.loads(json.dumps(report.to_dict())) == {
        "documents": 8,
        "chunks": chunks_of(8) - 1,
        "problems": [{"document_id": "d3", "kind": "incomplete", "chunks": 3}],
        "chunks_removed": 3,
        "to_ingest": ["d3"],
    }
