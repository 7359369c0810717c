"""What a run covers, and so what has left its sources."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from ..readers.results import FailedFile, SkippedFile, Source
from ..stores.access import StoreAccess
from ..stores.filters import AnyOf
from ..types import Document, Record

__all__ = ["Coverage", "covers"]


class Coverage:
    """The sources of a run, and the documents that came from them.

    Documents made by hand are one source: all of them together.
    """

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._unread: list[FailedFile] = []
        self._seen: set[bytes] = set()
        self._by_hand = False

    def add_source(self, source: Source) -> None:
        """A folder or file that the run reads."""
        self._sources.append(source)

    def add_unread(self, file: FailedFile) -> None:
        """What could not be read has not left its source."""
        self._unread.append(file)

    def add_document(self, document: Document) -> bool:
        """Note a document; False where one of the same id came before."""
        digest = _digest(document.id)
        if digest in self._seen:
            return False
        self._seen.add(digest)
        self._by_hand = self._by_hand or not document.root
        return True

    def departed(self, access: StoreAccess) -> list[str]:
        """Ids of stored documents that one of the run's sources had, and has no longer.

        Every stored document is looked at once, by its first chunk; where there are more chunks
        than these tell of, which a killed run leaves behind, by each of them.
        """
        departed: set[str] = set()
        chunks = 0
        for record in access.scan((AnyOf("chunk_index", (0,)),), content=False):
            chunks += record.chunk_count
            self._judge(record, departed)
        if chunks != access.count():
            for record in access.scan(content=False):
                self._judge(record, departed)
        return sorted(departed)

    def _judge(self, record: Record, departed: set[str]) -> None:
        name = record.chunk.document_id
        if name not in departed and self._covers(record.root, name):
            departed.add(name)

    def _covers(self, root: str, document_id: str) -> bool:
        if _digest(document_id) in self._seen:
            return False
        if any(covers(file, root, document_id) for file in self._unread):
            return False
        if not root:
            return self._by_hand
        return any(covers(source, root, document_id) for source in self._sources)


def covers(item: Source | SkippedFile | FailedFile, root: str, document_id: str) -> bool:
    """Whether the stored document of that root comes from there.

    Also where the item's folder has a name by now that it had not when the document was stored.
    """
    same_root = item.root == root or PurePath(root).name == item.root
    return same_root and item.covers(item.root, document_id)


def _digest(document_id: str) -> bytes:
    return hashlib.blake2b(document_id.encode(), digest_size=12).digest()
