"""How many documents are worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

__all__ = ["BATCH_DOCUMENTS", "document_batches"]

BATCH_DOCUMENTS: Final = 256
"""Documents in a batch at most."""

_CHARACTERS_PER_BATCH_TOKEN: Final = 128
"""A batch of documents holds about this many characters for each of `batch_tokens`: some 32
forward passes of English: they are full, the stores get a few hundred chunks at once, and a kill
loses seconds of work."""

_Document = TypeVar("_Document")


def document_batches(
    documents: Iterable[_Document],
    *,
    characters: Callable[[_Document], int],
    batch_tokens: int,
) -> Iterator[list[_Document]]:
    """The documents in order, taken lazily, in lists; a very long one is alone in its own.

    Args:
        documents: Of any kind.
        characters: Length of a document's text.
        batch_tokens: Tokens of one forward pass of the embedder.
    """
    limit = _CHARACTERS_PER_BATCH_TOKEN * batch_tokens
    batch: list[_Document] = []
    total = 0
    for document in documents:
        size = characters(document)
        if batch and (len(batch) == BATCH_DOCUMENTS or total + size > limit):
            yield batch
            batch, total = [], 0
        batch.append(document)
        total += size
    if batch:
        yield batch
