"""The contract of a backend: texts in, full-length vectors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..cards import ModelCard
from ..tokenizer import Tokenizer
from ..types import CharSpan, FloatArray, Task
from ..usage import Usage

__all__ = ["Backend"]


class Backend(ABC):
    """What `Embedder` asks of a local model or a service. Loads at first use, is thread-safe.

    Vectors come back as float32, one row for each text or span, in the order asked, pooled and
    neither cut nor normalised. Inputs were checked by `Embedder`.
    """

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """The model's card; a folder's own configuration where it has no row."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """A name of the weights that is equal only where they are."""

    @property
    @abstractmethod
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, for chunkers."""

    @abstractmethod
    def embed(self, texts: Sequence[str], task: Task) -> tuple[FloatArray, Usage]:
        """One vector for each text: float32, shape (len(texts), card.dimensions).

        Raises:
            TextTooLongError: a text is over the limit and the settings do not say what to do.
        """

    @abstractmethod
    def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]]
    ) -> tuple[list[FloatArray], Usage]:
        """Late chunking: for each text, float32 of shape (its spans, card.dimensions).

        Raises:
            InvalidSpanError: a span holds no token; carries the text's index.
        """
