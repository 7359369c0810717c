"""Documents into a store through the API: failures cost what they must, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jina_integrations import (
    ApiSettings,
    Collection,
    Document,
    Embedder,
    IngestReport,
    SpanChunker,
    errors,
)
from jina_integrations.ingestion.report import IngestProgress
from jina_integrations.testing import MemoryStore
from jina_integrations.types import CharSpan
from tests.core.api.fault_server import DIMENSIONS, FaultServer, vector_of
from tests.core.api.faults import FAULTS, FaultPlan, after, random_faults, when_holding

KEY = "jina_0123456789abcdef"
FAST = ApiSettings(
    requests_per_minute=None, tokens_per_minute=None, request_inputs=16, read_timeout_s=2.0
)


def lines(text: str) -> Iterator[CharSpan]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip())
        start += len(line)


def corpus(count: int) -> list[Document]:
    return [
        Document(f"doc {n}", "\n".join(f"line {line} of document {n}" for line in range(4)))
        for n in range(count)
    ]


def embedder_for(server: FaultServer, **options: Any) -> Embedder:
    defaults: dict[str, Any] = {
        "dimensions": DIMENSIONS,
        "api_key": KEY,
        "api": FAST,
        "late_chunking": False,
    }
    return Embedder("jina-embeddings-v3", base_url=server.base_url, **defaults | options)


def run(
    server: FaultServer, store: MemoryStore, documents: list[Document], **options: Any
) -> IngestReport:
    return collection_of(store, embedder_for(server, **options)).ingest(documents)


def collection_of(store: MemoryStore, embedder: Embedder) -> Collection:
    chunker = SpanChunker(lambda text: list(lines(text)), name="lines")
    return Collection(store, embedder=embedder, chunker=chunker)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    monkeypatch.delenv("JINAAI_API_KEY", raising=False)
    monkeypatch.setattr("jina_integrations.backends.api.retrying._FIRST_BACKOFF_S", 0.01)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[MemoryStore]:
    store = MemoryStore(request.node.name)
    yield store
    store.drop()


def documents_in(store: MemoryStore) -> int:
    return Collection.open(store).info().documents


def bad_line(number: int, line: int) -> str:
    return f"line {line} of document {number}"


@pytest.mark.parametrize("kind", ["400", "422", "500"])
def test_one_bad_chunk_fails_its_document_and_costs_the_others_nothing(
    store: MemoryStore, kind: str
) -> None:
    fault: FaultPlan = when_holding(bad_line(7, 2), kind)
    with FaultServer(fault) as server:
        report = run(server, store, corpus(20))

        good = [d for d in corpus(20) if d.id != "doc 7"]
        billed = Counter(line for d in good for line in d.text.splitlines())
        assert {text: server.billed[text] for text in billed} == billed
    assert report.documents_embedded == 19
    assert [failure.document_id for failure in report.failures] == ["doc 7"]
    assert documents_in(store) == 19


def test_a_run_that_waits_for_an_answer_can_be_ended(store: MemoryStore) -> None:
    """What is raised by a watcher arrives before the service's own time is up."""
    with FaultServer(after(0, replace(FAULTS["stall"], seconds=30))) as server:

        def stop(progress: IngestProgress) -> None:
            if server.requests:
                raise KeyboardInterrupt

        waiting = collection_of(store, embedder_for(server, api=FAST.replace(max_retries=50)))
        with pytest.raises(KeyboardInterrupt):
            waiting.ingest(corpus(2), on_progress=stop)
        embedder = embedder_for(server, api=FAST.replace(max_retries=0))

        def watch(tokens: int) -> None:
            assert tokens == 0
            raise InterruptedError

        with pytest.raises(InterruptedError):
            embedder.embed(["text"], task="passage", on_progress=watch)


def test_a_key_revoked_half_way_keeps_what_was_embedded_and_the_next_run_does_the_rest(
    store: MemoryStore,
) -> None:
    with FaultServer(after(3, "401")) as server:
        with pytest.raises(errors.AuthenticationError):
            run(server, store, corpus(20), api=FAST.replace(concurrent_requests=1))
        kept = documents_in(store)
        assert kept == 12  # three requests of 16 lines

        server.fault = lambda number, body: None
        report = run(server, store, corpus(20))
        assert server.billed == Counter(line for d in corpus(20) for line in d.text.splitlines())
    assert (report.documents_unchanged, report.documents_embedded) == (12, 8)
    assert documents_in(store) == 20


def test_every_fault_at_once_and_the_store_is_whole(store: MemoryStore) -> None:
    kinds = ("500", "503", "reset_mid_body", "truncated_json", "fewer_items", "nan", "shuffled")
    with FaultServer(random_faults(kinds, rate=0.2, seed=5)) as server:
        report = run(server, store, corpus(100))
        docs = collection_of(store, embedder_for(server))
        hits = docs.search("line 2 of document 42", k=1)

    assert report.documents_embedded == 100
    assert store.count(()) == 400
    # The server knows no tasks: the query's vector is that of the line.
    assert hits[0].chunk.text == "line 2 of document 42"
    assert hits[0].score == pytest.approx(1.0, abs=1e-6)


def test_late_chunking_reaches_the_store(store: MemoryStore) -> None:
    documents = corpus(5)
    with FaultServer() as server:
        report = run(server, store, documents, late_chunking=True)

        assert [request.body["late_chunking"] for request in server.requests] == [True] * 5
        pieces = [f"{line}\n" for line in documents[3].text.splitlines()]
    wanted = vector_of(pieces[1], document=documents[3].text, dimensions=DIMENSIONS)
    hit = store.search(wanted, kind="dense", k=1, where=())[0]
    assert report.chunks_written == 20
    assert hit.chunk.text == documents[3].text.splitlines()[1]
    assert hit.score == pytest.approx(1.0, abs=1e-6)


def test_a_document_that_cannot_be_late_chunked_is_reported(store: MemoryStore) -> None:
    fault = replace(FAULTS["400"], message="no such document")
    with FaultServer(when_holding("line 0 of document 2\n", fault)) as server:
        report = run(server, store, corpus(5), late_chunking=True)

    assert [failure.document_id for failure in report.failures] == ["doc 2"]
    assert "no such document" in str(report.failures[0].error)
    assert report.documents_embedded == 4


def test_a_collection_cannot_choose_where_questions_and_keys_go(store: MemoryStore) -> None:
    with FaultServer() as server:
        run(server, store, corpus(3))
        asked = len(server.requests)
        with pytest.raises(errors.ModelLoadError, match="base_url"):
            Collection.open(store).search("line 1 of document 1")
        assert len(server.requests) == asked

        docs = Collection.open(store, base_url=server.base_url)
        (hit,) = docs.search("line 1 of document 1", k=1)
        assert KEY not in str(store.describe())
    assert hit.chunk.text == "line 1 of document 1"


@pytest.mark.parametrize(
    ("model", "dimensions"), [("jina-embeddings-v3", DIMENSIONS), ("theirs", None)]
)
def test_a_server_may_move(store: MemoryStore, model: str, dimensions: int | None) -> None:
    with FaultServer() as first, FaultServer() as second:
        here, there = (
            collection_of(
                store, Embedder(model, base_url=server.base_url, api=FAST, dimensions=dimensions)
            )
            for server in (first, second)
        )
        here.ingest(corpus(3))
        assert there.ingest(corpus(3)).documents_unchanged == 3
        assert there.search("line 1 of document 1", k=1)


def test_a_collection_of_the_api_is_not_filled_by_a_local_model(store: MemoryStore) -> None:
    with FaultServer() as server:
        run(server, store, corpus(1))
        other = Embedder("echo", dimensions=DIMENSIONS)
        with pytest.raises(errors.RecipeMismatchError, match="backend"):
            collection_of(store, other).ingest(corpus(1))


def test_vectors_in_the_store_are_those_of_the_server(store: MemoryStore) -> None:
    with FaultServer() as server:
        run(server, store, corpus(2))
    for number in range(2):
        text = f"line 3 of document {number}"
        hit = store.search(vector_of(text), kind="dense", k=1, where=())[0]
        assert hit.chunk.text == text
        np.testing.assert_allclose(hit.score, 1.0, atol=1e-6)
