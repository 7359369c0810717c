"""What holds for every chunker, every kind of tokenizer and every text."""

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_integrations.chunkers import MarkdownChunker, SentenceChunker, TokenChunker
from jina_integrations.errors import InvalidSettingError, InvalidTextError

PIECES = [
    "Mr. Smith paid $3.50. ", "He left! ", "no stop here ", "word", " ", "  \t", "\n", "\n\n",
    "\r\n", "\r\n \r\n", "\u2029", "\u3000", "今天天气很好。", "我们去公园散步", "晴れです。",
    "ذهب الولد إلى المدرسة. ", "วันนี้อากาศดีมาก ", "यह एक वाक्य है। ", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷",
    "👍🏽 ", "e\u0301", "ﷺ", "½", "\u200b", "\u200d", "\ufeff", "\x01", "supercalifragilistic",
    "https://example.org/a/b?c=d ", "# Title\n", "## Sub *part*\n\n", "- item one\n",
    "  - nested\n", "> quoted\n", "```python\nx = 1\n\ny = 2\n```\n", "```\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n", "---\n", "    code\n", "1. first\n", "[ref]: http://x.y\n",
    "<div>\n", "===\n",
]  # fmt: skip

TEXT = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    ),
    max_size=40,
).map("".join)

CHUNKERS = st.one_of(
    st.builds(SentenceChunker, st.integers(24, 60), overlap_sentences=st.integers(0, 3)),
    st.builds(TokenChunker, st.integers(24, 60), overlap_tokens=st.integers(0, 18)),
    st.builds(MarkdownChunker, st.integers(24, 60)),
)


@settings(max_examples=150, deadline=None)
@given(text=TEXT, chunker=CHUNKERS)
def test_spans_cover_fit_and_advance(tokenizer, check, text, chunker):
    check(text, chunker.spans(text, tokenizer), tokenizer, chunker.max_tokens)


@settings(max_examples=75, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=30).map("".join), chunker=CHUNKERS)
def test_no_cut_inside_a_grapheme_that_fits(tokenizer, text, chunker):
    regex = pytest.importorskip("regex")
    spans = chunker.spans(text, tokenizer)
    edges = {edge for span in spans for edge in span}
    for match in regex.finditer(r"\X", text):
        fits = tokenizer.count(match[0]) + tokenizer.overhead <= chunker.max_tokens
        if fits and match[0].strip() == match[0]:
            assert not edges & set(range(match.start() + 1, match.end())), match


@settings(max_examples=75, deadline=None)
@given(text=TEXT, chunker=CHUNKERS)
def test_a_chunk_holds_a_token_of_the_document(tokenizer, text, chunker):
    offsets = [(a, b) for a, b in tokenizer.offsets(text).tolist() if b > a]
    spans = chunker.spans(text, tokenizer)
    if offsets and any(text[a:b].strip() for a, b in offsets):
        for start, end in spans:
            assert any(a < end and b > start for a, b in offsets), text[start:end]


@pytest.mark.parametrize("chunker", [SentenceChunker(24), TokenChunker(24), MarkdownChunker(24)])
def test_every_language(tokenizer, check, texts, chunker):
    for text in [*texts.values(), "\n\n".join(texts.values())]:
        check(text, chunker.spans(text, tokenizer), tokenizer, 24)


@pytest.mark.parametrize("chunker", [SentenceChunker(), TokenChunker(), MarkdownChunker()])
class TestEdges:
    @pytest.mark.parametrize("text", ["", " ", "\n\t \u3000\u2029"])
    def test_whitespace_has_no_chunk(self, minilm, chunker, text):
        assert chunker.spans(text, minilm) == []

    def test_short_text_is_one_chunk(self, minilm, chunker):
        assert chunker.spans("  One. Two.\n", minilm) == [(2, 11)]

    def test_text_without_tokens_is_one_span(self, minilm, chunker):
        assert chunker.spans("\u200b\n\n\u200b", minilm) == [(0, 4)]

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
    def test_what_is_no_text_is_refused(self, minilm, chunker, text):
        with pytest.raises(InvalidTextError, match="at 1"):
            chunker.spans(text, minilm)

    def test_no_room_beside_the_overhead(self, minilm, chunker):
        with pytest.raises(InvalidSettingError, match=r"max_tokens=2 .* alone are 2"):
            dataclasses.replace(chunker, max_tokens=2).spans("Hello.", minilm)

    def test_a_character_that_does_not_fit_is_named(self, byte_level, chunker):
        small = dataclasses.replace(chunker, max_tokens=byte_level.overhead + 1)
        character = re.escape(repr("\U00012000"))
        with pytest.raises(InvalidSettingError, match=f"{character} at 2.*at least 9"):
            small.spans("a \U00012000", byte_level)

    def test_a_grapheme_that_does_not_fit_is_cut(self, byte_level, check, chunker):
        limit = byte_level.overhead + 8
        family = "👨‍👩‍👧‍👦" * 2
        spans = dataclasses.replace(chunker, max_tokens=limit).spans(family, byte_level)
        check(family, spans, byte_level, limit)


@pytest.mark.parametrize(
    "line",
    ["word ", "今天天气很好。", "วันนี้อากาศดีมาก ", "x", "👨‍👩‍👧‍👦", "- a\n", "\u200b", "# h\n"],
)
@pytest.mark.parametrize("chunker", [SentenceChunker(64), TokenChunker(64), MarkdownChunker(64)])
def test_long_monotonous_text(minilm, check, chunker, line):
    text = line * (50_000 // len(line))
    check(text, chunker.spans(text, minilm), minilm, 64)
