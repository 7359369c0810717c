"""What Chroma keeps of an embedding function, and which changes of it would change vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

from jina_integrations import Embedder
from jina_integrations.adapting import SymmetricTask
from jina_integrations.errors import InvalidSettingError
from jina_integrations.models import MODEL_CARDS
from jina_integrations.recipe import Difference
from jina_integrations.settings import EmbedderSettings, roles

__all__ = ["describe", "differences", "is_unit", "parse", "untrusted"]

_LATE_CHUNKING: Final = {"late_chunking", "context_weight"}
"""Settings of documents that no text of `Collection.add` knows: its document is not known."""

_WINDOWS: Final = {"window_tokens", "overlap_tokens"}

_MACHINE: Final = {"engine": "auto", "device": "auto"}
"""Settings that are a matter of the machine, and what they are where they are not stored."""

_WEIGHTS: Final = {"backend", "revision"}
"""Settings of the place by which a model's name may come to mean other weights."""


def describe(embedder: Embedder, task: SymmetricTask | None) -> dict[str, object]:
    """The configuration to store: JSON values, with the backend that ``"auto"`` came to.

    What is a matter of the machine is left out. So are, for a local model, the settings of an API
    that was not taken.
    """
    settings = {k: v for k, v in embedder.to_dict().items() if k not in _MACHINE}
    if embedder.backend == "local":
        settings["api"] = None
    return {**settings, "backend": embedder.backend, "task": task}


def parse(config: Mapping[str, object]) -> tuple[EmbedderSettings, SymmetricTask | None]:
    """The settings and the task that `describe` wrote.

    Raises:
        InvalidSettingError: a value is missing, unknown or bad.
    """
    task = config.get("task")
    if task is not None and task not in get_args(SymmetricTask):
        raise InvalidSettingError(f"task must be one of {get_args(SymmetricTask)}, not {task!r}")
    settings = {name: value for name, value in config.items() if name != "task"}
    return (
        EmbedderSettings.from_dict({**settings, **_MACHINE}),
        cast("SymmetricTask | None", task),
    )


def is_unit(settings: EmbedderSettings) -> bool:
    """Whether vectors are known to have norm 1, without loading the model."""
    card = MODEL_CARDS.get(settings.model)
    known = card is not None and card.normalize
    return known if settings.normalize is None else settings.normalize


def untrusted(settings: EmbedderSettings) -> str | None:
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
    stored, present = _decides_vectors(old), _decides_vectors(new)
    return ", ".join(
        str(Difference(name, stored.get(name), present.get(name)))
        for name in {**stored, **present}
        if stored.get(name) != present.get(name)
    )


def _decides_vectors(config: Mapping[str, object]) -> dict[str, object]:
    """By the settings' roles, as in the recipe, but from what is known without the model."""
    settings, task = parse(config)
    values = settings.to_dict()
    unused = _LATE_CHUNKING if settings.long == "windows" else _LATE_CHUNKING | _WINDOWS
    used = {
        name: values[name]
        for name, role in roles(EmbedderSettings).items()
        if (role in ("vector", "document") or name in _WEIGHTS) and name not in unused
    }
    if settings.precision == "auto":
        used["precision"] = "float32"
    card = MODEL_CARDS.get(settings.model)
    if card is not None:
        used["dimensions"] = settings.dimensions or card.dimensions
        used["normalize"] = is_unit(settings)
    return {**used, "task": task}
