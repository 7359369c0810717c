"""From paths to documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..errors import InvalidInputError, ReadError
from ..types import Document
from .decoding import BinaryContentError, open_regular
from .html import read_html
from .pdf import read_pdf
from .records import read_csv, read_jsonl
from .results import FailedFile, ReadResult, SkippedFile, SourceFile
from .text import read_markdown, read_plain, read_rst
from .walk import walk

__all__ = ["read_documents"]

_READERS: dict[str, Callable[[SourceFile, BinaryIO], Iterator[ReadResult]]] = {
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


def read_documents(paths: Sequence[str | os.PathLike[str]]) -> Iterator[ReadResult]:
    """Documents of the files and folders, and an entry for everything that became none.

    Lazy: one file is open at a time, and of CSV and JSON Lines only one record is in memory. The
    order is that of the paths, and within a folder that of the relative POSIX paths, sorted by
    code points. The id is that relative path, or the name of a file that is named itself; records
    are ``<path>#<id>`` or ``<path>#<n>``. An id that came before is a `FailedFile`, since a store
    would let one document replace the other.

    Args:
        paths: Files (of a known type, or any text) and folders.

    Raises:
        InvalidInputError: a single path in place of a list.
        ReadError: a path does not exist; at once, before anything is read.
        MissingExtraError: on the first file that needs a library which is not installed.
    """
    if isinstance(paths, str | os.PathLike):
        raise InvalidInputError("paths must be a list: wrap a single path in one")
    roots: list[Path] = []
    for path in paths:
        name = os.fspath(path)
        if not name or not os.path.exists(name):  # noqa: PTH110 - also takes a name with a NUL
            raise ReadError(f"no such file or folder: {name!r}")
        roots.append(Path(name))
    return _read_all(roots)


def _read_all(roots: Sequence[Path]) -> Iterator[ReadResult]:
    seen: set[str] = set()
    for root in roots:
        for entry in walk(root):
            for result in _read_file(entry) if isinstance(entry, SourceFile) else (entry,):
                if not isinstance(result, Document):
                    yield result
                elif result.id in seen:
                    reason = "another document has this id: name a folder that holds both files"
                    yield FailedFile(result.id, ReadError(reason))
                else:
                    seen.add(result.id)
                    yield result


def _read_file(file: SourceFile) -> Iterator[ReadResult]:
    suffix = PurePosixPath(file.path).suffix.lower()
    reader = _READERS.get(suffix, read_plain if file.named else None)
    if reader is None:
        yield SkippedFile(file.path, f"unknown type {suffix}" if suffix else "no file extension")
        return
    records = 0
    try:
        with open_regular(file.location) as stream:
            if not os.fstat(stream.fileno()).st_size:
                yield SkippedFile(file.path, "empty")
                return
            for result in reader(file, stream):
                records += 1
                yield result
        if not records:
            yield SkippedFile(file.path, "empty")
    except BinaryContentError as exc:
        yield FailedFile(file.path, exc) if file.named else SkippedFile(file.path, "binary")
    except ReadError as exc:
        yield FailedFile(file.path, exc)
    except (OSError, UnicodeError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        error = ReadError(f"cannot be read: {reason}")
        error.__cause__ = exc
        yield FailedFile(file.path, error)
