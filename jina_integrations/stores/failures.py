"""What goes wrong below a store, as errors of ours. No message holds a key.

The libraries differ, what fails is the same: a disk, a file, a permission, a connection, a server.
These are known here by type or by status, without importing any store's library; what only one
store can know is said by its `Store.explain`.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..errors import (
    CollectionNotFoundError,
    JinaIntegrationsError,
    StoreAccessDeniedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from .base import Store

__all__ = [
    "SHOWN_CHARACTERS",
    "causes",
    "corrupt",
    "explain_error",
    "explain_sqlite",
    "explain_status",
    "full",
    "is_panic",
    "locked",
    "reading",
    "sqlite_code",
]

SHOWN_CHARACTERS: Final = 300
"""Of a library's own words, in a message."""

_NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNAVAILABLE: Final = {408, 425, 429, 502, 503, 504}

_CONNECTION_ERRORS: Final = frozenset(
    {
        *("ConnectError", "ReadError", "WriteError", "CloseError", "RemoteProtocolError"),
        *("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout", "TimeoutException"),
        *("NetworkError", "TransportError"),
    }
)
"""Names of the transport errors of httpx, by which many clients talk to their servers."""

_SQLX_CODE: Final = re.compile(r"error returned from database: \(code: (\d+)\)")
"""How Rust's sqlx prints SQLite's result codes."""

_RUST_ERRNO: Final = re.compile(r"\(os error (\d+)\)")
"""How Rust prints ``errno``."""

_GRPC_UNAVAILABLE: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"}
)
_GRPC_DENIED: Final = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


def explain_error(error: Exception, store: Store) -> StoreError:
    """The meaning of an error that a store's library raised."""
    where, key_variable = store.name, store.key_variable
    if isinstance(error, sqlite3.Error):
        # The primary code of an extended one.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return explain_sqlite(code, where=where, words=error)
    rust = _from_rust(where, error)
    if rust is not None:
        return rust
    for cause in filter(_is_connection_error, causes(error)):
        return StoreUnavailableError(
            f"{where}: the server does not answer ({_words(cause, key_variable)}): is it up?"
        )
    for cause in causes(error):
        if any(kind.__name__ == "HTTPStatusError" for kind in type(cause).__mro__):
            return _from_response(store, cause)
    if isinstance(error, OSError):
        return _from_system(where, error)
    if isinstance(error, MemoryError):
        return StoreError(f"{where}: not enough memory; write or ask for less at a time")
    grpc_status = _grpc_status(error)
    if grpc_status in _GRPC_DENIED:
        return explain_status(403, "", store)
    if grpc_status in _GRPC_UNAVAILABLE:
        return StoreUnavailableError(f"{where}: the server does not answer (gRPC {grpc_status})")
    return StoreError(f"{where}: {_words(error, key_variable)}")


def explain_status(status: int, words: str, store: Store) -> StoreError:
    """The meaning of an HTTP status.

    Args:
        status: The status.
        words: What the server said.
        store: For its name, and for the environment variable with its key.
    """
    where, key_variable = store.name, store.key_variable
    said = _without_key(words, key_variable)
    if status in (401, 403):
        way = "check" if key_variable and os.environ.get(key_variable) else "set"
        hint = f"; {way} {key_variable}" if key_variable else ""
        return StoreAccessDeniedError(f"{where}: the server refuses the key (HTTP {status}){hint}")
    if status == 404:
        return CollectionNotFoundError(f"{where} does not exist ({said}); ingest into it first")
    if status == 507 or "no space left" in words.lower():
        return StoreFullError(f"{where}: the server's disk is full (HTTP {status}: {said})")
    kind = StoreUnavailableError if status in _UNAVAILABLE else StoreError
    return kind(f"{where}: HTTP {status}: {said}")


def explain_sqlite(code: int, *, where: str, words: object) -> StoreError:
    """The meaning of one of SQLite's result codes (https://www.sqlite.org/rescode.html).

    Args:
        code: The primary code, below 256.
        where: The store's name for the message.
        words: What SQLite said.
    """
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return corrupt(where, words)
    if code == sqlite3.SQLITE_FULL:
        return full(where)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailableError(f"{where}: another process is writing to its database")
    denied = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    kind = StoreAccessDeniedError if code in denied else StoreError
    return kind(
        f"{where}: {words!s:.{SHOWN_CHARACTERS}}; check the disk and the permissions of the folder"
    )


def full(where: str) -> StoreFullError:
    """The disk is full."""
    return StoreFullError(
        f"{where}: no space is left on the disk; what was written before stays. Free some space "
        "and run it again"
    )


def corrupt(where: str, reason: object) -> StoreCorruptError:
    """The files cannot be read."""
    return StoreCorruptError(
        f"{where}: its files cannot be read ({reason!s:.{SHOWN_CHARACTERS}}); restore the folder "
        "from a backup, or delete it and ingest again"
    )


def locked(where: str, holder: str = "") -> StoreLockedError:
    """Another process has it."""
    return StoreLockedError(
        f"{where}: {holder or 'another process'} has it open; wait for it or stop it, or use a "
        "store that takes several processes, such as a server"
    )


@contextmanager
def reading(where: str) -> Generator[None]:
    """For a library that opens files of its own: it finds them corrupt, whatever it raises.

    But for errors that say more: of the system, of SQLite, of memory, and ours.

    Args:
        where: The store's name for the message.

    Raises:
        StoreCorruptError: the files cannot be read.
    """
    try:
        yield
    except (JinaIntegrationsError, MemoryError, OSError, sqlite3.Error):
        raise
    except Exception as exc:
        raise corrupt(where, _words(exc, "")) from exc
    except BaseException as exc:
        if is_panic(exc):
            raise corrupt(where, exc) from exc
        raise


def _from_system(where: str, error: OSError) -> StoreError:
    if error.errno in _NO_SPACE:
        return full(where)
    reason = error.strerror or error
    if error.errno in _DENIED:
        return StoreAccessDeniedError(
            f"{where}: {reason}; check the permissions of the folder and of those above it"
        )
    return StoreError(f"{where}: {reason}; check the path")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies below it, which libraries hide behind types of their own."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def is_panic(error: BaseException) -> bool:
    """Whether a library in Rust has panicked, which pyo3 raises as no `Exception`."""
    return type(error).__name__ == "PanicException"


def sqlite_code(error: Exception) -> int | None:
    """SQLite's primary result code in the words of a library that is written in Rust."""
    code = _SQLX_CODE.search(str(error))
    return None if code is None else int(code[1]) & 0xFF


def _from_rust(where: str, error: Exception) -> StoreError | None:
    code, system = sqlite_code(error), _RUST_ERRNO.search(str(error))
    if code is not None:
        return explain_sqlite(code, where=where, words=error)
    return None if system is None else _from_system(where, OSError(int(system[1]), str(error)))


def _from_response(store: Store, error: BaseException) -> StoreError:
    """The meaning of httpx's ``HTTPStatusError``, which a client lets through untranslated."""
    response: Any = getattr(error, "response", None)
    status, words = int(response.status_code), str(response.reason_phrase)
    if status == 404:  # a store's own server says it in a body that its client knows
        return StoreError(
            f"{store.name}: another server answers there (HTTP 404); check the address"
        )
    return explain_status(status, words, store)


def _grpc_status(error: Exception) -> str | None:
    """The name of the status that an error of a gRPC client has, such as ``UNAVAILABLE``."""
    code: object = getattr(error, "code", None)
    name: object = getattr(code(), "name", None) if callable(code) else None
    return name if isinstance(name, str) else None


def _is_connection_error(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _CONNECTION_ERRORS) and not isinstance(error, JinaIntegrationsError)


def _words(error: BaseException, key_variable: str) -> str:
    """The library's own words, short and without our key."""
    text = f"{type(error).__name__} {error}".strip()
    return _without_key(" ".join(text.split()), key_variable)


def _without_key(text: str, key_variable: str) -> str:
    key = os.environ.get(key_variable) if key_variable else None
    return (text.replace(key, "***") if key else text)[:SHOWN_CHARACTERS]
