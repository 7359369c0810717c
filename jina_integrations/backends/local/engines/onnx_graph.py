"""The graph of an encoder, without its weights: token ids of many sequences in one row, no padding.

Linear layers run over the row. Attention runs over blocks of it, in a loop: a block is some queries
and the keys that they look at, either neighbours of equal length or a part of one long sequence, so
that no tensor grows with the square of a length.

Inputs, int64:
    ids: Token ids, shape (tokens,).
    positions: Position of each token in its sequence, from 0, shape (tokens,).
    blocks: First and last query, first and last key (half-open), and how many sequences of equal
        length they are, shape (blocks, 5). The queries are in the order of the row.
    adapter: Which LoRA adapter, a scalar; only of a model that has any.

Output:
    The hidden states, float32, shape (tokens, width).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from .onnx_plan import GraphPlan, Parameter

__all__ = ["build_graph"]

_MICROSOFT: Final = "com.microsoft"
"""Operators of ONNX Runtime's own. Its SkipLayerNormalization and BiasGelu, which fuse an addition,
were slower than two operators (by 6 % of a pass, with MiniLM), so they are not used."""

_OPSETS: Final = {"": 18, _MICROSOFT: 1}
_Attribute = int | float | GraphProto
"""What an attribute of an operator is here."""

_IR_VERSION: Final = 9
"""Of the file: the oldest that goes with the operators."""


def build_graph(plan: GraphPlan) -> bytes:
    """The graph as an ONNX file, whose weights come from outside under the plan's names."""
    graph = _Graph(plan)
    hidden = graph.hidden()
    architecture = plan.architecture
    inputs: dict[str, list[str | int]] = {
        "ids": ["tokens"],
        "positions": ["tokens"],
        "blocks": ["blocks", 5],
    }
    if plan.adapters:
        inputs["adapter"] = []
    model = helper.make_model(
        helper.make_graph(
            graph.nodes.made,
            "encoder",
            [_value(name, TensorProto.INT64, shape) for name, shape in inputs.items()],
            [_value(hidden, TensorProto.FLOAT, ["tokens", architecture.width])],
            [*graph.constants.values(), *map(_external, plan.parameters)],
        ),
        opset_imports=[helper.make_opsetid(*opset) for opset in _OPSETS.items()],
        ir_version=_IR_VERSION,
    )
    graph_file: bytes = model.SerializeToString()
    return graph_file


def _value(name: str, kind: int, shape: Sequence[str | int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _external(parameter: Parameter) -> TensorProto:
    """A tensor whose numbers are handed over when a session starts."""
    tensor = TensorProto(
        name=parameter.name,
        data_type=TensorProto.DataType.Value(parameter.type),
        dims=parameter.shape,
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="weights")
    return tensor


class _Nodes:
    """Nodes of a graph or of a loop's body, with names that no other has."""

    def __init__(self, prefix: str = "") -> None:
        self.made: list[NodeProto] = []
        self._prefix = prefix

    def __call__(
        self, operator: str, *inputs: str, domain: str = "", **attributes: _Attribute
    ) -> str:
        """The name of the operator's one output."""
        (output,) = self.several(operator, *inputs, outputs=1, domain=domain, **attributes)
        return output

    def several(
        self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: _Attribute
    ) -> list[str]:
        """The names of the operator's outputs."""
        names = [f"{self._prefix}{operator}_{len(self.made)}_{n}" for n in range(outputs)]
        node = helper.make_node(operator, inputs, names, domain=domain)
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.made.append(node)
        return names


class _Graph:
    def __init__(self, plan: GraphPlan) -> None:
        self.nodes = _Nodes()
        self.constants: dict[str, TensorProto] = {}
        self._architecture = plan.architecture
        self._parameters: Mapping[str, Parameter] = {p.name: p for p in plan.parameters}

    def _constant(self, name: str, values: object, kind: type[np.generic] = np.int64) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(values, kind), name)
        return name

    def hidden(self) -> str:
        """Hidden states of the last layer."""
        architecture = self._architecture
        x = self._embedding("words", "ids")
        if architecture.has_types:
            x = self.nodes("Add", x, self._embedding("types", self._constant("type", [0])))
        if architecture.positions == "learned":
            first = self._constant("first_position", architecture.first_position)
            places = self.nodes("Add", "positions", first)
            x = self.nodes("Add", x, self._embedding("positions", places))
        x = self._norm("embedding_norm", x)
        for layer in range(architecture.layers):
            x = self._layer(layer, x)
        return x

    def _layer(self, layer: int, x: str) -> str:
        attended = self._linear(f"{layer}.output", self._attention(layer, x))
        attended = self._added_norm(f"{layer}.attention_norm", attended, x)
        if self._architecture.code_variant:
            attended = self._added_norm(f"{layer}.residual_norm", attended, x)
        down = self._linear(f"{layer}.down", self._inner(layer, attended))
        return self._added_norm(f"{layer}.norm", down, attended)

    def _inner(self, layer: int, x: str) -> str:
        """The feed-forward part up to its second product."""
        architecture = self._architecture
        up = self._linear(f"{layer}.up", x)
        if architecture.gate == "none":
            return self._activation(up)
        size = architecture.inner_width
        halves = self._constant("halves", [size, size])
        first, second = self.nodes.several("Split", up, halves, outputs=2, axis=1)
        if architecture.gate == "first":
            return self.nodes("Mul", self._activation(first), second)
        return self.nodes("Mul", first, self._activation(second))

    def _activation(self, x: str) -> str:
        if self._architecture.activation == "Relu":
            return self.nodes("Relu", x)
        return self.nodes("Gelu", x, domain=_MICROSOFT)  # by the error function, exactly

    def _attention(self, layer: int, x: str) -> str:
        """What each token's query gathers, before the output's product."""
        query, key, value = (
            self._linear(f"{layer}.{part}", x) for part in ("query", "key", "value")
        )
        if self._architecture.code_variant:
            query = self._norm(f"{layer}.query_norm", query)
            key = self._norm(f"{layer}.key_norm", key)
        if self._architecture.positions == "rotary":
            query, key = self._rotated(query), self._rotated(key)
        count = self.nodes("Gather", self.nodes("Shape", "blocks"), self._constant("zero", 0))
        parts = self.nodes(
            "Loop",
            count,
            self._constant("true", True, np.bool_),
            self.nodes("SequenceEmpty", dtype=TensorProto.FLOAT),
            body=self._block(f"{layer}_", query, key, value),
        )
        return self.nodes("ConcatFromSequence", parts, axis=0)

    def _rotated(self, x: str) -> str:
        """Queries or keys after their rotation: ``x * cos + rotate_half(x) * sin``."""
        axis = self._constant("first_axis", [0])
        rotated = self.nodes(
            "RotaryEmbedding",
            self.nodes("Unsqueeze", x, axis),
            axis,  # zero: row n of the angles is that of token n
            *self._rotations,
            domain=_MICROSOFT,
            num_heads=self._architecture.heads,
        )
        return self.nodes("Squeeze", rotated, axis)

    @cached_property
    def _places(self) -> str:
        """Positions as float32."""
        return self.nodes("Cast", "positions", to=TensorProto.FLOAT)

    @cached_property
    def _rotations(self) -> tuple[str, str]:
        """Cosines and sines of each token's angles, shape (tokens, head size / 2)."""
        column = self.nodes("Unsqueeze", self._places, self._constant("last_axis", [-1]))
        angles = self.nodes("Mul", column, "frequencies")
        return self.nodes("Cos", angles), self.nodes("Sin", angles)

    def _block(self, prefix: str, query: str, key: str, value: str) -> GraphProto:
        """One turn of the loop: a block's attention, appended to those before."""
        nodes = _Nodes(prefix)
        number, going, before = prefix + "number", prefix + "going", prefix + "before"
        bounds = nodes.several(
            "Split",
            nodes("Gather", "blocks", number),
            self._constant("bounds", [1] * 5),
            outputs=5,
            axis=0,
        )
        queries, keys, sequences = bounds[:2], bounds[2:4], bounds[4]
        axis = self._constant("first_axis", [0])

        def cut(row: str, ends: Sequence[str], *shape: int) -> str:
            to = nodes(
                "Concat", sequences, self._constant(f"shape{len(shape)}", [-1, *shape]), axis=0
            )
            return nodes("Reshape", nodes("Slice", row, *ends, axis), to)

        across = self._architecture.attention_width
        inputs = [cut(query, queries, across), cut(key, keys, across), cut(value, keys, across)]
        if self._architecture.positions == "alibi":
            zero = self._constant("zero", 0)
            columns = nodes("Gather", cut(self._places, keys), zero)
            rows = nodes("Gather", cut(self._places, queries), zero)
            rows = nodes("Unsqueeze", rows, self._constant("last_axis", [-1]))
            distances = nodes("Abs", nodes("Sub", rows, columns))
            inputs += ["", "", nodes("Mul", distances, "slopes")]
        attended = nodes(
            "MultiHeadAttention",
            *inputs,
            domain=_MICROSOFT,
            num_heads=self._architecture.heads,
        )
        attended = nodes("Reshape", attended, self._constant("row", [-1, across]))
        after = nodes("SequenceInsert", before, attended)
        goes_on = nodes("Identity", going)
        sequence = helper.make_tensor_sequence_value_info
        return helper.make_graph(
            nodes.made,
            prefix + "block",
            [
                _value(number, TensorProto.INT64, []),
                _value(going, TensorProto.BOOL, []),
                sequence(before, TensorProto.FLOAT, None),
            ],
            [
                _value(goes_on, TensorProto.BOOL, []),
                sequence(after, TensorProto.FLOAT, None),
            ],
        )

    def _embedding(self, name: str, rows: str) -> str:
        vectors = self._float(self.nodes("Gather", f"{name}.weight", rows), f"{name}.weight")
        if f"{name}.lora_A" not in self._parameters:
            return vectors
        lora_a, lora_b = self._adapter(name)
        low = self.nodes("Gather", lora_a, rows, axis=1)
        return self.nodes("Gemm", low, lora_b, vectors, transA=1, transB=1)

    def _linear(self, name: str, x: str) -> str:
        bias = [self._weight(f"{name}.bias")] if f"{name}.bias" in self._parameters else []
        if f"{name}.scales" in self._parameters:
            product = self._quantized(name, x, bias)
        else:
            product = self.nodes("Gemm", x, self._weight(f"{name}.weight"), *bias, transB=1)
        if f"{name}.lora_A" not in self._parameters:
            return product
        lora_a, lora_b = self._adapter(name)
        low = self.nodes("Gemm", x, lora_a, transB=1)
        return self.nodes("Gemm", low, lora_b, product, transB=1)

    def _weight(self, name: str) -> str:
        """A parameter as float32: where it is stored otherwise, it is converted at the start."""
        return self._float(name, name)

    def _float(self, values: str, parameter: str) -> str:
        if self._parameters[parameter].type == "FLOAT":
            return values
        return self.nodes("Cast", values, to=TensorProto.FLOAT)

    def _quantized(self, name: str, x: str, bias: Sequence[str]) -> str:
        outputs, _, size = self._parameters[f"{name}.blocks"].shape
        architecture = self._architecture
        inputs = {"output": architecture.attention_width, "down": architecture.inner_width}
        return self.nodes(
            "MatMulNBits",
            x,
            f"{name}.blocks",
            f"{name}.scales",
            *(["", "", *bias] if bias else []),
            domain=_MICROSOFT,
            K=inputs.get(name.rpartition(".")[2], architecture.width),
            N=outputs,
            bits=8,
            block_size=size,
            accuracy_level=4,  # what it multiplies with is rounded to int8, too
        )

    def _adapter(self, name: str) -> list[str]:
        """A and B of the pass's adapter, shapes (rank, inputs) and (outputs, rank)."""
        return [self.nodes("Gather", f"{name}.lora_{part}", "adapter") for part in "AB"]

    def _added_norm(self, name: str, x: str, residual: str) -> str:
        return self._norm(name, self.nodes("Add", x, residual))

    def _norm(self, name: str, x: str) -> str:
        return self.nodes(
            "LayerNormalization",
            x,
            self._weight(f"{name}.weight"),
            self._weight(f"{name}.bias"),
            epsilon=self._architecture.epsilon,
        )
