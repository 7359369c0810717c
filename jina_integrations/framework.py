"""What the adapters of frameworks share, without any framework."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from .embedder import Embedder
from .errors import InvalidSettingError
from .schemes import CODE_TASK_NAMES, TASK_NAMES
from .settings import (
    ApiSettings,
    BackendName,
    DType,
    EmbedderOptions,
    EmbedderSettings,
    LongTexts,
)
from .types import Task

__all__ = ["EmbedderFields", "SymmetricTask", "embedder_of", "read_task", "warn_once"]

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
        InvalidSettingError: options or a key beside a ready one, or a bad option.
    """
    if not isinstance(model, Embedder):
        return Embedder.from_dict({"model": model, **options}, api_key=api_key)
    beside = sorted([*options, *(["api_key"] if api_key is not None else [])])
    if beside:
        raise InvalidSettingError(
            f"{beside} beside a ready Embedder would be ignored: set them on the Embedder"
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


class EmbedderFields(BaseModel):
    """A base of pydantic classes that hold an `Embedder`: its settings are their fields.

    The fields are those of `EmbedderSettings`. They cannot be assigned, since they describe the
    embedder. Its key is no field: it is neither dumped nor pickled nor shown, and a copy from
    another process takes it from the environment.

    Args:
        embedder: A ready one.
        fields: Those of the class that extends this one.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(frozen=True)
    backend: BackendName = Field("auto", frozen=True)
    revision: str | None = Field(None, frozen=True)
    trust_remote_code: bool = Field(False, frozen=True)
    device: str = Field("auto", frozen=True)
    dtype: DType = Field("auto", frozen=True)
    dimensions: int | None = Field(None, frozen=True)
    normalize: bool | None = Field(None, frozen=True)
    truncate: bool = Field(False, frozen=True)
    long: LongTexts = Field("error", frozen=True)
    late_chunking: bool | None = Field(None, frozen=True)
    window_tokens: int | None = Field(None, frozen=True)
    overlap_tokens: int | None = Field(None, frozen=True)
    context_weight: float | None = Field(None, frozen=True)
    batch_tokens: int = Field(2048, frozen=True)
    base_url: str | None = Field(None, frozen=True)
    api: ApiSettings | None = Field(None, frozen=True)

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder, **fields: object) -> None:
        super().__init__(**fields, **embedder.to_dict())
        self._embedder = embedder

    @property
    def embedder(self) -> Embedder:
        """The embedder itself, with its `usage`, `card` and `fingerprint`."""
        return self._embedder

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields changed.

        Raises:
            InvalidSettingError: a setting of the embedder is among them.
        """
        fixed = sorted(EmbedderSettings.__dataclass_fields__.keys() & (update or {}).keys())
        if fixed:
            raise InvalidSettingError(
                f"{fixed} describe the embedder that the copy shares: construct a new "
                f"{type(self).__name__}"
            )
        copied = super().model_copy(update=update, deep=deep)
        copied._embedder = self._embedder  # a deep copy of it would be without its key
        return copied
