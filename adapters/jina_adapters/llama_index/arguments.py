"""What the constructor of llama-index-embeddings-jinaai took, in the terms of an `Embedder`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from jina_integrations.embedder import Embedder
from jina_integrations.errors import InvalidSettingError

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["SymmetricTask", "check_encoding", "make_embedder", "symmetric_task", "warn_once"]

SymmetricTask: TypeAlias = Literal["text-matching", "classification", "clustering"]
"""A task that queries and passages share."""

DEFAULT_MODEL: Final = "jina-embeddings-v3"
"""That of llama-index-embeddings-jinaai 0.7."""

_SYMMETRIC: Final[Mapping[str, SymmetricTask]] = MappingProxyType(
    {
        "text-matching": "text-matching",
        "classification": "classification",
        "clustering": "clustering",
        "separation": "clustering",  # the service's name
    }
)
_ONE_SIDED: Final = frozenset(
    {
        "query",
        "passage",
        "retrieval",
        "retrieval.query",
        "retrieval.passage",
        "nl2code.query",
        "nl2code.passage",
    }
)


def make_embedder(
    model: str | Embedder | None,
    model_name: str | None,
    options: Mapping[str, object],
    *,
    api_key: str | SecretStr | None,
) -> Embedder:
    """A ready embedder as it is, or one from the arguments.

    Raises:
        InvalidSettingError: options or a key beside a ready embedder, two names of models, or a
            bad option.
    """
    if isinstance(model, Embedder):
        beside = [*options, *(["api_key"] if api_key is not None else [])]
        if beside:
            raise InvalidSettingError(
                f"{sorted(beside)} beside a ready Embedder: set them where it is made"
            )
        embedder = model
    else:
        name = model if model is not None else model_name
        values = {"model": DEFAULT_MODEL if name is None else name, **options}
        embedder = Embedder.from_dict(values, api_key=api_key)
    if model_name is not None and model_name != embedder.settings.model:
        raise InvalidSettingError(
            f"model_name={model_name!r} and model={embedder.settings.model!r} name two models: "
            "leave model_name out"
        )
    return embedder


def symmetric_task(task: str | None) -> SymmetricTask | None:
    """The task of both sides; None where queries and passages have each their own.

    Warns once where the task of one side was asked for both, as by the package that this replaces.

    Raises:
        InvalidSettingError: there is no such task.
    """
    if task is None:
        return None
    if task in _ONE_SIDED:
        warn_once(
            f"task={task!r} is for one side only: here queries are embedded as queries and texts "
            "as passages. Leave task out.",
            stacklevel=4,
        )
        return None
    if task not in _SYMMETRIC:
        raise InvalidSettingError(
            f"task must be one of {', '.join(map(repr, _SYMMETRIC))}, or left out for retrieval, "
            f"not {task!r:.60}"
        )
    return _SYMMETRIC[task]


def check_encoding(name: str, encoding: str | None) -> None:
    """Refuse what is no list of floats.

    Raises:
        InvalidSettingError: another encoding than ``"float"``.
    """
    if encoding not in (None, "float"):
        raise InvalidSettingError(
            f"{name} must be 'float', not {encoding!r:.60}: LlamaIndex's vectors are lists of "
            "floats. For packed bits call embedder.embed_binary, or let the store quantize (Qdrant "
            "does)"
        )


@cache
def warn_once(message: str, *, stacklevel: int) -> None:
    """Warn with the message at its first time in this process."""
    warnings.warn(message, UserWarning, stacklevel=stacklevel)
