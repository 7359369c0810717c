"""What a reader gets and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ..errors import InvalidInputError, ReadError
from ..texts import check_text
from ..types import Document, Scalar

__all__ = ["FailedFile", "ReadResult", "SkippedFile", "SourceFile", "document_or_reason"]

MAX_TITLE_CHARS = 300
"""A longer "heading" is a paragraph; as a title it would be stored again with every chunk."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """Something that was left out on purpose.

    Attributes:
        path: As in `Document.id`; a hidden folder is named once, for all it holds.
        reason: E.g. "hidden", "symbolic link", "unknown type .png", "binary", "empty".
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailedFile:
    """Something that should have become a document and could not.

    Attributes:
        path: As in `Document.id`, e.g. ``notes/a.txt``, or ``faq.jsonl#17`` for one record.
        error: Why. The message does not repeat the path.
    """

    path: str
    error: ReadError


ReadResult: TypeAlias = Document | SkippedFile | FailedFile


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be read.

    Attributes:
        location: Where to open it.
        path: POSIX path relative to the root, or the file's name where it was named itself.
        named: The caller named this very file, and did not come upon it in a folder.
    """

    location: Path
    path: str
    named: bool


def document_or_reason(
    path: str,
    text: str,
    *,
    source: str,
    media_type: str,
    title: str | None = None,
    metadata: dict[str, Scalar] | None = None,
) -> Document | SkippedFile:
    """The document, or a `SkippedFile` where the text is empty or only whitespace.

    Args:
        path: The document's id.
        text: Its text.
        source: Path of the file that it comes from, relative as in `SourceFile.path`.
        media_type: The file's type.
        title: What the file calls itself; else, or where it is longer than `MAX_TITLE_CHARS`, the
            title is the file's name.
        metadata: Further keys. They win over the reader's own three.

    Raises:
        ReadError: the text holds NUL or a lone surrogate, or the metadata cannot be stored.
    """
    if not text or text.isspace():
        return SkippedFile(path, "empty")
    title = " ".join((title or "").split())
    if not title or len(title) > MAX_TITLE_CHARS:
        title = source.rpartition("/")[2]
    merged = {"source": source, "title": title, "media_type": media_type, **(metadata or {})}
    try:
        check_text(text)
        for key, value in merged.items():
            f"{key}{value}".encode()
        return Document(path, text, merged)
    except InvalidInputError as exc:
        raise ReadError(str(exc)) from exc
    except UnicodeEncodeError as exc:
        raise ReadError("metadata holds a lone surrogate, which is not text") from exc
