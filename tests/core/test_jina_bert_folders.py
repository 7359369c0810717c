"""Published JinaBERT folders on torch: what is read, what is refused, and that no code runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder, errors
from jina_integrations.models import MODEL_CARDS

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

Weights = dict[str, np.ndarray]
KINDS = ("small", "base", "code")
FIXTURES = Path(__file__).parents[1] / "fixtures"
SHAPES = {"vocab_size": 120, "intermediate_size": 16, "num_hidden_layers": 1}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads wait for each other longer than these models compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def published(target: Path, kind: str) -> Path:
    """A fixture with the files that its repository has beside the weights."""
    from tests.plain_jina_bert import save_tokenizer

    target.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURES / f"jina-v2-{kind}" / name, target)
    save_tokenizer(target)
    return target


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return published(tmp_path / "model", request.param)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return published(tmp_path / "small", "small")


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def embed(folder: Path, **settings: object) -> np.ndarray:
    """Vectors of a folder whose files may have changed since the last call."""
    from jina_integrations.backends.local import model
    from tests.plain_jina_bert import TEXTS

    for key in [key for key in model._models if key.model == str(folder)]:
        del model._models[key]
    embedder = Embedder(str(folder), engine="torch", **settings)  # type: ignore[arg-type]
    return embedder.embed_documents(TEXTS)


# What is read


def test_a_published_folder_gives_the_vectors_of_the_plain_implementation(folder: Path) -> None:
    from tests.plain_jina_bert import TEXTS, PlainJinaBert

    plain = PlainJinaBert(folder)
    np.testing.assert_allclose(embed(folder), [plain.embed(text) for text in TEXTS], atol=1e-6)


def test_sentence_transformers_layout_is_read(folder: Path) -> None:
    from tests.tiny_models import sentence_transformers_layout

    want = embed(folder)
    sentence_transformers_layout(folder, max_seq_length=300, normalize=False)
    raw = embed(folder)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), want, atol=1e-6)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).max() > 0.1
    assert Embedder(str(folder)).card.max_tokens == 300


def test_float16_files_are_upcast(folder: Path) -> None:
    exact = embed(folder)
    change_weights(folder, lambda w: {name: a.astype(np.float16) for name, a in w.items()})
    stored_half = embed(folder)
    change_weights(folder, lambda w: {name: a.astype(np.float32) for name, a in w.items()})
    np.testing.assert_array_equal(stored_half, embed(folder))
    assert 0 < np.abs(stored_half - exact).max() < 0.01


def test_names_may_have_the_prefix_of_a_fine_tuned_model(folder: Path) -> None:
    want = embed(folder)
    change_weights(folder, lambda w: {f"bert.{name}": array for name, array in w.items()})
    np.testing.assert_array_equal(embed(folder), want)


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_the_pooler_may_be_absent(folder: Path, prefix: str) -> None:
    want = embed(folder)

    def without(weights: Weights) -> Weights:
        kept = {name: a for name, a in weights.items() if not name.startswith("pooler.")}
        assert len(kept) == len(weights) - 2
        return {prefix + name: array for name, array in kept.items()}

    change_weights(folder, without)
    np.testing.assert_array_equal(embed(folder), want)


# What is refused


def load(folder: Path) -> object:
    from jina_integrations.backends.local.engines.jina_bert import load_jina_bert
    from jina_integrations.backends.local.folder import read_config

    return load_jina_bert(folder, read_config(folder), dtype=torch.float32)


def test_every_missing_parameter_is_named(folder: Path) -> None:
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if name.startswith("pooler.") or (".layer." in name and ".layer.1." not in name):
            continue
        change_weights(folder, lambda w, gone=name: {n: a for n, a in weights.items() if n != gone})
        with pytest.raises(errors.ModelLoadError) as caught:
            load(folder)
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["classifier.weight", "encoder.layer.9.mlp.wo.bias", "bert.x"])
def test_an_unexpected_parameter_is_named(folder: Path, name: str) -> None:
    change_weights(folder, lambda w: w | {name: np.zeros(3, np.float32)})
    with pytest.raises(errors.ModelLoadError, match=rf"unexpected \['{name.removeprefix('bert.')}"):
        embed(folder)


def test_a_misshapen_parameter_is_named_with_its_shape(folder: Path) -> None:
    name = "encoder.layer.1.attention.self.key.weight"
    change_weights(folder, lambda w: w | {name: w[name][:7].copy()})
    with pytest.raises(errors.ModelLoadError, match=rf"another shape \{{'{name}': \(7, \d+\)\}}"):
        embed(folder)


def test_names_with_and_without_the_prefix_are_refused(small: Path) -> None:
    name = "embeddings.LayerNorm.bias"
    change_weights(small, lambda w: w | {f"bert.{name}": w[name]})
    with pytest.raises(errors.ModelLoadError, match=r"both with and without the prefix 'bert\.'"):
        embed(small)


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_damaged_file_is_refused(small: Path, content: bytes | None) -> None:
    weights = small / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100] if content is None else content)
    with pytest.raises(errors.ModelLoadError, match=r"model\.safetensors cannot be read"):
        embed(small)


def test_pickled_weights_are_never_loaded(small: Path) -> None:
    from safetensors.torch import load_file

    weights = small / "model.safetensors"
    torch.save(load_file(weights), small / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(errors.ModelLoadError, match=r"model\.safetensors cannot be read"):
        embed(small)


@pytest.mark.parametrize("kind", ["original", "swiglu", None])
def test_a_feed_forward_part_without_these_gates_is_refused(small: Path, kind: object) -> None:
    change_config(small, feed_forward_type=kind)
    with pytest.raises(
        errors.ModelLoadError, match=rf"feed_forward_type={kind!r}.*'geglu' or 'reglu'"
    ):
        embed(small)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 5}, "hidden_size=64, which is no multiple of num_attention_heads"),
        ({"num_attention_heads": 0}, "num_attention_heads=0: it must be an int above 0"),
        ({"num_hidden_layers": "4"}, "num_hidden_layers='4'"),
        ({"intermediate_size": None}, "intermediate_size=None"),
        ({"type_vocab_size": -2}, "type_vocab_size=-2"),
        ({"layer_norm_eps": None}, "layer_norm_eps=None"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps='small'"),
        ({"vocab_size": 119}, r"embeddings\.word_embeddings\.weight': \(120, 64\)"),
        ({"num_hidden_layers": 3}, r"unexpected \['encoder\.layer\.3\."),
        ({"num_hidden_layers": 5}, r"missing \['encoder\.layer\.4\."),
    ],
)
def test_bad_sizes_in_the_configuration_are_named(
    small: Path, changes: dict[str, object], message: str
) -> None:
    change_config(small, **changes)
    with pytest.raises(errors.ModelLoadError, match=message):
        load(small)
    with pytest.raises(errors.ModelLoadError):
        embed(small)


def test_shorter_vectors_are_refused(small: Path) -> None:
    with pytest.raises(errors.InvalidSettingError, match="not trained for shorter vectors"):
        embed(small, dimensions=32)
    assert embed(small, dimensions=64).shape == (4, 64)


@pytest.mark.parametrize("name", [name for name in MODEL_CARDS if "-v2-" in name])
def test_every_card_of_the_family_says_what_it_is(name: str) -> None:
    card = MODEL_CARDS[name]
    assert (card.licence, card.commercial, card.remote_code) == ("Apache-2.0", True, False)
    assert (card.pooling, card.context_tokens, card.max_tokens) == ("mean", 8192, 8192)
    assert card.dimensions == (512 if "small" in name else 768)
    assert card.late_chunking is not None
    assert card.late_chunking.enabled
    with pytest.raises(errors.InvalidSettingError, match="not trained for shorter vectors"):
        card.check_dimensions(256)


def test_weights_of_another_width_than_the_card_are_refused(small: Path) -> None:
    from jina_integrations.backends.local.engines.torch_loading import load_encoder

    with pytest.raises(errors.ModelLoadError, match=r"hidden_size 64, but jina-.* has 512"):
        load_encoder(
            small,
            MODEL_CARDS["jina-embeddings-v2-small-en"],
            adapters=[],
            device="cpu",
            precision="float32",
            trust_remote_code=False,
        )


# Tokenizers


def test_the_tokenizer_is_the_files_own_whatever_the_model_type_says(small: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel()
    own.decoder = decoders.ByteLevel()
    specials = ["<s>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=specials, show_progress=False)
    own.train_from_iterator(["def add(left, right):\n    return left + right\n"], trainer)
    own.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    own.save(str(small / "tokenizer.json"))
    (small / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 8192}))

    text = "def add(left, right):"
    (ids,) = Embedder(str(small)).tokenizer.encode([text], "")
    assert ids.tolist() == own.encode(text).ids


def test_a_damaged_tokenizer_is_named(small: Path) -> None:
    (small / "tokenizer.json").write_text("{")
    with pytest.raises(errors.ModelLoadError, match=r"tokenizer\.json cannot be read"):
        embed(small)


# Whose code runs


@pytest.mark.parametrize("trust", [False, True])
def test_no_code_of_a_folder_runs(folder: Path, tmp_path: Path, trust: bool) -> None:
    want = embed(folder)
    mark = tmp_path / "it-ran"
    for name in ("modeling_bert", "configuration_bert", "tokenization_bert"):
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    change_config(
        folder,
        auto_map={
            "AutoConfig": "configuration_bert.JinaBertConfig",
            "AutoModel": "modeling_bert.JinaBertModel",
        },
    )
    tokenizer = folder / "tokenizer_config.json"
    auto = {"AutoTokenizer": ["tokenization_bert.Slow", "tokenization_bert.Fast"]}
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"auto_map": auto}))
    revision = COMMIT if trust else None
    got = embed(folder, trust_remote_code=trust, revision=revision)
    np.testing.assert_array_equal(got, want)
    assert not mark.exists()


def test_no_code_of_another_repository_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import dynamic_module_utils

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"code was asked for: {args}")

    assert (
        "--modeling_bert"
        in json.loads((folder / "config.json").read_text())["auto_map"]["AutoModel"]
    )
    for name in ("get_cached_module_file", "get_class_in_module"):
        monkeypatch.setattr(dynamic_module_utils, name, refuse)
    assert np.isfinite(embed(folder, trust_remote_code=True, revision=COMMIT)).all()


@pytest.mark.parametrize(
    "name", ["jina-embeddings-v2-small-en", "jinaai/jina-embeddings-v2-small-en"]
)
def test_a_hub_id_leads_to_the_cache_and_needs_no_trust(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    from jina_integrations.backends.local import model
    from tests.plain_jina_bert import TEXTS, PlainJinaBert, save_jina_bert

    repository = tmp_path / "models--jinaai--jina-embeddings-v2-small-en"
    shapes = SHAPES | {"hidden_size": 512, "num_attention_heads": 8}
    snapshot = save_jina_bert(repository / "snapshots" / COMMIT, tokenizer=True, **shapes)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(model, "_models", {})

    embedder = Embedder(name, backend="local")
    plain = PlainJinaBert(snapshot)
    want = np.array([plain.embed(text) for text in TEXTS])
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), want, atol=1e-6)
    assert embedder.card is MODEL_CARDS["jina-embeddings-v2-small-en"]
    assert (embedder.late_chunking, embedder.context_weight) == (True, 1.0)
    late = embedder.embed_chunks(TEXTS[0], [(0, len(TEXTS[0]))])
    np.testing.assert_allclose(late, want[:1], atol=1e-6)
    with pytest.raises(errors.InvalidSettingError, match="not trained for shorter vectors"):
        Embedder(name, backend="local", dimensions=256).embed_documents(TEXTS)
