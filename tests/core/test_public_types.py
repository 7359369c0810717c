"""Every wrong type at every public entry is an error of ours that names the argument.

A table of callables with good arguments; each argument in turn is replaced by each wrong value.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jina_integrations
from jina_integrations import (
    ApiSettings,
    Chunk,
    Collection,
    Document,
    Embedder,
    MarkdownChunker,
    SentenceChunker,
    SpanChunker,
    TokenChunker,
    chunkers,
    open_store,
    read_documents,
    readers,
    stores,
)
from jina_integrations.errors import JinaIntegrationsError
from jina_integrations.stores.filters import parse_filters
from jina_integrations.testing import MemoryStore
from jina_integrations.types import Heading, Hit, Page

WRONG: list[Any] = [
    None,
    True,
    5,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    10**30,
    1j,
    "",
    " ",
    "x",
    "a\0b",
    "\ud800",
    "x" * 5000,
    b"x",
    [],
    [None],
    [5],
    ["x"],
    [["x"]],
    (),
    {},
    {"x": None},
    {5: 5},
    {"x"},
    object(),
    object,
    len,
    iter([5]),
    np.array([1.0, 2.0]),
    np.float32("nan"),
    Path("x"),
]

TOKENIZER = Embedder("echo").tokenizer
TEXT = "A text. Another one."
DOCUMENT = Document("d", TEXT)
EMBEDDER = Embedder("echo")
_numbers = itertools.count()


@dataclass(frozen=True)
class Entry:
    """A callable and arguments that it takes, each of which is fuzzed."""

    name: str
    call: Callable[..., object]
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def filled() -> Collection:
    made = Collection(MemoryStore(f"fuzz {next(_numbers)}"), embedder=EMBEDDER)
    made.ingest([DOCUMENT])
    return made


def method(name: str) -> Callable[..., object]:
    """A method of a filled collection, run to its end."""

    def call(**arguments: Any) -> object:
        result = getattr(filled(), name)(**arguments)
        if inspect.iscoroutine(result):
            return asyncio.run(result)
        if inspect.isasyncgen(result):
            return asyncio.run(_all(result))
        return list(result) if isinstance(result, Iterator) else result

    return call


async def _all(items: Any) -> list[object]:
    return [item async for item in items]


def run(function: Callable[..., Any]) -> Callable[..., object]:
    return lambda **arguments: asyncio.run(function(**arguments))


INGEST = {
    "documents": [DOCUMENT],
    "prune": False,
    "dry_run": False,
    "max_failures": None,
    "on_progress": None,
}
SEARCH = {"question": "text", "k": 1, "filters": None}
TEXTS = {"texts": ["text"], "task": "query", "on_error": "raise", "on_progress": None}
CHUNKS = {"text": ["text"], "spans": [[(0, 4)]], "on_error": "raise", "on_progress": None}

ENTRIES = [
    Entry(
        "Collection",
        lambda store, **options: Collection(store, **options),
        {
            "store": MemoryStore("fuzz"),
            "embedder": EMBEDDER,
            "chunker": None,
            "heading_context": False,
            "total_timeout_s": 5.0,
        },
    ),
    Entry(
        "Collection.open",
        Collection.open,
        {
            "store": MemoryStore("fuzz, opened"),
            "embedder": None,
            "base_url": None,
            "total_timeout_s": 5.0,
        },
    ),
    Entry("Collection.ingest", method("ingest"), INGEST),
    Entry("Collection.aingest", method("aingest"), INGEST),
    Entry("Collection.search", method("search"), SEARCH),
    Entry("Collection.asearch", method("asearch"), SEARCH),
    Entry("Collection.delete", method("delete"), {"document_ids": ["d"]}),
    Entry("Collection.adelete", method("adelete"), {"document_ids": ["d"]}),
    Entry("Collection.documents", method("documents"), {"filters": None}),
    Entry("Collection.adocuments", method("adocuments"), {"filters": None}),
    Entry("Collection.verify", method("verify"), {"repair": False}),
    Entry("Collection.averify", method("averify"), {"repair": False}),
    Entry(
        "Embedder",
        Embedder,
        {
            "model": "echo",
            "backend": "auto",
            "api_key": None,
            "base_url": None,
            "api": None,
            "revision": None,
            "trust_remote_code": False,
            "engine": "auto",
            "device": "auto",
            "precision": "auto",
            "dimensions": None,
            "normalize": None,
            "truncate": False,
            "long": "error",
            "late_chunking": None,
            "window_tokens": None,
            "overlap_tokens": None,
            "context_weight": None,
            "batch_tokens": 9,
            "on_usage": None,
        },
    ),
    Entry("Embedder.embed", EMBEDDER.embed, TEXTS),
    Entry("Embedder.aembed", run(EMBEDDER.aembed), TEXTS),
    Entry("Embedder.embed_documents", EMBEDDER.embed_documents, {"texts": ["text"]}),
    Entry("Embedder.aembed_documents", run(EMBEDDER.aembed_documents), {"texts": ["text"]}),
    Entry("Embedder.embed_queries", EMBEDDER.embed_queries, {"texts": ["text"]}),
    Entry("Embedder.aembed_queries", run(EMBEDDER.aembed_queries), {"texts": ["text"]}),
    Entry(
        "Embedder.embed_binary",
        EMBEDDER.embed_binary,
        {"texts": ["text"], "task": "query", "embedding_type": "ubinary"},
    ),
    Entry("Embedder.embed_images", EMBEDDER.embed_images, {"images": ["data:image/png;base64,AA"]}),
    Entry("Embedder.embed_chunks", EMBEDDER.embed_chunks, CHUNKS),
    Entry("Embedder.aembed_chunks", run(EMBEDDER.aembed_chunks), CHUNKS),
    Entry("Embedder.from_dict", Embedder.from_dict, {"values": {"model": "echo"}}),
    Entry(
        "Embedder.replace", EMBEDDER.replace, {"dimensions": 8, "device": "cpu", "truncate": False}
    ),
    Entry("ApiSettings", ApiSettings, ApiSettings().to_dict()),
    Entry(
        "Document",
        Document,
        {"id": "d", "text": TEXT, "metadata": {}, "headings": (), "pages": (), "root": ""},
    ),
    Entry("Document.from_dict", Document.from_dict, {"values": DOCUMENT.to_dict()}),
    Entry(
        "Chunk.from_dict",
        Chunk.from_dict,
        {"values": Chunk("d", 0, 0, 4, "text").to_dict()},
    ),
    Entry(
        "Hit.from_dict",
        Hit.from_dict,
        {"values": Hit(Chunk("d", 0, 0, 4, "text"), 0.5).to_dict()},
    ),
    Entry("SentenceChunker", SentenceChunker, {"max_tokens": 9, "overlap_sentences": 0}),
    Entry("TokenChunker", TokenChunker, {"max_tokens": 9, "overlap_tokens": 0}),
    Entry("MarkdownChunker", MarkdownChunker, {"max_tokens": 9}),
    Entry("SpanChunker", SpanChunker, {"splitter": lambda _: [(0, len(TEXT))], "name": "x"}),
    Entry(
        "SpanChunker.spans, by what its splitter gives",
        lambda given: SpanChunker(lambda _: given, name="x").spans(TEXT, TOKENIZER),
        {"given": [(0, len(TEXT))]},
    ),
    *(
        Entry(f"{type(chunker).__name__}.{name}", getattr(chunker, name), arguments)
        for chunker in (SentenceChunker(9), TokenChunker(9), MarkdownChunker(9))
        for name, arguments in (
            ("spans", {"text": TEXT, "tokenizer": TOKENIZER}),
            ("chunk", {"document": DOCUMENT, "tokenizer": TOKENIZER}),
        )
    ),
    Entry("chunkers.parse_chunker", chunkers.parse_chunker, {"setting": "sentence"}),
    Entry(
        "chunkers.chunker_from_dict",
        chunkers.chunker_from_dict,
        {"values": {"chunker": "sentence"}},
    ),
    Entry(
        "read_documents",
        lambda **arguments: list(read_documents(**arguments)),
        {"paths": [__file__], "root": None},
    ),
    Entry("open_store", open_store, {"address": "qdrant:./index#x"}),
    Entry("stores.parse_filters", parse_filters, {"filters": {}}),
    Entry("stores.FolderAddress.parse", stores.FolderAddress.parse, {"address": "x:./y#z"}),
    Entry("stores.ServerAddress.parse", stores.ServerAddress.parse, {"address": "x+http://y/z"}),
]

CALLED_AS = {"setting": "chunker", "given": "splitter", "values": "settings|fields"}
CALLED = {"on_progress", "on_usage"}
LONGEST_MESSAGE = 700


@pytest.fixture(autouse=True, scope="module")
def _opened() -> None:
    Collection(MemoryStore("fuzz, opened"), embedder=EMBEDDER).ingest([DOCUMENT])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_wrong_values(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call gives a result, or an error of ours that is clear without a traceback."""
    monkeypatch.chdir(tmp_path)
    problems: list[str] = []
    for argument in entry.arguments:
        refused = 0
        for wrong in WRONG:
            try:
                entry.call(**{**entry.arguments, argument: wrong})
            except JinaIntegrationsError as exc:
                refused += 1
                message = str(exc)
                if not message or len(message) > LONGEST_MESSAGE:
                    problems.append(f"{argument}={wrong!r:.40}: message {message!r:.200}")
            except Exception as exc:  # noqa: BLE001 - that is what the test is about
                if not (argument in CALLED and callable(wrong)):  # its own error, as it is
                    problems.append(f"{argument}={wrong!r:.40}: {type(exc).__name__}: {exc!s:.200}")
        if not refused:
            problems.append(f"{argument}: takes everything")
    assert not problems, "\n".join([f"{len(problems)} problems", *problems])


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_error_names_the_argument(entry: Entry, tmp_path: Path, monkeypatch) -> None:
    """And its type: `object()` is right nowhere."""
    monkeypatch.chdir(tmp_path)
    problems: list[str] = []
    for argument in entry.arguments:
        try:
            entry.call(**{**entry.arguments, argument: object()})
        except Exception as exc:  # noqa: BLE001
            if not re.search(rf"\b({argument}|{CALLED_AS.get(argument, argument)})\b", str(exc)):
                problems.append(f"{argument}: {exc!s:.200}")
        else:
            problems.append(f"{argument}: object() is taken")
    assert not problems, "\n".join(problems)


def test_good_arguments_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the table would prove nothing."""
    monkeypatch.chdir(tmp_path)
    for entry in ENTRIES:
        if entry.name == "Embedder.embed_images":
            continue  # these bytes are no picture
        entry.call(**entry.arguments)


def test_table_is_complete() -> None:
    """Every public callable is in the table, or is known to need no place there."""
    covered = {entry.name.split(".")[-1] for entry in ENTRIES} | {e.name for e in ENTRIES}
    without_arguments = {
        "JinaIntegrationsError",
        "ModelCard",  # rows of data, made by us
        "IngestReport",
        "Collected",
        "Usage",
        "EmbedderInfo",
        "Hit",
        "Chunk",
        "Source",  # what readers give
        "SkippedFile",
        "FailedFile",
        "Recipe",
        "Chunker",  # abstract
        "Store",
        "LimitedChunker",
    }
    public = {
        name
        for module in (jina_integrations, chunkers, readers)
        for name in module.__all__
        if callable(getattr(module, name))
    }
    assert public - covered - without_arguments == set()
    methods = {
        f"{kind.__name__}.{name}"
        for kind in (Collection, Embedder)
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_") and len(inspect.signature(member).parameters) > 1
    }
    tested_as_another = {"Embedder.aembed_binary", "Embedder.aembed_images"}
    assert methods - {entry.name for entry in ENTRIES} - tested_as_another == set()


@pytest.mark.parametrize("value", [5, "x", [1], object()])
def test_parts_of_a_document(value: Any) -> None:
    for field in ("headings", "pages"):
        with pytest.raises(JinaIntegrationsError, match=field):
            Document("d", TEXT, **{field: (value,)})
    assert Document("d", TEXT, headings=(Heading(0, 1, "A"),), pages=(Page(0, 1),))
