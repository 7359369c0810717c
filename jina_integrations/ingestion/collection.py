"""What a collection remembers of its embedder, and what must agree with it."""

from __future__ import annotations

from collections.abc import Mapping

from ..embedder import Embedder
from ..errors import CollectionNotFoundError, FingerprintMismatchError, ModelLoadError
from ..stores.base import CollectionInfo, Store

__all__ = ["open_collection", "stored_embedder"]

_NOT_IN_VECTORS = frozenset({"api", "base_url", "device", "batch_tokens", "trust_remote_code"})
"""Settings that change where and how fast vectors are made, and not the vectors."""


def open_collection(store: Store, embedder: Embedder) -> None:
    """Make the collection, or make sure that it was filled with such an embedder.

    Raises:
        FingerprintMismatchError: it was filled with other settings; the message names them.
    """
    info = store.read_info()
    if info is None:
        store.create(CollectionInfo(embedder.fingerprint, embedder.dimensions, _told(embedder)))
    else:
        _require_same(
            info,
            embedder,
            "ingest with the collection's settings, or into a new collection",
        )


def stored_embedder(store: Store, given: Embedder | None, base_url: str | None = None) -> Embedder:
    """The embedder that the collection was filled with.

    Args:
        store: The collection.
        given: The caller's own, to be checked; None rebuilds one from the collection's settings.
        base_url: The server to use, for a collection that was filled through one.

    Raises:
        CollectionNotFoundError: there is no such collection yet.
        FingerprintMismatchError: the given embedder is another, or the model's files have changed.
        ModelLoadError: rebuilding would run code that the collection names, and the caller did not.
    """
    info = store.read_info()
    if info is None:
        raise CollectionNotFoundError("there is no such collection yet: ingest into it first")
    if given is not None:
        _require_same(info, given, "leave embedder out, and the collection's own is used")
        return given
    if info.embedder.get("trust_remote_code"):
        raise ModelLoadError(
            f"the collection was filled with code from the repository of "
            f"{info.embedder.get('model')!r}, and a collection cannot allow that code to run: pass "
            "embedder=Embedder(…, trust_remote_code=True, revision='<the commit you read>')"
        )
    if info.embedder.get("base_url") and base_url is None:
        raise ModelLoadError(
            f"the collection was filled through {info.embedder['base_url']}, and a collection "
            "cannot choose where questions and keys are sent: pass that base_url, or another"
        )
    # A device is a matter of the machine that filled the collection.
    settings = {**info.embedder, "device": "auto"}
    embedder = Embedder.from_dict(
        settings if base_url is None else {**settings, "base_url": base_url}
    )
    _require_same(info, embedder, "restore them, or ingest into a new collection")
    return embedder


def _require_same(info: CollectionInfo, embedder: Embedder, way_out: str) -> None:
    if info.fingerprint == embedder.fingerprint:
        return
    differing = _differences(info.embedder, _told(embedder))
    reason = (
        f"the collection was filled with other settings: {differing}"
        if differing
        else "the collection was filled with the same settings, but the model's files "
        f"have changed since (fingerprint {info.fingerprint}, now {embedder.fingerprint})"
    )
    raise FingerprintMismatchError(f"{reason}; {way_out}")


def _told(embedder: Embedder) -> dict[str, object]:
    """The embedder's settings, with the backend that "auto" came to; none of an API not taken."""
    told = {**embedder.to_dict(), "backend": embedder.backend}
    return {**told, "api": None} if embedder.backend == "local" else told


def _differences(stored: Mapping[str, object], present: Mapping[str, object]) -> str:
    """``dimensions=256 (here 384)`` and so on; None stands for the model's own default."""
    return ", ".join(
        f"{name}={_shown(stored.get(name))} (here {_shown(present.get(name))})"
        for name in [*present, *sorted(stored.keys() - present)]
        if name not in _NOT_IN_VECTORS and stored.get(name) != present.get(name)
    )


def _shown(value: object) -> str:
    return "default" if value is None else repr(value)
