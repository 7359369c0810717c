"""Chunkers: a text and a tokenizer in, character spans out.

Importing this loads neither a segmentation library nor a model; a chunker loads what it needs at
its first text.
"""

from __future__ import annotations

from ..errors import InvalidSettingError
from .base import Chunker
from .markdown import MarkdownChunker
from .sentence import SentenceChunker
from .span import SpanChunker
from .token import TokenChunker

__all__ = [
    "Chunker",
    "MarkdownChunker",
    "SentenceChunker",
    "SpanChunker",
    "TokenChunker",
    "parse_chunker",
]


def parse_chunker(setting: str) -> Chunker:
    """The chunker that a short text names, as on the command line.

    Args:
        setting: ``sentence[:MAX_TOKENS[:OVERLAP_SENTENCES]]``,
            ``token[:MAX_TOKENS[:OVERLAP_TOKENS]]`` or ``markdown[:MAX_TOKENS]``; what is left out
            has its default.

    Raises:
        InvalidSettingError: another form, or a number that the chunker does not take.
    """
    name, *numbers = setting.split(":")
    if all(number.isascii() and number.isdigit() for number in numbers):
        match name, [int(number) for number in numbers]:
            case "sentence", []:
                return SentenceChunker()
            case "sentence", [max_tokens]:
                return SentenceChunker(max_tokens)
            case "sentence", [max_tokens, overlap]:
                return SentenceChunker(max_tokens, overlap_sentences=overlap)
            case "token", []:
                return TokenChunker()
            case "token", [max_tokens]:
                return TokenChunker(max_tokens)
            case "token", [max_tokens, overlap]:
                return TokenChunker(max_tokens, overlap_tokens=overlap)
            case "markdown", []:
                return MarkdownChunker()
            case "markdown", [max_tokens]:
                return MarkdownChunker(max_tokens)
            case _:
                pass
    raise InvalidSettingError(
        f"{setting!r:.80} names no chunker; the forms are sentence[:MAX_TOKENS[:OVERLAP_SENTENCES]]"
        ", token[:MAX_TOKENS[:OVERLAP_TOKENS]] and markdown[:MAX_TOKENS], e.g. sentence:256, "
        "sentence:256:1, token:128:16, markdown:256"
    )
