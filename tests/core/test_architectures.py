"""Every architecture that torch packs, tiny and random, against plain transformers calls."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder as AnyEmbedder
from jina_integrations import errors

pytest.importorskip("torch")
pytest.importorskip("transformers")

Embedder = partial(AnyEmbedder, engine="torch")

TEXTS = [
    "Berlin",
    "Die Stadt wurde 1237 zum ersten Mal erwähnt.",
    "柏林是德国的首都。它有三百八十万居民。",
    "Berlin is the capital of Germany.",
    "عاصمة ألمانيا",
    "Die Stadt wurde 1990 zum ersten Mal erwähnt.",
]

CONFIGS: dict[str, dict[str, object]] = {
    "albert": {"embedding_size": 16},
    "bert": {},
    "camembert": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "eurobert": {"num_key_value_heads": 2, "head_dim": 8},
    "jina_embeddings_v3": {},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "roberta": {},
    "xlm-roberta": {},
}


def test_every_packed_type_is_tested_here() -> None:
    from jina_integrations.backends.local.engines.torch_loading import _PACKED_MODEL_TYPES

    assert set(CONFIGS) == _PACKED_MODEL_TYPES


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    from tests.tiny_models import save_model

    made: dict[str, Path] = {}

    def folder(model_type: str, **config: object) -> Path:
        name = "-".join([model_type, *map(str, config.values())])
        if name not in made:
            path = tmp_path_factory.mktemp("model") / name
            made[name] = save_model(path, model_type, **(CONFIGS.get(model_type, {}) | config))
        return made[name]

    return folder


@pytest.mark.parametrize("model_type", CONFIGS)
def test_packed_vectors_equal_plain_transformers(model_type: str, folders) -> None:
    from tests.reference import PlainModel

    folder = folders(model_type)
    plain = PlainModel(folder)
    pooling = "last" if model_type.startswith("qwen") else "mean"
    expected = np.array([plain.embed(text, pooling=pooling) for text in TEXTS])
    embedder = Embedder(str(folder))
    assert embedder.card.pooling == pooling
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), expected, atol=1e-5)
    assert np.abs(expected @ expected.T - np.eye(len(TEXTS))).max() < 0.99999  # they do differ


@pytest.mark.parametrize("model_type", [name for name in CONFIGS if not name.startswith("qwen")])
def test_packed_late_chunks_equal_plain_transformers(model_type: str, folders) -> None:
    from tests.reference import PlainModel

    folder = folders(model_type)
    text = " ".join(TEXTS) * 2
    spans = [(at, min(at + 30, len(text))) for at in range(0, len(text), 30)]
    expected = PlainModel(folder).embed_chunks(text, spans, window=64, overlap=16)
    embedder = Embedder(str(folder), window_tokens=64, overlap_tokens=16)
    np.testing.assert_allclose(embedder.embed_chunks(text, spans), expected, atol=1e-5)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_the_variable_length_kernel_is_called_right(
    model_type: str, folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on CUDA in 16 bits, here in float32 with the kernel's arithmetic written out."""
    from inspect import signature

    import torch
    from torch.nn.attention import varlen

    from jina_integrations.backends.local.engines import attention

    parameters = signature(varlen.varlen_attn)
    sequences: list[int] = []

    def kernel(*arguments: object, **options: object):
        call = parameters.bind(*arguments, **options).arguments
        ends = call["cu_seq_q"]
        assert ends.dtype == torch.int32  # type: ignore[attr-defined]
        assert ends is call["cu_seq_k"]
        lengths = ends.diff()  # type: ignore[attr-defined]
        assert call["max_q"] == call["max_k"] == lengths.max()
        sequences.append(len(lengths))
        parts = [
            torch.nn.functional.scaled_dot_product_attention(
                *(
                    call[name][start:end].transpose(0, 1)[None]
                    for name in ("query", "key", "value")
                ),  # type: ignore[index]
                scale=call["scale"],  # type: ignore[arg-type]
                is_causal=call["window_size"] == (-1, 0),
                enable_gqa=bool(call["enable_gqa"]),
            )[0].transpose(0, 1)
            for start, end in pairwise(ends.tolist())  # type: ignore[attr-defined]
        ]
        return torch.cat(parts)

    folder = folders(model_type)
    want = Embedder(str(folder)).embed_documents(TEXTS)
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    monkeypatch.setattr(attention, "_fits_varlen", lambda query: True)
    np.testing.assert_allclose(Embedder(str(folder)).embed_documents(TEXTS), want, atol=1e-5)
    assert set(sequences) == {len(TEXTS)}


def test_a_model_that_cannot_be_packed_is_padded_and_exact(folders) -> None:
    from tests.reference import PlainModel

    folder = folders(
        "modernbert", global_attn_every_n_layers=2, local_attention=8, reference_compile=False
    )
    plain = PlainModel(folder)
    expected = np.array([plain.embed(text) for text in TEXTS])
    np.testing.assert_allclose(Embedder(str(folder)).embed_documents(TEXTS), expected, atol=1e-5)


def test_a_folder_of_other_weights_has_another_fingerprint(folders, tmp_path: Path) -> None:
    import shutil

    from tests.tiny_models import save_model

    folder = folders("bert")
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert Embedder(str(copy)).fingerprint == Embedder(str(folder)).fingerprint
    other = save_model(tmp_path / "other", "roberta")
    assert Embedder(str(other)).fingerprint != Embedder(str(folder)).fingerprint


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "bytes"])
def test_every_kind_of_tokenizer_places_its_tokens(kind: str, tmp_path: Path) -> None:
    from tests.reference import PlainModel
    from tests.tiny_models import save_model

    folder = save_model(tmp_path / kind, "bert", kind=kind)
    text = "Berlin 🎉 ist schön.  柏林是德国的首都。 عاصمة ألمانيا"
    spans = [(0, 6), (7, 8), (9, 19), (20, 31), (32, len(text)), (3, 25), (0, len(text))]
    expected = PlainModel(folder).embed_chunks(text, spans, window=128, overlap=0)
    np.testing.assert_allclose(Embedder(str(folder)).embed_chunks(text, spans), expected, atol=1e-5)


def test_the_longest_text_and_one_token_more(folders) -> None:
    folder = folders("xlm-roberta")  # 130 positions, of which 2 are for padding
    embedder = Embedder(str(folder))
    assert embedder.card.context_tokens == embedder.card.max_tokens == 128
    word = "Berlin"
    tokens = embedder.tokenizer.count(" ".join([word] * 40)) // 40
    fits = " ".join([word] * ((128 - embedder.tokenizer.overhead) // tokens))
    assert embedder.embed_documents([fits]).shape == (1, 32)
    with pytest.raises(errors.TextTooLongError, match="takes 128"):
        embedder.embed_documents([fits + f" {word}" * 10])
