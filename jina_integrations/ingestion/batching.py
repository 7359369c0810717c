"""How many documents are worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from ..embedder import Embedder
from ..errors import InvalidSettingError

__all__ = ["document_batches"]

_CHARACTERS_PER_BATCH_TOKEN: Final = 128
"""A batch of documents holds about this many characters for each of `batch_tokens`: some 32
forward passes of English: they are full, the stores get a few hundred chunks at once, and a kill
loses seconds of work."""

_Document = TypeVar("_Document")


def document_batches(
    documents: Iterable[_Document],
    *,
    characters: Callable[[_Document], int],
    embedder: Embedder,
    batch_documents: int = 256,
) -> Iterator[list[_Document]]:
    """The documents in order, taken lazily, in lists; a very long one is alone in its own.

    Args:
        documents: Of any kind.
        characters: Length of a document's text.
        embedder: A batch ends at about 128 characters for each of its `batch_tokens`.
        batch_documents: Documents in a batch at most.

    Raises:
        InvalidSettingError: `batch_documents` is below 1.
    """
    if isinstance(batch_documents, bool) or batch_documents < 1:
        raise InvalidSettingError(f"batch_documents must be at least 1, not {batch_documents!r}")
    most_characters = _CHARACTERS_PER_BATCH_TOKEN * embedder.settings.batch_tokens
    return _batches(documents, characters, batch_documents, most_characters)


def _batches(
    documents: Iterable[_Document],
    characters: Callable[[_Document], int],
    most_documents: int,
    most_characters: int,
) -> Iterator[list[_Document]]:
    batch: list[_Document] = []
    total = 0
    for document in documents:
        size = characters(document)
        if batch and (len(batch) == most_documents or total + size > most_characters):
            yield batch
            batch, total = [], 0
        batch.append(document)
        total += size
    if batch:
        yield batch
