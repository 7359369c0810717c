"""The command ``jina-integrations``, which needs the extra ``cli``."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager

from ..errors import MissingExtraError
from .outcome import REFUSED, STOPPED, note

__all__ = ["main"]

_LIBRARIES = frozenset({"rich", "typer"})


def main(arguments: list[str] | None = None) -> None:
    """Run the command; leaves by `SystemExit` with an exit code of `cli.outcome`.

    Args:
        arguments: What follows the command's name; None takes those of the process.
    """
    # transformers draws a progress bar of its own while it loads weights, unless told before.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        with _warnings_in_one_line():
            from .app import app

            app(arguments, prog_name="jina-integrations")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        note(f"error: {MissingExtraError('the command line', 'cli')}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        note("stopped")
        sys.exit(STOPPED)


class _Notes(logging.Handler):
    """Log records as lines on stderr, e.g. that a request is sent again."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record's message, and the traceback that a fault of ours comes with."""
        note(f"{record.levelname.lower()}: {record.getMessage()}")
        if record.exc_info:
            traceback.print_exception(record.exc_info[1])


@contextmanager
def _warnings_in_one_line() -> Generator[None]:
    """Warnings, whoever gives them, without the lines of source that Python prints with them."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        note(f"warning: {message}")

    handler = _Notes(logging.WARNING)
    with warnings.catch_warnings():
        warnings.showwarning = show
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)
