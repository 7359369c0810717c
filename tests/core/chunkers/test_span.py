import numpy as np
import pytest

from jina_integrations.chunkers import SpanChunker
from jina_integrations.chunkers.locating import locate
from jina_integrations.errors import InvalidSettingError, InvalidSpanError
from jina_integrations.types import Document

TEXT = " One two.  Three four. "


def spans(returned, minilm, text=TEXT):
    return SpanChunker(lambda _: returned, name="mine").spans(text, minilm)


def test_spans_are_trimmed_and_sorted(minilm):
    assert spans(iter([(9, 23), (0, 11)]), minilm) == [(1, 9), (11, 22)]
    assert spans([[0, 12], np.array([1, 23])], minilm) == [(1, 12), (1, 22)]


def test_chunks_have_the_text(minilm):
    document = Document("a.md", TEXT, {"lang": "en"})
    first, second = SpanChunker(lambda _: [(0, 10), (10, 23)], name="n").chunk(document, minilm)
    assert (first.text, second.text) == ("One two.", "Three four.")
    assert (second.index, second.start, second.end) == (1, 11, 22)
    assert second.document_id == "a.md"
    assert second.metadata == {"lang": "en"}


def test_whitespace_is_not_split(minilm):
    assert SpanChunker(lambda _: 1 / 0, name="n").spans(" \n", minilm) == []


def test_an_error_of_the_splitter_is_one_of_ours_with_its_cause(minilm):
    def split(text):
        yield 0, 1
        raise KeyError(text)

    for splitter, kind in ((lambda _: 1 / 0, ZeroDivisionError), (split, KeyError)):
        with pytest.raises(
            InvalidSpanError, match=f"splitter 'n' raised {kind.__name__}"
        ) as caught:
            SpanChunker(splitter, name="n").spans("x" * 10_000, minilm)
        assert isinstance(caught.value.__cause__, kind)
        assert len(str(caught.value)) < 300


def test_an_error_of_ours_comes_through_the_splitter(minilm):
    with pytest.raises(InvalidSpanError, match="piece 1"):
        SpanChunker(lambda text: locate(text, ["One", "Five"]), name="n").spans(TEXT, minilm)


@pytest.mark.parametrize(
    "item",
    [(0, 24), (-1, 5), (5, 5), (7, 2), (9, 11), (0,), (0, 1, 2), "ab", 7, (0, 9.0), (0, True)],
)
def test_a_bad_span_is_named(minilm, item):
    with pytest.raises(InvalidSpanError, match="splitter 'mine', span 1: ") as caught:
        spans([(0, 23), item], minilm)
    assert caught.value.index == 1
    assert str(item).strip("(),") in str(caught.value)


@pytest.mark.parametrize("returned", [None, 5, "ab"])
def test_what_is_no_iterable_is_refused(minilm, returned):
    with pytest.raises(InvalidSpanError, match="must return an iterable"):
        spans(returned, minilm)


@pytest.mark.parametrize(
    ("returned", "gap"),
    [([], (1, 22)), ([(0, 9)], (11, 22)), ([(4, 23)], (1, 4)), ([(0, 23), (1, 4)], None)],
)
def test_uncovered_text_is_named(minilm, returned, gap):
    if gap is None:
        assert spans(returned, minilm) == [(1, 4), (1, 22)]
        return
    with pytest.raises(InvalidSpanError, match=rf"leaves out \({gap[0]}, {gap[1]}\)"):
        spans(returned, minilm)


def test_settings():
    assert SpanChunker(str.split, name="words-1").to_dict() == {
        "chunker": "span",
        "name": "words-1",
    }
    with pytest.raises(TypeError):
        SpanChunker(str.split)
    with pytest.raises(InvalidSettingError, match="callable"):
        SpanChunker("not callable", name="x")
    for name in ("", "  ", None):
        with pytest.raises(InvalidSettingError, match="name must be a non-empty str"):
            SpanChunker(str.split, name=name)
