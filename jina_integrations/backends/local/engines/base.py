"""What an engine does: token ids in, weighted sums of token vectors out.

Tokenizing, windows, pooling weights and batches are decided before, and know no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ....types import FloatArray
from ..late_chunking import TokenSequence

__all__ = ["TokenEncoder", "VectorSums"]


class VectorSums(Protocol):
    """Vectors that grow with each batch. They stay on the engine's device until they are done."""

    def add(self, batch: Sequence[TokenSequence], *, adapter: str | None) -> None:
        """Run one forward pass, and add each token vector to the vectors of its plan.

        Never called in a caller's thread, see `Turns`.

        Args:
            batch: Longest first; the pass may pad them to the longest.
            adapter: LoRA adapter to activate; None for a model without any.
        """
        ...

    def result(self) -> FloatArray:
        """The sums: float32, shape (vectors, hidden width), on the CPU."""
        ...


class TokenEncoder(Protocol):
    """A model on one engine and device."""

    @property
    def max_padding(self) -> float | None:
        """Share of a batch that may be padding, 0 to 1; None where sequences need none."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether it can run a pass while it runs another."""
        ...

    def start(self, vectors: int) -> VectorSums:
        """So many sums, all zero."""
        ...
