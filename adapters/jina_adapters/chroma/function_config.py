"""What Chroma keeps of an embedding function, and which changes of it would change vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast, get_args

from jina_integrations import Embedder
from jina_integrations.cards import MODEL_CARDS
from jina_integrations.errors import InvalidSettingError, StoreCorruptError
from jina_integrations.framework import SymmetricTask
from jina_integrations.schemes import SERVICE_SCHEMES
from jina_integrations.settings import EmbedderSettings
from jina_integrations.stores.layout import INFO_KEY, info_from

__all__ = [
    "describe",
    "differences",
    "is_unit",
    "own_word_needed",
    "parse",
    "parse_info",
]

_SYMMETRIC: Final = get_args(SymmetricTask)


def describe(embedder: Embedder, task: SymmetricTask | None) -> dict[str, object]:
    """The configuration to store: JSON values, with the backend that ``"auto"`` came to.

    The device is left out: it is a matter of the machine. So are, for a local model, the settings
    of an API that was not taken.
    """
    settings = embedder.to_dict()
    del settings["device"]
    if embedder.backend == "local":
        settings["api"] = None
    return {**settings, "backend": embedder.backend, "task": task}


def parse(config: Mapping[str, object]) -> tuple[EmbedderSettings, SymmetricTask | None]:
    """The settings and the task that `describe` wrote.

    Raises:
        InvalidSettingError: a value is missing, unknown or bad.
    """
    if "model" not in config:
        raise InvalidSettingError("the configuration of an embedding function needs a 'model'")
    task = config.get("task")
    if task is not None and task not in _SYMMETRIC:
        raise InvalidSettingError(f"task must be one of {_SYMMETRIC} or None, not {task!r}")
    settings = {name: value for name, value in config.items() if name != "task"}
    return EmbedderSettings.from_dict({**settings, "device": "auto"}), cast(
        "SymmetricTask | None", task
    )


def parse_info(stored: object, *, where: str) -> dict[str, object]:
    """What `describe` would have written for the embedder that `ingest` filled a collection with.

    Args:
        stored: What the collection's metadata has under `INFO_KEY`.
        where: The collection's name for error messages.

    Raises:
        StoreCorruptError: it cannot be read.
    """
    try:
        info = info_from(json.loads(str(stored)), where=where)
    except ValueError as exc:
        raise StoreCorruptError(
            f"{where}: its metadata {INFO_KEY!r} cannot be read; ingest into a new collection"
        ) from exc
    return {**info.embedder, "task": None}


def is_unit(settings: EmbedderSettings) -> bool:
    """Whether vectors are known to have norm 1, without loading the model."""
    card = MODEL_CARDS.get(settings.model)
    known = card is not None and card.normalize
    return known if settings.normalize is None else settings.normalize


def own_word_needed(settings: EmbedderSettings) -> str | None:
    """Why a function with stored settings must not embed; None where it may.

    A collection is written by whoever may write to the server.
    """
    if settings.trust_remote_code:
        return f"runs code from the repository of {settings.model!r}"
    if settings.base_url is not None:
        return f"sends texts and a key to {settings.base_url}"
    return None


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """Settings that change vectors: ``dimensions=256 (here 384)`` and so on; empty if none do.

    Raises:
        InvalidSettingError: one of them is no such configuration.
    """
    before, after = _decides_vectors(old), _decides_vectors(new)
    return ", ".join(
        f"{name}={_shown(before[name])} (here {_shown(after[name])})"
        for name in before
        if before[name] != after[name]
    )


def _decides_vectors(config: Mapping[str, object]) -> dict[str, object]:
    """As in the embedder's fingerprint, but for late chunking, which no function here does."""
    settings, task = parse(config)
    card = MODEL_CARDS.get(settings.model)
    windows = settings.long == "windows"
    return {
        "model": settings.model,
        "backend": settings.backend,
        # As for the fingerprint: our own models give the same vectors on every server.
        "base_url": None if settings.model in SERVICE_SCHEMES else settings.base_url,
        "revision": settings.revision,
        "dtype": "float32" if settings.dtype in ("auto", "float32") else "half precision",
        "dimensions": settings.dimensions or (card.dimensions if card else None),
        "normalize": card.normalize if card and settings.normalize is None else settings.normalize,
        "truncate": settings.truncate,
        "long": settings.long,
        "window_tokens": settings.window_tokens if windows else None,
        "overlap_tokens": settings.overlap_tokens if windows else None,
        "task": task,
    }


def _shown(value: object) -> str:
    return "default" if value is None else repr(value)
