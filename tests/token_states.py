"""Token states of the ONNX engine, and those that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from jina_integrations.backends.local.engines.onnx import OnnxEncoder, load_onnx_encoder
from jina_integrations.backends.local.folder import read_folder
from jina_integrations.settings import Precision

STATES = 1e-5
"""The largest difference that rounding explains."""

Reference = Callable[[Sequence[int]], np.ndarray]


def load(
    folder: Path, *, adapters: Sequence[str] = (), precision: Precision = "float32"
) -> OnnxEncoder:
    return load_onnx_encoder(
        folder, read_folder(folder, "a model"), adapters=adapters, precision=precision
    )


def sequences(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> list[np.ndarray]:
    """Random ids, none of them below 5, where special tokens are."""
    random = np.random.default_rng(seed)
    return [random.integers(5, vocabulary, length) for length in lengths]


def transformers_states(folder: Path, adapter: str | None = None) -> Reference:
    """Each sequence alone, through transformers' own attention."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()
    if adapter is not None:
        model.load_adapter(str(folder), adapter_name=adapter, adapter_kwargs={"subfolder": adapter})
        model.set_adapter(adapter)

    @torch.inference_mode()
    def states(ids: Sequence[int]) -> np.ndarray:
        return model(input_ids=torch.tensor(np.array(ids)[None])).last_hidden_state[0].numpy()

    return states


def difference(
    encoder: OnnxEncoder,
    reference: Reference,
    ids: Sequence[np.ndarray],
    adapter: str | None = None,
) -> float:
    """The largest over all states of all tokens, encoded as one batch."""
    expected = np.concatenate([reference(sequence.tolist()) for sequence in ids])
    states = encoder.encode(ids, adapter=adapter)
    assert states.dtype == np.float32
    assert states.shape == expected.shape
    return float(np.abs(states - expected).max())
