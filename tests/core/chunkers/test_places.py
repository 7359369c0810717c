"""Heading paths and page numbers of chunks, against a plain reference."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.chunkers import MarkdownChunker, SentenceChunker, SpanChunker
from jina_integrations.chunkers.places import Place, places
from jina_integrations.types import Document, Heading, Page

HEADINGS = st.lists(
    st.builds(Heading, st.integers(0, 60), st.integers(1, 6), st.sampled_from(["A", "B", "C", ""])),
    max_size=12,
    unique_by=lambda heading: heading.start,
).map(lambda headings: sorted(headings, key=lambda heading: heading.start))
PAGES = st.lists(st.integers(0, 60), max_size=8, unique=True).map(
    lambda starts: [Page(start, 2 * number) for number, start in enumerate(sorted(starts), 1)]
)
SPANS = st.lists(
    st.tuples(st.integers(0, 70), st.integers(1, 30)).map(lambda span: (span[0], sum(span))),
    max_size=20,
)


def path_above(position, headings):
    """Upwards from the last heading: each one that is of a lower level than all below it."""
    path, level = [], 7
    for heading in reversed([each for each in headings if each.start <= position]):
        if heading.level < level:
            path.insert(0, heading.title)
            level = heading.level
    return tuple(title for title in path if title)


def page_of(position, pages):
    numbers = [page.number for page in pages if page.start <= position]
    return numbers[-1] if numbers else None


@given(spans=SPANS, headings=HEADINGS, pages=PAGES)
def test_every_place(spans, headings, pages):
    assert list(places(spans, headings, pages)) == [
        Place(path_above(start, headings), page_of(start, pages), page_of(end - 1, pages))
        for start, end in spans
    ]


def test_a_document_of_many_chunks_and_headings():
    headings = [Heading(60 * n, 1 + n % 6, f"heading {n}") for n in range(5_000)]
    spans = [(10 * n, 10 * n + 10) for n in range(30_000)]
    assert list(places(spans, headings, []))[-1].headings == tuple(
        f"heading {n}" for n in range(4998, 5000)
    )


TEXT = "Intro.\n\n# One\n\nText of one.\n\n## Two *x*\n\nText of two.\n\n# Three\n\nText of three."


def test_markdown_by_hand_gets_its_headings(minilm):
    chunks = MarkdownChunker().chunk(Document("a.md", TEXT), minilm)
    assert [(chunk.text.split()[0], chunk.headings) for chunk in chunks] == [
        ("Intro.", ()),
        ("#", ("One",)),
        ("##", ("One", "Two x")),
        ("#", ("Three",)),
    ]
    assert SentenceChunker().chunk(Document("a.md", TEXT), minilm)[0].headings == ()


def test_the_documents_own_headings_count_for_every_chunker(minilm):
    headings = (Heading(0, 1, "Given"), Heading(TEXT.index("## Two"), 3, "Below"))
    document = Document("a.md", TEXT, headings=headings)
    split = SpanChunker(lambda text: [(0, 20), (20, len(text))], name="x")
    for chunker in (MarkdownChunker(), SentenceChunker(24), split):
        for chunk in chunker.chunk(document, minilm):
            assert chunk.headings == path_above(chunk.start, headings)


def test_pages_of_a_chunk(minilm):
    text = "First page.\n\nSecond page. It ends here.\n\nFourth."
    pages = (Page(0, 1), Page(13, 2), Page(text.index("Fourth"), 4))
    document = Document("a.pdf", text, pages=pages)
    (whole,) = SentenceChunker().chunk(document, minilm)
    assert (whole.page, whole.page_end) == (1, 4)
    chunks = SentenceChunker(8).chunk(document, minilm)
    assert [(chunk.page, chunk.page_end) for chunk in chunks] == [(1, 2), (2, 4)]
    (none,) = SentenceChunker().chunk(Document("a", text), minilm)
    assert (none.page, none.page_end) == (None, None)


def test_a_text_is_parsed_once_for_cuts_and_headings(minilm, monkeypatch):
    markdown_it = pytest.importorskip("markdown_it")
    MarkdownChunker().spans("The first text makes the parser.", minilm)
    parses = []
    parse = markdown_it.MarkdownIt.parse
    monkeypatch.setattr(
        markdown_it.MarkdownIt, "parse", lambda *args: parses.append(args[1]) or parse(*args)
    )
    MarkdownChunker().chunk(Document("a.md", TEXT), minilm)
    assert parses == [TEXT]


@given(
    lines=st.lists(
        st.sampled_from(["# A\n", "## B\n", "### C\n\n", "Text of some words.\n\n", "- item\n"]),
        max_size=30,
    )
)
def test_headings_of_chunks_of_a_document_by_hand_and_by_a_reader(minilm, lines):
    text = "".join(lines)
    starts = [0, *itertools.accumulate(map(len, lines))]
    headings = tuple(
        Heading(start, line.count("#"), line.split()[1])
        for start, line in zip(starts, lines, strict=False)
        if line.startswith("#")
    )
    chunker = MarkdownChunker(16)
    read = chunker.chunk(Document("a.md", text, headings=headings), minilm)
    assert chunker.chunk(Document("a.md", text), minilm) == read
