"""Chunks that follow a Markdown document's structure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..tokenizer import Tokenizer
from ..types import CharSpan, Scalar
from ._breaks import Breaks, breaks_from, sentence_levels
from ._markdown_blocks import Block, markdown_blocks
from ._packing import pack
from ._ruler import Positions, TokenRuler
from ._settings import check_int, has_text
from .base import Chunker

__all__ = ["MarkdownChunker"]

_LEADS = frozenset({"heading_open", "hr"})
"""Blocks that belong to the one after them."""

_WHOLE = frozenset(
    {"fence", "code_block", "html_block", "table_open", "bullet_list_open", "ordered_list_open"}
)
"""Blocks that are not cut for the sake of their heading."""


@dataclass(frozen=True)
class MarkdownChunker(Chunker):
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

    max_tokens: int = 256

    def __post_init__(self) -> None:
        check_int("max_tokens", self.max_tokens, minimum=1)

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:
        """Half-open character spans of the text, in order; empty for a text of whitespace.

        Raises:
            InvalidTextError: a NUL character or a lone surrogate.
            InvalidSettingError: `max_tokens` is too small for the overhead or for a character.
        """
        if not has_text(text):
            return []
        ruler = TokenRuler(text, tokenizer, self.max_tokens)
        blocks = list(markdown_blocks(text))
        sections, glued = _outline(ruler, blocks)
        levels = _levels(text, blocks, glued)
        starts, ends = ruler.units(0, len(text), sections)
        return [
            span
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
            for span in pack(ruler, levels, start, end)
        ]

    def to_dict(self) -> dict[str, Scalar]:
        """The name and the setting."""
        return {"chunker": "markdown", "max_tokens": self.max_tokens}


def _outline(ruler: TokenRuler, blocks: list[Block]) -> tuple[Positions, list[CharSpan]]:
    """Where sections begin, and where headings are glued to what follows.

    A glued range ``(first, last)`` takes no cut after `first`, up to and including `last`. Of
    several headings in a row only the last ones are glued that leave half a chunk for the text.
    """
    top = [block for block in blocks if block.depth == 0]
    end = Block(len(ruler.text), 0, "end")
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
