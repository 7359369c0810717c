"""A file that a command writes at its end: all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InvalidInputError

__all__ = ["output_file"]


@contextmanager
def output_file(path: str | None) -> Generator[Callable[[str], None] | None]:
    """A function that puts a text there, in place of what was there; None without a path.

    The text goes into a new file beside it, which takes its name. That one is made at once, so
    that a folder which cannot be written to is found before the work and not after it.

    Args:
        path: What is written, or None.

    Raises:
        InvalidInputError: at once: there is no such folder, or it cannot be written to, or `path`
            is no ordinary file; from the function: the text cannot be written.
    """
    if path is None:
        yield None
        return
    target, part = _checked(path)

    def write(text: str) -> None:
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(target)
        except OSError as exc:
            raise _unwritable(path, exc) from exc

    try:
        yield write
    finally:
        part.unlink(missing_ok=True)


def _checked(path: str) -> tuple[Path, Path]:
    """The file, and the new one beside it, which is made."""
    # Not Path.expanduser and Path.exists: these raise for unknown users and for long names.
    expanded = os.path.expanduser(path)  # noqa: PTH111
    try:
        target = Path(expanded).resolve()
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        if os.path.exists(target) and not os.path.isfile(target):  # noqa: PTH110, PTH113
            raise InvalidInputError(f"{path} cannot be written: it is no ordinary file")
        part.touch()
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    except (RuntimeError, ValueError) as exc:  # a loop of links; a NUL or a path without a name
        if isinstance(exc, InvalidInputError):
            raise
        raise InvalidInputError(f"{path!r:.200} cannot be written: {exc}") from exc
    return target, part


def _unwritable(path: str, exc: OSError) -> InvalidInputError:
    return InvalidInputError(f"{path:.200} cannot be written: {exc.strerror}")
