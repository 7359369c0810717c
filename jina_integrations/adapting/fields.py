"""An embedder's settings as the fields of a framework's class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, PrivateAttr

from ..embedding.embedder import Embedder
from ..errors import InvalidSettingError
from ..settings import EmbedderSettingsFields

__all__ = ["EmbedderFields"]


class EmbedderFields(EmbedderSettingsFields):
    """A base of pydantic classes that hold an `Embedder`: its settings are their fields.

    The fields are those of `EmbedderSettings`. They cannot be assigned, since they describe the
    embedder. Its key is no field: it is neither dumped nor pickled nor shown, and a copy from
    another process takes it from the environment.

    Args:
        embedder: A ready one.
        fields: Those of the class that extends this one.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder, **fields: object) -> None:
        values: dict[str, Any] = {**fields, **embedder.to_dict()}
        super().__init__(**values)
        self._embedder = embedder

    @property
    def embedder(self) -> Embedder:
        """The embedder itself, with its `usage`, `card` and `fingerprint`."""
        return self._embedder

    def __setattr__(self, name: str, value: object) -> None:
        self._refuse_changes([name])
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields changed.

        Raises:
            InvalidSettingError: a setting of the embedder is among them.
        """
        self._refuse_changes(update or {})
        copied = super().model_copy(update=update, deep=deep)
        copied._embedder = self._embedder  # a deep copy of it would be without its key
        return copied

    @classmethod
    def _refuse_changes(cls, names: Mapping[str, object] | list[str]) -> None:
        fixed = sorted(EmbedderSettingsFields.model_fields.keys() & set(names))
        if fixed:
            raise InvalidSettingError(
                f"{', '.join(fixed)} cannot be changed, since the embedder is made with it: "
                f"construct a new {cls.__name__}"
            )
