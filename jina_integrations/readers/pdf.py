"""PDF: the text layer, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import MissingExtraError, ReadError
from .results import ReadResult, SkippedFile, SourceFile, document_or_reason

__all__ = ["read_pdf"]


def read_pdf(file: SourceFile, stream: BinaryIO) -> Iterator[ReadResult]:
    """One document, its pages joined by blank lines; each page without text as a `SkippedFile`.

    NUL, which stands in the text layer where a glyph maps to no character, is left out.

    Raises:
        ReadError: encrypted with a password, damaged, or without any text.
        MissingExtraError: pypdf is not installed.
    """
    pages, title = _pages_and_title(stream)
    if not any(pages):
        raise ReadError("no text layer; needs OCR")
    yield document_or_reason(
        file.path,
        "\n\n".join(page for page in pages if page),
        source=file.path,
        media_type="application/pdf",
        title=title,
        metadata={"pages": len(pages)},
    )
    for number, page in enumerate(pages, 1):
        if not page:
            yield SkippedFile(f"{file.path}#page={number}", "no text on the page; a scan needs OCR")


def _pages_and_title(stream: BinaryIO) -> tuple[list[str], str | None]:
    """The text of each page, stripped, and the title that the file gives itself."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, FileNotDecryptedError
    except ImportError as exc:
        raise MissingExtraError("reading PDF", "readers") from exc
    try:
        reader = PdfReader(stream)
        pages = [page.extract_text().replace("\0", "").strip() for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except FileNotDecryptedError as exc:
        raise ReadError("encrypted with a password: save a copy without one") from exc
    except DependencyError as exc:
        raise ReadError(f"encrypted with AES: {exc}, or save a copy without encryption") from exc
    except Exception as exc:  # pypdf raises almost anything over a damaged file
        raise ReadError(f"damaged PDF: {type(exc).__name__}: {exc}") from exc
    return pages, title
