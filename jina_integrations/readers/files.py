"""From paths to documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import PurePosixPath

from ..errors import ReadError
from ..types import Document
from .decoding import BinaryContentError, open_regular
from .html import read_html
from .pdf import read_pdf
from .records import read_csv, read_jsonl
from .results import EMPTY, GIVEN_TWICE, FailedFile, ReadResult, SkippedFile, SourceFile
from .text import read_markdown, read_plain, read_rst
from .walk import GivenPath, given_paths, walk

__all__ = ["read_documents"]

_READERS: dict[str, Callable[[SourceFile, BufferedReader], Iterator[ReadResult]]] = {
    ".txt": read_plain,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".rst": read_rst,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".jsonl": read_jsonl,
    ".csv": read_csv,
}


def read_documents(
    paths: Sequence[str | os.PathLike[str]], *, root: str | None = None
) -> Iterator[ReadResult]:
    """Documents of the files and folders, and an entry for everything that became none.

    ::

        read_documents(["docs"])                   # docs/guide.md, docs/api/errors.md, …
        read_documents(["docs/guide.md"])          # docs/guide.md
        read_documents(["docs"], root="handbook")  # handbook/guide.md, …

    Each path gives a `Source` first, then its documents in the order of their ids (by code
    points). An id is the name of the folder that was given, or that holds the file that was given,
    and the path in it; records are ``<path>#<id>``. Lazy: one file is open at a time, and of CSV
    and JSON Lines only one record is in memory.

    An id that came before is a `FailedFile`, since a store would let one document replace the
    other; the same file given twice is a `SkippedFile` the second time.

    Args:
        paths: Files (of a known type, or any text) and folders; ``~`` is the home folder.
        root: A name in place of the folders' names and of `Document.root`, so that a folder that
            was moved or renamed gives the same documents.

    Raises:
        InvalidInputError: an argument of another type, or a text that cannot be a path or a name.
        ReadError: a path does not exist; at once, before anything is read.
        MissingExtraError: on the first file that needs a library which is not installed.
    """
    return _read_all(given_paths(paths, root))


def _read_all(given: Sequence[GivenPath]) -> Iterator[ReadResult]:
    seen: dict[str, GivenPath] = {}
    for path in given:
        yield path.source
        for entry in walk(path):
            for result in _read_file(entry) if isinstance(entry, SourceFile) else (entry,):
                if not isinstance(result, Document):
                    yield result
                elif result.id in seen:
                    yield _clash(result, seen[result.id], path)
                else:
                    seen[result.id] = path
                    yield result


def _clash(document: Document, before: GivenPath, now: GivenPath) -> SkippedFile | FailedFile:
    """What becomes of a document whose id came before."""
    if before is not now and before.folder == now.folder:
        return SkippedFile(document.id, GIVEN_TWICE, document.root)
    if before is now:
        reason = "another document of this run has this id; give each record an id of its own"
    else:
        reason = (
            f"{str(before.folder)!r} and {str(now.folder)!r} both have a document of this id; read "
            "one of them with another name, by root= or --root"
        )
    return FailedFile(document.id, ReadError(reason), document.root)


def _read_file(file: SourceFile) -> Iterator[ReadResult]:
    suffix = PurePosixPath(file.path).suffix.lower()
    reader = _READERS.get(suffix, read_plain if file.named else None)
    if reader is None:
        reason = f"unknown type {suffix}" if suffix else "no file extension"
        yield SkippedFile(file.path, reason, file.root)
        return
    empty = True
    try:
        with open_regular(file.location) as stream:
            # The size is no help: files under /proc have none.
            for result in reader(file, stream) if stream.peek(1) else ():
                empty = empty and isinstance(result, SkippedFile)
                yield result
        if empty:
            yield SkippedFile(file.path, EMPTY, file.root)
    except BinaryContentError as exc:
        if file.named:
            yield FailedFile(file.path, exc, file.root)
        else:
            yield SkippedFile(file.path, "binary", file.root)
    except ReadError as exc:
        yield FailedFile(file.path, exc, file.root)
    except (OSError, UnicodeError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        error = ReadError(f"cannot be read: {reason}")
        error.__cause__ = exc
        yield FailedFile(file.path, error, file.root)
