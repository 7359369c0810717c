"""What the embedders of frameworks with pydantic classes share, without any framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from .embedder import Embedder
from .errors import InvalidSettingError
from .settings import ApiSettings, BackendName, DType, EmbedderSettings, LongTexts

__all__ = ["EmbedderFields"]


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
