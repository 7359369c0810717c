"""How a command ends, and what it may print.

=====  ==========================================================
code   meaning
=====  ==========================================================
0      everything went well
1      some documents failed, or problems were found; see stderr
2      wrong usage, or refused; one line on stderr says why
129    stopped by SIGHUP: the terminal was closed
130    stopped by Ctrl-C (SIGINT)
143    stopped by SIGTERM, e.g. ``kill`` or ``docker stop``
=====  ==========================================================
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TextIO

from ..errors import JinaIntegrationsError

__all__ = [
    "REFUSED",
    "SOME_FAILED",
    "STOPPED",
    "counted",
    "note",
    "one_line",
    "reported",
    "say",
    "say_json",
]

SOME_FAILED: Final = 1
REFUSED: Final = 2
STOPPED: Final = 128 + signal.SIGINT
"""As shells count: 128 and the signal's number."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@contextmanager
def reported(*, stopped: str = "stopped") -> Generator[None]:
    """Turn this package's errors into one line on stderr, and signals into their exit codes.

    Args:
        stopped: The line for Ctrl-C, SIGTERM and SIGHUP.

    Raises:
        SystemExit: in place of either.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _handled_by(stop):
        try:
            yield
        except JinaIntegrationsError as exc:
            note(f"error: {exc}")
            sys.exit(REFUSED)
        except KeyboardInterrupt:
            note(stopped)
            sys.exit(128 + received[0] if received else STOPPED)


@contextmanager
def _handled_by(stop: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Let `stop` take SIGTERM and SIGHUP, unless somebody (such as ``nohup``) has seen to them."""
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # Python lets no other thread set handlers
    taken = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def one_line(text: str) -> str:
    """The text in one line, and without what would steer the terminal."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def counted(count: int, noun: str) -> str:
    """``"1 chunk"``, ``"1,200 chunks"``."""
    plural = "" if count == 1 else "S" if noun.isupper() else "s"
    return f"{count:,} {noun}{plural}"


def note(line: str) -> None:
    """One line on stderr, above a progress bar where there is one."""
    encoding = sys.stderr.encoding or "utf-8"
    text = one_line(line).encode(encoding, "backslashreplace").decode(encoding)
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        _forget(sys.stderr)


def say(text: str) -> None:
    """Text on stdout."""
    _write(text, sys.stdout.encoding)


def say_json(value: object, *, compact: bool = False) -> None:
    """JSON on stdout, in UTF-8 whatever the terminal's encoding.

    Args:
        value: JSON values.
        compact: On one line, for several values one after the other; else indented.
    """
    _write(json.dumps(value, ensure_ascii=False, indent=None if compact else 2), "utf-8")


def _write(text: str, encoding: str) -> None:
    r"""Write a line on stdout; characters that the encoding lacks become ``\u…``.

    That nobody reads on, as with ``| head``, is no failure.
    """
    try:
        sys.stdout.buffer.write(f"{text}\n".encode(encoding, "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _forget(sys.stdout)


def _forget(stream: TextIO) -> None:
    # Python flushes once more at exit, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
