"""Vectors that are ready before a store asks for them.

A LangChain store embeds the texts that it is given, in batches of its own. While it writes chunks
whose late-chunking vectors are known, its embeddings hand those out instead. Which vectors that
are is kept in a context variable, so other threads and tasks that use the same embeddings
meanwhile see none of it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from langchain_core.embeddings import Embeddings

from jina_integrations.errors import InvalidInputError
from jina_integrations.types import FloatArray

__all__ = ["PreparedVectors", "prepared_for"]


class PreparedVectors:
    """One vector for each text, for one object's `embed_documents`.

    Args:
        embeddings: Whose calls are answered.
        vectors: By text.
    """

    def __init__(self, embeddings: Embeddings, vectors: Mapping[str, FloatArray]) -> None:
        self.embeddings = embeddings
        self._vectors = vectors
        self._asked: set[str] = set()
        self._unknown: str | None = None

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
            InvalidInputError: one of them was not prepared.
        """
        for text in texts:
            if text not in self._vectors:
                self._unknown = text
                raise InvalidInputError(f"{text!r:.60} is no chunk that is being written")
        self._asked.update(texts)
        return [self._vectors[text].tolist() for text in texts]

    @property
    def misuse(self) -> str | None:
        """What is wrong with how the texts were asked for; None where all is well."""
        if self._unknown is not None:
            return f"it embeds {self._unknown!r:.60}, which is not the text of any chunk"
        missing = len(self._vectors.keys() - self._asked)
        if missing:
            return (
                f"it did not ask its embeddings for {missing} of {len(self._vectors)} texts, or "
                "not in the context of the call (a thread pool of its own, or a cache)"
            )
        return None

    @property
    def unknown(self) -> bool:
        """Whether a text was asked for that is none of them."""
        return self._unknown is not None


_current: ContextVar[PreparedVectors | None] = ContextVar("prepared_vectors", default=None)


def prepared_for(embeddings: Embeddings) -> PreparedVectors | None:
    """What is handed out for this very object in this context, if anything."""
    prepared = _current.get()
    return prepared if prepared is not None and prepared.embeddings is embeddings else None
