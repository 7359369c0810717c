"""``ingest --watch``: run again whenever a file changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from ..errors import JinaIntegrationsError, MissingExtraError, ReadError
from ..readers.walk import given_paths
from .outcome import note

if TYPE_CHECKING:
    from watchfiles import Change

__all__ = ["repeat_on_change"]

_LOOK_EVERY_MS: Final = 1000
"""How often is looked whether the paths are still there, or a failed round is due again."""

_RETRY_S: Final = 30.0
"""After a round that failed it is tried again, even if nothing changes: a server may be back."""


def repeat_on_change(
    paths: Sequence[str],
    ingest: Callable[[], bool],
    *,
    ignored: Iterable[Path] = (),
    retry_s: float = _RETRY_S,
) -> NoReturn:
    """Ingest once, then again after each change of the paths, until Ctrl-C.

    What ends the first round ends the command, since it is most likely a wrong setting. What ends
    a later one is told, and the watch goes on; so it does where a path vanishes and comes back.
    Changes are seen from before the first round on, and while one is under way.

    Args:
        paths: Files and folders.
        ingest: A round.
        ignored: Files and folders whose changes are no changes of sources, such as the store's.
        retry_s: Seconds after which a round that failed is run again.

    Raises:
        KeyboardInterrupt: Ctrl-C, or a signal that is handled like it.
        MissingExtraError: `watchfiles` is not installed.
        ReadError: a path does not exist, or cannot be watched.
        JinaIntegrationsError: what ended the first round.
    """
    given_paths(paths)  # a path that does not exist is refused, and not waited for
    changes = _changes(paths, [path.resolve() for path in ignored])
    next(changes)  # from here on, changes are seen
    ingest()
    note(f"watching {', '.join(paths)}; stop with Ctrl-C")
    failed_at: float | None = None
    for changed in changes:
        due = failed_at is not None and time.monotonic() - failed_at >= retry_s
        if changed or due:
            try:
                ingest()
                failed_at = None
            except JinaIntegrationsError as exc:
                note(f"error: {exc}; the watch goes on")
                failed_at = time.monotonic()
    raise AssertionError("the watch does not end")


def _changes(paths: Sequence[str], ignored: Sequence[Path]) -> Iterator[bool]:
    """Every second, or sooner after a change: whether something has changed since.

    A path that has gone is waited for; that it is back is a change.
    """
    try:
        from watchfiles import watch
    except ModuleNotFoundError as exc:
        raise MissingExtraError("--watch", "cli") from exc

    def counts(_: Change, path: str) -> bool:
        changed = Path(path)
        return not any(changed.is_relative_to(folder) for folder in ignored)

    sources = [Path(path).expanduser().resolve() for path in paths]
    is_back = False
    while True:
        try:
            for changes in watch(
                *sources,
                watch_filter=counts,
                rust_timeout=_LOOK_EVERY_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                if _first_missing(sources):
                    break
                yield bool(changes) or is_back
                is_back = False
        except OSError as exc:  # it has gone this moment, or the system watches no more files
            if not _first_missing(sources):
                raise ReadError(f"the files cannot be watched: {exc}") from exc
        if missing := _first_missing(sources):
            note(f"{missing} is gone; waiting until it is back")
        while _first_missing(sources):
            yield False
            time.sleep(_LOOK_EVERY_MS / 1000)
        is_back = True


def _first_missing(sources: Iterable[Path]) -> Path | None:
    return next((source for source in sources if not source.exists()), None)
