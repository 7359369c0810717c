"""What a run covers, and so what has left its sources."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from pathlib import PurePath

from ..errors import EmptySourceError
from ..readers.results import FailedFile, SkippedFile, Source
from ..stores.access import StoreAccess
from ..stores.filters import AnyOf
from ..types import Document, Record

__all__ = ["Coverage", "covers"]

_log = logging.getLogger("jina_integrations")


class Coverage:
    """The sources of a run, and the documents that came from them.

    Documents made by hand are one source: all of them together.
    """

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._unread: list[FailedFile] = []
        self._seen: set[bytes] = set()
        self._by_hand = False
        self._empty: list[Source] = []
        """Sources that have given nothing yet; what is read belongs to the last source."""

    def add_source(self, source: Source) -> None:
        """A folder or file that the run reads."""
        self._sources.append(source)
        self._empty.append(source)

    def add_skipped(self, file: SkippedFile) -> None:
        """What was read and gave no document shows that its source is there."""
        if file.was_read:
            self._note_read(file.root)

    def add_unread(self, file: FailedFile) -> None:
        """What could not be read has not left its source."""
        self._unread.append(file)

    def add_document(self, document: Document) -> bool:
        """Note a document; False where one of the same id came before."""
        self._note_read(document.root)
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

        Raises:
            EmptySourceError: nothing was read from a source of theirs: it is rather a disk that is
                not there than a folder that somebody has emptied.
        """
        departed: dict[str, str] = {}
        namesakes: Counter[str] = Counter()
        chunks = 0
        for record in access.scan((AnyOf("chunk_index", (0,)),), content=False):
            chunks += record.chunk_count
            self._judge(record, departed)
            if self._is_of_namesake(record):
                namesakes[record.root] += 1
        if chunks != access.count():
            for record in access.scan(content=False):
                self._judge(record, departed)
        for source in self._empty:
            _refuse_empty(source, departed)
        for folder, documents in namesakes.items():
            _tell_namesake(folder, documents)
        return sorted(departed)

    def _note_read(self, root: str) -> None:
        if self._empty and self._empty[-1] is self._sources[-1] and root == self._sources[-1].root:
            self._empty.pop()

    def _judge(self, record: Record, departed: dict[str, str]) -> None:
        name = record.chunk.document_id
        if name not in departed and self._covers(record.root, name):
            departed[name] = record.root

    def _covers(self, root: str, document_id: str) -> bool:
        if _digest(document_id) in self._seen:
            return False
        if any(covers(file, root, document_id) for file in self._unread):
            return False
        if not root:
            return self._by_hand
        return any(source.covers(root, document_id) for source in self._sources)

    def _is_of_namesake(self, record: Record) -> bool:
        """Whether its folder has the name of a source, and is another one or lay elsewhere."""
        root, name = PurePath(record.root), record.chunk.document_id
        if not root.is_absolute() or _digest(name) in self._seen:
            return False
        return any(
            source.covers(root.name, name) and source.folder != record.root
            for source in self._sources
        )


def covers(file: SkippedFile | FailedFile, root: str, document_id: str) -> bool:
    """Whether the stored document of that root and id is that of the file.

    Also where the file's folder has a name by now that it had not when the document was stored.
    """
    same_root = file.root == root or PurePath(root).name == file.root
    return same_root and file.covers(file.root, document_id)


def _refuse_empty(source: Source, departed: dict[str, str]) -> None:
    gone = sum(source.covers(root, name) for name, root in departed.items())
    if gone:
        raise EmptySourceError(
            f"nothing was read from {source.folder}, and {gone} stored documents come from there: "
            "is the disk mounted? None is removed. If they are to go, delete them by their ids, "
            f"which `jina-integrations documents --filter document_root={source.root}` lists"
        )


def _tell_namesake(folder: str, documents: int) -> None:
    _log.warning(
        "%d stored documents come from %s, which is not the folder of that name that was read: "
        "they stay. If it has moved and they are to go, delete them by their ids, which "
        "`jina-integrations documents --filter document_root=%s` lists",
        *(documents, folder, folder),
    )


def _digest(document_id: str) -> bytes:
    return hashlib.blake2b(document_id.encode(), digest_size=12).digest()
