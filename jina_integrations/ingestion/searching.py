"""From a question to the chunks that answer it."""

from __future__ import annotations

from ..embedder import Embedder
from ..stores.base import Filters, Store
from ..texts import check_text
from ..types import Hit
from .collection import stored_embedder

__all__ = ["search"]


def search(
    question: str,
    *,
    store: Store,
    k: int = 5,
    filters: Filters | None = None,
    embedder: Embedder | None = None,
    base_url: str | None = None,
) -> list[Hit]:
    """The chunks nearest to a question, best first.

    Args:
        question: Embedded as a query, by the settings that the collection keeps.
        store: The collection.
        k: How many at most, from 1.
        filters: Metadata that hits must have, see `Filters`.
        embedder: One that is at hand; must be equal to the collection's own. None rebuilds that.
        base_url: The server that embeds questions, for a collection that was filled through one;
            the collection alone cannot choose where questions and keys are sent.

    Raises:
        InvalidInputError: the question is no text, `k` is below 1, or a filter is malformed.
        CollectionNotFoundError: there is no such collection.
        FingerprintMismatchError: the embedder, or the model's files, are not those of the
            collection.
        StoreError: the store failed.
    """
    check_text(question)
    chosen = stored_embedder(store, embedder, base_url)
    (vector,) = chosen.embed_queries([question])
    return store.search(vector, k=k, filters=filters)
