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
    target = Path(path).expanduser().resolve()
    if target.exists() and not target.is_file():
        raise InvalidInputError(f"{path} is no file that can be written")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")

    def write(text: str) -> None:
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(target)
        except OSError as exc:
            raise InvalidInputError(f"{path} cannot be written: {exc.strerror}") from exc

    try:
        part.touch()
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be written: {exc.strerror}") from exc
    try:
        yield write
    finally:
        part.unlink(missing_ok=True)
