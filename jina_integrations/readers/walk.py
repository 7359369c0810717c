"""The files under a path, in an order that never changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import ReadError
from .results import FailedFile, SkippedFile, SourceFile

__all__ = ["walk"]


def walk(root: Path) -> Iterator[SourceFile | SkippedFile | FailedFile]:
    """The file itself, or every file in the folder, sorted by relative POSIX path (code points).

    In a folder, names with a leading dot, symbolic links and everything that is neither file nor
    folder are skipped; a hidden folder is reported once. The root itself may be hidden or a link.
    Links are never followed, so no loop and no way out of the root exists.
    """
    if not root.is_dir():
        yield SourceFile(root, _printable(root.name), named=True)
        return
    folders_and_entries: list[tuple[str, os.DirEntry[str]]] = []
    try:
        folders_and_entries += _children(root, "")
    except OSError as exc:
        yield _unreadable(root.name or ".", exc)
    while folders_and_entries:
        path, entry = folders_and_entries.pop()
        if entry.name.startswith("."):
            yield SkippedFile(_printable(path), "hidden")
        elif entry.is_symlink():
            yield SkippedFile(_printable(path), "symbolic link")
        elif entry.is_dir(follow_symlinks=False):
            try:
                folders_and_entries += _children(entry.path, f"{path}/")
            except OSError as exc:
                yield _unreadable(path, exc)
        elif entry.is_file(follow_symlinks=False):
            yield SourceFile(Path(entry.path), _printable(path), named=False)
        else:
            yield SkippedFile(_printable(path), "not a regular file")


def _children(folder: str | Path, prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Relative path and entry of everything in one folder, last first (the walk is a stack).

    A folder sorts as if its name ended in a slash: so ``a-b.txt`` comes before ``a/b.txt``, as it
    does when all relative paths are sorted at once.
    """
    with os.scandir(folder) as entries:
        found = sorted(
            entries,
            key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False),
            reverse=True,
        )
    return [(prefix + entry.name, entry) for entry in found]


def _unreadable(path: str, exc: OSError) -> FailedFile:
    error = ReadError(f"the folder cannot be listed: {exc.strerror}")
    error.__cause__ = exc
    return FailedFile(_printable(path), error)


def _printable(path: str) -> str:
    r"""The path as text: bytes of a file name that are not UTF-8 become ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
