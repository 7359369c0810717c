"""What of a document can become a pseudo-question: its headings, and sentences of paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from ...chunkers.breaks import BLANK_LINE, sentence_levels, word_levels
from ...chunkers.markdown_blocks import Block, markdown_blocks, plain_text
from ...types import CharSpan, Document

__all__ = ["Candidate", "headings", "sentences", "stripped"]

MIN_HEADING_WORDS: Final = 2
MIN_SENTENCES: Final = 3
"""Of a paragraph that one is held out of, so that two are left to find."""
SENTENCE_WORDS: Final = range(6, 41)
MAX_PARAGRAPH_CHARS: Final = 4000
"""A longer "paragraph" is a text that has a paragraph on each line."""

_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible question.

    Attributes:
        kind: What it is.
        text: The question: the heading or sentence without Markdown, on one line.
        source: The same as it stands in the document, on one line.
        removed: What is taken out of the text, half-open characters.
        evidence: What then answers it, counted in the text as it stands: the heading's section, or
            the paragraph with the sentence in it.
    """

    kind: Literal["heading", "sentence"]
    text: str
    source: str
    removed: CharSpan
    evidence: CharSpan


def headings(document: Document, rng: np.random.Generator) -> Iterator[Candidate]:
    """The headings of a Markdown document of at least two words and with text under them, shuffled.

    A section ends at the next heading of any level. The line end behind a heading stays, so that
    the paragraphs around it do not become one.
    """
    if not _is_markdown(document):
        return
    text = document.text
    blocks = [block for block in markdown_blocks(text) if _is_heading(block)]
    edges = [*(block.start for block in blocks), len(text)]
    for number in rng.permutation(len(blocks)).tolist():
        heading = blocks[number]
        title = " ".join(heading.content.split())
        evidence = stripped(text, heading.end, edges[number + 1])
        question = plain_text(title)
        if evidence[0] < evidence[1] and _word_count(question) >= MIN_HEADING_WORDS:
            removed = (heading.start, heading.end)
            yield Candidate("heading", question, title, removed, evidence)


def sentences(document: Document, rng: np.random.Generator) -> Iterator[Candidate]:
    """A sentence of 6 to 40 words of each paragraph that has at least three, shuffled."""
    text = document.text
    split, *_ = sentence_levels(text)
    for paragraph in _shuffled([*_paragraphs(document)], rng):
        edges = [paragraph[0], *split(*paragraph).tolist(), paragraph[1]]
        parts = [(start, end) for start, end in pairwise(edges) if text[start:end].strip()]
        if len(parts) < MIN_SENTENCES:
            continue
        for removed in _shuffled(parts, rng):
            source = " ".join(text[slice(*removed)].split())
            question = plain_text(source) if _is_markdown(document) else source
            if _word_count(question) in SENTENCE_WORDS:
                yield Candidate("sentence", question, source, removed, paragraph)
                break


def _shuffled(spans: Sequence[CharSpan], rng: np.random.Generator) -> Iterator[CharSpan]:
    return (spans[number] for number in rng.permutation(len(spans)).tolist())


def stripped(text: str, start: int, end: int) -> CharSpan:
    """The span without whitespace at its ends; empty where it holds nothing else."""
    piece = text[start:end]
    first = start + len(piece) - len(piece.lstrip())
    return first, first + len(piece.strip())


def _is_markdown(document: Document) -> bool:
    return document.metadata.get("media_type") == "text/markdown"


def _is_heading(block: Block) -> bool:
    return block.kind == "heading_open" and block.depth == 0


def _paragraphs(document: Document) -> Iterator[CharSpan]:
    """What blank lines part; in Markdown only paragraphs that are in no list, quote or the like."""
    text = document.text
    for start, end in _markdown_paragraphs(text) if _is_markdown(document) else [(0, len(text))]:
        for piece in _between(BLANK_LINE, text, start, end):
            lines = piece[1] - piece[0] > MAX_PARAGRAPH_CHARS
            yield from _between(_LINE_END, text, *piece) if lines else (piece,)


def _markdown_paragraphs(text: str) -> Iterator[CharSpan]:
    """The paragraphs, without the link targets behind them, which are no blocks."""
    for block, after in pairwise([*markdown_blocks(text), Block(len(text), len(text), 0, "end")]):
        if block.kind == "paragraph_open" and block.depth == 0:
            blank = BLANK_LINE.search(text, block.start, after.start)
            yield block.start, blank.start() if blank else after.start


def _between(border: re.Pattern[str], text: str, start: int, end: int) -> Iterator[CharSpan]:
    borders = (match.end() for match in border.finditer(text, start, end))
    return (stripped(text, *piece) for piece in pairwise([start, *borders, end]))


def _word_count(text: str) -> int:
    words, *_ = word_levels(text)
    return 1 + len(words(0, len(text)))
