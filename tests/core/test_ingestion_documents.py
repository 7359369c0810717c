"""What a run writes, what a second run leaves alone, and what one bad document costs the others."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from jina_integrations import Chunk, Document, Embedder, SentenceChunker, SpanChunker
from jina_integrations.chunkers.base import Chunker
from jina_integrations.errors import (
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
    InvalidTextError,
    ReadError,
    TextTooLongError,
    TooManyFailuresError,
)
from jina_integrations.ingestion import batching
from jina_integrations.readers import read_documents
from jina_integrations.readers.results import SkippedFile
from jina_integrations.stores import AnyOf, Conditions
from tests.samples import (
    PARAGRAPHS,
    chunks_of,
    collection,
    contents,
    corpus,
    document,
    fill,
    paragraphs,
)


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


@pytest.fixture
def batches_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda documents: monkeypatch.setattr(batching, "BATCH_DOCUMENTS", documents)


# What is written


def test_every_chunk_is_stored_with_its_own_vector(memory_store) -> None:
    embedder = Embedder("words")
    documents = corpus(9)

    report = fill(memory_store, documents, embedder)

    texts = {d.id: d.text for d in documents}
    stored = list(memory_store.records.values())
    assert report.chunks_written == len(stored) == chunks_of(9)
    for item in stored:
        chunk = item.chunk
        assert chunk.text == texts[chunk.document_id][chunk.start : chunk.end]
        alone = embedder.embed_documents([chunk.text])[0]
        assert item.vectors.dense == pytest.approx(alone, abs=1e-6)
        assert item.chunk_count == len(paragraphs(texts[chunk.document_id]))


def test_late_chunking_encodes_whole_documents(memory_store) -> None:
    embedder = Embedder("words", late_chunking=True)
    documents = corpus(9)

    fill(memory_store, documents, embedder)

    for item in documents:
        spans = paragraphs(item.text)
        expected = embedder.embed_chunks(item.text, spans)
        stored = [r for r in memory_store.records.values() if r.chunk.document_id == item.id]
        for record in stored:
            assert record.vectors.dense == pytest.approx(expected[record.chunk.index], abs=1e-6)
        assert len(stored) == len(spans)


def test_report_accounts_for_every_input(memory_store) -> None:
    fill(memory_store, corpus(4))
    changed = [*corpus(3), *corpus(8, edition="second")[3:], Document("bad", "a\0b")]

    report = fill(memory_store, [*changed, SkippedFile("x.png", "unknown type .png")])

    assert (report.documents_unchanged, report.documents_embedded) == (3, 5)
    assert [failure.document_id for failure in report.failures] == ["bad"]
    assert report.skipped == (SkippedFile("x.png", "unknown type .png"),)
    assert report.chunks_dropped == 4  # the first edition of d3
    assert report.chunks_written == sum(n % 4 + 1 for n in range(3, 8))
    assert report.tokens > 0
    assert report.seconds > 0
    assert pickle.loads(pickle.dumps(report.to_dict()))["chunks_dropped"] == 4
    with pytest.raises(FrozenInstanceError):
        report.tokens = 0  # type: ignore[misc]


def test_what_read_documents_gives_can_be_ingested(memory_store, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("Some text.", encoding="utf-8")
    (folder / "b.png").write_bytes(b"\x89PNG\0")
    (folder / "c.jsonl").write_text('{"text": "one"}\n{"nothing": 1}\n', encoding="utf-8")

    report = fill(memory_store, read_documents([folder]))

    assert report.documents_embedded == 2
    assert [(f.document_id, type(f.error)) for f in report.failures] == [
        ("docs/c.jsonl#2", ReadError)
    ]
    assert [file.path for file in report.skipped] == ["docs/b.png"]
    assert {r.root for r in memory_store.records.values()} == {folder.as_posix()}


def test_memory_holds_a_few_batches(memory_store, batches_of) -> None:
    """Documents are taken a batch at a time, and no more than a few batches ahead of the store."""
    batches_of(4)
    lead: list[int] = []

    def stream() -> Iterator[Document]:
        for number, item in enumerate(corpus(200)):
            lead.append(number - len({r.chunk.document_id for r in memory_store.records.values()}))
            yield item

    assert fill(memory_store, stream()).documents_embedded == 200
    assert max(lead) <= 5 * 4


def test_batches_end_at_a_number_of_characters(memory_store, words) -> None:
    embedder = Embedder("words", batch_tokens=10)  # 1,280 characters
    short, huge = "Forty characters are in this very line..", " ".join(["word"] * 45)

    report = fill(
        memory_store,
        [document(f"s{n}", short) for n in range(40)]
        + [document("huge", *[huge] * 6)]
        + [document(f"t{n}", short) for n in range(40)],
        embedder,
    )

    assert report.documents_embedded == 81
    assert words.calls == [32, 8, 6, 32, 8]


def test_few_changes_of_many_batches_are_embedded_together(memory_store, words, batches_of) -> None:
    batches_of(8)
    fill(memory_store, corpus(40))
    words.calls.clear()
    edited = [document(f"d{n}", f"edited {n}") if n % 8 == 0 else corpus(40)[n] for n in range(40)]

    report = fill(memory_store, edited)

    assert (report.documents_embedded, report.documents_unchanged) == (5, 35)
    assert words.calls == [5]
    assert collection(memory_store).verify().ok


def test_unchanged_documents_are_looked_up_in_few_requests(
    memory_store, monkeypatch, batches_of
) -> None:
    """A store may read through all it has for each; and a changed document costs no more."""
    batches_of(4)
    fill(memory_store, corpus(240))
    looked_up: list[int] = []
    count = memory_store.count

    def counting(where: Conditions) -> int:
        looked_up.extend(len(item.values) for item in where if isinstance(item, AnyOf))
        return count(where)

    monkeypatch.setattr(memory_store, "count", counting)
    edited = [document("d7", "edited") if item.id == "d7" else item for item in corpus(240)]

    assert fill(memory_store, edited, dry_run=True).documents_unchanged == 239

    assert looked_up == [4, 8, 16, *[32] * 6, 20]


def test_source_is_read_in_the_callers_thread(memory_store) -> None:
    """A generator may hold what belongs to its thread, such as a cursor of sqlite3."""
    threads: set[int] = set()

    def stream() -> Iterator[Document]:
        for item in corpus(30):
            threads.add(threading.get_ident())
            yield item

    fill(
        memory_store,
        stream(),
        on_progress=lambda _: threads.add(threading.get_ident()),
    )

    assert threads == {threading.get_ident()}


def test_progress_tells_what_is_durable(memory_store, batches_of) -> None:
    batches_of(2)
    seen = []
    report = fill(
        memory_store,
        [*corpus(5), Document("bad", "\0"), SkippedFile("x", "hidden")],
        on_progress=lambda progress: seen.append((progress, len(memory_store.records))),
    )

    assert all(progress.chunks <= stored for progress, stored in seen)
    last = seen[-1][0]
    assert (last.embedded, last.failed, last.skipped, last.done) == (5, 1, 1, 7)
    assert last.tokens == report.tokens
    assert last.activity == "finishing"
    assert [p.embedded for p, _ in seen] == sorted(p.embedded for p, _ in seen)


def test_what_on_progress_raises_ends_the_run(memory_store) -> None:
    class EnoughError(Exception):
        pass

    def stop(progress: object) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        fill(memory_store, corpus(5), on_progress=stop)


# A second run


def test_second_run_embeds_nothing(memory_store, words) -> None:
    fill(memory_store, corpus(20))
    before = contents(memory_store.records)
    words.calls.clear()
    embedder = Embedder("words")

    report = fill(memory_store, corpus(20), embedder)

    assert words.calls == []
    assert embedder.usage.tokens == report.tokens == 0
    assert (report.documents_unchanged, report.documents_embedded) == (20, 0)
    assert report.chunks_written == report.chunks_dropped == 0
    assert contents(memory_store.records) == before


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
    fill(memory_store, [document("d", "One.", "Two.", language="en"), kept])

    report = fill(memory_store, [changed, kept])

    assert (report.documents_embedded, report.documents_unchanged) == (1, 1)
    assert report.chunks_dropped == 2
    stored = {r.chunk.document_id: dict(r.chunk.metadata) for r in memory_store.records.values()}
    assert stored == {"d": dict(changed.metadata), "other": {}}
    texts = [r.chunk.text for r in memory_store.records.values() if r.chunk.document_id == "d"]
    assert sorted(texts) == sorted(changed.text.split("\n\n"))


def test_changed_chunker_chunks_again(memory_store) -> None:
    fill(memory_store, corpus(8))

    report = fill(memory_store, corpus(8), chunker=SentenceChunker(max_tokens=40))

    assert report.documents_embedded == 8
    assert {r.chunk_count for r in memory_store.records.values()} == {1}
    assert len(memory_store.records) == 8


def test_a_whole_batch_that_changed(memory_store) -> None:
    """Documents and their versions do not fit into one call of the store."""
    fill(memory_store, corpus(300))

    report = fill(memory_store, corpus(300, edition="second"))

    assert (report.documents_embedded, report.chunks_dropped) == (300, chunks_of(300))
    assert len(memory_store.records) == chunks_of(300)


def test_documents_that_no_longer_come_stay(memory_store) -> None:
    fill(memory_store, corpus(5))
    fill(memory_store, corpus(2))

    assert collection(memory_store).info().documents == 5


def test_chunks_of_a_cut_that_was_never_finished_go(memory_store) -> None:
    """Killed inside a document; then the same version is cut into fewer chunks."""

    def cut(text: str) -> list[tuple[int, int]]:
        return paragraphs(text) if finer else [(0, len(text))]

    chunker = SpanChunker(cut, name="its cuts move, and its name does not")
    text = document("d", *(f"Part {n}." for n in range(24)))
    for steps in range(1, 26):
        store = type(memory_store)()
        finer = True
        store.before_change = after(steps, Killed())
        try:
            fill(store, [text], chunker=chunker)
        except Killed:
            store.before_change = lambda: None
            finer = False

            fill(store, [text], chunker=chunker)

            assert len(store.records) == 1
            assert fill(store, [text], chunker=chunker).documents_unchanged == 1
    assert len(store.records) == 24


def test_chunks_of_two_cuts_are_no_whole_version(memory_store) -> None:
    """A finer cut was killed before its last chunk, and a coarser one after it."""

    def cut(text: str) -> list[tuple[int, int]]:
        return paragraphs(text) if finer else [(0, len(text))]

    chunker = SpanChunker(cut, name="its cuts move, and its name does not")
    text = document("d", *(f"Part {n}." for n in range(24)))
    finer = True
    for steps, stored in ((23, 23), (1, 24)):
        memory_store.before_change = after(steps, Killed())
        with pytest.raises(Killed):
            fill(memory_store, [text], chunker=chunker)
        assert len(memory_store.records) == stored
        finer = False
    memory_store.before_change = lambda: None

    fill(memory_store, [text], chunker=chunker)

    assert len(memory_store.records) == 1


class Killed(BaseException):
    pass


def after(steps: int, error: BaseException) -> Callable[[], None]:
    left = iter(range(steps))

    def change() -> None:
        if next(left, None) is None:
            raise error

    return change


# Documents without text


@pytest.mark.parametrize("blank", ["", " \n\t "])
def test_document_that_is_blank_now_loses_its_chunks(memory_store, blank: str) -> None:
    fill(memory_store, [document("secret", "The code is 1234."), document("other", "Text.")])

    report = fill(memory_store, [Document("secret", blank), document("other", "Text.")])

    assert report.documents_removed == ("secret",)
    assert report.chunks_dropped == 1
    assert [(file.path, file.reason) for file in report.skipped] == [("secret", "empty")]
    assert {r.chunk.document_id for r in memory_store.records.values()} == {"other"}


def test_emptied_files_lose_their_chunks(memory_store, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "notes.txt").write_text("The code is 1234.", encoding="utf-8")
    (folder / "faq.csv").write_text("text\nOne.\nTwo.\nThree.\n", encoding="utf-8")
    (folder / "faq.csv.txt").write_text("Another file.", encoding="utf-8")
    fill(memory_store, read_documents([folder]))
    assert len(memory_store.records) == 5
    (folder / "notes.txt").write_text(" \n", encoding="utf-8")
    (folder / "faq.csv").write_text("", encoding="utf-8")

    report = fill(memory_store, read_documents([folder]))

    assert len(report.documents_removed) == 4
    assert {r.chunk.document_id for r in memory_store.records.values()} == {"docs/faq.csv.txt"}


def test_many_empty_files_cost_few_calls(memory_store, tmp_path: Path) -> None:
    fill(memory_store, corpus(4))
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.txt").touch()
    calls: list[object] = []
    scan = memory_store.scan

    def counted(where: Any, **options: Any) -> Any:
        calls.append(where)
        return scan(where, **options)

    memory_store.scan = counted
    assert len(fill(memory_store, read_documents([folder])).skipped) == 60
    assert len(calls) < 10


def test_emptied_file_of_a_folder_that_has_a_name_now(memory_store, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "notes.txt").write_text("The code is 1234.", encoding="utf-8")
    (folder / "faq.csv").write_text("text\nOne.\nTwo.\n", encoding="utf-8")
    fill(memory_store, read_documents([folder]))
    (folder / "notes.txt").write_text("", encoding="utf-8")
    (folder / "faq.csv").write_text("", encoding="utf-8")

    report = fill(memory_store, read_documents([folder], root="docs"))

    assert len(report.documents_removed) == 3
    assert not memory_store.records


def test_emptied_file_of_another_folder_keeps_its_namesake(memory_store, tmp_path: Path) -> None:
    for parent, text in [("one", "The first."), ("two", "")]:
        (tmp_path / parent / "docs").mkdir(parents=True)
        (tmp_path / parent / "docs" / "a.txt").write_text(text, encoding="utf-8")
    fill(memory_store, read_documents([tmp_path / "one" / "docs"]))

    report = fill(memory_store, read_documents([tmp_path / "two" / "docs"]))

    assert report.documents_removed == ()
    assert len(memory_store.records) == 1


# Bad documents


@pytest.mark.parametrize(
    ("text", "error"),
    [
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

    report = fill(memory_store, documents)

    (failure,) = report.failures
    assert failure.document_id == "bad"
    assert isinstance(failure.error, error)
    assert report.documents_embedded == 19
    assert collection(memory_store).verify().ok
    assert collection(memory_store).info().documents == 19


@pytest.mark.parametrize("late_chunking", [False, True])
def test_several_bad_documents_with_late_chunking(memory_store, late_chunking: bool) -> None:
    embedder = Embedder("words", late_chunking=late_chunking, context_weight=0.5)
    bad = {3, 4, 17}
    documents = [
        document(f"d{n}", "Fine.", "word " * 60 if n in bad else "Also fine.") for n in range(20)
    ]

    report = fill(memory_store, documents, embedder)

    assert [f.document_id for f in report.failures] == ["d3", "d4", "d17"]
    assert report.documents_embedded == 17


def test_failed_document_keeps_its_old_version(memory_store) -> None:
    fill(memory_store, [document("a", "One."), document("b", "Two.")])

    report = fill(memory_store, [document("a", "One, edited."), Document("b", "a NaN vector")])

    assert len(report.failures) == 1
    texts = {r.chunk.document_id: r.chunk.text for r in memory_store.records.values()}
    assert texts == {"a": "One, edited.", "b": "Two."}


def test_second_document_with_an_id_is_a_failure(memory_store, batches_of) -> None:
    batches_of(1)
    report = fill(
        memory_store, [document("a", "One."), document("b", "Two."), document("a", "Three.")]
    )

    (failure,) = report.failures
    assert failure.document_id == "a"
    assert "same id" in str(failure.error)
    assert {r.chunk.text for r in memory_store.records.values()} == {"One.", "Two."}


def test_max_failures(memory_store) -> None:
    documents = [*corpus(4), *(Document(f"bad{n}", "\0") for n in range(3)), *corpus(9)[4:]]

    assert len(fill(memory_store, documents, max_failures=3).failures) == 3
    with pytest.raises(TooManyFailuresError, match=r"3 documents failed.*max_failures is 2.*bad2"):
        fill(memory_store, documents, max_failures=2)
    with pytest.raises(TooManyFailuresError) as error:
        fill(memory_store, documents, max_failures=0)
    assert isinstance(error.value.__cause__, InvalidTextError)


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
        lambda d: [Chunk("another", 0, 0, 3, d.text[:3])],
    ],
    ids=["none", "beyond the text", "another text", "another index", "empty", "another document"],
)
def test_what_a_chunker_gets_wrong_is_a_failure(memory_store, chunks) -> None:
    report = fill(memory_store, corpus(2), chunker=OddChunker(chunks))

    assert [f.document_id for f in report.failures] == ["d0", "d1"]
    assert not memory_store.records


def test_splitter_that_raises_for_one_document(memory_store) -> None:
    def split(text: str) -> list[tuple[int, int]]:
        if "of 3" in text:
            raise ZeroDivisionError("no such luck")
        return [(0, len(text))]

    report = fill(memory_store, corpus(9), chunker=SpanChunker(split, name="one raises"))

    (failure,) = report.failures
    assert failure.document_id == "d3"
    assert isinstance(failure.error, InvalidSpanError)
    assert "ZeroDivisionError" in str(failure.error)
    assert report.documents_embedded == 8


def test_document_that_the_store_refuses_is_a_failure(memory_store, monkeypatch) -> None:
    accept = memory_store.write

    def write(records) -> None:
        if any(record.chunk.metadata.get("title") == "too long" for record in records):
            raise InvalidInputError("metadata 'title': longer than this store keeps", index=0)
        accept(records)

    monkeypatch.setattr(memory_store, "write", write)
    bad = Document("bad", "Fine text.", {"title": "too long"})

    report = fill(memory_store, [*corpus(5), bad, *corpus(9)[5:]])

    info = collection(memory_store).info()
    assert [f.document_id for f in report.failures] == ["bad"]
    assert report.documents_embedded == info.documents == 9
    assert report.chunks_written == info.chunks


def test_setting_that_fits_no_document_ends_the_run(memory_store) -> None:
    with pytest.raises(InvalidSettingError):
        fill(memory_store, corpus(3), chunker=SentenceChunker(max_tokens=6, overlap_sentences=7))


def test_huge_document(memory_store) -> None:
    text = "word " * 2_000_000  # 10 MB in one line
    every = SpanChunker(
        lambda text: [(start, start + 100_000) for start in range(0, len(text), 100_000)],
        name="100,000 characters",
    )

    report = fill(
        memory_store, [document("huge", text)], Embedder("words", truncate=True), chunker=every
    )

    assert report.failures == ()
    assert report.chunks_written == len(memory_store.records) == 100


# Without writing


def test_dry_run_writes_nothing(memory_store) -> None:
    report = fill(memory_store, corpus(5), dry_run=True)

    assert memory_store.describe() is None
    assert (report.dry_run, report.documents_embedded, report.chunks_written) == (True, 5, 0)

    fill(memory_store, [*corpus(5), Document("e", "Text.")])
    before = contents(memory_store.records)

    report = fill(
        memory_store,
        [*corpus(5, edition="second")[:2], *corpus(5)[2:4], Document("e", " ")],
        dry_run=True,
        prune=True,
    )

    assert (report.documents_embedded, report.documents_unchanged) == (2, 2)
    assert report.documents_removed == ("d4", "e")
    assert contents(memory_store.records) == before
    assert report.tokens == 0


def test_run_without_documents_makes_no_collection(memory_store) -> None:
    report = fill(memory_store, [SkippedFile("a", "hidden"), Document("b", " ")])

    assert memory_store.describe() is None
    assert len(report.skipped) == 2


def test_settings_that_do_not_fit_the_model_make_no_collection(memory_store) -> None:
    """The halves of a window cannot overlap by more than the context."""
    embedder = Embedder("words", late_chunking=True, window_tokens=9000)

    with pytest.raises(InvalidSettingError, match="window_tokens"):
        fill(memory_store, corpus(2), embedder)

    assert memory_store.describe() is None


# Arguments


@pytest.mark.parametrize("item", ["text", None, {"id": "a", "text": "b"}])
def test_item_that_is_no_document(memory_store, item) -> None:
    with pytest.raises(InvalidInputError, match=r"documents\[1\] must be a Document"):
        fill(memory_store, [*corpus(1), item])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prune": 1}, "prune must be True or False, not int"),
        ({"dry_run": None}, "dry_run must be True or False, not NoneType"),
        ({"workers": -1}, "workers must be an int of at least 0 and at most 256, not -1"),
        ({"workers": 1.5}, r"workers must be an int .*, not 1\.5"),
        ({"workers": 10**9}, "workers must be"),
        ({"max_failures": True}, "max_failures must be an int"),
        ({"on_progress": 5}, "on_progress must be a function, not int"),
    ],
)
def test_option_of_a_wrong_type(memory_store, options, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fill(memory_store, corpus(1), **options)
    assert memory_store.describe() is None


@pytest.mark.parametrize("documents", [None, 5, "text", Document("a", "b"), {"a": "b"}])
def test_documents_that_are_no_list(memory_store, documents) -> None:
    with pytest.raises(InvalidInputError, match="documents must be an iterable of Document"):
        fill(memory_store, documents)


def test_span_chunkers_name_is_part_of_the_version(memory_store) -> None:
    fill(memory_store, corpus(3))
    renamed = SpanChunker(paragraphs, name="paragraphs, second try")

    assert fill(memory_store, corpus(3), chunker=PARAGRAPHS).documents_unchanged == 3
    assert fill(memory_store, corpus(3), chunker=renamed).documents_embedded == 3
