"""A model on ONNX Runtime, on the CPU: packed batches of token sequences, pooled by NumPy."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import (
    onnxruntime_pybind11_state as failures,  # pyright: ignore[reportAttributeAccessIssue]  # compiled
)

from ....errors import EmbeddingError, ModelLoadError
from ....models import ModelCard
from ....settings import Precision
from ....types import FloatArray
from ..late_chunking import TokenSequence
from .onnx_cache import graph_of
from .onnx_parameters import Values, read_parameters
from .onnx_plan import GraphPlan, ParameterType
from .onnx_support import cpu_threads

__all__ = ["OnnxEncoder", "load_onnx_encoder"]

_BIAS_ELEMENTS: Final = 2**24
"""Scores of one block where ALiBi is added to them, all heads together: 64 MiB, twice. Smaller
blocks are slower, as the keys are rearranged for each."""

_ELEMENT_TYPES: Final[Mapping[ParameterType, int]] = {
    "FLOAT": 1,
    "UINT8": 2,
    "FLOAT16": 10,
    "BFLOAT16": 16,
}
"""Numbers of ``onnx.TensorProto.DataType``."""

_FAILURES: Final = (
    failures.EPFail,
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NotImplemented,
    failures.RuntimeException,
    RuntimeError,
    ValueError,
)
"""What ONNX Runtime raises; its own errors have no common class."""


_sessions: weakref.WeakSet[onnxruntime.InferenceSession] = weakref.WeakSet()
_held: list[onnxruntime.InferenceSession] = []


def _keep_for_ever() -> None:
    """Keep a forked child from ending its parent's sessions, which would hang.

    They would wait for their threads, which the child does not have. So each gets a reference that
    nobody gives back.
    """
    for session in _held:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _held.extend(_sessions),
        after_in_parent=_held.clear,
        after_in_child=_keep_for_ever,
    )


def load_onnx_encoder(
    folder: Path, card: ModelCard, *, adapters: Sequence[str], precision: Precision
) -> OnnxEncoder:
    """The folder's model, ready to encode.

    Args:
        folder: Holds config.json, the weights, and one folder for each adapter.
        card: The model's card.
        adapters: LoRA adapters to load.
        precision: ``"float32"``, or ``"int8"``, which rounds the linear layers' weights; the
            others are refused before, see `choose_engine`.

    Raises:
        ModelLoadError: weights are missing, not safetensors, or do not fit the architecture.
    """
    plan, values = read_parameters(folder, adapters, precision=precision)
    if plan.architecture.width < card.dimensions:
        raise ModelLoadError(
            f"{folder} has hidden_size {plan.architecture.width}, but {card.id} has "
            f"{card.dimensions} dimensions"
        )
    try:
        return OnnxEncoder(plan, values, adapters=adapters)
    except _FAILURES as exc:
        raise ModelLoadError(f"{card.id} cannot be loaded from {folder}: {exc}") from exc


class OnnxEncoder:
    """A `TokenEncoder` on ONNX Runtime.

    Args:
        plan: Of its graph.
        values: The graph's parameters.
        adapters: Names of its LoRA adapters, in the graph's order.
    """

    max_padding: float | None = None
    """Sequences share one row without padding."""

    concurrent = True
    """A session runs passes of several threads at a time."""

    def __init__(
        self, plan: GraphPlan, values: Mapping[str, Values], *, adapters: Sequence[str]
    ) -> None:
        self.width = plan.architecture.width
        self._architecture = plan.architecture
        self._adapters = {name: number for number, name in enumerate(adapters)}
        self._session, self._tensors = _session(plan, values)
        _sessions.add(self._session)

    def start(self, vectors: int) -> _OnnxSums:
        """Sums, all zero."""
        return _OnnxSums(self, vectors)

    def encode(self, ids: Sequence[NDArray[np.int64]], *, adapter: str | None) -> FloatArray:
        """Hidden states of all sequences, one after the other: shape (tokens, width).

        Raises:
            EmbeddingError: the engine failed, e.g. for want of memory.
        """
        lengths = [len(sequence) for sequence in ids]
        inputs = {
            "ids": np.concatenate(ids),
            "positions": np.concatenate([np.arange(length) for length in lengths]),
            "blocks": self._blocks(lengths),
        }
        if adapter is not None:
            inputs["adapter"] = np.array(self._adapters[adapter])
        try:
            hidden = self._session.run(None, inputs)[0]
        except _FAILURES as exc:
            raise EmbeddingError(
                f"ONNX Runtime failed on {len(ids)} sequences of {max(lengths)} tokens and less: "
                f"{exc}"
            ) from exc
        return cast("FloatArray", hidden)

    def _blocks(self, lengths: Sequence[int]) -> NDArray[np.int64]:
        """The blocks of the attention, see `onnx_graph`: shape (blocks, 5).

        Neighbours of equal length are one block. With ALiBi, whose bias is a tensor of queries
        times keys, a block has `_BIAS_ELEMENTS` at most: fewer sequences, or a part of one.
        """
        alibi = self._architecture.positions == "alibi"
        blocks: list[tuple[int, int, int, int, int]] = []
        start = 0
        for length, run in groupby(lengths):
            end = start + length * len(list(run))
            scores = self._architecture.heads * length
            together = (
                max(1, _BIAS_ELEMENTS // (scores * length)) * length if alibi else end - start
            )
            rows = max(1, _BIAS_ELEMENTS // scores) if alibi else length
            for first in range(start, end, together):
                last = min(first + together, end)
                if rows >= length:
                    blocks.append((first, last, first, last, (last - first) // length))
                else:
                    blocks += [
                        (row, min(row + rows, last), first, last, 1)
                        for row in range(first, last, rows)
                    ]
            start = end
        return np.array(blocks, np.int64)


class _OnnxSums:
    def __init__(self, encoder: OnnxEncoder, vectors: int) -> None:
        self._encoder = encoder
        self._sums = np.zeros((vectors, encoder.width), np.float32)

    def add(self, batch: Sequence[TokenSequence], *, adapter: str | None) -> None:
        hidden = self._encoder.encode([sequence.ids for sequence in batch], adapter=adapter)
        starts = np.cumsum([0, *(len(sequence.ids) for sequence in batch[:-1])])
        rows = np.concatenate([s.rows + start for s, start in zip(batch, starts, strict=True)])
        vectors = np.concatenate([sequence.vectors for sequence in batch])
        weights = np.concatenate([sequence.weights for sequence in batch])
        order = np.argsort(vectors, kind="stable")
        weighted = hidden[rows[order]] * weights[order, None]
        filled, firsts = np.unique(vectors[order], return_index=True)
        self._sums[filled] += np.add.reduceat(weighted, firsts, axis=0)

    def result(self) -> FloatArray:
        return self._sums


def _session(
    plan: GraphPlan, values: Mapping[str, Values]
) -> tuple[onnxruntime.InferenceSession, list[onnxruntime.OrtValue]]:
    """A session, and what has to live as long: it works on these tensors' memory."""
    options = onnxruntime.SessionOptions()
    # Said, not left to the runtime, which would also bind each thread to a core: two processes
    # would be bound to the same ones.
    options.intra_op_num_threads = cpu_threads()
    # A thread without work sleeps. By default it spins for a while, which takes the core from
    # other processes, and on shared cores from the threads that it waits for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The graph is built as it should run; what is left is to convert weights of 16 bits, once.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # A pattern would be kept for each number of tokens that was ever seen.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors alone; they come as exceptions, too
    tensors = [
        onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            np.ascontiguousarray(values[parameter.name]), _ELEMENT_TYPES[parameter.type]
        )
        for parameter in plan.parameters
    ]
    options.add_external_initializers([parameter.name for parameter in plan.parameters], tensors)
    session = onnxruntime.InferenceSession(
        graph_of(plan), options, providers=["CPUExecutionProvider"]
    )
    return session, tensors
