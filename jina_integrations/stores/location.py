"""Where a collection lives, as one line of text, and the store that opens it.

::

    qdrant:PATH#collection                  a folder on this machine
    qdrant+http://HOST:PORT/collection      a server; also +https
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, Self, cast
from urllib.parse import quote, unquote, urlsplit

from ..errors import InvalidSettingError
from .base import Store

__all__ = ["ENTRY_POINT_GROUP", "StoreLocation", "open_store", "read_key"]

ENTRY_POINT_GROUP = "jina_integrations.stores"
"""Entry points of this group map a kind, e.g. ``qdrant``, to a class with ``from_location``."""

_FORMS = "write KIND:PATH#COLLECTION or KIND+http://HOST:PORT/COLLECTION"
_KIND = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """One collection of one store; ``str()`` gives the text that `parse` reads.

    Attributes:
        kind: Name of the store's entry point, e.g. ``qdrant``.
        collection: Name of the collection, without ``/`` and ``#``.
        path: Folder as the user wrote it; None for a server.
        url: ``http://HOST[:PORT]`` or ``https://…``, never with credentials; None for a folder.

    Raises:
        InvalidSettingError: a part is missing or malformed.
    """

    kind: str
    collection: str
    path: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise InvalidSettingError(f"store location: kind must be lower-case letters; {_FORMS}")
        if (self.path is None) == (self.url is None):
            raise InvalidSettingError(f"{self.kind} location: give either a path or a url")
        if self.url is not None:
            _check_url(self.kind, self.url)
        elif not self.path:
            raise InvalidSettingError(f"{self.kind} location: no folder before '#'; {_FORMS}")
        elif "://" in self.path:
            raise InvalidSettingError(
                f"{self.kind} location: for a server write {self.kind}+http://HOST:PORT/COLLECTION"
            )
        if not self.collection or self.collection.isspace():
            raise InvalidSettingError(f"{self.kind} location: no collection; {_FORMS}")
        if "/" in self.collection or "#" in self.collection:
            raise InvalidSettingError(
                f"{self.kind} location: collection {self.collection!r} has a '/' or '#'; {_FORMS}"
            )

    @classmethod
    def parse(cls, location: str) -> Self:
        """The location that the text names. No part of a URL that could be a secret is echoed.

        Raises:
            InvalidSettingError: the text has none of the two forms.
        """
        kind, colon, rest = location.partition(":")
        kind, plus, scheme = kind.partition("+")
        if not plus:
            path, hash_sign, collection = rest.rpartition("#")
            if not colon or not (hash_sign or "://" in rest):
                shown = "" if "//" in location else f" {location!r}"
                raise InvalidSettingError(f"store location{shown}: no collection; {_FORMS}")
            return cls(kind=kind, collection=collection, path=path if hash_sign else rest)
        if scheme not in ("http", "https") or not rest.startswith("//"):
            raise InvalidSettingError(f"{kind} location: after '+' comes http:// or https://")
        host, _, collection = rest[2:].partition("/")
        if "@" in rest or "?" in rest or "#" in rest:
            raise InvalidSettingError(
                f"{kind} location: a server's URL takes no credentials, query or fragment "
                f"(not shown); {_FORMS}, and put the key into the environment"
            )
        return cls(kind=kind, collection=unquote(collection), url=f"{scheme}://{host}")

    def __str__(self) -> str:
        if self.url is not None:
            return f"{self.kind}+{self.url}/{quote(self.collection, safe='')}"
        return f"{self.kind}:{self.path}#{self.collection}"


def _check_url(kind: str, url: str) -> None:
    where = f"{kind} location"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidSettingError(f"{where}: host and port cannot be read; {_FORMS}") from exc
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidSettingError(
            f"{where}: credentials or a query in the URL (not shown); put the key into the "
            "environment"
        )
    if parts.scheme not in ("http", "https") or not host or parts.path or port == 0:
        raise InvalidSettingError(f"{where}: no http(s) host and port can be read; {_FORMS}")


class _StoreClass(Protocol):
    def from_location(self, location: StoreLocation) -> Store: ...


def open_store(location: str | StoreLocation) -> Store:
    """The store of a location, found by its kind among the installed ones; not yet connected.

    Args:
        location: ``qdrant:./index#handbook``, or a `StoreLocation`. Keys are read from the
            environment when the store connects.

    Raises:
        InvalidSettingError: the location is malformed, or no store of that kind is installed.
        MissingExtraError: the store's library is not installed.
    """
    where = location if isinstance(location, StoreLocation) else StoreLocation.parse(location)
    installed = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if where.kind not in installed:
        kinds = ", ".join(sorted(installed)) or "none: install jina-integrations with pip"
        raise InvalidSettingError(f"no store is called {where.kind!r}; installed: {kinds}")
    return cast("_StoreClass", installed[where.kind].load()).from_location(where)


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
