"""Arguments that the constructors of several frameworks' classes take."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Literal, TypeAlias

from pydantic import SecretStr

from ..embedding.embedder import Embedder
from ..errors import InvalidSettingError
from ..models import CODE_TASK_NAMES, TASK_NAMES
from ..settings import EmbedderOptions
from ..types import Task

__all__ = ["SymmetricTask", "embedder_of", "read_task", "warn_once"]

SymmetricTask: TypeAlias = Literal["text-matching", "classification", "clustering"]
"""A task that queries and passages share."""


def embedder_of(
    model: str | Embedder,
    options: EmbedderOptions,
    *,
    api_key: str | SecretStr | None,
) -> Embedder:
    """A ready embedder as it is, or one of that model.

    Raises:
        InvalidSettingError: options or a key beside a ready embedder, or a bad option.
    """
    if not isinstance(model, Embedder):
        return Embedder.from_dict({"model": model, **options}, api_key=api_key)
    names = [*options, *(["api_key"] if api_key is not None else [])]
    if names:
        listed = ", ".join(names)
        raise InvalidSettingError(
            f"You passed an Embedder and {listed}. Pass {listed} to Embedder(...) instead."
        )
    return model


def read_task(name: str) -> Task:
    """The task of that name, also as Jina's API writes it (``retrieval.query``, ``separation``).

    Of the tasks for code only ``nl2code`` is known, whose instructions the model cards have.

    Raises:
        InvalidSettingError: there is none.
    """
    task = TASK_NAMES.get(name)
    if task is None and name in ("nl2code.query", "nl2code.passage"):
        task = CODE_TASK_NAMES[name]
    if task is None:
        raise InvalidSettingError(f"task must be one of {', '.join(TASK_NAMES)}, not {name!r:.60}")
    return task


@cache
def warn_once(message: str, *, stacklevel: int) -> None:
    """Warn with the message at its first time in this process."""
    warnings.warn(message, UserWarning, stacklevel=stacklevel)
