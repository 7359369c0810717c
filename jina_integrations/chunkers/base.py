"""The contract of a chunker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ..errors import InvalidInputError
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Chunk, Document, Heading, Scalar
from .places import places

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
        """The settings as JSON values, the chunker's name under ``"chunker"`` included.

        Part of a document's version: when it changes, documents are chunked and embedded again.
        """

    @property
    def algorithm(self) -> Mapping[str, Scalar]:
        """What moves borders beside the settings, as JSON values, e.g. ``{"version": 1}``.

        The number of the algorithm, raised when it cuts elsewhere, and versions of the libraries
        that decide where to cut. Part of a document's version, too.
        """
        return {}

    def spans_and_headings(
        self, text: str, tokenizer: Tokenizer
    ) -> tuple[list[CharSpan], tuple[Heading, ...]]:
        """`spans`, and the headings of the text, for a chunker that knows some markup.

        `chunk` calls this for documents that come without headings.
        """
        return self.spans(text, tokenizer), ()

    def chunk(self, document: Document, tokenizer: Tokenizer) -> list[Chunk]:
        """The document's chunks, in order, each with ``text == document.text[start:end]``.

        Their heading paths come from `Document.headings`, or where the document has none, from
        `spans_and_headings`; their page numbers from `Document.pages`.
        """
        if not isinstance(document, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"document must be a Document, not {type(document).__name__}")
        text, headings = document.text, document.headings
        if headings:
            spans = self.spans(text, tokenizer)
        else:
            spans, headings = self.spans_and_headings(text, tokenizer)
        return [
            Chunk(
                document_id=document.id,
                index=index,
                start=start,
                end=end,
                text=text[start:end],
                metadata=document.metadata,
                headings=place.headings,
                page=place.page,
                page_end=place.page_end,
            )
            for index, ((start, end), place) in enumerate(
                zip(spans, places(spans, headings, document.pages), strict=True)
            )
        ]
