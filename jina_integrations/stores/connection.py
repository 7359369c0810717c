"""How a store reaches its database: opened at first use, closed once, by whoever opened it.

`Connection` for a server or a caller's own client, `FolderConnection` for files that one process at
a time opens, `WatchedFolder` for files that several processes open in turn. A store whose engine
keeps points and nothing of a collection is a `collection_folder.FolderStore`.
"""

from __future__ import annotations

import os
import shutil
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Generic, TypeVar

from filelock import FileLock

from ..errors import InvalidInputError
from .folders import copy_folder, lock_folder, read_only_error

__all__ = ["Connection", "FolderConnection", "WatchedFolder"]

_WRITTEN: Final = "jina-integrations.written"

_Client = TypeVar("_Client")


class Connection(Generic[_Client]):
    """A client, such as that of a server.

    Args:
        name: The store's name for messages.
        connect: Opens it, at the first use.
        close: Closes it, at the latest when the process ends; None to leave it open.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], _Client],
        *,
        close: Callable[[_Client], object] | None = None,
    ) -> None:
        self.name = name
        self._connect = connect
        self._close = close
        self._client: _Client | None = None
        self._finalizer: Callable[[], object] | None = None

    @classmethod
    def of(
        cls, client: _Client | Connection[_Client], kind: type[_Client], *, name: str
    ) -> Connection[_Client]:
        """The connection itself, or one that is a caller's own client, which stays open.

        Args:
            client: Either of them.
            kind: The client's class.
            name: The store's name for messages, with a caller's own client.

        Raises:
            InvalidInputError: the client is no `kind`, such as an asynchronous one.
        """
        if isinstance(client, Connection):
            return client
        if not isinstance(client, kind):
            raise InvalidInputError(
                f"client must be a {kind.__name__}, not {type(client).__name__}"
            )
        return Connection(name, lambda: client)

    def exists(self) -> bool:
        """False for a folder where its library has never been; makes nothing."""
        return True

    def opened(self, *, to_write: bool = False) -> _Client:  # noqa: ARG002 - matters to folders
        """The client.

        Args:
            to_write: Whether it is for a change.

        Raises:
            StoreAccessDeniedError: a change of what may only be read.
            StoreLockedError: another process has the folder.
        """
        if self._client is None:
            self._client = self._open()
            if self._close is not None:
                self._finalizer = weakref.finalize(self, self._close, self._client)
        return self._client

    def release(self) -> None:
        """Let others write."""

    def close(self) -> None:
        """Close what was opened here."""
        if self._finalizer is not None:
            self._finalizer()
        self._client = self._finalizer = None

    def renewed(self) -> bool:
        """Whether a call that failed may do better, since the files are opened anew for it."""
        return False

    def is_nearly_full(self) -> bool:
        """Whether a disk is known to have no room, for libraries that hide why they fail."""
        return False

    def _open(self) -> _Client:
        return self._connect()


class FolderConnection(Connection[_Client]):
    """A client of a folder; of one that may only be read, a client of its copy.

    Args:
        name: The store's name for messages.
        folder: The folder, which need not be there.
        connect: Opens a folder.
        close: Closes the client.
        first: Name of a file that is there once a client has been.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        connect: Callable[[Path], _Client],
        close: Callable[[_Client], object],
        first: str,
    ) -> None:
        super().__init__(name, partial(connect, folder), close=close)
        self.folder = folder
        self._connect_to = connect
        self._first = first
        self._copy: TemporaryDirectory[str] | None = None

    @property
    def is_read_only(self) -> bool:
        """Whether a copy is open, since the folder may only be read."""
        return self._copy is not None

    def exists(self) -> bool:
        """See `Connection.exists`.

        Raises:
            OSError: nobody may look, or a file is in the folder's place.
        """
        try:
            (self.folder / self._first).stat()
        except FileNotFoundError:
            return False
        return True

    def opened(self, *, to_write: bool = False) -> _Client:
        """See `Connection.opened`."""
        client = super().opened()
        if to_write and self.is_read_only:
            raise read_only_error(self.name)
        return client

    def close(self) -> None:
        """See `Connection.close`."""
        super().close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def is_nearly_full(self) -> bool:
        """Whether under 4 MiB are free.

        A library takes a failed write back, so that a little space is free again.
        """
        return shutil.disk_usage(self.folder).free < 4 * 2**20

    def _open(self) -> _Client:
        if not self.folder.exists() or os.access(self.folder, os.W_OK):
            return super()._open()
        self._copy = copy_folder(self.folder, self.name)
        return self._connect_to(Path(self._copy.name))


class WatchedFolder(FolderConnection[_Client]):
    """A folder whose engine keeps in memory what is in its files, and does not watch them.

    Such an engine misses what another process has written since, and would write its own state
    over it. So there is one writer at a time, by a lock; it tells others at its next write, or when
    it lets go of the lock; and before a call the engine is started anew where files have changed.

    Args:
        files: Glob pattern of files that change now and then as somebody writes, whoever it is.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        connect: Callable[[Path], _Client],
        close: Callable[[_Client], object],
        first: str,
        files: str,
    ) -> None:
        super().__init__(name, folder, connect=connect, close=close, first=first)
        self._files = files
        self._seen: dict[Path, int] = {}
        self._uses = 0
        self._lock: FileLock | None = None

    def opened(self, *, to_write: bool = False) -> _Client:
        """The engine, which knows the files as they are now.

        Args:
            to_write: Whether to be the only writer from now on, until `release`.

        Raises:
            StoreLockedError: another store writes to it.
            StoreAccessDeniedError: it may only be read.
        """
        if self._lock is None:
            if to_write:
                self._lock = lock_folder(self.folder, self.name)
            if self._client is not None and self._has_changed():
                super().close()
        if self._client is None:
            self._seen = self._changes()
            self._uses = 0
        self._uses += 1
        client = super().opened(to_write=to_write)
        if to_write:
            self._tell_readers()  # of what was written before
        return client

    def release(self) -> None:
        """Let others write."""
        if self._lock is not None:
            try:
                if self.folder.exists():
                    self._tell_readers()
                self._seen = self._changes()
            finally:
                self._lock.release()
                self._lock = None

    def close(self) -> None:
        """Close the engine and let others write."""
        super().close()
        self.release()

    def renewed(self) -> bool:
        """See `Connection.renewed`. True unless the engine had been started for that very call.

        So it is for what an engine finds wrong after somebody has written who told nobody: another
        program, or a process that was killed.
        """
        is_new = self._uses == 1 and not self._has_changed()
        if is_new or self.is_read_only:
            return False
        super().close()
        return True

    def _has_changed(self) -> bool:
        return not self.is_read_only and self._changes() != self._seen

    def _changes(self) -> dict[Path, int]:
        paths = [self.folder / _WRITTEN, *self.folder.glob(self._files)]
        return {path: path.stat().st_mtime_ns for path in paths if path.exists()}

    def _tell_readers(self) -> None:
        """By the time of a file: that of the database changes as it is read."""
        path, now = self.folder / _WRITTEN, time.time_ns()
        path.touch()
        os.utime(path, ns=(now, now))
