"""Where a collection lives, as one line of text; the store that opens it; the key for it.

A store owns the grammar of its addresses. Most have one of these two forms::

    KIND:PATH#COLLECTION                a folder on this machine
    KIND+http://HOST:PORT/COLLECTION    a server
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from ..errors import InvalidInputError, InvalidSettingError
from .base import Store

__all__ = [
    "ENTRY_POINT_GROUP",
    "FolderAddress",
    "ServerAddress",
    "open_store",
    "read_key",
]

ENTRY_POINT_GROUP = "jina_integrations.stores"
"""Entry points of this group map a kind, e.g. ``qdrant``, to a subclass of `Store`."""

_KIND = re.compile(r"([a-z][a-z0-9-]*)(?:\+[a-z]+)?:")
_FORMS = "write KIND:PATH#COLLECTION, or KIND+http://HOST:PORT/COLLECTION"


def open_store(address: str) -> Store:
    """The store of an address, found by its kind among the installed ones; not yet connected.

    Args:
        address: E.g. ``qdrant-edge:./index#handbook``. Keys are read from the environment when
            the store connects.

    Raises:
        InvalidInputError: the address is no text.
        InvalidSettingError: it is malformed, or no store of that kind is installed.
        MissingExtraError: the store's library is not installed.
    """
    kind = _kind_of(address)
    installed = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if kind not in installed:
        kinds = ", ".join(sorted(installed)) or "none: install jina-integrations with pip"
        raise InvalidSettingError(f"no store is called {kind!r:.40}; installed: {kinds}")
    return cast("type[Store]", installed[kind].load()).from_address(address)


def _kind_of(address: object) -> str:
    if not isinstance(address, str):
        raise InvalidInputError(
            f"a store's address must be a str such as 'qdrant-edge:./index#handbook', not "
            f"{type(address).__name__}"
        )
    kind = _KIND.match(address)
    if kind is None:
        shown = "" if "//" in address else f" {address!r:.80}"
        raise InvalidSettingError(f"store address{shown}: it begins with no kind; {_FORMS}")
    return kind[1]


@dataclass(frozen=True, slots=True)
class FolderAddress:
    """``KIND:PATH#COLLECTION``.

    Attributes:
        path: The folder as the user wrote it.
        folder: The same, with ``~`` replaced.
        collection: Its name.
    """

    path: str
    folder: Path
    collection: str

    @classmethod
    def parse(cls, address: str) -> FolderAddress:
        """The parts of the address.

        Raises:
            InvalidSettingError: it has another form, or a path that no file system takes.
        """
        kind, rest = _kind_of(address), address.partition(":")[2]
        path, hash_sign, collection = rest.rpartition("#")
        if "://" in rest:
            raise InvalidSettingError(
                f"{kind} address: for a server write {kind}+http://HOST:PORT/COLLECTION"
            )
        if not hash_sign or not path:
            raise InvalidSettingError(
                f"{kind} address {address!r:.80}: write {kind}:PATH#COLLECTION"
            )
        _check_collection(kind, collection)
        return cls(path, _expanded(kind, path), collection)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """``KIND+SCHEME://HOST[:PORT]/COLLECTION``, never with credentials.

    Attributes:
        scheme: E.g. ``"https"``.
        host: Name or address; that of IPv6 without brackets.
        port: None where the address names none.
        collection: Its name.
    """

    scheme: str
    host: str
    port: int | None
    collection: str

    @classmethod
    def parse(cls, address: str, *, schemes: tuple[str, ...] = ("http", "https")) -> ServerAddress:
        """The parts of the address. No part that could be a secret is repeated in an error.

        Raises:
            InvalidSettingError: it has another form, or holds credentials or a query.
        """
        kind, url = _kind_of(address), address.partition("+")[2]
        forms = ", ".join(f"{kind}+{scheme}://HOST:PORT/COLLECTION" for scheme in schemes)
        if "@" in url or "?" in url or "#" in url:
            raise InvalidSettingError(
                f"{kind} address: a server's URL takes no credentials, query or fragment (not "
                f"shown); write {forms}, and put the key into the environment"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise InvalidSettingError(
                f"{kind} address: host and port cannot be read; write {forms}"
            ) from exc
        if parts.scheme not in schemes or not host or port == 0:
            raise InvalidSettingError(f"{kind} address: write {forms}")
        collection = unquote(parts.path.removeprefix("/"))
        _check_collection(kind, collection)
        return cls(parts.scheme, host, port, collection)

    @property
    def url(self) -> str:
        """``SCHEME://HOST[:PORT]``."""
        return f"{self.scheme}://{self.url_host}" + (f":{self.port}" if self.port else "")

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL: an address of IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def _check_collection(kind: str, collection: str) -> None:
    if not collection or collection.isspace():
        raise InvalidSettingError(f"{kind} address: no collection; {_FORMS}")
    if any(character in collection for character in "/#\\\0") or collection in (".", ".."):
        raise InvalidSettingError(
            f"{kind} address: collection {collection!r:.80} has a slash, '#' or NUL; {_FORMS}"
        )


def _expanded(kind: str, path: str) -> Path:
    try:
        folder = Path(path).expanduser()
        with suppress(FileNotFoundError, PermissionError):  # the store says so when it is used
            folder.lstat()  # refuses NUL, lone surrogates, too long a name, a file as a folder
    except (OSError, RuntimeError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise InvalidSettingError(f"{kind} address: {path!r:.80} is no folder: {reason}") from exc
    return folder


def read_key(variable: str) -> str | None:
    """The key in an environment variable, fit for an HTTP header; None where it is not set.

    Raises:
        InvalidSettingError: it holds what no header takes, such as a line break. HTTP libraries
            would print the key when they refuse it.
    """
    key = os.environ.get(variable)
    if not key:
        return None
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise InvalidSettingError(
            f"{variable} has a line break, a space at an end, or a character that is not ASCII"
        )
    return key
