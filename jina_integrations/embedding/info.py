"""How an embedder runs its model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from ..settings import Engine, Precision

__all__ = ["EmbedderInfo"]


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """How an embedder runs its model, and why.

    Attributes:
        model: Id of the model's card.
        backend: ``"api"`` or ``"local"``.
        reason: Why it is run like this, in one sentence.
        engine: ``"onnx"`` or ``"torch"``; None where no engine of ours runs the model.
        device: Such as ``"cpu"`` or ``"cuda:0"``; None without an engine.
        precision: Of the weights, such as ``"float32"``; None without an engine.
        threads: Of the CPU that run the model; None without an engine, and on another device.
    """

    model: str
    backend: Literal["api", "local"]
    reason: str
    engine: Engine | None = None
    device: str | None = None
    precision: Precision | None = None
    threads: int | None = None

    def to_dict(self) -> dict[str, object]:
        """The attributes as JSON values."""
        return asdict(self)
