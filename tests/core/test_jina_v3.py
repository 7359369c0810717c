"""jina-embeddings-v3: tiny, random, saved with real PEFT adapters in the hub's layout."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from jina_integrations import Embedder, errors
from jina_integrations.types import Task

pytest.importorskip("torch")
pytest.importorskip("peft")

ADAPTERS = {
    "query": ("retrieval_query", "Represent the query for retrieving evidence documents: "),
    "passage": ("retrieval_passage", "Represent the document for retrieval: "),
    "text-matching": ("text_matching", ""),
    "classification": ("classification", ""),
    "clustering": ("separation", ""),
}
TEXTS = [
    "Berlin is the capital.",
    "柏林是德国的首都。",
    "Die Stadt",
    "Im Jahr 1237 wurde sie erwähnt.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_jina_v3

    return save_jina_v3(tmp_path_factory.mktemp("hub") / "jina-embeddings-v3-hf")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(str(folder))


def test_the_folder_has_the_layout_of_the_hub(folder: Path) -> None:
    for adapter, _ in ADAPTERS.values():
        assert (folder / adapter / "adapter_model.safetensors").is_file()
        assert (folder / adapter / "adapter_config.json").is_file()


@pytest.mark.parametrize("task", get_args(Task))
def test_each_task_equals_plain_transformers_with_its_adapter(
    folder: Path, embedder: Embedder, task: Task
) -> None:
    from tests.reference import PlainModel

    adapter, prefix = ADAPTERS[task]
    plain = PlainModel(folder, adapter)
    expected = np.array([plain.embed(text, prefix=prefix) for text in TEXTS])
    np.testing.assert_allclose(embedder.embed(TEXTS, task=task), expected, atol=1e-5)


def test_the_tasks_differ(embedder: Embedder) -> None:
    rows = [embedder.embed(["Berlin"], task=task)[0] for task in get_args(Task)]
    similar = np.array(rows) @ np.array(rows).T
    assert similar[~np.eye(5, dtype=bool)].max() < 0.999


def test_documents_and_queries_take_their_own_adapter(embedder: Embedder) -> None:
    np.testing.assert_array_equal(
        embedder.embed_documents(TEXTS), embedder.embed(TEXTS, task="passage")
    )
    np.testing.assert_array_equal(
        embedder.embed_queries(TEXTS), embedder.embed(TEXTS, task="query")
    )


@pytest.mark.parametrize("window", [512, 100])
def test_late_chunks_take_the_prefix_into_the_first_span(folder: Path, window: int) -> None:
    from tests.reference import PlainModel

    text = " ".join(TEXTS * 3)
    spans = [(at, min(at + 25, len(text))) for at in range(0, len(text), 25)]
    adapter, prefix = ADAPTERS["passage"]
    expected = PlainModel(folder, adapter).embed_chunks(
        text, spans, prefix=prefix, window=window, overlap=20
    )
    embedder = Embedder(str(folder), window_tokens=window, overlap_tokens=20)
    np.testing.assert_allclose(embedder.embed_chunks(text, spans), expected, atol=1e-5)


def test_shorter_vectors_are_cut_and_normalised_again(folder: Path, embedder: Embedder) -> None:
    full = Embedder(str(folder), normalize=False).embed_documents(TEXTS)
    for dimensions in (1, 32, 64):
        cut = full[:, :dimensions]
        expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
        short = Embedder(str(folder), dimensions=dimensions)
        assert short.dimensions == dimensions
        np.testing.assert_allclose(short.embed_documents(TEXTS), expected, atol=1e-6)
    with pytest.raises(errors.InvalidSettingError, match="1 to 64"):
        Embedder(str(folder), dimensions=65).embed_documents(TEXTS)


def test_threads_do_not_mix_adapters(embedder: Embedder) -> None:
    expected = {task: embedder.embed(TEXTS, task=task) for task in get_args(Task)}
    with ThreadPoolExecutor(8) as pool:
        jobs = [(t, pool.submit(embedder.embed, TEXTS, task=t)) for t in get_args(Task) * 6]
    for task, job in jobs:
        np.testing.assert_array_equal(job.result(), expected[task])


def test_a_pickled_copy_gives_the_same(embedder: Embedder) -> None:
    copy = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(copy.embed_documents(TEXTS), embedder.embed_documents(TEXTS))


def test_a_missing_adapter_is_named(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "separation")
    with pytest.raises(errors.ModelLoadError, match="'separation'"):
        Embedder(str(copy)).embed_documents(TEXTS)


def test_pickled_adapter_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    adapter = copy / "retrieval_query"
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(errors.ModelLoadError, match=r"adapter_model\.safetensors is not there"):
        Embedder(str(copy)).embed_documents(TEXTS)


def test_the_licence_is_logged_once(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(folder, tmp_path / "licensed")
    for _ in range(3):
        Embedder(str(copy)).embed_queries(["Berlin"])
    licences = [record for record in caplog.records if "CC-BY-NC-4.0" in record.message]
    assert len(licences) == 1


def test_the_hub_cache_is_where_a_name_leads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name loads from the Hugging Face cache, here one that is laid out by hand."""
    import subprocess
    import sys

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--jinaai--jina-embeddings-v3-hf"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    script = (
        "from jina_integrations import Embedder\n"
        "e = Embedder('jina-embeddings-v3', backend='local')\n"
        "print(e.card.id, e.card.late_chunking.enabled)\n"
        "try: e.embed_queries(['Berlin'])\n"
        "except Exception as exc: print(type(exc).__name__, exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "jina-embeddings-v3 True" in done.stdout, done.stderr
    # The tiny model is not 1,024 wide, which is what tells it from the real one.
    assert "ModelLoadError" in done.stdout
    assert "hidden_size 64" in done.stdout
