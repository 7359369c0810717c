"""A small deterministic model and a store in memory, for tests of what lies between them.

Also run by child processes, through `runpy.run_path`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import ClassVar

import numpy as np
import pytest

from jina_integrations.backends.base import Backend
from jina_integrations.embedding import operations as operations_module
from jina_integrations.embedding.call import Call
from jina_integrations.errors import TextTooLongError
from jina_integrations.models import LateChunkingDefaults, ModelCard, TaskScheme
from jina_integrations.stores import Conditions
from jina_integrations.stores.records import record_id
from jina_integrations.testing import MemoryStore
from jina_integrations.types import CharSpan, FloatArray, Record, Task

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
    identity = "words of the tests"
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
        call.spend(requests=1)
        counts = [self.tokenizer.count(text) for text in texts]
        for index, words in enumerate(counts):
            if words > MAX_WORDS and not self.settings.truncate:
                reason = f"has {words} tokens; words takes {MAX_WORDS}"
                error = TextTooLongError(reason, argument="texts", tokens=words, limit=MAX_WORDS)
                call.fail(index, error)
        call.advance(sum(counts))
        return np.stack([vector_of(text) for text in texts])

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        type(self).before_call()
        self.calls.append(len(texts))
        call.spend(requests=1)
        call.advance(sum(map(self.tokenizer.count, texts)))
        return [
            np.stack([late_vector(text, *span) for span in span_list])
            for text, span_list in zip(texts, spans, strict=True)
        ]


def vector_of(text: str) -> FloatArray:
    words = WORD.findall(text.casefold())
    total = np.sum([word_vector(word.strip(".,?!")) for word in words], axis=0)
    return total.astype(np.float32) * (np.nan if "nan" in words else 1.0)


def late_vector(text: str, start: int, end: int) -> FloatArray:
    return vector_of(text[start:end]) + 0.1 * vector_of(text)


@lru_cache
def word_vector(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(DIMENSIONS)


_numbers = count()


class SteppedStore(MemoryStore):
    """A collection of its own. `before_change` is called before each record is set or deleted.

    `writes` has the number of records of each write, `deletions` counts the calls of `delete`.
    """

    def __init__(self) -> None:
        super().__init__(f"stepped {next(_numbers)}")
        self.before_change: Callable[[], None] = lambda: None
        self.writes: list[int] = []
        self.deletions = 0

    @property
    def records(self) -> dict[str, Record]:
        kept = self._collections.get(self._collection)
        return kept[1] if kept else {}

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self.before_change()
            self.records[record_id(record)] = record
        self.writes.append(len(records))

    def delete(self, where: Conditions) -> None:
        self.deletions += 1
        for record in self._select(where):
            self.before_change()
            del self.records[record_id(record)]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> type[WordBackend]:
    """Every `Embedder` that is made in this test runs a fresh `WordBackend`."""
    backend = type("WordBackend", (WordBackend,), {"calls": []})
    monkeypatch.setattr(operations_module, "make_backend", backend)
    return backend


@pytest.fixture
def memory_store() -> SteppedStore:
    return SteppedStore()
