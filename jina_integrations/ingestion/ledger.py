"""The store as the only record of what has been ingested: what it has of documents, and what not.

The first chunk of a document is written last (`StoreAccess.write`) and deleted first (`retire`).
So where a first chunk is stored, all chunks of that version are, and what the store has of a batch
is known by two cheap requests: their first chunks, and how many chunks they have together. Only
where the two disagree, which a killed run leaves behind, every chunk of the batch is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ..stores.access import StoreAccess, lists_of
from ..stores.filters import AnyOf, Range
from ..types import Record

__all__ = ["StoredDocument", "Versions", "look_up", "remove", "retire"]

_FIRST: Final = AnyOf("chunk_index", (0,))


class Versions:
    """Which chunks of one document are stored, by version. Small: `verify` keeps one for each."""

    __slots__ = ("_stored", "root")

    def __init__(self) -> None:
        self.root = ""
        self._stored: dict[str, tuple[int, int]] = {}
        """A bit for each index that is stored, and the chunk count; 0 where records disagree."""

    def add(self, record: Record) -> None:
        """Note that a record is stored."""
        self.root = record.root
        indexes, count = self._stored.get(record.version, (0, record.chunk_count))
        if count != record.chunk_count:
            count = 0
        self._stored[record.version] = (indexes | 1 << record.chunk.index, count)

    @property
    def stored(self) -> frozenset[str]:
        """Versions of which any chunk is stored."""
        return frozenset(self._stored)

    def chunks(self, versions: Iterable[str]) -> int:
        """How many chunks of these versions are stored."""
        return sum(self._stored[version][0].bit_count() for version in versions)

    @property
    def complete(self) -> frozenset[str]:
        """Versions of which every chunk is stored, and none too many."""
        return frozenset(
            version
            for version, (indexes, count) in self._stored.items()
            if count and indexes == (1 << count) - 1
        )


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What a store has of a document.

    Attributes:
        root: `Document.root` of what is stored.
        versions: Versions of which any chunk is stored.
        complete: Those of which every chunk is stored.
    """

    root: str
    versions: frozenset[str]
    complete: frozenset[str] = field(default_factory=frozenset[str])


def look_up(access: StoreAccess, document_ids: Iterable[str]) -> dict[str, StoredDocument]:
    """What the store has of these documents; those it has nothing of are left out."""
    stored: dict[str, StoredDocument] = {}
    for ids in lists_of(document_ids, _documents_per_call(access)):
        stored |= access.patiently(partial(_look_up, access, ids))
    return stored


def _documents_per_call(access: StoreAccess) -> int:
    """How many documents a call can name, with a version of each and the chunk's index."""
    return max(1, (access.capabilities.max_values - 1) // 2)


def _look_up(access: StoreAccess, ids: Sequence[str]) -> dict[str, StoredDocument]:
    selected = AnyOf("document_id", tuple(ids))
    firsts = list(access.scan((selected, _FIRST), content=False))
    chunks = access.count((selected,))
    names = {record.chunk.document_id for record in firsts}
    if len(names) == len(firsts) and chunks == sum(record.chunk_count for record in firsts):
        return {
            record.chunk.document_id: StoredDocument(
                record.root, frozenset([record.version]), frozenset([record.version])
            )
            for record in firsts
        }
    versions: dict[str, Versions] = defaultdict(Versions)
    for record in access.scan((selected,), content=False):
        versions[record.chunk.document_id].add(record)
    return {
        name: StoredDocument(item.root, item.stored, item.complete)
        for name, item in versions.items()
    }


def retire(
    access: StoreAccess,
    versions: Iterable[tuple[str, str]],
    *,
    beyond: Mapping[str, tuple[str, int]],
) -> int:
    """Delete these versions of documents; how many chunks.

    Args:
        access: The store.
        versions: Document id and version.
        beyond: By document id, a version that stays and its number of chunks, where it may have
            been stored before with more of them.
    """
    deleted = 0
    for part in lists_of(versions, _documents_per_call(access)):
        ids, doomed = zip(*part, strict=True)
        stale = (AnyOf("document_id", tuple(dict.fromkeys(ids))), AnyOf("document_version", doomed))
        deleted += access.delete((*stale, _FIRST)) + access.delete(stale)
    for name, (version, count) in beyond.items():
        surplus = (AnyOf("document_version", (version,)), Range("chunk_index", gte=count))
        deleted += access.delete((AnyOf("document_id", (name,)), *surplus))
    return deleted


def remove(access: StoreAccess, document_ids: Iterable[str]) -> int:
    """Delete all chunks of these documents; how many."""
    deleted = 0
    for ids in lists_of(document_ids, _documents_per_call(access)):
        selected = AnyOf("document_id", tuple(ids))
        deleted += access.delete((selected, _FIRST)) + access.delete((selected,))
    return deleted
