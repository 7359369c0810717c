"""JinaBERT on torch: against the fixtures, against plain NumPy, and with mistakes put in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder as AnyEmbedder

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

Embedder = partial(AnyEmbedder, engine="torch")
HIDDEN, VECTOR = 2e-5, 1e-6
"""Largest differences of hidden states and vectors; asked for are 1e-4 and 1e-5."""

FIXTURES = Path(__file__).parents[1] / "fixtures"
KINDS = ("small", "base", "code")
SHAPES = {"vocab_size": 120, "intermediate_size": 40, "num_hidden_layers": 2}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads wait for each other longer than these models compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def load(folder: Path, dtype: object = torch.float32):
    from jina_integrations.backends.local.engines.jina_bert import load_jina_bert
    from jina_integrations.backends.local.folder import read_config

    return load_jina_bert(folder, read_config(folder), dtype=dtype).eval()  # type: ignore[arg-type]


@cache
def inputs(kind: str) -> dict:
    return json.loads((FIXTURES / f"jina-v2-{kind}" / "inputs.json").read_text())


@cache
def expected(kind: str) -> dict[str, np.ndarray]:
    with np.load(FIXTURES / f"jina-v2-{kind}" / "expected.npz") as arrays:
        return dict(arrays)


@cache
def fixture_model(kind: str):
    return load(FIXTURES / f"jina-v2-{kind}")


@torch.inference_mode()
def packed(
    model, sequences: Sequence[Sequence[int]], types: Sequence[int] | None = None
) -> np.ndarray:
    """Of all sequences, one after the other in one row."""
    from jina_integrations.backends.local.engines.attention import PackedLengths

    lengths = PackedLengths.of([len(ids) for ids in sequences], torch.device("cpu"))
    row = torch.tensor([[token for ids in sequences for token in ids]])
    kinds = None if types is None else torch.tensor([types])
    return model(row, packed=lengths, token_type_ids=kinds).last_hidden_state[0].float().numpy()


def hidden(model, ids: Sequence[int], types: Sequence[int] | None = None) -> np.ndarray:
    """Of one sequence."""
    return packed(model, [ids], types)


def mean(states: np.ndarray) -> np.ndarray:
    pooled = states.mean(axis=0, dtype=np.float64)
    return pooled / np.linalg.norm(pooled)


def off(model, kind: str) -> tuple[float, float]:
    """How far hidden states and vectors are from a fixture: each case alone, and all packed."""
    want = expected(kind)
    alone = {
        case["name"]: hidden(model, case["input_ids"], case["token_type_ids"])
        for case in inputs(kind)["sequences"]
    }
    differences = [
        (np.abs(own - want[f"{name}.last_hidden_state"]), mean(own) - want[f"{name}.embedding"])
        for name, own in alone.items()
    ]
    batch = inputs(kind)["batch"]
    masks = np.array(batch["attention_mask"], bool)
    rows = [ids[mask] for ids, mask in zip(np.array(batch["input_ids"]), masks, strict=True)]
    states = packed(model, rows)
    vectors = [mean(own) for own in np.split(states, np.cumsum(masks.sum(axis=1))[:-1])]
    differences.append(
        (
            np.abs(states - want["batch.last_hidden_state"][masks]),
            np.array(vectors) - want["batch.embedding"],
        )
    )
    return max(float(a.max()) for a, _ in differences), max(
        float(np.abs(b).max()) for _, b in differences
    )


# The fixtures


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_and_vectors_equal_the_fixture_alone_and_packed(kind: str) -> None:
    states, vectors = off(fixture_model(kind), kind)
    assert states < HIDDEN
    assert vectors < VECTOR


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_implementation_equals_the_fixture_too(kind: str) -> None:
    """Where the fixtures say nothing, it is what the tests below compare with."""
    from tests.plain_jina_bert import PlainJinaBert

    plain = PlainJinaBert(FIXTURES / f"jina-v2-{kind}")
    for case in inputs(kind)["sequences"]:
        want = expected(kind)[f"{case['name']}.last_hidden_state"]
        own = plain.hidden(case["input_ids"], case["token_type_ids"])
        np.testing.assert_allclose(own, want, atol=HIDDEN)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 1, 0, 2, 2, 0, 0), (0, 1, 0, 1, 0)])
def test_packed_sequences_equal_each_alone(kind: str, order: tuple[int, ...]) -> None:
    sequences = [inputs(kind)["sequences"][at]["input_ids"] for at in order]
    # Neighbours of equal length share one call, so they must not be the same sequence.
    sequences = [np.roll(ids, at).tolist() for at, ids in enumerate(sequences)]
    model = fixture_model(kind)
    alone = np.concatenate([hidden(model, ids) for ids in sequences])
    np.testing.assert_allclose(packed(model, sequences), alone, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_taken_some_at_a_time_change_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local.engines import jina_bert

    heads = fixture_model(kind).encoder.layer[0].attention.self.heads
    for elements in (1, 200 * heads * 3, 200 * heads * 199, 200 * heads * 200):
        monkeypatch.setattr(jina_bert, "_BIAS_ELEMENTS", elements)
        states, vectors = off(fixture_model(kind), kind)
        assert states < HIDDEN
        assert vectors < VECTOR


# What the fixtures do not have


@pytest.mark.parametrize("heads", range(1, 14))
def test_any_number_of_heads_equals_the_plain_implementation(heads: int, tmp_path: Path) -> None:
    from jina_integrations.backends.local.engines.alibi import alibi_slopes
    from tests.plain_jina_bert import PlainJinaBert, save_jina_bert, slopes

    np.testing.assert_allclose(alibi_slopes(heads), slopes(heads), rtol=1e-7)
    ids = [(at * 7 + 3) % 120 for at in range(40)]
    for code in (False, True):
        folder = save_jina_bert(
            tmp_path / str(code),
            code=code,
            num_attention_heads=heads,
            hidden_size=4 * heads,
            **SHAPES,
        )
        want = PlainJinaBert(folder).hidden(ids)
        np.testing.assert_allclose(hidden(load(folder), ids), want, atol=HIDDEN)


def test_the_twelve_slopes_of_the_base_models_are_those_published() -> None:
    from jina_integrations.backends.local.engines.alibi import alibi_slopes

    powers = [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5]
    np.testing.assert_allclose(alibi_slopes(12), [2**-power for power in powers], rtol=1e-7)


@pytest.mark.parametrize("code", [False, True])
def test_reglu_equals_the_plain_implementation(code: bool, tmp_path: Path) -> None:
    from tests.plain_jina_bert import PlainJinaBert, save_jina_bert

    folder = save_jina_bert(tmp_path / "reglu", code=code, feed_forward_type="reglu", **SHAPES)
    ids = list(range(60))
    want = PlainJinaBert(folder).hidden(ids)
    np.testing.assert_allclose(hidden(load(folder), ids), want, atol=HIDDEN)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 250])
def test_any_length_equals_the_plain_implementation(kind: str, length: int) -> None:
    from tests.plain_jina_bert import PlainJinaBert

    ids = [(at * at + 5) % 120 for at in range(length)]
    want = PlainJinaBert(FIXTURES / f"jina-v2-{kind}").hidden(ids)
    np.testing.assert_allclose(hidden(fixture_model(kind), ids), want, atol=HIDDEN)


def test_8192_tokens_are_exact_and_hold_no_tensor_of_length_squared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local.engines import jina_bert
    from tests.plain_jina_bert import PlainJinaBert, save_jina_bert

    length, heads = 8192, 4
    folder = save_jina_bert(
        tmp_path / "long",
        **(SHAPES | {"num_hidden_layers": 1}),
        hidden_size=32,
        num_attention_heads=heads,
    )
    kernel = jina_bert.scaled_dot_product_attention
    stored: list[int] = []
    rows: list[int] = []

    def watched(query, key, value, *, attn_mask):
        stored.append(attn_mask.untyped_storage().nbytes())
        rows.append(attn_mask.shape[-2])
        return kernel(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr(jina_bert, "scaled_dot_product_attention", watched)
    ids = [(at * 31 + at // 7) % 120 for at in range(length)]
    own = hidden(load(folder), ids)
    assert sum(rows) == length
    assert max(rows) * length * heads <= jina_bert._BIAS_ELEMENTS
    assert max(stored) <= 2 * length * heads * 4  # a float32 for each head and distance
    places = [0, 1, 2047, 2048, 4096, 6143, 8190, 8191]
    want = PlainJinaBert(folder).hidden(ids, rows=places)
    np.testing.assert_allclose(own[places], want, atol=HIDDEN)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_stays_close(kind: str) -> None:
    model = load(FIXTURES / f"jina-v2-{kind}", torch.bfloat16)
    for case in inputs(kind)["sequences"]:
        own = mean(hidden(model, case["input_ids"], case["token_type_ids"]))
        assert own @ expected(kind)[f"{case['name']}.embedding"] > 0.999


# Through an Embedder


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "code"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.plain_jina_bert import save_jina_bert

    path = tmp_path_factory.mktemp("jina") / "model"
    return save_jina_bert(
        path,
        code=request.param,
        tokenizer=True,
        num_attention_heads=6,
        max_position_embeddings=128,
        **(SHAPES | {"hidden_size": 48}),
    )


@pytest.fixture(scope="module")
def plain(folder: Path):
    from tests.plain_jina_bert import PlainJinaBert

    return PlainJinaBert(folder)


@pytest.fixture(scope="module")
def long_text() -> str:
    from tests.plain_jina_bert import TEXTS

    return " ".join(f"{text} {at}." for at, text in enumerate(TEXTS * 3))


def test_documents_and_queries_equal_the_plain_implementation(folder: Path, plain) -> None:
    from tests.plain_jina_bert import TEXTS

    embedder = Embedder(str(folder))
    assert (embedder.card.pooling, embedder.card.context_tokens) == ("mean", 128)
    texts = [*TEXTS, *reversed(TEXTS), "spree"]
    want = np.array([plain.embed(text) for text in texts])
    np.testing.assert_allclose(embedder.embed_documents(texts), want, atol=VECTOR)
    np.testing.assert_allclose(embedder.embed_queries(texts), want, atol=VECTOR)
    assert (want[:4] @ want[:4].T)[~np.eye(4, dtype=bool)].max() < 0.99  # they do differ


def test_a_text_beyond_the_context_equals_the_plain_implementation(
    folder: Path, plain, long_text: str
) -> None:
    embedder = Embedder(str(folder), long="windows", window_tokens=100, overlap_tokens=30)
    assert embedder.tokenizer.count(long_text) > 128
    want = plain.embed_chunks(long_text, [(0, len(long_text))], window=100, overlap=30)
    np.testing.assert_allclose(embedder.embed_documents([long_text]), want, atol=VECTOR)


@pytest.mark.parametrize(("window", "overlap"), [(128, 64), (128, 0), (50, 30), (17, 3)])
def test_late_chunks_equal_the_plain_implementation(
    folder: Path, plain, long_text: str, window: int, overlap: int
) -> None:
    spans = [(at, min(at + 90, len(long_text))) for at in range(0, len(long_text), 90)]
    want = plain.embed_chunks(long_text, spans, window=window, overlap=overlap)
    embedder = Embedder(str(folder), window_tokens=window, overlap_tokens=overlap)
    np.testing.assert_allclose(embedder.embed_chunks(long_text, spans), want, atol=VECTOR)


def test_late_chunks_are_means_of_the_hidden_states(folder: Path) -> None:
    from tests.plain_jina_bert import TEXTS

    text = TEXTS[0]  # the tokens of its first word: the start token and those of "Berlin"
    embedder = Embedder(str(folder))
    count = embedder.tokenizer.count("Berlin")
    (ids,) = embedder.tokenizer.encode([text], "")
    states = hidden(load(folder), ids.tolist())
    late = embedder.embed_chunks(text, [(0, 6), (7, len(text))])
    np.testing.assert_allclose(late[0], mean(states[: 1 + count]), atol=VECTOR)
    np.testing.assert_allclose(late[1], mean(states[1 + count :]), atol=VECTOR)


def test_the_bfloat16_setting_stays_close(folder: Path) -> None:
    from tests.plain_jina_bert import TEXTS

    exact = Embedder(str(folder)).embed_documents(TEXTS)
    rounded = Embedder(str(folder), precision="bfloat16").embed_documents(TEXTS)
    assert rounded.dtype == np.float32
    assert (exact * rounded).sum(axis=1).min() > 0.999
    assert np.abs(exact - rounded).max() > 1e-5  # it is another precision


# Mistakes, each of which the fixtures must show


def _swap_halves(model) -> None:
    for layer in model.encoder.layer:
        gate = getattr(layer.mlp, "gated_layers", None) or layer.mlp.up_gated_layer
        gate.weight = torch.nn.Parameter(gate.weight.roll(gate.out_features // 2, 0))


def _tanh(model) -> None:
    for layer in model.encoder.layer:
        layer.mlp.activation = partial(torch.nn.functional.gelu, approximate="tanh")


def _relu(model) -> None:
    for layer in model.encoder.layer:
        layer.mlp.activation = torch.nn.functional.relu


@pytest.mark.parametrize("mistake", [_swap_halves, _tanh, _relu])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_feed_forward_part_shows(kind: str, mistake: Callable[[object], None]) -> None:
    model = load(FIXTURES / f"jina-v2-{kind}")
    mistake(model)
    states, vectors = off(model, kind)
    assert states > 1e-3
    assert vectors > 1e-5


NORMS = {
    "embeddings.LayerNorm": KINDS,
    "attention.output.LayerNorm": KINDS,
    "mlp.layernorm": ("small", "base"),
    "attention.self.layer_norm_q": ("code",),
    "attention.self.layer_norm_k": ("code",),
    "layer_norm_1": ("code",),
    "layer_norm_2": ("code",),
}


def test_every_layer_norm_is_tried_below() -> None:
    for kind in KINDS:
        found = {
            name
            for name, module in fixture_model(kind).named_modules()
            if isinstance(module, torch.nn.LayerNorm)
        }
        assert found == {name for name in found if name.endswith(tuple(NORMS))}
        assert all(any(n.endswith(norm) for n in found) == (kind in NORMS[norm]) for norm in NORMS)


@pytest.mark.parametrize(
    ("norm", "kind"), [(norm, kind) for norm, kinds in NORMS.items() for kind in kinds]
)
def test_a_missing_layer_norm_shows(norm: str, kind: str) -> None:
    model = load(FIXTURES / f"jina-v2-{kind}")
    names = [name for name, _ in model.named_modules() if name.endswith(norm)]
    model.set_submodule(names[-1], torch.nn.Identity())  # in one layer alone
    states, vectors = off(model, kind)
    assert states > 1e-2
    assert vectors > 1e-4


def _alibi_of(bias: Callable[[object], object]):
    """A bias written out: a function of i - j, times the slopes; the queries are in reverse."""

    def alibi(slopes, length: int, dtype):
        places = torch.arange(length)
        return (slopes[:, None, None] * bias(places.flip(0)[:, None] - places)).to(dtype)

    return alibi


@pytest.mark.parametrize(
    ("bias", "right"),
    [
        (lambda steps: -steps.abs(), True),
        (lambda steps: -steps.clamp(min=0), False),
        (lambda steps: -steps, False),
        (lambda steps: steps.abs(), False),
        (lambda steps: steps * 0, False),
    ],
    ids=["symmetric", "one-sided", "signed", "growing", "none"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_bias_shows(
    kind: str,
    bias: Callable[[object], object],
    right: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jina_integrations.backends.local.engines import jina_bert

    monkeypatch.setattr(jina_bert, "_alibi", _alibi_of(bias))
    states, vectors = off(fixture_model(kind), kind)
    assert (states < HIDDEN and vectors < VECTOR) is right
    assert right or (states > 1e-2 and vectors > 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bias_divided_like_the_scores_shows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from jina_integrations.backends.local.engines import jina_bert

    alibi = jina_bert._alibi
    heads = fixture_model(kind).encoder.layer[0].attention.self.heads
    root = (fixture_model(kind).width // heads) ** 0.5
    monkeypatch.setattr(jina_bert, "_alibi", lambda slopes, *rest: alibi(slopes / root, *rest))
    states, vectors = off(fixture_model(kind), kind)
    assert states > 1e-2
    assert vectors > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda right: np.sort(right)[::-1].copy(),
        lambda right: right[::-1].copy(),
        lambda right: np.float32(2.0 ** (-8 * np.arange(1, len(right) + 1) / len(right))),
    ],
    ids=["sorted", "reversed", "as-a-power-of-two"],
)
@pytest.mark.parametrize("kind", ["base", "code"])
def test_wrong_slopes_show(
    kind: str, wrong: Callable[[object], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local.engines import jina_bert

    right = jina_bert.alibi_slopes
    monkeypatch.setattr(jina_bert, "alibi_slopes", lambda heads: wrong(right(heads)))
    states, vectors = off(fixture_model(kind), kind)
    assert states > 1e-2
    assert vectors > 1e-4
