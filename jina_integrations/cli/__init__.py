"""The command ``jina-integrations``, which needs the extra ``cli``."""

from __future__ import annotations

import os
import sys

from ..errors import MissingExtraError
from .outcome import REFUSED, STOPPED, note

__all__ = ["main"]

_LIBRARIES = frozenset({"rich", "typer"})


def main() -> None:
    """Run the command; leaves by `SystemExit` with an exit code of `cli.outcome`."""
    # transformers draws a progress bar of its own while it loads weights, unless told before.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from .app import app

        app(prog_name="jina-integrations")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        note(f"error: {MissingExtraError('the command line', 'cli')}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        note("stopped")
        sys.exit(STOPPED)
