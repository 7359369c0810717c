"""The encoders that a graph can be built for: sizes, formulas, and the names of their parameters.

They are one transformer with post-norm layers, and differ in names, in positions, and in the
feed-forward part. Formulas are those of transformers' own classes, and for JinaBERT those of
``jina_bert.py``. Parameters get one set of names here, such as ``3.query.weight``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from ....errors import ModelLoadError
from ..folder import is_jina_bert

__all__ = ["Architecture", "ParameterNames", "architecture_of", "parameter_names"]

_BERT: Final = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "embedding_norm",
    "encoder.layer.N.attention.self.query": "query",
    "encoder.layer.N.attention.self.key": "key",
    "encoder.layer.N.attention.self.value": "value",
    "encoder.layer.N.attention.output.dense": "output",
    "encoder.layer.N.attention.output.LayerNorm": "attention_norm",
    "encoder.layer.N.intermediate.dense": "up",
    "encoder.layer.N.output.dense": "down",
    "encoder.layer.N.output.LayerNorm": "norm",
}
_DISTILBERT: Final = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.LayerNorm": "embedding_norm",
    "transformer.layer.N.attention.q_lin": "query",
    "transformer.layer.N.attention.k_lin": "key",
    "transformer.layer.N.attention.v_lin": "value",
    "transformer.layer.N.attention.out_lin": "output",
    "transformer.layer.N.sa_layer_norm": "attention_norm",
    "transformer.layer.N.ffn.lin1": "up",
    "transformer.layer.N.ffn.lin2": "down",
    "transformer.layer.N.output_layer_norm": "norm",
}
_JINA_BERT: Final = {name: part for name, part in _BERT.items() if "layer" not in name} | {
    "encoder.layer.N.attention.self.query": "query",
    "encoder.layer.N.attention.self.key": "key",
    "encoder.layer.N.attention.self.value": "value",
    "encoder.layer.N.attention.self.layer_norm_q": "query_norm",
    "encoder.layer.N.attention.self.layer_norm_k": "key_norm",
    "encoder.layer.N.attention.output.dense": "output",
    "encoder.layer.N.attention.output.LayerNorm": "attention_norm",
    "encoder.layer.N.layer_norm_1": "residual_norm",
    "encoder.layer.N.layer_norm_2": "norm",
    "encoder.layer.N.mlp.gated_layers": "up",
    "encoder.layer.N.mlp.up_gated_layer": "up",
    "encoder.layer.N.mlp.wo": "down",
    "encoder.layer.N.mlp.down_layer": "down",
    "encoder.layer.N.mlp.layernorm": "norm",
}
_JINA_V3: Final = {
    "embeddings.word_embeddings": "words",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "embedding_norm",
    "layers.N.self_attn.q_proj": "query",
    "layers.N.self_attn.k_proj": "key",
    "layers.N.self_attn.v_proj": "value",
    "layers.N.self_attn.o_proj": "output",
    "layers.N.post_attention_layernorm": "attention_norm",
    "layers.N.mlp.fc1": "up",
    "layers.N.mlp.fc2": "down",
    "layers.N.post_mlp_layernorm": "norm",
    # as the files have it, which transformers renames when it loads them
    "emb_ln": "embedding_norm",
    "encoder.layers.N.mixer.Wqkv": "query_key_value",
    "encoder.layers.N.mixer.out_proj": "output",
    "encoder.layers.N.norm1": "attention_norm",
    "encoder.layers.N.mlp.fc1": "up",
    "encoder.layers.N.mlp.fc2": "down",
    "encoder.layers.N.norm2": "norm",
}
_PREFIX: Final = re.compile(
    r"^(base_model\.model\.)?(bert|roberta|distilbert)\.(?=emb|enc|lay|tra)"
)
"""Files of a model with a head, such as that of masked tokens, have it before the encoder's."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What shapes a graph.

    Attributes:
        attention_width: Heads times head size; mostly the width.
        inner_width: Of the feed-forward part.
        positions: A table of vectors, rotations of queries and keys, or ALiBi's falling scores.
        first_position: Position of a sequence's first token. RoBERTa keeps those up to the padding
            id for padding.
        rotary_base: Of the rotations' wavelengths.
        has_types: Whether the token type is embedded; ours is always 0.
        gate: The half of the feed-forward part's first product that goes through the activation.
        code_variant: JinaBERT with layer norms on queries and keys, and one around the attention.
    """

    layers: int
    heads: int
    width: int
    attention_width: int
    inner_width: int
    epsilon: float
    activation: Literal["Gelu", "Relu"]
    positions: Literal["learned", "rotary", "alibi"] = "learned"
    first_position: int = 0
    rotary_base: float = 0.0
    has_types: bool = True
    gate: Literal["none", "first", "second"] = "none"
    code_variant: bool = False

    @property
    def head_size(self) -> int:
        """Of queries, keys and values."""
        return self.attention_width // self.heads

    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Every parameter's shape; None where any number of rows will do."""
        width, across = self.width, self.attention_width
        linear: dict[str, tuple[int | None, int]] = {"words": (None, width)}
        if self.positions == "learned":
            linear["positions"] = (None, width)
        if self.has_types:
            linear["types"] = (None, width)
        unbiased, norms = set(linear), {"embedding_norm": width}
        gated = self.gate != "none"
        for layer in range(self.layers):
            linear |= {f"{layer}.{part}": (across, width) for part in ("query", "key", "value")}
            linear[f"{layer}.output"] = (width, across)
            linear[f"{layer}.up"] = (self.inner_width * (2 if gated else 1), width)
            linear[f"{layer}.down"] = (width, self.inner_width)
            norms |= {f"{layer}.{part}": width for part in ("attention_norm", "norm")}
            if gated:
                unbiased.add(f"{layer}.up")
            if self.code_variant:
                norms |= {f"{layer}.{part}": across for part in ("query_norm", "key_norm")}
                norms[f"{layer}.residual_norm"] = width
        shapes: dict[str, tuple[int | None, ...]] = {}
        for name, shape in linear.items():
            shapes[f"{name}.weight"] = shape
            if name not in unbiased:
                shapes[f"{name}.bias"] = shape[:1]
        for name, size in norms.items():
            shapes |= {f"{name}.weight": (size,), f"{name}.bias": (size,)}
        return shapes


class ParameterNames:
    """From a file's names of parameters to ours."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self._parts = parts

    def module(self, stored: str) -> str | None:
        """Our name of a module, such as ``3.query``; None where it is not one of the encoder's."""
        stored = _PREFIX.sub("", stored.removeprefix("base_model.model."))
        layer = re.search(r"\.(\d+)\.", stored)
        part = self._parts.get(re.sub(r"\.\d+\.", ".N.", stored, count=1))
        return part if part is None or layer is None else f"{layer[1]}.{part}"

    def parameter(self, stored: str) -> str | None:
        """Our name of a parameter, such as ``3.query.weight``; None where it is no encoder's."""
        # Files that were converted from TensorFlow, such as bert-base-uncased's.
        stored = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", stored)
        stored = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", stored)
        module, _, kind = stored.rpartition(".")
        part = self.module(module)
        return None if part is None else f"{part}.{kind}"

    def stored(self, parameter: str) -> str:
        """One of a file's names of a parameter of ours, for messages."""
        module, _, kind = parameter.rpartition(".")
        layer, _, part = module.rpartition(".")
        name = next(name for name, known in self._parts.items() if known == part)
        return f"{name.replace('.N.', f'.{layer}.')}.{kind}"


def parameter_names(config: Mapping[str, object]) -> ParameterNames:
    """The names in files of a ``config.json``."""
    if is_jina_bert(config):
        return ParameterNames(_JINA_BERT)
    kind = config.get("model_type")
    return ParameterNames(
        {"distilbert": _DISTILBERT, "jina_embeddings_v3": _JINA_V3}.get(str(kind), _BERT)
    )


def architecture_of(config: Mapping[str, object], parameters: Iterable[str]) -> Architecture:
    """The architecture of a ``config.json`` for which there is no `unsupported_reason`.

    Args:
        config: What the file says.
        parameters: Names of the weights, ours; they alone tell JinaBERT's code variant.

    Raises:
        ModelLoadError: a size is missing or impossible.
    """
    kind = config.get("model_type")
    distilbert = kind == "distilbert"
    width = _size(config, "dim" if distilbert else "hidden_size")
    heads = _size(config, "n_heads" if distilbert else "num_attention_heads")
    if width % heads:
        raise ModelLoadError(f"config.json has width {width}, no multiple of its {heads} heads")
    activation = config.get("activation" if distilbert else "hidden_act") or "gelu"
    base = Architecture(
        layers=_size(config, "n_layers" if distilbert else "num_hidden_layers"),
        heads=heads,
        width=width,
        attention_width=width,
        inner_width=_size(config, "hidden_dim" if distilbert else "intermediate_size"),
        epsilon=1e-12 if distilbert else _number(config, "layer_norm_eps", 1e-12),
        activation="Relu" if activation == "relu" else "Gelu",
        has_types=not distilbert,
    )
    if is_jina_bert(config):
        return _jina_bert(base, config, parameters)
    if kind == "jina_embeddings_v3":
        rotary = cast("Mapping[str, object]", config.get("rope_parameters") or config)
        head_size = _size(config, "head_dim") if config.get("head_dim") else width // heads
        return replace(
            base,
            attention_width=heads * head_size,
            epsilon=_number(config, "layer_norm_eps", 1e-5),
            positions="rotary",
            rotary_base=_number(rotary, "rope_theta", 20000.0),
        )
    if kind in ("bert", "distilbert"):
        return base
    padding = config.get("pad_token_id", 1)
    if not isinstance(padding, int):
        raise ModelLoadError(f"config.json has pad_token_id={padding!r}: it must be an int")
    return replace(base, first_position=padding + 1)


def _jina_bert(
    base: Architecture, config: Mapping[str, object], parameters: Iterable[str]
) -> Architecture:
    feed_forward = config.get("feed_forward_type")
    if feed_forward not in ("geglu", "reglu"):
        raise ModelLoadError(
            f"config.json has feed_forward_type={feed_forward!r}: the published models of this "
            "architecture have 'geglu' or 'reglu'"
        )
    code_variant = any(name.endswith(".residual_norm.weight") for name in parameters)
    return replace(
        base,
        activation="Relu" if feed_forward == "reglu" else "Gelu",
        positions="alibi",
        gate="second" if code_variant else "first",
        code_variant=code_variant,
    )


def _size(config: Mapping[str, object], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or value < 1:
        raise ModelLoadError(f"config.json has {name}={value!r}: it must be an int above 0")
    return value


def _number(config: Mapping[str, object], name: str, default: float) -> float:
    value = config.get(name, default)
    if not isinstance(value, int | float) or value <= 0:
        raise ModelLoadError(f"config.json has {name}={value!r}: it must be a number above 0")
    return float(value)
