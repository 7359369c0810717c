"""JinaBERT in plain NumPy, float64, from the formulas in fixtures/jina-v2.md, and folders of it.

Shares no line with the package's own module, nor with torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from tests.reference import PlainText

FIXTURES = Path(__file__).parent / "fixtures"
KINDS = ("small", "base", "code")
TEXTS = [
    "Berlin is the capital of Germany.",
    "It has 3.8 million inhabitants, and lies on the Spree.",
    "spree",
    "The city was first mentioned in 1237; since 1990 it is the capital again.",
]

_erf = np.vectorize(math.erf, otypes=[float])
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def slopes(heads: int) -> list[float]:
    """ALiBi's slopes, by the recursion of its paper's code."""
    if math.log2(heads).is_integer():
        return [2 ** (-8 * k / heads) for k in range(1, heads + 1)]
    below = 2 ** int(math.log2(heads))
    return slopes(below) + slopes(2 * below)[::2][: heads - below]


class PlainJinaBert(PlainText):
    """One sequence at a time, head by head."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        stored = load_file(folder / "model.safetensors")
        self.weights = {name: array.astype(np.float64) for name, array in stored.items()}
        self.code = "encoder.layer.0.layer_norm_1.weight" in stored
        self.width = self.config["hidden_size"]
        if (folder / "tokenizer.json").exists():
            self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def hidden(
        self,
        ids: Sequence[int],
        types: Sequence[int] | None = None,
        *,
        rows: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Token vectors of one sequence; of these rows alone where they are given."""
        words = self.weights["embeddings.word_embeddings.weight"][list(ids)]
        kinds = self.weights["embeddings.token_type_embeddings.weight"][types or [0] * len(ids)]
        x = self._norm("embeddings.LayerNorm", words + kinds)
        last = self.config["num_hidden_layers"] - 1
        for number in range(last):
            x = self._layer(f"encoder.layer.{number}.", x, np.arange(len(ids)))
        wanted = np.arange(len(ids)) if rows is None else np.array(rows)
        return self._layer(f"encoder.layer.{last}.", x, wanted)

    def _layer(self, at: str, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        query = self._linear(at + "attention.self.query", x[rows])
        key = self._linear(at + "attention.self.key", x)
        value = self._linear(at + "attention.self.value", x)
        if self.code:
            query = self._norm(at + "attention.self.layer_norm_q", query)
            key = self._norm(at + "attention.self.layer_norm_k", key)
        heads = self.config["num_attention_heads"]
        size = self.width // heads
        distance = np.abs(rows[:, None] - np.arange(len(x)))
        context = []
        for head, slope in enumerate(slopes(heads)):
            own = slice(head * size, (head + 1) * size)
            score = query[:, own] @ key[:, own].T / math.sqrt(size) - slope * distance
            share = np.exp(score - score.max(axis=1, keepdims=True))
            context.append(share / share.sum(axis=1, keepdims=True) @ value[:, own])
        dense = self._linear(at + "attention.output.dense", np.concatenate(context, axis=1))
        a = self._norm(at + "attention.output.LayerNorm", dense + x[rows])
        if self.code:
            b = self._norm(at + "layer_norm_1", x[rows] + a)
            u, v = np.split(self._linear(at + "mlp.up_gated_layer", b), 2, axis=1)
            down = self._linear(at + "mlp.down_layer", u * self._activate(v))
            return self._norm(at + "layer_norm_2", b + down)
        u, v = np.split(self._linear(at + "mlp.gated_layers", a), 2, axis=1)
        return self._norm(
            at + "mlp.layernorm", self._linear(at + "mlp.wo", self._activate(u) * v) + a
        )

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", 0.0)

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        return scaled * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def _activate(self, x: np.ndarray) -> np.ndarray:
        if self.config["feed_forward_type"] == "reglu":
            return np.maximum(x, 0)
        return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def parameter_shapes(config: Mapping[str, int], *, code: bool) -> dict[str, tuple[int, ...]]:
    """Every parameter of a published file."""
    wide, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], wide),
        "embeddings.token_type_embeddings.weight": (2, wide),
    }
    linear = {"pooler.dense": (wide, wide)}
    norms = ["embeddings.LayerNorm"]
    for number in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{number}."
        linear |= {at + f"attention.self.{n}": (wide, wide) for n in ("query", "key", "value")}
        linear[at + "attention.output.dense"] = (wide, wide)
        linear[at + ("mlp.down_layer" if code else "mlp.wo")] = (wide, inner)
        gate = "mlp.up_gated_layer" if code else "mlp.gated_layers"
        shapes[at + gate + ".weight"] = (2 * inner, wide)
        norms.append(at + "attention.output.LayerNorm")
        norms += (
            [at + f"attention.self.layer_norm_{n}" for n in "qk"]
            + [at + f"layer_norm_{n}" for n in "12"]
            if code
            else [at + "mlp.layernorm"]
        )
    linear |= dict.fromkeys(norms, (wide,))
    for name, shape in linear.items():
        shapes |= {name + ".weight": shape, name + ".bias": shape[:1]}
    return shapes


def save_jina_bert(
    folder: Path, *, code: bool = False, tokenizer: bool = False, **config: object
) -> Path:
    """Random weights in the published layout, with the published keys of config.json."""
    folder.mkdir(parents=True)
    fixture = FIXTURES / ("jina-v2-code" if code else "jina-v2-small")
    full = json.loads((fixture / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(full))
    random = np.random.default_rng(20234)
    weights = {}
    for name, shape in sorted(parameter_shapes(full, code=code).items()):
        noise = random.standard_normal(shape)
        if name.startswith("embeddings.") and len(shape) == 2:
            noise *= 0.8
        elif len(shape) == 2:
            noise *= 1.3 / math.sqrt(shape[1])
        else:
            noise = 1 + 0.3 * noise if name.endswith(".weight") else 0.25 * noise
        weights[name] = noise.astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer:
        save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """A BERT tokenizer of 120 words, with the files of the published English models."""
    own = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer()
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=_SPECIALS, show_progress=False
    )
    own.train_from_iterator(TEXTS, trainer)
    assert own.get_vocab_size() == 120
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    own.save(str(folder / "tokenizer.json"))
    config = {
        "cls_token": "[CLS]",
        "do_lower_case": True,
        "mask_token": "[MASK]",
        "model_max_length": 2147483648,
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
