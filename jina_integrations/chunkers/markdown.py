"""Chunks that follow a Markdown document's structure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

import numpy as np

from ..errors import MissingExtraError
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Heading, Scalar
from .breaks import Breaks, breaks_from, sentence_levels
from .limited import LimitedChunker
from .markdown_blocks import Block, markdown_blocks, markdown_headings
from .packing import pack
from .ruler import Positions, TokenRuler, has_text

__all__ = ["MarkdownChunker"]

_LEADS = frozenset({"heading_open", "hr"})
"""Blocks that belong to the one after them."""

_WHOLE = frozenset(
    {"fence", "code_block", "html_block", "table_open", "bullet_list_open", "ordered_list_open"}
)
"""Blocks that are not cut for the sake of their heading."""


@dataclass(frozen=True)
class MarkdownChunker(LimitedChunker):
    """Sections of a Markdown document; blocks such as code, tables and lists whole where they fit.

    A chunk never reaches from one section into the next, at any level of heading. A heading stays
    with the text under it; only code, a table or a list that fits alone but not with its heading
    is kept whole instead. A block over the limit is cut between its own parts (list items, quoted
    blocks, table rows, blank and other lines of code), else as by `SentenceChunker`.

    Args:
        max_tokens: Longest chunk as the model sees it as a passage, in its own tokens: special
            tokens and the task's prefix (`Tokenizer.overhead`) included, so that chunks of 256 fit
            a context of 256. Each chunk's text is counted, none is longer.

    Raises:
        InvalidSettingError: a value of the wrong type or range.
    """

    name: ClassVar[str] = "markdown"
    version: ClassVar[int] = 1

    def spans_and_headings(
        self, text: str, tokenizer: Tokenizer
    ) -> tuple[list[CharSpan], tuple[Heading, ...]]:
        """`spans`, and the text's headings (not those in lists and quotes), from one parse.

        Raises:
            InvalidTextError: a NUL character or a lone surrogate.
            InvalidSettingError: `max_tokens` is too small for the overhead or for a character.
            MissingExtraError: a library of the extra ``chunkers`` is needed and not installed.
        """
        if not has_text(text):
            return [], ()
        blocks = list(markdown_blocks(text))
        ruler = TokenRuler(text, tokenizer, self.max_tokens)
        return _cut_blocks(ruler, blocks), markdown_headings(blocks)

    @property
    def algorithm(self) -> dict[str, Scalar]:
        """The algorithm's number, and the versions of ICU and of markdown-it-py, x.y.

        Raises:
            MissingExtraError: the extra ``chunkers`` is not installed.
        """
        try:
            major, minor, *_ = metadata.version("markdown-it-py").split(".")
        except metadata.PackageNotFoundError as exc:
            raise MissingExtraError("cutting Markdown into chunks", "chunkers") from exc
        return {**super().algorithm, "markdown-it-py": f"{major}.{minor}"}

    def _cut(self, ruler: TokenRuler) -> list[CharSpan]:
        return _cut_blocks(ruler, list(markdown_blocks(ruler.text)))


def _cut_blocks(ruler: TokenRuler, blocks: list[Block]) -> list[CharSpan]:
    sections, glued = _outline(ruler, blocks)
    levels = _levels(ruler.text, blocks, glued)
    starts, ends = ruler.units(0, len(ruler.text), sections)
    return [
        span
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        for span in pack(ruler, levels, start, end)
    ]


def _outline(ruler: TokenRuler, blocks: list[Block]) -> tuple[Positions, list[CharSpan]]:
    """Where sections begin, and where headings are glued to what follows.

    A glued range ``(first, last)`` takes no cut after `first`, up to and including `last`. Of
    several headings in a row only the last ones are glued that leave half a chunk for the text.
    """
    top = [block for block in blocks if block.depth == 0]
    end = Block(len(ruler.text), len(ruler.text), 0, "end")
    sections: list[int] = []
    glued: list[CharSpan] = []
    leads: list[int] = []
    headed = False
    for block, after in itertools.pairwise([*top, end]):
        if block.kind in _LEADS:
            leads.append(block.start)
            if block.kind == "heading_open" and not headed:
                headed = True
                sections.append(leads[0])
        elif leads:
            before = ruler.tokens_before(np.array([*leads, block.start], dtype=np.int64))
            roomy = before[-1] - before[:-1] <= ruler.room // 2
            lead = leads[int(np.argmax(roomy)) if roomy.any() else -1]
            whole_alone = (
                block.kind in _WHOLE
                and ruler.excess(lead, after.start) > 0
                and ruler.excess(block.start, after.start) <= 0
            )
            glued.append((lead, block.start - 1 if whole_alone else block.start))
            leads, headed = [], False
    return np.array(sections, dtype=np.int64), glued


def _levels(text: str, blocks: list[Block], glued: list[CharSpan]) -> tuple[Breaks, ...]:
    """Blocks by depth, then sentences, lines, words and so on, none between glued blocks."""
    starts = np.array([block.start for block in blocks], dtype=np.int64)
    depths = np.array([block.depth for block in blocks], dtype=np.int64)
    sentences, lines, *rest = sentence_levels(text)
    structure = [breaks_from(starts[depths <= depth]) for depth in np.unique(depths)]
    return (*(_unglued(breaks, glued) for breaks in (*structure, sentences, lines)), *rest)


def _unglued(breaks: Breaks, glued: list[CharSpan]) -> Breaks:
    firsts = np.array([first for first, _ in glued], dtype=np.int64)
    lasts = np.array([-1, *(last for _, last in glued)], dtype=np.int64)

    def kept(start: int, end: int) -> Positions:
        cuts = breaks(start, end)
        return cuts[cuts > lasts[np.searchsorted(firsts, cuts)]]

    return kept
