"""JinaBERT, the architecture of the jina-embeddings-v2 family, without the code of its repository.

A BERT without a table of positions: attention scores lose ``slope * |i - j|`` instead (symmetric
ALiBi), and the feed-forward part is gated. The base-code model differs: layer norms on queries and
keys, a second one around the attention, and the gate on the other half.

Formulas and parameter names are those of ``jinaai/jina-bert-implementation`` and
``jinaai/jina-bert-v2-qk-post-norm``, as recorded in ``tests/fixtures/jina-v2.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention
from transformers.modeling_outputs import BaseModelOutput

from ....errors import ModelLoadError
from .alibi import alibi_slopes
from .attention import PackedLengths
from .torch_device import copy_to

__all__ = ["JinaBertConfig", "JinaBertModel", "load_jina_bert"]

_BIAS_ELEMENTS = 2**26
"""Elements of the ALiBi bias for one call of the attention: 256 MiB where it copies them."""

_Biases: TypeAlias = Mapping[int, Tensor]
"""For each length of the row the bias that all layers add, see `_alibi`."""

_ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {"geglu": gelu, "reglu": relu}


@dataclass(frozen=True, slots=True)
class JinaBertConfig:
    """What of ``config.json`` shapes the model.

    Attributes:
        code_variant: Whether it is that of jina-embeddings-v2-base-code.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    type_vocab_size: int
    layer_norm_eps: float
    feed_forward_type: Literal["geglu", "reglu"]
    code_variant: bool

    @classmethod
    def of(cls, config: Mapping[str, object], *, code_variant: bool) -> Self:
        """The configuration of a ``config.json``, which does not say the variant.

        Raises:
            ModelLoadError: a value is missing, or of a kind that no published model has.
        """
        sizes: dict[str, int] = {}
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "type_vocab_size",
        ):
            size = config.get(name)
            if not isinstance(size, int) or size < 1:
                raise ModelLoadError(f"config.json has {name}={size!r}: it must be an int above 0")
            sizes[name] = size
        if sizes["hidden_size"] % sizes["num_attention_heads"]:
            raise ModelLoadError(
                f"config.json has hidden_size={sizes['hidden_size']}, which is no multiple of "
                f"num_attention_heads={sizes['num_attention_heads']}"
            )
        kind = config.get("feed_forward_type")
        if kind not in _ACTIVATIONS:
            raise ModelLoadError(
                f"config.json has feed_forward_type={kind!r}: the published models of this "
                f"architecture have {' or '.join(map(repr, _ACTIVATIONS))}"
            )
        eps = config.get("layer_norm_eps", 1e-12)
        if not isinstance(eps, float) or eps <= 0:
            raise ModelLoadError(
                f"config.json has layer_norm_eps={eps!r}: it must be a float above 0"
            )
        return cls(
            **sizes,
            layer_norm_eps=eps,
            feed_forward_type=cast('Literal["geglu", "reglu"]', kind),
            code_variant=code_variant,
        )


def _alibi(slopes: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """The bias of symmetric ALiBi for queries in reverse: shape (heads, length, length).

    With the queries in reverse the bias of row i and column j depends on i + j alone, so that one
    vector of twice the length, looked at through overlapping windows, is the whole bias.
    """
    distances = torch.arange(1 - length, length, device=slopes.device).abs()
    return (-slopes[:, None] * distances).to(dtype).unfold(-1, length, 1)


def _attend(query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor) -> Tensor:
    """Attention with `_alibi`, all of shape (sequences, heads, length, head size).

    Rows are taken some at a time, for kernels that copy their mask.
    """
    heads, length = query.shape[1:3]
    backwards = query.flip(2)
    rows = max(1, _BIAS_ELEMENTS // (heads * length))
    attended = [
        scaled_dot_product_attention(
            backwards[:, :, start:end], key, value, attn_mask=bias[None, :, start:end]
        )
        for start, end in pairwise([*range(0, length, rows), length])
    ]
    return torch.cat(attended, dim=2).flip(2)


class _SelfAttention(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.heads = config.num_attention_heads
        self.normalizes = config.code_variant
        if self.normalizes:
            self.layer_norm_q = nn.LayerNorm(width, eps=config.layer_norm_eps)
            self.layer_norm_k = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, biases: _Biases, packed: PackedLengths) -> Tensor:
        query, key, value = self.query(hidden), self.key(hidden), self.value(hidden)
        if self.normalizes:
            query, key = self.layer_norm_q(query), self.layer_norm_k(key)
        context = torch.empty_like(hidden)
        start = 0
        for length, count in packed.runs:
            end = start + length * count
            shape = (count, length, self.heads, -1)
            parts = (
                states[start:end].view(shape).transpose(1, 2) for states in (query, key, value)
            )
            attended = _attend(*parts, bias=biases[length])
            context[start:end] = attended.transpose(1, 2).reshape(end - start, -1)
            start = end
        return context


class _AttentionOutput(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, context: Tensor, hidden: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.dense(context) + hidden)
        return normed


class _Attention(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _AttentionOutput(config)

    def forward(self, hidden: Tensor, biases: _Biases, packed: PackedLengths) -> Tensor:
        attended: Tensor = self.output(self.self(hidden, biases, packed), hidden)
        return attended


class _GatedMlp(nn.Module):
    """The first half goes through the activation; the residual and its norm belong to it."""

    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gated_layers = nn.Linear(width, 2 * inner, bias=False)
        self.wo = nn.Linear(inner, width)
        self.layernorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.activation = _ACTIVATIONS[config.feed_forward_type]

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gated_layers(hidden).chunk(2, dim=-1)
        normed: Tensor = self.layernorm(self.wo(self.activation(gate) * up) + hidden)
        return normed


class _CodeMlp(nn.Module):
    """The second half goes through the activation; the layer adds the residual."""

    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.up_gated_layer = nn.Linear(width, 2 * inner, bias=False)
        self.down_layer = nn.Linear(inner, width)
        self.activation = _ACTIVATIONS[config.feed_forward_type]

    def forward(self, hidden: Tensor) -> Tensor:
        up, gate = self.up_gated_layer(hidden).chunk(2, dim=-1)
        down: Tensor = self.down_layer(up * self.activation(gate))
        return down


class _Layer(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.mlp = _GatedMlp(config)

    def forward(self, hidden: Tensor, biases: _Biases, packed: PackedLengths) -> Tensor:
        out: Tensor = self.mlp(self.attention(hidden, biases, packed))
        return out


class _CodeLayer(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.layer_norm_1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = _CodeMlp(config)
        self.layer_norm_2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, biases: _Biases, packed: PackedLengths) -> Tensor:
        attended = self.layer_norm_1(hidden + self.attention(hidden, biases, packed))
        out: Tensor = self.layer_norm_2(attended + self.mlp(attended))
        return out


class _Embeddings(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(
            self.word_embeddings(ids) + self.token_type_embeddings(types)
        )
        return normed


class _Layers(nn.Module):
    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        kind = _CodeLayer if config.code_variant else _Layer
        self.layer = nn.ModuleList(kind(config) for _ in range(config.num_hidden_layers))


class JinaBertModel(nn.Module):
    """Token ids to hidden states; the names of its parameters are those of the published files."""

    def __init__(self, config: JinaBertConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Layers(config)
        self.width = config.hidden_size
        self._heads = config.num_attention_heads

    def forward(
        self,
        input_ids: Tensor,
        *,
        packed: PackedLengths,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,  # the encoder passes it to all models
    ) -> BaseModelOutput:
        """Hidden states, shape (1, tokens, hidden size).

        Args:
            input_ids: One packed row, shape (1, tokens).
            packed: Lengths of the sequences in it.
            token_type_ids: Shape of `input_ids`; None is zero.
            position_ids: Not used: positions are in the distances.
        """
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        hidden: Tensor = self.embeddings(input_ids[0], types[0])
        slopes = copy_to(hidden.device, alibi_slopes(self._heads))
        biases = {length: _alibi(slopes, length, hidden.dtype) for length, _ in packed.runs}
        for layer in self.encoder.layer:
            hidden = layer(hidden, biases, packed)
        return BaseModelOutput(last_hidden_state=cast("torch.FloatTensor", hidden[None]))


def load_jina_bert(
    folder: Path, config: Mapping[str, object], *, dtype: torch.dtype
) -> JinaBertModel:
    """The model of a published folder; no code of it runs.

    The variant follows from the parameters. Names may begin with ``bert.``; the pooler, which no
    embedding uses, may be there or not. Any type of number in the file becomes `dtype`.

    Args:
        folder: Holds ``model.safetensors``.
        config: What its ``config.json`` says.
        dtype: Of the parameters.

    Raises:
        ModelLoadError: the weights cannot be read, or are not those of the architecture.
    """
    path = folder / "model.safetensors"
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise ModelLoadError(f"{path} cannot be read: {exc}") from exc
    weights = {name.removeprefix("bert."): tensor for name, tensor in stored.items()}
    if len(weights) != len(stored):
        raise ModelLoadError(f"{path} has parameters both with and without the prefix 'bert.'")
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    code_variant = any(".mlp.up_gated_layer." in name for name in weights)
    with torch.device("meta"):
        model = JinaBertModel(JinaBertConfig.of(config, code_variant=code_variant))
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    stored_shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wanted != stored_shapes:
        shapes = {
            name: stored_shapes[name]
            for name in wanted.keys() & stored_shapes
            if wanted[name] != stored_shapes[name]
        }
        raise ModelLoadError(
            f"{path} does not fit the JinaBERT of its config.json: "
            f"missing {sorted(wanted.keys() - stored_shapes)[:5]}, "
            f"unexpected {sorted(stored_shapes.keys() - wanted)[:5]}, of another shape {shapes}"
        )
    model.load_state_dict({name: t.to(dtype) for name, t in weights.items()}, assign=True)
    return model
