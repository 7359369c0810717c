"""PDF: the text layer, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import MissingExtraError, ReadError
from ..types import Document, Page
from .results import SkippedFile, SourceFile, make_document

__all__ = ["read_pdf"]

_BETWEEN_PAGES = "\n\n"


def read_pdf(file: SourceFile, stream: BinaryIO) -> Iterator[Document | SkippedFile]:
    """One document, its pages joined by blank lines; each page without text as a `SkippedFile`.

    NUL, which stands in the text layer where a glyph maps to no character, is left out.

    Raises:
        ReadError: encrypted with a password, damaged, or without any text.
        MissingExtraError: pypdf is not installed.
    """
    texts, title = _texts_and_title(stream)
    pages: list[Page] = []
    start = 0
    for number, text in enumerate(texts, 1):
        if text:
            pages.append(Page(start, number))
            start += len(text) + len(_BETWEEN_PAGES)
    document = make_document(
        file,
        _BETWEEN_PAGES.join(filter(None, texts)),
        media_type="application/pdf",
        title=title,
        pages=tuple(pages),
        metadata={"pages": len(texts)},
    )
    if not document:
        raise ReadError("no text layer; needs OCR")
    yield document
    for number, text in enumerate(texts, 1):
        if not text:
            reason = "no text on the page; a scan needs OCR"
            yield SkippedFile(f"{file.path}#page={number}", reason, file.root)


def _texts_and_title(stream: BinaryIO) -> tuple[list[str], str | None]:
    """The text of each page, stripped, and the title that the file gives itself."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, FileNotDecryptedError
    except ImportError as exc:
        raise MissingExtraError("reading PDF", "readers") from exc
    try:
        reader = PdfReader(stream)
        texts = [page.extract_text().replace("\0", "").strip() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except FileNotDecryptedError as exc:
        raise ReadError("encrypted with a password: save a copy without one") from exc
    except DependencyError as exc:
        raise ReadError(f"encrypted with AES: {exc}, or save a copy without encryption") from exc
    except Exception as exc:  # pypdf raises almost anything over a damaged file
        raise ReadError(f"damaged PDF: {type(exc).__name__}: {exc}") from exc
    return texts, title
