"""Which records a selection holds, from metadata in memory, for databases that select slowly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from .base import Conditions
from .filters import AnyOf, matches

__all__ = ["MetadataIndex"]


class MetadataIndex:
    """The metadata of all records of a collection that no other process writes to.

    A selection that names documents, as the ledger's do, looks at the records of these alone.

    Args:
        records: The id of each, and what the store keeps of its metadata.
    """

    def __init__(self, records: Iterable[tuple[str, object]]) -> None:
        self._documents: dict[str, dict[str, Mapping[str, object]]] = {}
        self.add(records)

    def add(self, records: Iterable[tuple[str, object]]) -> None:
        """Add them, or replace them by id."""
        for name, metadata in records:
            # Another program's record belongs to no document; reading it says so.
            values = cast("Mapping[str, object]", metadata) if isinstance(metadata, Mapping) else {}
            self._documents.setdefault(str(values.get("document_id")), {})[name] = values

    def select(self, where: Conditions) -> list[str]:
        """Ids of the selected records."""
        return [name for _, name in self._selected(where)]

    def pop(self, where: Conditions) -> list[str]:
        """Forget the selected records; their ids."""
        selected = list(self._selected(where))
        for document, name in selected:
            records = self._documents[document]
            del records[name]
            if not records:
                del self._documents[document]
        return [name for _, name in selected]

    def _selected(self, where: Conditions) -> Iterator[tuple[str, str]]:
        """Document and id of each."""
        documents, rest = self._by_document(where)
        for document in documents:
            for name, metadata in self._documents.get(document, {}).items():
                if matches(metadata, rest):
                    yield document, name

    def _by_document(self, where: Conditions) -> tuple[Iterable[str], Conditions]:
        """The documents that the selection names, each once, and its other conditions."""
        for condition in where:
            if isinstance(condition, AnyOf) and condition.key == "document_id":
                names = [value for value in condition.values if isinstance(value, str)]
                return dict.fromkeys(names), tuple(
                    other for other in where if other is not condition
                )
        return self._documents, where
