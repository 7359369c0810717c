"""What the constructor of llama-index-embeddings-jinaai took, in the terms of an `Embedder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jina_integrations.embedder import Embedder
from jina_integrations.errors import InvalidSettingError
from jina_integrations.framework import SymmetricTask, embedder_of, read_task, warn_once
from jina_integrations.settings import EmbedderOptions

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["check_encoding", "make_embedder", "symmetric_task"]

DEFAULT_MODEL: Final = "jina-embeddings-v3"
"""That of llama-index-embeddings-jinaai 0.7."""


def make_embedder(
    model: str | Embedder | None,
    model_name: str | None,
    options: EmbedderOptions,
    *,
    api_key: str | SecretStr | None,
) -> Embedder:
    """A ready embedder as it is, or one from the arguments.

    Raises:
        InvalidSettingError: options or a key beside a ready embedder, two names of models, or a
            bad option.
    """
    if model is None:
        model = DEFAULT_MODEL if model_name is None else model_name
    embedder = embedder_of(model, options, api_key=api_key)
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
    own = read_task(task)
    if own == "query" or own == "passage":
        warn_once(
            f"task={task!r} is for one side only: here queries are embedded as queries and texts "
            "as passages. Leave task out.",
            stacklevel=4,
        )
        return None
    return own


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
