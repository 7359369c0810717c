"""Chroma's failures as ours. No message holds a key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from chromadb.errors import ChromaError, InvalidArgumentError, NotFoundError

from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidSettingError,
    JinaIntegrationsError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreUnavailableError,
)

__all__ = ["API_KEY_VARIABLE", "translated"]

API_KEY_VARIABLE = "CHROMA_API_KEY"

_SHOWN_CHARACTERS = 300
_UNAVAILABLE = {408, 429, 502, 503, 504}
_NEARLY_FULL_BYTES = 4 * 2**20
"""Chroma hides the cause when it cannot write, but rolls back, which frees a little space."""

# Chroma's engine hands on SQLite's result codes in words (https://www.sqlite.org/rescode.html).
_FULL = ("(code: 13)", "disk is full", "no space left")
_LOCKED = ("(code: 5)", "database is locked")
_CORRUPT = ("(code: 11)", "(code: 26)", "malformed", "hnsw segment reader", "deserializ", "corrupt")


@contextmanager
def translated(where: str, folder: Path | None) -> Generator[None]:
    """Raise every failure of chromadb as a `StoreError`.

    Args:
        where: The collection's name for messages.
        folder: Where its files are; None for a server or a caller's own client.
    """
    try:
        yield
    except JinaIntegrationsError:
        raise
    except Exception as exc:  # chromadb raises bare Exception and ValueError too
        raise _meaning(where, folder, exc) from exc


def _meaning(where: str, folder: Path | None, exc: Exception) -> Exception:
    status = _status(exc)
    if status in (401, 403):
        way = "check" if os.environ.get(API_KEY_VARIABLE) else "set"
        return StoreUnavailableError(
            f"{where}: the server refuses the key (HTTP {status}); {way} {API_KEY_VARIABLE}"
        )
    said = _said(exc)
    if isinstance(exc, httpx.HTTPStatusError):
        return StoreUnavailableError(f"{where}: what answers is no Chroma server (HTTP {status})")
    if isinstance(exc, httpx.TimeoutException | httpx.NetworkError) or "not connect" in said:
        return StoreUnavailableError(f"{where}: the server does not answer ({said}): is it up?")
    if isinstance(exc, httpx.HTTPError | httpx.InvalidURL) or status in _UNAVAILABLE:
        return StoreUnavailableError(f"{where}: {said}; check the address")
    if isinstance(exc, NotFoundError):
        return CollectionNotFoundError(f"{where} does not exist: {said}")
    if isinstance(exc, InvalidArgumentError) and "name" in said:
        return InvalidSettingError(f"{where}: {said}")
    return _from_words(where, folder, said)


def _from_words(where: str, folder: Path | None, said: str) -> StoreError:
    words = said.lower()
    if any(sign in words for sign in _FULL) or (folder is not None and _nearly_full(folder)):
        return StoreFullError(
            f"{where}: no space is left on the disk; what was written before stays. Free some "
            "space and run it again"
        )
    if any(sign in words for sign in _LOCKED):
        return StoreLockedError(f"{where}: another process holds its database; close that one")
    if any(sign in words for sign in _CORRUPT):
        return StoreCorruptError(
            f"{where}: its files cannot be read ({said}); restore the folder from a backup, or "
            "delete it and ingest again"
        )
    return StoreError(f"{where}: {said}")


def _nearly_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _NEARLY_FULL_BYTES
    except OSError:  # the folder could not even be made
        return False


def _status(exc: Exception) -> int:
    """The HTTP status; chromadb raises a bare Exception while it handles httpx's own."""
    for error in (exc, exc.__context__):
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code
    return exc.code() if isinstance(exc, ChromaError) else 0


def _said(exc: Exception) -> str:
    """The library's own words, short and without our key."""
    text = str(exc) or type(exc).__name__
    key = os.environ.get(API_KEY_VARIABLE)
    if key:
        text = text.replace(key, "***")
    return text[:_SHOWN_CHARACTERS]
