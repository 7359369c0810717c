"""Chunkers: a text and a tokenizer in, character spans out.

Importing this loads neither a segmentation library nor a model; a chunker loads what it needs, the
extra ``chunkers``, at its first text.
"""

from __future__ import annotations

from .base import Chunker
from .markdown import MarkdownChunker
from .registry import chunker_from_dict, parse_chunker
from .sentence import SentenceChunker
from .span import SpanChunker
from .token import TokenChunker

__all__ = [
    "Chunker",
    "MarkdownChunker",
    "SentenceChunker",
    "SpanChunker",
    "TokenChunker",
    "chunker_from_dict",
    "parse_chunker",
]
