"""A store in a folder, for engines that keep points and know nothing of a collection.

::

    info.json                  what the collection remembers
    jina-integrations.lock     held by the process that has it open
    jina-integrations.holder   which one that is, for the message to others

and the engine's files. One process at a time has it open; all stores of the process share it, in
any number of threads.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
import weakref
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar

from filelock import FileLock

from ..errors import CollectionNotFoundError, InvalidInputError, StoreError
from .addresses import FolderAddress
from .base import CollectionInfo, Store, collection_name
from .connection import FolderConnection
from .failures import corrupt, reading
from .folders import lock_folder, sync_folder, write_durably

__all__ = ["FolderStore"]

_INFO: Final = "info.json"


class _Closable(Protocol):
    def close(self) -> object: ...


_Engine = TypeVar("_Engine", bound=_Closable)


class FolderStore(Store, Generic[_Engine]):
    """One collection, ``KIND:PATH#COLLECTION``. A subclass works on points, by `opened`.

    Args:
        folder: The folder of all collections; need not exist.
        collection: The collection's name, which is that of its folder below it.

    Attributes:
        kind: Of the store's addresses, e.g. ``"qdrant-edge"``.
        library: The database's name in messages.
        points: Folder of the engine's that is empty, or missing, only where its points are lost.

    Raises:
        InvalidInputError: `folder` is no path.
        InvalidSettingError: no folder, or no collection, can have that name.
    """

    kind: ClassVar[str]
    library: ClassVar[str]
    points: ClassVar[str]

    def __init__(self, folder: str | os.PathLike[str], collection: str) -> None:
        if not isinstance(folder, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"folder must be a path, not {type(folder).__name__}")
        address = FolderAddress.parse(f"{self.kind}:{os.fspath(folder)}#{collection}")
        self.name = collection_name(self.library, address.collection, address.path)
        self._folder = address.folder / address.collection
        self._shared: _Shared[_Engine] | None = None
        self._finalizer: Callable[[], object] | None = None

    @classmethod
    def from_address(cls, address: str) -> Self:
        """``KIND:PATH#COLLECTION``."""
        parts = FolderAddress.parse(address)
        return cls(parts.path, parts.collection)

    @staticmethod
    @abstractmethod
    def make(folder: Path, info: CollectionInfo) -> None:
        """Make the engine's files, without points, in an empty folder; durable when it returns."""

    @staticmethod
    @abstractmethod
    def load(folder: Path) -> _Engine:
        """The engine of a folder that `make` has filled, or of a copy; see `failures.reading`."""

    def describe(self) -> CollectionInfo | None:
        """From a file beside the points; opens nothing.

        Raises:
            StoreCorruptError: the info or the points are missing.
        """
        has_points = _has_entries(self._folder / self.points)
        try:
            text = (self._folder / _INFO).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            if has_points:
                raise corrupt(self.name, f"{_INFO} is missing beside the points") from None
            return None
        if not has_points:
            raise corrupt(self.name, f"the points are missing beside {_INFO}")
        return CollectionInfo.from_json(text, where=self.name)

    def create(self, info: CollectionInfo) -> None:
        """Make it beside its place and move it there, so that it is whole or not there.

        Raises:
            StoreError: something is in the folder.
        """
        parent = self._folder.parent
        made = parent / f".{self._folder.name}.{uuid.uuid4().hex}"
        made.mkdir(parents=True)
        try:
            self.make(made, info)
            write_durably(made / _INFO, info.to_json())
            made.rename(self._folder)
            sync_folder(parent)
        except OSError as exc:
            if not self._folder.exists():
                raise
            raise StoreError(
                f"{self.name}: the folder {self._folder.name!r} holds something else; choose "
                "another collection name"
            ) from exc
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def remember(self, info: CollectionInfo) -> None:
        """Replace the info.

        Raises:
            StoreLockedError: another process has it.
            StoreAccessDeniedError: it may only be read.
        """
        self.opened(to_write=True)
        write_durably(self._folder / _INFO, info.to_json())

    def drop(self) -> None:
        """Delete it, as one step for those who look; also where its files cannot be read.

        Other stores of this process find it gone.

        Raises:
            StoreLockedError: another process has it.
        """
        if not self._folder.exists():
            return
        with _sharing:
            folder = self._folder.resolve()
            if folder in _opened:
                _opened.pop(folder).end()
            lock = lock_folder(folder, self.name)
            dropped = folder.with_name(f".{folder.name}.{os.getpid()}.dropped")
            folder.rename(dropped)
            sync_folder(folder.parent)
            lock.release()
            shutil.rmtree(dropped)

    def opened(self, *, to_write: bool = False) -> _Engine:
        """The engine.

        Args:
            to_write: Whether it is for a change.

        Raises:
            CollectionNotFoundError: there is no collection.
            StoreLockedError: another process has it.
            StoreAccessDeniedError: a change of what may only be read.
        """
        if self._shared is None or self._shared.ended:
            self.close()
            if self.describe() is None:
                raise CollectionNotFoundError(f"{self.name} does not exist; ingest into it first")
            self._shared = self._share()
            self._finalizer = weakref.finalize(self, _leave, self._shared)
        return self._shared.opened(to_write=to_write)

    def close(self) -> None:
        """The last store of this process that has it open closes it."""
        if self._finalizer is not None:
            self._finalizer()
        self._shared = self._finalizer = None

    def _share(self) -> _Shared[_Engine]:
        folder = self._folder.resolve()
        with _sharing:
            if folder not in _opened:
                connect = partial(_load, self.load, self.name)  # and no reference to the store
                shared = _Shared(self.name, folder, connect=connect, close=_close, first=_INFO)
                shared.opened()
                _opened[folder] = shared
            _opened[folder].users += 1
            return _opened[folder]


class _Shared(FolderConnection[_Engine]):
    """The folder's only connection in this process, and of all processes."""

    users = 0
    ended = False
    _lock: FileLock | None = None

    def end(self) -> None:
        """Close it under all stores that use it."""
        self.ended = True
        self.close()

    def close(self) -> None:
        """Close it, and let others have the folder."""
        super().close()
        if self._lock is not None:
            self._lock.release()

    def _open(self) -> _Engine:
        if self.ended:
            raise CollectionNotFoundError(f"{self.name} was dropped in the middle of a call")
        if os.access(self.folder, os.W_OK):
            self._lock = lock_folder(self.folder, self.name)
        try:
            return super()._open()
        except BaseException:
            self.close()
            raise


def _load(load: Callable[[Path], _Engine], name: str, folder: Path) -> _Engine:
    with reading(name):
        return load(folder)


def _close(engine: _Closable) -> None:
    engine.close()


_opened: dict[Path, _Shared[Any]] = {}
_sharing = threading.RLock()


def _leave(shared: _Shared[Any]) -> None:
    """One store less uses it; with the last one it is closed."""
    with _sharing:
        shared.users -= 1
        if not shared.users and _opened.get(shared.folder) is shared:
            del _opened[shared.folder]
            shared.end()


_of_parent: list[dict[Path, _Shared[Any]]] = []


def _forget() -> None:
    # A forked child has the parent's engines without their threads: it closes none, and never
    # frees one, which would write into the parent's files.
    global _opened, _sharing
    _of_parent.append(_opened)
    _opened, _sharing = {}, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _has_entries(folder: Path) -> bool:
    try:
        return any(True for _ in folder.iterdir())
    except FileNotFoundError:
        return False
