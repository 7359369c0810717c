"""The contract of a chunker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ..tokenizer import Tokenizer
from ..types import CharSpan, Chunk, Document, Scalar

__all__ = ["Chunker"]


class Chunker(ABC):
    """Cuts a text into character spans. Cheap to construct, without state, picklable.

    Together the spans of one text cover every character that is not whitespace, in order of their
    start; neighbours may overlap. No span begins or ends with whitespace.
    """

    @abstractmethod
    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:
        """Half-open character spans of the text, in order; empty for a text of whitespace."""

    @abstractmethod
    def to_dict(self) -> Mapping[str, Scalar]:
        """Everything that changes where this chunker cuts, its name under ``"chunker"`` included.

        Part of a document's version: when it changes, documents are chunked and embedded again.
        """

    def chunk(self, document: Document, tokenizer: Tokenizer) -> list[Chunk]:
        """The document's chunks, in order, each with ``text == document.text[start:end]``."""
        return [
            Chunk(
                document_id=document.id,
                index=index,
                start=start,
                end=end,
                text=document.text[start:end],
                metadata=document.metadata,
            )
            for index, (start, end) in enumerate(self.spans(document.text, tokenizer))
        ]
