"""A run in a thread, for those who must not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..arguments import check_callback
from .workers import Stopped

if TYPE_CHECKING:
    from .driver import OnProgress
    from .report import IngestProgress, IngestReport

__all__ = ["ingest_in_thread"]


async def ingest_in_thread(
    work: Callable[..., IngestReport], on_progress: OnProgress | None
) -> IngestReport:
    """What the run gives. A caller that is cancelled ends it, and gets away once it has ended.

    Args:
        work: The run; takes ``on_progress``.
        on_progress: See `Collection.ingest`; called in the thread.

    Raises:
        InvalidInputError: `on_progress` is no function.
    """
    check_callback("on_progress", on_progress)
    cancelled = threading.Event()

    def watch(progress: IngestProgress) -> None:
        if cancelled.is_set():
            raise Stopped
        if on_progress is not None:
            on_progress(progress)

    run = asyncio.ensure_future(asyncio.to_thread(work, on_progress=watch))
    try:
        return await asyncio.shield(run)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait((run,))
        if not run.cancelled():
            run.exception()  # or asyncio tells of an error that nobody has looked at
        raise
