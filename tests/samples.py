"""Small documents, and what a store in memory has of them."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jina_integrations import (
    Chunker,
    Collection,
    Document,
    Embedder,
    IngestReport,
    SpanChunker,
    Store,
)
from jina_integrations.ingestion import workers
from jina_integrations.tokenizers.base import Tokenizer
from jina_integrations.types import Chunk, Record


def paragraphs(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S(?:.|\n(?!\n))*", text)]


PARAGRAPHS = SpanChunker(paragraphs, name="paragraphs")


def document(name: str, *parts: str, **metadata: str) -> Document:
    return Document(name, "\n\n".join(parts), metadata)


def corpus(count: int, *, edition: str = "first") -> list[Document]:
    """Documents of one to four paragraphs."""
    return [
        document(f"d{n}", *(f"Part {part} of {n}, {edition} edition." for part in range(n % 4 + 1)))
        for n in range(count)
    ]


def chunks_of(count: int) -> int:
    """How many chunks `corpus` has."""
    return sum(n % 4 + 1 for n in range(count))


def collection(store: Store | str, embedder: Embedder | None = None, **options: Any) -> Collection:
    options.setdefault("chunker", PARAGRAPHS)
    return Collection(store, embedder=embedder or Embedder("words"), **options)


def fill(
    store: Store, documents: Iterable[Any], embedder: Embedder | None = None, **options: Any
) -> IngestReport:
    """One run of a new `Collection`."""
    names = {"chunker", "heading_context", "total_timeout_s"}
    of_collection = {name: options.pop(name) for name in names & options.keys()}
    return collection(store, embedder, **of_collection).ingest(documents, **options)


def contents(records: dict[str, Record]) -> dict[str, tuple[Chunk, str, int, bytes]]:
    """Everything that is stored, by record id, vectors as bytes."""
    return {
        name: (item.chunk, item.root, item.chunk_count, item.vectors.dense.tobytes())
        for name, item in records.items()
        if item.vectors.dense is not None
    }


class Deadly(Chunker):
    """Whole documents; one that says "deadly" kills its process."""

    def spans(self, text: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
        if "deadly" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return [(0, len(text))]

    def to_dict(self) -> dict[str, str | int | float | bool]:
        return {"chunker": "deadly"}


class DeadlyWithLocks(Deadly):
    """The process dies with every lock that it shares with the one that started it."""

    def spans(self, text: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
        if "deadly" in text:
            for shared in vars(workers._worker).values():
                for name in ("_cond", "_lock", "_wlock"):
                    if hasattr(shared, name):
                        getattr(shared, name).acquire()
        return super().spans(text, tokenizer)


class Meeting(Chunker):
    """Whole documents; leaves a file with its process's number, and waits for that of another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def spans(self, text: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
        worker = workers._worker
        assert worker is not None
        path = self._folder / str(worker._number)
        until = time.monotonic() + (0 if path.exists() else 60)
        path.touch()
        while len(list(self._folder.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        return [(0, len(text))]

    def to_dict(self) -> dict[str, str | int | float | bool]:
        return {"chunker": "meeting"}
