"""Chunks of whole sentences."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from ..types import CharSpan
from .breaks import sentence_levels
from .limited import LimitedChunker
from .packing import pack
from .ruler import TokenRuler

__all__ = ["SentenceChunker"]


@dataclass(frozen=True)
class SentenceChunker(LimitedChunker):
    """As many whole sentences as fit, in any language; a blank line ends a sentence too.

    A sentence over the limit is cut at its line ends, else between words, else between grapheme
    clusters, and inside one only where it does not fit alone.

    Args:
        max_tokens: Longest chunk as the model sees it as a passage, in its own tokens: special
            tokens and the task's prefix (`Tokenizer.overhead`) included, so that chunks of 256 fit
            a context of 256. Each chunk's text is counted, none is longer.
        overlap_sentences: Whole sentences that a chunk repeats from the end of the one before,
            fewer where they and the next sentence do not fit together.

    Raises:
        InvalidSettingError: a value of the wrong type or range.
    """

    name: ClassVar[str] = "sentence"
    version: ClassVar[int] = 1

    _: KW_ONLY
    overlap_sentences: int = 0

    def _cut(self, ruler: TokenRuler) -> list[CharSpan]:
        levels = sentence_levels(ruler.text)
        return pack(ruler, levels, 0, len(ruler.text), overlap=self.overlap_sentences)
