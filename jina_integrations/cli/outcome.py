"""How a command ends, and what it may print.

=====  =====================================================
code   meaning
=====  =====================================================
0      all well
1      some documents failed; they are listed on stderr
2      wrong usage, or refused; one line on stderr says why
130    stopped with Ctrl-C
=====  =====================================================
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TextIO

from ..errors import JinaIntegrationsError

__all__ = [
    "REFUSED",
    "SOME_FAILED",
    "STOPPED",
    "note",
    "one_line",
    "reported",
    "say",
    "say_json",
]

SOME_FAILED: Final = 1
REFUSED: Final = 2
STOPPED: Final = 130
"""128 + SIGINT, as shells have it."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@contextmanager
def reported(*, stopped: str = "stopped") -> Generator[None]:
    """Turn this package's errors into one line on stderr, and Ctrl-C into its own exit code.

    Args:
        stopped: The line for Ctrl-C.

    Raises:
        SystemExit: in place of either.
    """
    try:
        yield
    except JinaIntegrationsError as exc:
        note(f"error: {exc}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        note(stopped)
        sys.exit(STOPPED)


def one_line(text: str) -> str:
    """The text in one line, and without what would steer the terminal."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def note(line: str) -> None:
    """One line on stderr."""
    _write(sys.stderr, one_line(line), sys.stderr.encoding)


def say(text: str) -> None:
    """Text on stdout."""
    _write(sys.stdout, text, sys.stdout.encoding)


def say_json(value: object) -> None:
    """Indented JSON on stdout, in UTF-8 whatever the terminal's encoding."""
    _write(sys.stdout, json.dumps(value, ensure_ascii=False, indent=2), "utf-8")


def _write(stream: TextIO, text: str, encoding: str) -> None:
    r"""Write a line; characters that the encoding lacks become ``\u…``.

    That nobody reads on, as with ``| head``, is no failure.
    """
    try:
        stream.buffer.write(f"{text}\n".encode(encoding, "backslashreplace"))
        stream.buffer.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
