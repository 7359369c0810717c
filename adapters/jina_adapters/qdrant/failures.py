"""Qdrant's failures as ours. No message holds a key."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import grpc  # type: ignore[import-untyped]  # the library ships no types
import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from jina_integrations.errors import (
    CollectionNotFoundError,
    JinaIntegrationsError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
)

__all__ = ["API_KEY_VARIABLE", "opening", "translated"]

API_KEY_VARIABLE = "QDRANT_API_KEY"

_SHOWN_CHARACTERS = 300
_UNAVAILABLE = {408, 429, 502, 503, 504}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNREADABLE = (
    ValueError,  # JSON, unicode, pydantic, the legacy format
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ImportError,
    pickle.UnpicklingError,
)
"""What loading a garbled ``meta.json`` or a garbled pickle raises."""


@contextmanager
def translated(where: str) -> Generator[None]:
    """Raise every failure of qdrant-client as a `StoreError`."""
    try:
        yield
    except JinaIntegrationsError:
        raise
    except UnexpectedResponse as exc:
        raise _from_status(where, exc) from exc
    except ResponseHandlingException as exc:
        raise _from_transport(where, exc.source) from exc
    except ResourceExhaustedResponse as exc:
        raise StoreUnavailableError(
            f"{where}: the server asks to wait {exc.retry_after_s} s; run it again later"
        ) from exc
    except grpc.RpcError as exc:
        raise StoreUnavailableError(f"{where}: the server does not answer as expected") from exc
    except sqlite3.Error as exc:
        raise _from_sqlite(where, exc) from exc
    except OSError as exc:
        raise _from_system(where, exc) from exc
    except (RuntimeError, ValueError) as exc:  # local mode's own
        raise StoreError(f"{where}: {exc!s:.{_SHOWN_CHARACTERS}}") from exc


@contextmanager
def opening(where: str) -> Generator[None]:
    """Like `translated`, for opening a folder, where what cannot be read is corrupt."""
    with translated(where):
        try:
            yield
        except RuntimeError as exc:
            if "already accessed" not in str(exc):
                raise
            raise StoreLockedError(
                f"{where}: another process, or another client of this one, has the folder open; "
                "close it, or run a Qdrant server"
            ) from exc
        except _UNREADABLE as exc:
            raise _corrupt(where, exc) from exc


def _corrupt(where: str, exc: Exception) -> StoreCorruptError:
    return StoreCorruptError(
        f"{where}: its files cannot be read ({type(exc).__name__}); restore the folder from a "
        "backup, or delete it and ingest again"
    )


def _from_sqlite(where: str, exc: sqlite3.Error) -> StoreError:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _corrupt(where, exc)
    if code == sqlite3.SQLITE_FULL:
        return _full(where)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLockedError(f"{where}: another process holds its database; close that one")
    return StoreError(f"{where}: {exc}; check the disk and the permissions of the folder")


def _from_system(where: str, exc: OSError) -> StoreError:
    if exc.errno in _NO_SPACE:
        return _full(where)
    return StoreError(f"{where}: {exc.strerror or exc}; check the path and its permissions")


def _full(where: str) -> StoreFullError:
    return StoreFullError(
        f"{where}: no space is left on the disk; what was written before stays. Free some space "
        "and run it again"
    )


def _from_transport(where: str, source: Exception) -> StoreError:
    if isinstance(source, httpx.TimeoutException | httpx.NetworkError):
        detail = f"{type(source).__name__} {source}".strip()
        return StoreUnavailableError(f"{where}: the server does not answer ({detail}): is it up?")
    return StoreUnavailableError(
        f"{where}: what answers is no Qdrant server ({type(source).__name__}); check the address"
    )


def _from_status(where: str, exc: UnexpectedResponse) -> StoreError:
    status = exc.status_code or 0
    if status in (401, 403):
        way = "check" if os.environ.get(API_KEY_VARIABLE) else "set"
        return StoreUnavailableError(
            f"{where}: the server refuses the key (HTTP {status}); {way} {API_KEY_VARIABLE}"
        )
    said = _said(exc)
    if status == 404:
        return CollectionNotFoundError(f"{where} does not exist (HTTP 404: {said})")
    if status == 507 or "no space left" in said.lower():
        return StoreFullError(f"{where}: the server's disk is full (HTTP {status}: {said})")
    kind = StoreUnavailableError if status in _UNAVAILABLE else StoreError
    return kind(f"{where}: HTTP {status}: {said}")


def _said(exc: UnexpectedResponse) -> str:
    """The server's own words, short and without our key."""
    text = exc.content.decode(errors="replace")
    try:
        text = str(json.loads(text)["status"]["error"])
    except (ValueError, LookupError, TypeError):
        text = text or exc.reason_phrase
    key = os.environ.get(API_KEY_VARIABLE)
    if key:
        text = text.replace(key, "***")
    return text[:_SHOWN_CHARACTERS]
