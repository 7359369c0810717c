"""Chunks of whole sentences."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from ..tokenizer import Tokenizer
from ..types import CharSpan, Scalar
from ._breaks import sentence_levels
from ._packing import pack
from ._ruler import TokenRuler
from ._settings import check_int, check_overlap, has_text
from .base import Chunker

__all__ = ["SentenceChunker"]


@dataclass(frozen=True)
class SentenceChunker(Chunker):
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

    max_tokens: int = 256
    _: KW_ONLY
    overlap_sentences: int = 0

    def __post_init__(self) -> None:
        check_int("max_tokens", self.max_tokens, minimum=1)
        check_overlap("overlap_sentences", self.overlap_sentences, max_tokens=self.max_tokens)

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:
        """Half-open character spans of the text, in order; empty for a text of whitespace.

        Raises:
            InvalidTextError: a NUL character or a lone surrogate.
            InvalidSettingError: `max_tokens` is too small for the overhead or for a character.
        """
        if not has_text(text):
            return []
        ruler = TokenRuler(text, tokenizer, self.max_tokens)
        return pack(ruler, sentence_levels(text), 0, len(text), overlap=self.overlap_sentences)

    def to_dict(self) -> dict[str, Scalar]:
        """The name and both settings."""
        return {
            "chunker": "sentence",
            "max_tokens": self.max_tokens,
            "overlap_sentences": self.overlap_sentences,
        }
