"""What `ingest` guarantees, with a store in memory, and with real ones and a killed process."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jina_integrations import Chunk, Document, Embedder, SentenceChunker, SpanChunker, ingest
from jina_integrations.chunkers.base import Chunker
from jina_integrations.errors import (
    EmbeddingError,
    FingerprintMismatchError,
    InvalidInputError,
    InvalidSettingError,
    InvalidTextError,
    ReadError,
    StoreError,
    StoreFullError,
    TextTooLongError,
)
from jina_integrations.identity import document_version
from jina_integrations.readers import SkippedFile, read_documents
from jina_integrations.stores import Store, open_store

ROOT = Path(__file__).parents[2]


def paragraphs(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S(?:.|\n(?!\n))*", text)]


PARAGRAPHS = SpanChunker(paragraphs, name="paragraphs")


def document(name: str, *parts: str, **metadata: str) -> Document:
    return Document(name, "\n\n".join(parts), metadata)


def corpus(count: int, *, edition: str = "first") -> list[Document]:
    return [
        document(f"d{n}", *(f"Part {part} of {n}, {edition} edition." for part in range(n % 4 + 1)))
        for n in range(count)
    ]


def contents(store) -> dict:
    return {name: (item.chunk, item.vector.tobytes()) for name, item in store.chunks.items()}


def run(documents, store: Store, embedder: Embedder | None = None, **options):
    return ingest(
        documents,
        embedder=embedder or Embedder("words"),
        chunker=options.pop("chunker", PARAGRAPHS),
        store=store,
        **options,
    )


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


# What is written


def test_every_chunk_is_stored_with_its_own_vector(memory_store) -> None:
    embedder = Embedder("words")
    documents = corpus(9)

    report = run(documents, memory_store, embedder)

    texts = {d.id: d.text for d in documents}
    stored = list(memory_store.chunks.values())
    assert report.chunks_written == len(stored) == sum(n % 4 + 1 for n in range(9))
    for item in stored:
        chunk = item.chunk
        assert chunk.text == texts[chunk.document_id][chunk.start : chunk.end]
        alone = embedder.embed_documents([chunk.text])[0]
        assert item.vector == pytest.approx(alone, abs=1e-6)
        assert item.chunk_count == len(paragraphs(texts[chunk.document_id]))


def test_late_chunking_encodes_whole_documents(memory_store) -> None:
    embedder = Embedder("words", late_chunking=True)
    documents = corpus(9)

    run(documents, memory_store, embedder)

    for own in documents:
        spans = paragraphs(own.text)
        expected = embedder.embed_chunks(own.text, spans)
        stored = [i for i in memory_store.chunks.values() if i.chunk.document_id == own.id]
        for item in stored:
            assert item.vector == pytest.approx(expected[item.chunk.index], abs=1e-6)
        assert len(stored) == len(spans)


def test_report_accounts_for_every_input(memory_store) -> None:
    run(corpus(4), memory_store)
    changed = [*corpus(3), *corpus(8, edition="second")[3:], Document("bad", "a\0b")]

    report = run([*changed, SkippedFile("x.png", "unknown type .png")], memory_store)

    assert (report.documents_unchanged, report.documents_embedded) == (3, 5)
    assert [failure.document_id for failure in report.failures] == ["bad"]
    assert report.skipped == (SkippedFile("x.png", "unknown type .png"),)
    assert report.chunks_dropped == 4  # the first edition of d3
    assert report.chunks_written == sum(n % 4 + 1 for n in range(3, 8))
    assert report.tokens > 0
    assert report.seconds > 0
    with pytest.raises(FrozenInstanceError):
        report.tokens = 0  # type: ignore[misc]


def test_what_read_documents_gives_can_be_ingested(memory_store, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some text.", encoding="utf-8")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "c.jsonl").write_text('{"text": "one"}\n{"nothing": 1}\n', encoding="utf-8")

    report = run(read_documents([tmp_path]), memory_store)

    assert report.documents_embedded == 2
    assert [(f.document_id, type(f.error)) for f in report.failures] == [("c.jsonl#2", ReadError)]
    assert [file.path for file in report.skipped] == ["b.png"]


def test_documents_are_taken_lazily_a_batch_at_a_time(memory_store) -> None:
    taken: list[int] = []

    def stream() -> Iterator[Document]:
        for own in corpus(10):
            taken.append(len(memory_store.writes))
            yield own

    run(stream(), memory_store, batch_documents=3)

    assert taken == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]  # one is at hand when a batch is written


def test_batches_end_at_a_number_of_characters(memory_store, words) -> None:
    embedder = Embedder("words", batch_tokens=10)  # 1,280 characters
    short, huge = "Forty characters are in this very line..", " ".join(["word"] * 45)

    report = run(
        [document(f"s{n}", short) for n in range(40)]
        + [document("huge", *[huge] * 6)]
        + [document(f"t{n}", short) for n in range(40)],
        memory_store,
        embedder,
    )

    assert report.documents_embedded == 81
    assert words.calls == [32, 8, 6, 32, 8]


def test_progress_tells_what_is_durable(memory_store) -> None:
    seen = []
    report = run(
        [*corpus(5), Document("bad", " "), SkippedFile("x", "hidden")],
        memory_store,
        batch_documents=2,
        on_progress=lambda progress: seen.append((progress, len(memory_store.chunks))),
    )

    assert [chunks for _, chunks in seen] == [progress.chunks for progress, _ in seen]
    last = seen[-1][0]
    assert (last.embedded, last.failed, last.skipped) == (5, 1, 1)
    assert last.tokens == report.tokens
    assert [progress.embedded for progress, _ in seen] == [2, 4, 5, 5]


# A second run


def test_second_run_embeds_nothing(memory_store, words) -> None:
    run(corpus(20), memory_store)
    before = contents(memory_store)
    words.calls.clear()
    embedder = Embedder("words")

    report = run(corpus(20), memory_store, embedder, chunker=PARAGRAPHS)

    assert words.calls == []
    assert embedder.usage.tokens == report.tokens == 0
    assert (report.documents_unchanged, report.documents_embedded) == (20, 0)
    assert report.chunks_written == report.chunks_dropped == 0
    assert contents(memory_store) == before


@pytest.mark.parametrize(
    "changed",
    [
        document("d", "One.", "Three.", language="en"),
        document("d", "One.", "Two."),
        document("d", "One.", "Two.", language="de"),
        document("d", "One.", language="en"),
    ],
    ids=["text edited", "metadata removed", "metadata changed", "shorter"],
)
def test_changed_document_replaces_its_old_version(memory_store, changed: Document) -> None:
    kept = document("other", "Untouched.")
    run([document("d", "One.", "Two.", language="en"), kept], memory_store)

    report = run([changed, kept], memory_store)

    assert (report.documents_embedded, report.documents_unchanged) == (1, 1)
    assert report.chunks_dropped == 2
    stored = {i.chunk.document_id: dict(i.chunk.metadata) for i in memory_store.chunks.values()}
    assert stored == {"d": dict(changed.metadata), "other": {}}
    texts = [i.chunk.text for i in memory_store.chunks.values() if i.chunk.document_id == "d"]
    assert sorted(texts) == sorted(changed.text.split("\n\n"))


def test_changed_chunker_chunks_again(memory_store) -> None:
    documents = corpus(8)
    run(documents, memory_store)

    report = run(documents, memory_store, chunker=SentenceChunker(max_tokens=40))

    assert report.documents_embedded == 8
    assert {i.chunk_count for i in memory_store.chunks.values()} == {1}
    assert len(memory_store.chunks) == 8


def test_documents_that_no_longer_come_stay(memory_store) -> None:
    run(corpus(5), memory_store)
    run(corpus(2), memory_store)

    assert memory_store.counts().documents == 5


# The collection's settings


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (Embedder("words", dimensions=16), "dimensions=default (here 16)"),
        (Embedder("words", late_chunking=True), "late_chunking=default (here True)"),
        (
            Embedder("words", dtype="bfloat16", truncate=True, device="cpu", batch_tokens=7),
            "dtype='auto' (here 'bfloat16'), truncate=False (here True); ",
        ),
        (Embedder("sentences"), "model='words' (here 'sentences')"),
    ],
)
def test_other_settings_are_refused_and_named(memory_store, words, other, named: str) -> None:
    run(corpus(3), memory_store)
    before = contents(memory_store)

    with pytest.raises(FingerprintMismatchError, match=re.escape(named)) as error:
        run(corpus(3, edition="second"), memory_store, other)

    assert "into a new collection" in str(error.value)
    assert "device" not in str(error.value)
    assert contents(memory_store) == before


def test_changed_model_files_are_refused(memory_store, words) -> None:
    run(corpus(3), memory_store)
    words.weights = "words as tuned"

    with pytest.raises(FingerprintMismatchError, match="the model's files have changed"):
        run(corpus(3), memory_store)


def test_collection_keeps_the_embedder(memory_store) -> None:
    embedder = Embedder("words", dimensions=16, device="cpu")
    run(corpus(1), memory_store, embedder)

    assert memory_store.info.embedder == {**embedder.to_dict(), "backend": "local"}
    assert memory_store.info.fingerprint == embedder.fingerprint
    assert memory_store.info.dimensions == 16
    report = run(corpus(1), memory_store, Embedder("words", dimensions=16, batch_tokens=9))
    assert report.documents_unchanged == 1


@pytest.mark.parametrize("batch_documents", [0, -1, True])
def test_bad_batch_size(memory_store, batch_documents) -> None:
    with pytest.raises(InvalidSettingError, match="batch_documents"):
        run([], memory_store, batch_documents=batch_documents)


# Bad documents


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InvalidTextError),
        (" \n\t ", InvalidTextError),
        ("NUL \0 inside", InvalidTextError),
        ("lone \ud800 surrogate", InvalidTextError),
        ("word " * 51, TextTooLongError),
        ("a vector that is NaN", EmbeddingError),
    ],
)
@pytest.mark.parametrize("position", [0, 7, 19])
def test_one_bad_document_of_many(memory_store, text: str, error, position: int) -> None:
    documents = corpus(20)
    documents[position] = Document("bad", text)

    report = run(documents, memory_store)

    (failure,) = report.failures
    assert failure.document_id == "bad"
    assert isinstance(failure.error, error)
    assert report.documents_embedded == 19
    assert len(memory_store.find_complete(versions(documents))) == 19


@pytest.mark.parametrize("late_chunking", [False, True])
def test_several_bad_documents_with_late_chunking(memory_store, late_chunking: bool) -> None:
    embedder = Embedder("words", late_chunking=late_chunking, context_weight=0.5)
    bad = {3, 4, 17}
    documents = [
        document(f"d{n}", "Fine.", "word " * 60 if n in bad else "Also fine.") for n in range(20)
    ]

    report = run(documents, memory_store, embedder)

    assert [f.document_id for f in report.failures] == ["d3", "d4", "d17"]
    assert report.documents_embedded == 17


def test_failed_document_keeps_its_old_version(memory_store) -> None:
    run([document("a", "One."), document("b", "Two.")], memory_store)

    report = run([document("a", "One, edited."), Document("b", "a NaN vector")], memory_store)

    assert len(report.failures) == 1
    texts = {i.chunk.document_id: i.chunk.text for i in memory_store.chunks.values()}
    assert texts == {"a": "One, edited.", "b": "Two."}


def test_second_document_with_an_id_is_a_failure(memory_store) -> None:
    report = run(
        [document("a", "One."), document("b", "Two."), document("a", "Three.")],
        memory_store,
        batch_documents=1,
    )

    (failure,) = report.failures
    assert failure.document_id == "a"
    assert "same id" in str(failure.error)
    assert {i.chunk.text for i in memory_store.chunks.values()} == {"One.", "Two."}


class OddChunker(Chunker):
    def __init__(self, chunks: Callable[[Document], list[Chunk]]) -> None:
        self.chunks = chunks

    def spans(self, text, tokenizer):
        raise NotImplementedError

    def to_dict(self):
        return {"chunker": "odd"}

    def chunk(self, document, tokenizer):
        return self.chunks(document)


@pytest.mark.parametrize(
    "chunks",
    [
        lambda d: [],
        lambda d: [Chunk(d.id, 0, 0, len(d.text) + 9, d.text)],
        lambda d: [Chunk(d.id, 0, 0, 3, d.text)],
        lambda d: [Chunk(d.id, 1, 0, 3, d.text[:3])],
        lambda d: [Chunk(d.id, 0, 3, 3, "")],
    ],
    ids=["none", "beyond the text", "another text", "another index", "empty"],
)
def test_what_a_chunker_gets_wrong_is_a_failure(memory_store, chunks) -> None:
    report = run(corpus(2), memory_store, chunker=OddChunker(chunks))

    assert [f.document_id for f in report.failures] == ["d0", "d1"]
    assert not memory_store.chunks


def test_document_that_the_store_refuses_is_a_failure(memory_store, monkeypatch) -> None:
    accept = memory_store.write

    def write(chunks) -> None:
        if any(item.chunk.metadata.get("title") == "too long" for item in chunks):
            raise InvalidInputError("metadata 'title': longer than this store keeps", index=0)
        accept(chunks)

    monkeypatch.setattr(memory_store, "write", write)
    bad = Document("bad", "Fine text.", {"title": "too long"})

    report = run([*corpus(5), bad, *corpus(9)[5:]], memory_store)

    assert [f.document_id for f in report.failures] == ["bad"]
    assert report.documents_embedded == memory_store.counts().documents == 9
    assert report.chunks_written == memory_store.counts().chunks


def test_setting_that_fits_no_document_ends_the_run(memory_store) -> None:
    with pytest.raises(InvalidSettingError):
        run(corpus(3), memory_store, chunker=SentenceChunker(max_tokens=1, overlap_sentences=5))


@pytest.mark.parametrize("item", ["text", None, {"id": "a", "text": "b"}])
def test_no_document_at_all(memory_store, item) -> None:
    with pytest.raises(InvalidInputError, match=r"documents\[1\] must be a Document"):
        run([*corpus(1), item], memory_store)


def test_huge_document(memory_store) -> None:
    text = "word " * 2_000_000  # 10 MB in one line

    report = run(
        [document("huge", text)],
        memory_store,
        chunker=EVERY_THOUSAND,
        embedder=Embedder("words", truncate=True),
    )

    assert report.failures == ()
    assert report.chunks_written == memory_store.counts().chunks == 100


EVERY_THOUSAND = SpanChunker(
    lambda text: [(start, start + 100_000) for start in range(0, len(text), 100_000)],
    name="100,000 characters",
)


# Runs that stop


def versions(documents: list[Document], chunker: Chunker = PARAGRAPHS) -> dict[str, str]:
    return {
        own.id: document_version(
            own, chunker=chunker.to_dict(), embedder_fingerprint=Embedder("words").fingerprint
        )
        for own in documents
    }


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
    """Documents of which at least one of the editions is complete."""
    return set().union(*(store.find_complete(versions(edition)) for edition in editions))


@pytest.mark.parametrize("error", [Killed(), KeyboardInterrupt(), StoreFullError("disk full")])
@pytest.mark.parametrize("batch_documents", [2, 64])
def test_stopped_at_any_change_loses_nothing(memory_store, error, batch_documents: int) -> None:
    first, second = corpus(6), [*corpus(6, edition="second")[:4], *corpus(6)[4:]]
    clean = type(memory_store)()
    run(second, clean)
    stopped = 0
    for steps in range(1000):
        store = type(memory_store)()
        run(first, store)
        store.before_change = after(steps, error)
        try:
            run(second, store, batch_documents=batch_documents)
        except type(error):
            stopped += 1
        else:
            break
        store.before_change = lambda: None

        assert whole(store, first, second) == {own.id for own in second}
        run(second, store)
        assert contents(store) == contents(clean)
    assert stopped == sum(n % 4 + 1 for n in range(4)) * 2  # each write, each drop


texts = st.lists(
    st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, max_size=3).map(
        " ".join
    ),
    min_size=1,
    max_size=3,
)
editions = st.dictionaries(st.sampled_from("abcdef"), texts, min_size=1)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=editions,
    second=editions,
    stops=st.lists(st.integers(0, 25), max_size=3),
    batch=st.integers(1, 4),
)
def test_any_sequence_of_stopped_runs_ends_as_a_clean_one(
    memory_store, first, second, stops, batch
) -> None:
    old = [document(name, *parts) for name, parts in first.items()]
    new = [document(name, *parts) for name, parts in second.items()]
    store, clean = type(memory_store)(), type(memory_store)()
    run(old, store)
    run([own for own in old if own.id not in second], clean)
    run(new, clean)

    for steps in stops:
        store.before_change = after(steps, Killed())
        with suppress(Killed):
            run(new, store, batch_documents=batch)
        store.before_change = lambda: None
        assert whole(store, old, new) >= set(first)
    run(new, store, batch_documents=batch)

    assert contents(store) == contents(clean)


def test_source_that_raises_midway(memory_store) -> None:
    def stream() -> Iterator[Document]:
        yield from corpus(5)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        run(stream(), memory_store, batch_documents=2)

    assert len(whole(memory_store, corpus(5))) == 4


def test_store_error_is_raised_as_it_is(memory_store) -> None:
    memory_store.before_change = after(5, StoreFullError("no space is left"))

    with pytest.raises(StoreError, match="no space is left"):
        run(corpus(20), memory_store)


# A process that is killed, with stores on disk


STORES = ["qdrant", "chroma"]


def child(location: str, edition: str) -> None:
    """Ingest in small batches, telling of each; run by a process that gets killed."""
    fakes = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    fakes["engine_module"].make_backend = fakes["WordBackend"]
    with open_store(location) as store:
        run(
            corpus(160, edition=edition),
            store,
            batch_documents=4,
            on_progress=lambda progress: print(progress.embedded, flush=True),  # noqa: T201
        )


def start_child(location: str, edition: str) -> subprocess.Popen[str]:
    paths = [str(ROOT), str(ROOT / "adapters")]
    return subprocess.Popen(
        [sys.executable, __file__, location, edition],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", STORES)
def test_killed_process_loses_nothing_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}[kind])
    location = f"{kind}:{tmp_path / 'an index'}#notes"
    first, second = corpus(160), corpus(160, edition="second")
    with open_store(location) as store:
        run(first, store)
    for batches, delay_s in [(1, 0.0), (3, 0.004), (2, 0.011)]:
        process = start_child(location, "second")
        with process:
            for _ in range(batches):
                assert process.stdout is not None
                process.stdout.readline()
            time.sleep(delay_s)
            process.kill()
        assert process.returncode == -signal.SIGKILL

        with open_store(location) as store:
            assert len(whole(store, first, second)) == 160
            assert store.find_complete(versions(second))

    with open_store(location) as store:
        report = run(second, store)

        assert 0 < report.documents_unchanged < 160
        assert report.documents_unchanged + report.documents_embedded == 160
        assert store.find_complete(versions(second)) == {own.id for own in second}
        assert not store.find_complete(versions(first))
        counts = store.counts()
        assert (counts.documents, counts.chunks) == (160, sum(n % 4 + 1 for n in range(160)))
        again = run(second, store)
        assert (again.documents_embedded, again.tokens, again.chunks_dropped) == (0, 0, 0)


@pytest.mark.parametrize("kind", STORES)
def test_guarantees_hold_in_a_real_store(kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}[kind])
    with open_store(f"{kind}:{tmp_path}#notes") as store:
        report = run(corpus(30), store)
        assert (report.documents_embedded, report.failures) == (30, ())
    with open_store(f"{kind}:{tmp_path}#notes") as store:
        changed = [*corpus(10, edition="second"), *corpus(30)[10:]]
        report = run(changed, store)
        assert (report.documents_embedded, report.documents_unchanged) == (10, 20)
        assert report.chunks_dropped == sum(n % 4 + 1 for n in range(10))
        assert store.counts().chunks == sum(n % 4 + 1 for n in range(30))
        with pytest.raises(FingerprintMismatchError, match="dimensions"):
            run(changed, store, Embedder("words", dimensions=16))


if __name__ == "__main__":
    child(*sys.argv[1:])
