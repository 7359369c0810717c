"""What a store does with a folder: lock it, copy it, find it full, write a file durably."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

from filelock import FileLock, Timeout

from ..errors import StoreAccessDeniedError
from .failures import locked

__all__ = [
    "copy_folder",
    "lock_folder",
    "read_only_error",
    "require_space",
    "sync_folder",
    "used_bytes",
    "write_durably",
]

_log = logging.getLogger("jina_integrations")

_SPARE_BYTES: Final = 64 * 2**20
"""Left free beside a copy, for what the library writes into it."""


def lock_folder(folder: Path, name: str) -> FileLock:
    """Be its only writer until the lock is released, or the process ends, however it does.

    Args:
        folder: Is made where it is not there.
        name: The store's name for messages.

    Raises:
        StoreLockedError: another store has it, here or in another process; the message names it.
        StoreAccessDeniedError: the folder may only be read.
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise read_only_error(name)
    holder = folder / "jina-integrations.holder"
    lock = FileLock(folder / "jina-integrations.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as exc:
        text = ""
        with suppress(OSError):  # just being written
            text = holder.read_text(encoding="utf-8")
        raise locked(name, text) from exc
    holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    return lock


def copy_folder(folder: Path, name: str) -> TemporaryDirectory[str]:
    """A copy that may be written to, for libraries that open no other; it goes with the object.

    Args:
        folder: What is copied, with all that is in it.
        name: The store's name for messages.

    Raises:
        OSError: the disk with the temporary files has no room for it, or a file cannot be read.
    """
    files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    size = sum(files.values())
    require_space(Path(gettempdir()), size + _SPARE_BYTES)
    copy = TemporaryDirectory(prefix="jina-integrations-")
    _log.warning(
        "%s may only be read, and its library opens no such folder: searching a copy of its "
        "%.1f MB, which stays as it is now, in %s",
        *(name, size / 1e6, copy.name),
    )
    for path in files:
        target = Path(copy.name) / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)  # and not its permissions
    return copy


def read_only_error(name: str) -> StoreAccessDeniedError:
    """Somebody writes into what may only be read."""
    return StoreAccessDeniedError(
        f"{name} may only be read by this user; check the permissions of the folder"
    )


def used_bytes(folder: Path) -> int:
    """What the files take on the disk, which is less than their sizes where they have holes."""
    return 512 * sum(path.lstat().st_blocks for path in folder.rglob("*"))


def require_space(folder: Path, needed: int) -> None:
    """Raise what the system raises on a full disk, unless so many bytes are free.

    For libraries that end the process there, as those do that write through mapped files.

    Raises:
        OSError: ENOSPC.
    """
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def write_durably(path: Path, text: str) -> None:
    """Put the text in the file's place as one step; on the disk when this returns."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names of what is in it durable; only POSIX has that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
