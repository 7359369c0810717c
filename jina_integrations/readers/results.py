"""What `read_documents` gives, and what a reader gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from ..chunkers.places import short_title
from ..errors import InvalidInputError, ReadError
from ..inputs import check_text
from ..types import Document, Heading, Page, Scalar

__all__ = [
    "EMPTY",
    "GIVEN_TWICE",
    "FailedFile",
    "ReadResult",
    "SkippedFile",
    "Source",
    "SourceFile",
    "make_document",
]

EMPTY: Final = "empty"
"""Reason of a `SkippedFile` that holds no text."""

GIVEN_TWICE: Final = "given twice"
"""Reason of a `SkippedFile` that another path has given before."""


@dataclass(frozen=True, slots=True)
class Source:
    """A path that was given, before its documents: the part of all ids that they come from.

    Attributes:
        root: `Document.root` of its documents.
        name: What their ids begin with: the folder's name, or the caller's `root`.
        path: All of them that a folder or file can give have this id, or one below it: e.g.
            ``"docs"``, ``"docs/guide.md"``. Empty for the file system's root.
        folder: Where it lies: the absolute path of the folder, or of that which holds the file.
    """

    root: str
    name: str
    path: str
    folder: str

    def covers(self, root: str, document_id: str) -> bool:
        """Whether a document of that root and id can come from here, now or in an earlier state.

        Also where the folder has a name by now that it had not when the document was stored.
        """
        return root in (self.root, self.folder) and _is_part(self.path, document_id)


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """Something that was left out on purpose.

    Attributes:
        path: As in `Document.id`; a hidden folder is named once, for all it holds.
        reason: E.g. "hidden", "symbolic link", "unknown type .png", "binary", "empty".
        root: As in `Document.root`.
    """

    path: str
    reason: str
    root: str = ""

    @property
    def empty(self) -> bool:
        """Whether it was read and holds no text, so that nothing of it remains to be found."""
        return self.reason == EMPTY

    @property
    def was_read(self) -> bool:
        """Whether it is of a kind that gives documents."""
        return self.reason in (EMPTY, GIVEN_TWICE)

    def covers(self, root: str, document_id: str) -> bool:
        """Whether the document of that root and id is this file or record, or a record of it."""
        return self.root == root and _is_part(self.path, document_id)


@dataclass(frozen=True, slots=True)
class FailedFile:
    """Something that should have become a document and could not.

    Attributes:
        path: As in `Document.id`, e.g. ``docs/a.txt``, or ``docs/faq.jsonl#17`` for a record.
        error: Why. The message does not repeat the path.
        root: As in `Document.root`.
        file: Of a record: the path of its file, else empty.
    """

    path: str
    error: ReadError
    root: str = ""
    file: str = ""

    def covers(self, root: str, document_id: str) -> bool:
        """Whether the document of that root and id may be in here, unread.

        A broken record may be any record of its file: ids by content are not known before it is
        read, and a quote that is not closed hides rows.
        """
        return self.root == root and _is_part(self.file or self.path, document_id)


ReadResult: TypeAlias = Source | Document | SkippedFile | FailedFile


def _is_part(path: str, document_id: str) -> bool:
    return not path or document_id == path or document_id.startswith((f"{path}/", f"{path}#"))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be read.

    Attributes:
        location: Where to open it.
        path: Its document's id, or the beginning of its records' ids, e.g. ``docs/guide.md``.
        root: Its documents' root.
        named: The caller named this very file, and did not come upon it in a folder.
    """

    location: Path
    path: str
    root: str
    named: bool


def make_document(
    file: SourceFile,
    text: str,
    *,
    media_type: str,
    document_id: str | None = None,
    title: str | None = None,
    headings: tuple[Heading, ...] = (),
    pages: tuple[Page, ...] = (),
    metadata: dict[str, Scalar] | None = None,
) -> Document | None:
    """The document, or None where the text is empty or only whitespace.

    Args:
        file: Where it comes from.
        text: Its text.
        media_type: The file's type.
        document_id: Of a record; the file's path where None.
        title: What the document calls itself; else, or where that is too long for a title, the
            title is the first heading, else the file's name.
        headings: Of the text; their titles become `short_title`.
        pages: Of the text.
        metadata: Further keys. They win over the reader's own three.

    Raises:
        ReadError: the text holds NUL or a lone surrogate, or the metadata cannot be stored.
    """
    if not text or text.isspace():
        return None
    headings = tuple(
        Heading(heading.start, heading.level, short_title(heading.title)) for heading in headings
    )
    titles = (short_title(title or ""), *(heading.title for heading in headings))
    shown = next(filter(None, titles), file.path.rpartition("/")[2])
    merged = {"source": file.path, "title": shown, "media_type": media_type, **(metadata or {})}
    try:
        check_text(text)
        for key, value in merged.items():
            f"{key}{value}".encode()
        return Document(document_id or file.path, text, merged, headings, pages, file.root)
    except InvalidInputError as exc:
        raise ReadError(str(exc)) from exc
    except UnicodeEncodeError as exc:
        raise ReadError("metadata holds a lone surrogate, which is not text") from exc
