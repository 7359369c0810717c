"""Opening a folder or a server of Chroma's."""

from __future__ import annotations

import logging
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit

import chromadb
import httpx
from chromadb.api import ClientAPI

from jina_integrations.errors import StoreCorruptError
from jina_integrations.stores.location import read_key

from .failures import API_KEY_VARIABLE, translated

__all__ = ["connect", "open_folder"]

_CONNECT_TIMEOUT_S = 10.0
_REQUEST_TIMEOUT_S = 60.0
_DEFAULT_PORTS = {"http": 8000, "https": 443}
"""What chromadb's ``HttpClient`` and ``CloudClient`` use."""

_logger = logging.getLogger(__name__)


def open_folder(folder: Path, where: str) -> ClientAPI:
    """A persistent client with chromadb's own settings, so that others may share the folder.

    Raises:
        StoreError: the folder cannot be opened.
    """
    with translated(where, folder):
        try:
            return chromadb.PersistentClient(path=folder)
        except AttributeError as exc:
            # chromadb 1.5 keeps a client that failed to start in its cache, without its engine.
            raise StoreCorruptError(
                f"{where}: chromadb failed to open the folder before; mend it, then start a new "
                "process"
            ) from exc


def connect(url: str, where: str) -> ClientAPI:
    """A client of the server, once that answers, with the key in ``x-chroma-token``.

    The heartbeat comes first because chromadb's own constructor waits without end for a server
    that accepts and never answers.

    Raises:
        StoreUnavailableError: nobody answers within 10 s, or the key is refused.
    """
    key = read_key(API_KEY_VARIABLE)
    headers = {"x-chroma-token": key} if key else {}
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    with translated(where, None):
        answer = httpx.get(
            f"{parts.scheme}://{host}:{port}/api/v2/heartbeat",
            headers=headers,
            timeout=_CONNECT_TIMEOUT_S,
        )
        answer.raise_for_status()
        client = chromadb.HttpClient(
            host=host, port=port, ssl=parts.scheme == "https", headers=headers
        )
    _limit_waiting(client, where)
    return client


def _limit_waiting(client: ClientAPI, where: str) -> None:
    """Give up on a hanging server: chromadb 1.5 sets no timeout and has no setting for one."""
    try:
        session = attrgetter("_server._session")(client)
    except AttributeError:
        session = None
    if isinstance(session, httpx.Client):
        session.timeout = httpx.Timeout(_REQUEST_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    else:
        _logger.warning("%s: no timeout could be set; a hanging server will not be noticed", where)
