"""Vectors that a store's embeddings hand out while that store writes.

A LangChain store gets texts and asks its embeddings for their vectors itself. While it writes
chunks whose late-chunking vectors are known, its embeddings hand those out instead. Which vectors
those are is kept in a context variable, so other threads and tasks that use the same embeddings
meanwhile see none of it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from jina_integrations.errors import InvalidInputError
from jina_integrations.types import FloatArray

__all__ = ["PreparedVectors", "prepared_for"]


class PreparedVectors:
    """One vector for each text, for one object's `embed_documents`.

    A text that occurs several times has several vectors, since it comes from several documents.
    So a store has to ask in the order in which it was given the texts, all at once or in batches.
    Texts that occur once may be asked for in any order, and again.

    Args:
        embeddings: Whose calls are answered.
        chunks: In the order in which the store gets them.
        vectors: float32, shape (len(chunks), dimensions).
    """

    def __init__(
        self, embeddings: Embeddings, chunks: Sequence[Document], vectors: FloatArray
    ) -> None:
        self.embeddings = embeddings
        self._texts = [chunk.page_content for chunk in chunks]
        self._vectors = vectors
        self._positions: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(self._texts):
            self._positions[text].append(position)
        self._next = 0
        self._fetched: set[int] = set()
        self._lock = threading.Lock()
        self.problem: str | None = None
        """What is wrong with a text that was asked for; None where all is well."""

    @contextmanager
    def handed_out(self) -> Generator[None]:
        """Within it `prepared_for` gives this object, in this context and its copies."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def take(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of the texts, in their order.

        Raises:
            InvalidInputError: a text was not prepared, or it is not clear which of its vectors is
                meant.
        """
        with self._lock:
            positions = self._find(texts)
            self._fetched.update(positions)
            if positions:
                self._next = positions[-1] + 1
        rows: list[list[float]] = self._vectors[positions].tolist() if positions else []
        return rows

    def _find(self, texts: Sequence[str]) -> list[int]:
        in_order = range(self._next, self._next + len(texts))
        if self._texts[in_order.start : in_order.stop] == list(texts):
            return list(in_order)
        for text in texts:
            count = len(self._positions.get(text, ()))
            if count != 1:
                self.problem = (
                    f"it embeds {text!r:.60}, which is not the text of any chunk"
                    if count == 0
                    else f"it embeds texts in another order or again, and {text!r:.60} has "
                    f"{count} vectors, each from another place"
                )
                raise InvalidInputError(self.problem)
        return [self._positions[text][0] for text in texts]

    @property
    def misuse(self) -> str | None:
        """What is wrong with how the texts were asked for; None where all is well."""
        missing = len(self._texts) - len(self._fetched)
        if self.problem is None and missing:
            return (
                f"it did not ask its embeddings for {missing} of {len(self._texts)} texts, or not "
                "in the context of the call (a thread pool of its own, or a cache)"
            )
        return self.problem


_current: ContextVar[PreparedVectors | None] = ContextVar("prepared_vectors", default=None)


def prepared_for(embeddings: Embeddings) -> PreparedVectors | None:
    """What is handed out for this very object in this context, if anything."""
    prepared = _current.get()
    return prepared if prepared is not None and prepared.embeddings is embeddings else None
