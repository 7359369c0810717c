"""The paths that were given, and the files under them in an order that never changes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from ..errors import InvalidInputError, ReadError
from ..inputs import find_surrogate
from .results import FailedFile, SkippedFile, Source, SourceFile

__all__ = ["GivenPath", "given_paths", "walk"]


class GivenPath(NamedTuple):
    """A path that was given, checked.

    Attributes:
        location: The path, ``~`` expanded.
        folder: The folder itself, or the folder that holds the file; absolute, links resolved.
        is_folder: Whether the path is a folder.
        source: What its documents are called.
    """

    location: Path
    folder: Path
    is_folder: bool
    source: Source


def given_paths(
    paths: Sequence[str | os.PathLike[str]], root: str | None = None
) -> list[GivenPath]:
    """The paths, with what the ids of their documents begin with; arguments as `read_documents`.

    Raises:
        InvalidInputError: an argument of another type, or a text that cannot be a path or name.
        ReadError: a path does not exist or cannot be reached.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise InvalidInputError("paths must be a list of paths: put the single path into a list")
    if not isinstance(cast("object", paths), Iterable):
        raise InvalidInputError(f"paths must be a list of paths, not {type(paths).__name__}")
    if root is not None:
        _check_root(root)
    return [_given_path(path, index, root) for index, path in enumerate(paths)]


def _check_root(root: object) -> None:
    if not isinstance(root, str):
        raise InvalidInputError(f"root must be a str, not {type(root).__name__}")
    if not root.strip() or "/" in root or "\0" in root or find_surrogate(root) is not None:
        raise InvalidInputError(
            f'root={root!r:.80} must be a name, such as "handbook": not blank, and without "/"'
        )


def _given_path(path: object, index: int, root: str | None) -> GivenPath:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise InvalidInputError(
            f"paths[{index}] must be a str or a path, not {type(path).__name__}", index=index
        )
    location = Path(os.path.expanduser(text))  # noqa: PTH111 - Path's raises for unknown users
    try:
        if not text:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        is_folder = stat.S_ISDIR(location.stat().st_mode)
        folder = (location if is_folder else location.parent).resolve()
    except ValueError as exc:  # a NUL, or a character that the file system cannot encode
        raise InvalidInputError(
            f"paths[{index}]={text!r:.80} is no path: {exc}", index=index
        ) from exc
    except OSError as exc:
        if exc.errno == errno.ENAMETOOLONG:
            raise InvalidInputError(
                f"paths[{index}]={text!r:.80} is no path: {len(text)} characters are too many",
                index=index,
            ) from exc
        missing = exc.errno in (errno.ENOENT, errno.ENOTDIR)
        reason = "no such file or folder" if missing else f"cannot be reached ({exc.strerror})"
        raise ReadError(f"{reason}: {text!r:.200}") from exc
    name = root or printable(folder.name)
    file = "" if is_folder else printable(location.name)
    covered = f"{name}/{file}" if name and file else name or file
    place = printable(folder.as_posix())
    source = Source(root or place, name, covered, place)
    return GivenPath(location, folder, is_folder, source)


def walk(given: GivenPath) -> Iterator[SourceFile | SkippedFile | FailedFile]:
    """The file itself, or every file in the folder, sorted by relative POSIX path (code points).

    In a folder, names with a leading dot, symbolic links and everything that is neither file nor
    folder are skipped; a hidden folder is reported once. The root itself may be hidden or a link.
    Links are never followed, so no loop and no way out of the root exists.
    """
    root, path = given.source.root, given.source.path
    if not given.is_folder:
        yield SourceFile(given.location, path, root, named=True)
        return
    pending: list[tuple[str, os.DirEntry[str]]] = []
    try:
        pending += _children(given.folder, f"{path}/" if path else "")
    except OSError as exc:
        yield _unreadable(path, root, exc)
    while pending:
        path, entry = pending.pop()
        if entry.name.startswith("."):
            yield SkippedFile(printable(path), "hidden", root)
        elif entry.is_symlink():
            yield SkippedFile(printable(path), "symbolic link", root)
        elif entry.is_dir(follow_symlinks=False):
            try:
                pending += _children(entry.path, f"{path}/")
            except OSError as exc:
                yield _unreadable(path, root, exc)
        elif entry.is_file(follow_symlinks=False):
            yield SourceFile(Path(entry.path), printable(path), root, named=False)
        else:
            yield SkippedFile(printable(path), "not a regular file", root)


def _children(folder: str | Path, prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Path and entry of everything in one folder, last first (the walk is a stack).

    A folder sorts as if its name ended in a slash: so ``a-b.txt`` comes before ``a/b.txt``, as it
    does when all relative paths are sorted at once.
    """
    with os.scandir(folder) as entries:
        children = sorted(
            entries,
            key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False),
            reverse=True,
        )
    return [(prefix + entry.name, entry) for entry in children]


def _unreadable(path: str, root: str, exc: OSError) -> FailedFile:
    error = ReadError(f"the folder cannot be listed: {exc.strerror}")
    error.__cause__ = exc
    return FailedFile(printable(path), error, root)


def printable(path: str) -> str:
    r"""The path as text: bytes of a file name that are not UTF-8 become ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
