"""A small deterministic model and a store in memory, for tests of what lies between them.

Also run by child processes, through `runpy.run_path`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pytest

from jina_integrations import engine as engine_module
from jina_integrations.backends.base import Backend
from jina_integrations.calls import Call
from jina_integrations.cards import LateChunkingDefaults, ModelCard, TaskScheme
from jina_integrations.errors import TextTooLongError
from jina_integrations.identity import chunk_id
from jina_integrations.settings import EmbedderSettings
from jina_integrations.stores.base import CollectionInfo, Filters, Store, StoreCounts
from jina_integrations.types import CharSpan, EmbeddedChunk, FloatArray, Hit, Task
from jina_integrations.usage import Usage

WORD = re.compile(r"\S+")
MAX_WORDS = 50
DIMENSIONS = 32

CARD = ModelCard(
    id="words",
    repository=None,
    dimensions=DIMENSIONS,
    min_dimensions=8,
    context_tokens=8192,
    max_tokens=MAX_WORDS,
    tasks={"query": TaskScheme(), "passage": TaskScheme()},
    pooling="mean",
    late_chunking=LateChunkingDefaults(enabled=False, overlap_tokens=16),
    licence="CC0-1.0",
    source="this test",
)


class WordTokenizer:
    overhead = 0

    def count(self, text: str) -> int:
        return len(WORD.findall(text))

    def offsets(self, text: str) -> np.ndarray:
        return np.array([match.span() for match in WORD.finditer(text)], np.int64).reshape(-1, 2)


class WordBackend(Backend):
    """A text's vector is the sum of its words' random ones; no more than 50 words.

    A text with the word ``NAN`` gives NaN. `calls` has the number of texts of each call.
    """

    calls: ClassVar[list[int]] = []
    weights: ClassVar[str] = "words as published"
    before_call: ClassVar[Callable[[], None]] = lambda: None

    kind = "local"

    def __init__(self, settings: EmbedderSettings, key: object = None) -> None:
        self.settings = settings

    @property
    def card(self) -> ModelCard:
        return CARD

    @property
    def identity(self) -> str:
        return f"{self.settings.model}: {type(self).weights}"

    @property
    def tokenizer(self) -> WordTokenizer:
        return WordTokenizer()

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        type(self).before_call()
        self.calls.append(len(texts))
        counts = [self.tokenizer.count(text) for text in texts]
        for index, count in enumerate(counts):
            if count > MAX_WORDS and not self.settings.truncate:
                position = call.position(index)
                error = TextTooLongError(
                    f"texts[{position}] has {count} tokens; words takes {MAX_WORDS}",
                    tokens=count,
                    limit=MAX_WORDS,
                    index=position,
                )
                call.fail(position, error)
        call.spend(Usage(sum(counts), requests=1))
        return np.stack([vector_of(text) for text in texts])

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        type(self).before_call()
        self.calls.append(len(texts))
        call.spend(Usage(sum(map(self.tokenizer.count, texts)), requests=1))
        return [
            np.stack([vector_of(text[start:end]) + 0.1 * vector_of(text) for start, end in own])
            for text, own in zip(texts, spans, strict=True)
        ]


def vector_of(text: str) -> FloatArray:
    words = WORD.findall(text.casefold())
    total = np.sum([word_vector(word.strip(".,?!")) for word in words], axis=0)
    return total.astype(np.float32) * (np.nan if "nan" in words else 1.0)


@lru_cache
def word_vector(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(DIMENSIONS)


class MemoryStore(Store):
    """Chunks in a dict. `before_change` is called before each single chunk is set or deleted."""

    def __init__(self) -> None:
        self.info: CollectionInfo | None = None
        self.chunks: dict[str, EmbeddedChunk] = {}
        self.before_change: Callable[[], None] = lambda: None
        self.writes: list[int] = []

    def read_info(self) -> CollectionInfo | None:
        return self.info

    def create(self, info: CollectionInfo) -> None:
        self.before_change()
        self.info = info

    def find_complete(self, versions: Mapping[str, str]) -> set[str]:
        stored: dict[tuple[str, str], list[EmbeddedChunk]] = {}
        for item in self.chunks.values():
            stored.setdefault((item.chunk.document_id, item.version), []).append(item)
        return {
            name
            for name, version in versions.items()
            if (own := stored.get((name, version))) and len(own) == own[0].chunk_count
        }

    def write(self, chunks: Sequence[EmbeddedChunk]) -> None:
        for item in chunks:
            self.before_change()
            name = chunk_id(item.chunk.document_id, item.version, item.chunk.index)
            self.chunks[name] = item
        self.writes.append(len(chunks))

    def drop_stale(self, versions: Mapping[str, str]) -> int:
        stale = [
            name
            for name, item in self.chunks.items()
            if versions.get(item.chunk.document_id, item.version) != item.version
        ]
        for name in stale:
            self.before_change()
            del self.chunks[name]
        return len(stale)

    def search(self, vector: FloatArray, *, k: int, filters: Filters | None = None) -> list[Hit]:
        wanted = filters or {}
        hits = [
            Hit(item.chunk, float(item.vector @ vector / np.linalg.norm(vector)))
            for item in self.chunks.values()
            if all(item.chunk.metadata.get(key) == value for key, value in wanted.items())
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def counts(self) -> StoreCounts:
        documents = {item.chunk.document_id for item in self.chunks.values()}
        return StoreCounts(documents=len(documents), chunks=len(self.chunks))

    def close(self) -> None:
        pass


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> type[WordBackend]:
    """Every `Embedder` that is made in this test runs a fresh `WordBackend`."""
    backend = type("WordBackend", (WordBackend,), {"calls": []})
    monkeypatch.setattr(engine_module, "make_backend", backend)
    return backend


@pytest.fixture
def memory_store() -> MemoryStore:
    return MemoryStore()
